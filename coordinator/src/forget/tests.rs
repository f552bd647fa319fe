use std::time::Duration;

use ring::{InstanceId, InstanceState, Role};

use super::{Dead, NotSafe, check};
use crate::machine::{Command, MemberKey, Reply, State};

fn key(name: &str) -> MemberKey {
    (Role::Ingester, InstanceId::new(name).unwrap())
}

/// Ingesters `a0 a1 b0 b1 …`, two in each of so many zones, all ACTIVE.
fn cluster(zones: usize) -> State {
    of(["a", "b", "c"].iter().take(zones).flat_map(|zone| (0..2).map(move |n| (format!("{zone}{n}"), *zone))))
}

/// These ingesters, by id and zone, all ACTIVE.
fn of<'a>(ingesters: impl IntoIterator<Item = (String, &'a str)>) -> State {
    let mut state = State::default();
    for (id, zone) in ingesters {
        state.apply(Command::Register {
            id: InstanceId::new(&id).unwrap(),
            role: Role::Ingester,
            address: "h:1".to_owned(),
            zone: zone.to_owned(),
            state: InstanceState::Active,
            empty: false,
            now_ms: 0,
            version: String::new(),
        });
    }
    state
}

fn epoch(state: &State, name: &str) -> u64 {
    state.get(&key(name)).unwrap().instance.epoch
}

fn expire(state: &mut State, name: &str) {
    let epoch = epoch(state, name);
    state.apply(Command::Expire { member: key(name), epoch });
}

#[test]
fn the_dead_are_forgotten_when_every_other_zone_is_complete() {
    let mut state = cluster(3);
    assert_eq!(check(&state, &key("a0"), 3), Err(NotSafe::Alive(InstanceState::Active)));
    expire(&mut state, "a0");
    assert_eq!(check(&state, &key("a0"), 3), Ok(()));
    expire(&mut state, "a1");
    assert_eq!(check(&state, &key("a0"), 3), Ok(()), "a whole zone may be gone: the others have everything");
    let a1 = epoch(&state, "a1");
    let mut without = state.clone();
    without.apply(Command::Deregister { member: key("a1"), epoch: a1 });
    assert_eq!(check(&without, &key("a0"), 3), Err(NotSafe::LastOf("zone a".to_owned())), "but its last one stays");
    expire(&mut state, "b0");
    for name in ["a0", "a1", "b0"] {
        assert!(matches!(check(&state, &key(name), 3), Err(NotSafe::OtherMissing { .. })), "{name}");
    }
    let b0 = epoch(&state, "b0");
    state.apply(Command::SetState { member: key("b0"), epoch: b0, state: InstanceState::Joining });
    assert!(matches!(check(&state, &key("a0"), 3), Err(NotSafe::OtherMissing { .. })), "it has not replayed what it has");
    state.apply(Command::SetState { member: key("b0"), epoch: b0, state: InstanceState::ReadOnly });
    assert_eq!(check(&state, &key("a0"), 3), Ok(()));
}

#[test]
fn where_samples_may_be_nowhere_else_nobody_is_forgotten() {
    let mut state = cluster(3);
    expire(&mut state, "a0");
    assert_eq!(check(&state, &key("a0"), 1), Err(NotSafe::FewReplicas(1)));
    let mut state = cluster(2);
    expire(&mut state, "a0");
    assert_eq!(check(&state, &key("a0"), 3), Err(NotSafe::FewZones { other_zones: 1, needed: 2 }));
    let mut state = cluster(1);
    expire(&mut state, "a0");
    assert!(check(&state, &key("a0"), 3).is_err(), "no other zone is no complete zone");
}

#[test]
fn without_zones_each_is_one_of_its_own() {
    let without_zones = |count| of((0..count).map(|n| (format!("i{n}"), ring::UNZONED)));
    let mut state = without_zones(3);
    expire(&mut state, "i0");
    assert_eq!(check(&state, &key("i0"), 3), Err(NotSafe::LastOf("ingester i0".to_owned())));
    let mut state = without_zones(4);
    expire(&mut state, "i0");
    assert_eq!(check(&state, &key("i0"), 3), Ok(()));
    expire(&mut state, "i1");
    assert!(matches!(check(&state, &key("i0"), 3), Err(NotSafe::OtherMissing { .. })));
}

#[test]
fn who_came_from_another_zone_may_have_shared_with_those_of_its_own() {
    let after_moving = |moved: &str| {
        let mut state = cluster(3);
        let register = |zone: &str, now_ms| Command::Register {
            id: InstanceId::new(moved).unwrap(),
            role: Role::Ingester,
            address: "h:1".to_owned(),
            zone: zone.to_owned(),
            state: InstanceState::Active,
            empty: false,
            now_ms,
            version: String::new(),
        };
        state.apply(register("b", 7));
        state.apply(register("a", 8));
        expire(&mut state, "a0");
        expire(&mut state, "a1");
        check(&state, &key("a0"), 3)
    };
    assert!(matches!(after_moving("a1"), Err(NotSafe::OtherMissing { .. })));
    assert!(matches!(after_moving("a0"), Err(NotSafe::OtherMissing { .. })));
}

#[test]
fn who_has_everything_in_the_object_store_is_forgotten_at_once() {
    let mut state = cluster(1);
    let member = key("a0");
    let epoch = epoch(&state, "a0");
    state.apply(Command::SetState { member: member.clone(), epoch, state: InstanceState::Gone });
    assert_eq!(check(&state, &member, 1), Ok(()));
    state.apply(Command::Expire { member: member.clone(), epoch });
    assert!(state.get(&member).is_none(), "nobody waits for it");
}

#[test]
fn the_machine_itself_refuses_what_is_not_safe() {
    let mut state = cluster(3);
    expire(&mut state, "a0");
    expire(&mut state, "b0");
    let forget = |state: &State, force| Command::Forget { member: key("a0"), epoch: epoch(state, "a0"), replication_factor: 3, force };
    let command = forget(&state, false);
    assert!(matches!(state.apply(command).reply, Reply::NotSafe { .. }));
    let command = forget(&state, true);
    assert_eq!(state.apply(command).reply, Reply::Done);
    assert!(state.get(&key("a0")).is_none());
}

#[test]
fn time_is_counted_by_who_leads() {
    let (after, at) = (Duration::from_secs(60), Duration::from_secs);
    let mut state = cluster(3);
    let mut dead = Dead::default();
    expire(&mut state, "a0");
    let who = (key("a0"), epoch(&state, "a0"));
    assert!(dead.due(&state, 3, after, at(0)).is_empty());
    assert!(dead.due(&state, 3, after, at(59)).is_empty());
    assert_eq!(dead.due(&state, 3, after, at(60)), std::slice::from_ref(&who));
    assert!(dead.due(&state, 3, Duration::ZERO, at(600)).is_empty(), "off");
    dead.clear();
    assert!(dead.due(&state, 3, after, at(600)).is_empty(), "a new leader has seen nothing");
    // Back, and dead again.
    state.apply(Command::Revive { member: who.0.clone(), epoch: who.1 });
    dead.due(&state, 3, after, at(650));
    expire(&mut state, "a0");
    assert!(dead.due(&state, 3, after, at(661)).is_empty());
    // Somebody else, who may have to ship what both had, is away for a moment.
    let b0 = (key("b0"), epoch(&state, "b0"));
    expire(&mut state, "b0");
    dead.due(&state, 3, after, at(700));
    state.apply(Command::Revive { member: b0.0, epoch: b0.1 });
    assert!(dead.due(&state, 3, after, at(721)).is_empty());
    assert_eq!(dead.due(&state, 3, after, at(781)), [who]);
}
