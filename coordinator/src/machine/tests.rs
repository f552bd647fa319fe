use ring::{InstanceId, InstanceState, Role};

use super::{Applied, Command, MAX_INSTANCES, MemberKey, Reply, State};

fn member(role: Role, name: &str) -> MemberKey {
    (role, InstanceId::new(name).unwrap())
}

fn register(role: Role, name: &str) -> Command {
    Command::Register {
        id: InstanceId::new(name).unwrap(),
        role,
        address: "127.0.0.1:9095".to_owned(),
        zone: "a".to_owned(),
        state: InstanceState::Active,
        empty: false,
        now_ms: 1_000,
        version: String::new(),
    }
}

fn epoch(applied: &Applied) -> u64 {
    match applied.reply {
        Reply::Registered { epoch } => epoch,
        _ => panic!("not registered: {applied:?}"),
    }
}

#[test]
fn the_cluster_is_named_once() {
    let mut state = State::default();
    state.apply(Command::Bootstrap { cluster_id: "first".to_owned() });
    state.apply(Command::Bootstrap { cluster_id: "second".to_owned() });
    assert_eq!((state.header().cluster_id.as_str(), state.header().version), ("first", 1));
}

#[test]
fn no_two_registrations_share_an_epoch_and_the_old_one_is_fenced() {
    let mut state = State::default();
    let first = epoch(&state.apply(register(Role::Ingester, "i-0")));
    let other = epoch(&state.apply(register(Role::Querier, "i-0")));
    let again = epoch(&state.apply(register(Role::Ingester, "i-0")));
    assert!(first < other && other < again);
    let member = member(Role::Ingester, "i-0");
    let refused = Applied { reply: Reply::Fenced { current: Some(again) }, member: None, keys: Vec::new() };
    let version = state.header().version;
    assert_eq!(state.apply(Command::SetState { member: member.clone(), epoch: first, state: InstanceState::Leaving }), refused);
    assert_eq!(state.apply(Command::Deregister { member: member.clone(), epoch: first }), refused);
    assert_eq!(state.apply(Command::Expire { member: member.clone(), epoch: first }), refused);
    assert_eq!(state.header().version, version, "what is refused changes nothing");
    // Forgotten and back: the epoch still grows.
    state.apply(Command::Deregister { member: member.clone(), epoch: again });
    assert_eq!(state.apply(Command::Deregister { member: member.clone(), epoch: again }).reply, Reply::Done);
    assert_eq!(state.apply(Command::Revive { member, epoch: again }).reply, Reply::Fenced { current: None });
    assert!(epoch(&state.apply(register(Role::Ingester, "i-0"))) > again);
}

#[test]
fn an_ingester_that_expired_keeps_its_place_and_becomes_what_it_was() {
    for before in [InstanceState::Joining, InstanceState::Active, InstanceState::Leaving, InstanceState::ReadOnly] {
        let mut state = State::default();
        let epoch = epoch(&state.apply(register(Role::Ingester, "i-0")));
        let member = member(Role::Ingester, "i-0");
        state.apply(Command::SetState { member: member.clone(), epoch, state: before });
        state.apply(Command::Expire { member: member.clone(), epoch });
        state.apply(Command::Expire { member: member.clone(), epoch });
        assert_eq!(state.get(&member).unwrap().instance.state, InstanceState::Unhealthy);
        state.apply(Command::Revive { member: member.clone(), epoch });
        let version = state.header().version;
        state.apply(Command::Revive { member: member.clone(), epoch });
        assert_eq!((state.get(&member).unwrap().instance.state, state.header().version), (before, version));
    }
}

#[test]
fn roles_that_hold_nothing_are_forgotten_when_they_expire() {
    let mut state = State::default();
    let epoch = epoch(&state.apply(register(Role::Querier, "q-0")));
    state.apply(Command::Expire { member: member(Role::Querier, "q-0"), epoch });
    assert_eq!(state.records().count(), 0);
}

#[test]
fn there_is_an_end_to_registering() {
    let mut state = State::default();
    for n in 0..MAX_INSTANCES {
        state.apply(register(Role::Querier, &format!("q-{n}")));
    }
    assert_eq!(state.apply(register(Role::Querier, "one-more")).reply, Reply::Full);
    assert!(matches!(state.apply(register(Role::Querier, "q-7")).reply, Reply::Registered { .. }));
}

#[test]
fn the_version_grows_exactly_when_the_snapshot_changes() {
    let mut state = State::default();
    let ingester = member(Role::Ingester, "i-0");
    let commands = [
        Command::Bootstrap { cluster_id: "c".to_owned() },
        register(Role::Ingester, "i-0"),
        Command::SetState { member: ingester.clone(), epoch: 1, state: InstanceState::Active },
        Command::SetState { member: ingester.clone(), epoch: 1, state: InstanceState::Leaving },
        Command::SetState { member: ingester.clone(), epoch: 1, state: InstanceState::Leaving },
        Command::Expire { member: ingester.clone(), epoch: 1 },
        Command::Revive { member: ingester.clone(), epoch: 1 },
        register(Role::Ingester, "i-0"),
        Command::Deregister { member: ingester, epoch: 2 },
    ];
    for command in commands {
        let before = state.snapshot();
        state.apply(command);
        let after = state.snapshot();
        assert_eq!(before.instances != after.instances || before.cluster_id != after.cluster_id, before.version != after.version);
    }
}

#[test]
fn states_and_commands_survive_being_written() {
    let mut state = State::default();
    state.apply(Command::Bootstrap { cluster_id: "c".to_owned() });
    for name in ["b", "a"] {
        state.apply(register(Role::Ingester, name));
    }
    state.apply(Command::Expire { member: member(Role::Ingester, "a"), epoch: 2 });
    let json = serde_json::to_string(&state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
    // The words of the log: a change here breaks every store.
    let written = serde_json::to_string(&Command::Expire { member: member(Role::Ingester, "a"), epoch: 2 }).unwrap();
    assert_eq!(written, r#"{"Expire":{"member":["ingester","a"],"epoch":2}}"#);
    assert_eq!(
        serde_json::to_string(&register(Role::Ingester, "a")).unwrap(),
        r#"{"Register":{"id":"a","role":"ingester","address":"127.0.0.1:9095","zone":"a","state":"ACTIVE","now_ms":1000}}"#
    );
}

#[test]
fn read_only_by_order_holds_over_restarts_and_expiry() {
    use InstanceState::{Active, Gone, Joining, ReadOnly, Unhealthy};
    let mut state = State::default();
    let member = member(Role::Ingester, "i-0");
    let first = epoch(&state.apply(register(Role::Ingester, "i-0")));
    let shown = |state: &State| state.get(&member).unwrap().instance.state;
    let order = |epoch, read_only| Command::Order { member: member.clone(), epoch, read_only };
    assert_eq!(state.apply(order(first + 1, true)).reply, Reply::Fenced { current: Some(first) });
    state.apply(order(first, true));
    assert_eq!(shown(&state), ReadOnly);
    state.apply(Command::Expire { member: member.clone(), epoch: first });
    assert_eq!(shown(&state), Unhealthy);
    let again = epoch(&state.apply(register(Role::Ingester, "i-0")));
    assert_eq!(shown(&state), ReadOnly, "a restart does not undo it");
    for (own, seen) in [(Joining, ReadOnly), (Active, ReadOnly), (Gone, Gone), (Active, ReadOnly)] {
        state.apply(Command::SetState { member: member.clone(), epoch: again, state: own });
        assert_eq!(shown(&state), seen, "{own:?}");
    }
    state.apply(Command::Expire { member: member.clone(), epoch: again });
    state.apply(order(again, false));
    assert_eq!(shown(&state), Unhealthy);
    state.apply(Command::Revive { member: member.clone(), epoch: again });
    assert_eq!(shown(&state), Active);
}

#[test]
fn who_comes_from_another_zone_or_without_its_disk_is_known_by_it() {
    let mut state = State::default();
    let mut register = |zone: &str, empty, now_ms| {
        state.apply(Command::Register {
            id: InstanceId::new("a").unwrap(),
            role: Role::Ingester,
            address: "h:1".to_owned(),
            zone: zone.to_owned(),
            state: InstanceState::Active,
            empty,
            now_ms,
            version: String::new(),
        });
        let instance = &state.get(&member(Role::Ingester, "a")).unwrap().instance;
        let (epoch, seen) = (instance.epoch, (instance.moved_at_ms, instance.emptied_at_ms));
        if now_ms == 60 {
            state.apply(Command::SetState { member: member(Role::Ingester, "a"), epoch, state: InstanceState::Gone });
        }
        seen
    };
    assert_eq!([register("x", true, 10), register("x", false, 20)], [(0, 0), (0, 0)], "the first time there was nothing to lose");
    assert_eq!([register("y", false, 30), register("y", false, 40)], [(30, 0), (30, 0)]);
    assert_eq!([register("y", true, 50), register("x", false, 60)], [(30, 50), (60, 50)]);
    assert_eq!(register("z", true, 70), (0, 0), "what it had is in the object store");
}

#[test]
fn a_state_of_before_is_read() {
    let old = r#"{"cluster_id":"c","version":4,"last_epoch":2,"members":[{"instance":{"id":"a","role":"ingester","address":"h:1","zone":"z","state":"UNHEALTHY","epoch":2,"registered_at_ms":0},"before":"ACTIVE"}]}"#;
    let state: State = serde_json::from_str(old).unwrap();
    assert_eq!(state.get(&member(Role::Ingester, "a")).unwrap().own_state(), InstanceState::Active);
    assert_eq!(serde_json::from_str::<State>(&serde_json::to_string(&state).unwrap()).unwrap(), state);
}
