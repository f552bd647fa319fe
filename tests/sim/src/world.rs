//! The cluster and what happens to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coordinator::machine::{Command, MemberKey, Reply};
use ring::{InstanceId, InstanceState, ReadQuorum, Ring, Role, Verdict};

use crate::data::{Read, Samples, Watcher, Write};
use crate::group::Group;
use crate::queue::Queue;
use crate::random::Random;
use crate::senders::{Agreement, Side};

const COORDINATORS: usize = 3;
const INGESTERS: usize = 6;
const DISTRIBUTORS: usize = 2;
const WATCHERS: usize = DISTRIBUTORS + 1;
const NODES: usize = COORDINATORS + INGESTERS + WATCHERS;

/// Trouble lasts so long, and then everything has so long to come to rest.
const TROUBLE_MS: u64 = 150_000;
const REST_MS: u64 = 80_000;
/// How long samples stay where they came to at least.
const KEPT_MS: u64 = 40_000;
/// Longer than any reader's lag behind the store.
const SETTLE_MS: u64 = 2 * crate::data::INDEX_LAG_MS;

/// What came of a schedule.
#[derive(Debug, Default, Clone, Copy)]
pub struct Summary {
    /// Samples acknowledged.
    pub acked: usize,
    /// Reads that were complete.
    pub complete_reads: u64,
    /// Leaders of the group.
    pub terms: u64,
    /// Ingesters forgotten, and ingesters that left after they had shipped everything.
    pub forgotten: u64,
    /// See above.
    pub departed: u64,
    /// Samples of equal senders taken.
    pub taken: u64,
}

#[derive(Debug)]
enum Event {
    Elect,
    Look,
    Apply(usize),
    Tick(usize),
    Crash,
    Restart(usize),
    Divide,
    Heal,
    CrashCoordinator,
    RestartCoordinator(usize),
    Order,
    Depart,
    DepartStep(usize),
    Ship(usize),
    Watch(usize),
    Write(usize),
    Push { write: usize, target: usize, ingester: usize, samples: Vec<u64> },
    Pushed { write: usize, target: usize, ok: bool },
    Read,
    Select { read: usize, index: u32, ingester: usize },
    Selected { read: usize, index: u32, found: Option<BTreeSet<u64>> },
    Sender(&'static str),
    Renew(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Normal,
    ReadOnly { shipped_at: Option<u64> },
    Gone,
}

#[derive(Debug)]
struct Ingester {
    up: bool,
    complete_at: u64,
    epoch: Option<u64>,
    told: Option<InstanceState>,
    mode: Mode,
    /// Samples and when they came.
    data: BTreeMap<u64, u64>,
    /// Thousandths of its clock's speed.
    rate: u64,
}

struct World {
    random: Random,
    queue: Queue<Event>,
    group: Group,
    coordinators_up: [bool; COORDINATORS],
    /// On which side of a divided network each node is.
    sides: [u8; NODES],
    ingesters: Vec<Ingester>,
    watchers: Vec<Watcher>,
    rings: BTreeMap<u64, Ring>,
    samples: Samples,
    writes: Vec<Write>,
    reads: Vec<Read>,
    agreement: Agreement,
    senders: Vec<Side>,
    summary: Summary,
}

fn key(ingester: usize) -> MemberKey {
    (Role::Ingester, InstanceId::new(&format!("i-{ingester}")).expect("a good name"))
}

/// Runs the schedule of this number. Panics where something does not hold.
#[must_use]
pub fn run(seed: u64) -> Summary {
    let mut random = Random::new(seed);
    let clocks: Vec<(u64, u64)> = (0..COORDINATORS).map(|_| (random.below(1_000_000), 990 + random.below(21))).collect();
    let ingester = |random: &mut Random| Ingester {
        up: true,
        complete_at: 0,
        epoch: None,
        told: None,
        mode: Mode::Normal,
        data: BTreeMap::new(),
        rate: 950 + random.below(101),
    };
    let mut world = World {
        queue: Queue::new(),
        group: Group::new(&clocks),
        coordinators_up: [true; COORDINATORS],
        sides: [0; NODES],
        ingesters: (0..INGESTERS).map(|_| ingester(&mut random)).collect(),
        watchers: (0..WATCHERS).map(|_| Watcher::new()).collect(),
        rings: BTreeMap::new(),
        samples: Samples::default(),
        writes: Vec::new(),
        reads: Vec::new(),
        agreement: Agreement::default(),
        senders: (0..DISTRIBUTORS).map(|_| Side::default()).collect(),
        summary: Summary::default(),
        random,
    };
    world.begin();
    while world.queue.now < TROUBLE_MS + REST_MS {
        let Some(event) = world.queue.next() else { break };
        world.happen(event);
    }
    world.end()
}

impl World {
    fn begin(&mut self) {
        self.queue.plan(0, Event::Elect);
        self.queue.plan(100, Event::Look);
        (0..COORDINATORS).for_each(|c| self.queue.plan(50, Event::Apply(c)));
        for i in 0..INGESTERS {
            self.queue.plan(200 + 10 * i as u64, Event::Tick(i));
            self.queue.plan(10_000 + 500 * i as u64, Event::Ship(i));
        }
        (0..WATCHERS).for_each(|w| self.queue.plan(400, Event::Watch(w)));
        for d in 0..DISTRIBUTORS {
            self.queue.plan(1_000, Event::Write(d));
            self.queue.plan(1_000, Event::Renew(d));
        }
        self.queue.plan(1_500, Event::Read);
        self.queue.plan(1_000, Event::Sender("a"));
        self.queue.plan(1_500, Event::Sender("b"));
        for event in [Event::Crash, Event::Divide, Event::CrashCoordinator, Event::Order, Event::Depart] {
            let at = 2_000 + self.random.below(30_000);
            self.queue.plan(at, event);
        }
    }

    fn trouble(&self) -> bool {
        self.queue.now < TROUBLE_MS
    }

    fn connected(&self, a: usize, b: usize) -> bool {
        self.sides[a] == self.sides[b]
    }

    /// Whether the leader can commit.
    fn leads(&self) -> bool {
        let Some(leader) = self.group.leader else { return false };
        self.coordinators_up[leader]
            && (0..COORDINATORS).filter(|c| self.coordinators_up[*c] && self.connected(*c, leader)).count() * 2 > COORDINATORS
    }

    /// The group, as this node reaches it.
    fn group_of(&mut self, node: usize) -> Option<&mut Group> {
        let leader = self.group.leader?;
        (self.leads() && self.connected(node, leader)).then_some(&mut self.group)
    }

    fn again(&mut self, every: u64, event: Event) {
        let jitter = self.random.below(every / 4 + 1);
        self.queue.plan(every + jitter, event);
    }

    /// In how long a message arrives, if it does.
    fn message(&mut self, from: usize, to: usize) -> Option<u64> {
        let lost = self.trouble() && self.random.one_in(20);
        let delay = 1 + if self.random.one_in(10) { self.random.below(2_000) } else { self.random.below(50) };
        (self.connected(from, to) && !lost).then_some(delay)
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Elect => {
                if !self.leads() {
                    let waited = self.group.leader.take().is_none();
                    let able =
                        |side: u8| (0..COORDINATORS).filter(|c| self.coordinators_up[*c] && self.sides[*c] == side).collect::<Vec<_>>();
                    let majority = [able(0), able(1)].into_iter().find(|able| able.len() * 2 > COORDINATORS);
                    if let Some(able) = majority.filter(|_| waited) {
                        let next = able[self.random.pick(able.len())];
                        self.group.elect(next);
                    }
                }
                self.again(1_000, Event::Elect);
            }
            Event::Look => {
                if self.leads() {
                    for (_, id) in self.group.look(self.queue.now) {
                        self.summary.forgotten += 1;
                        let ingester = &mut self.ingesters[place(id.as_str())];
                        // The disk of one that is gone is thrown away. One that came back a moment ago, or behind a divided network, registers anew with what it has.
                        if !ingester.up {
                            ingester.data.clear();
                        }
                    }
                }
                self.again(1_000, Event::Look);
            }
            Event::Apply(c) => {
                let reachable = self.group.leader.is_some_and(|leader| self.connected(c, leader));
                if self.coordinators_up[c] && reachable && self.leads() {
                    let entries = 1 + self.random.pick(30);
                    self.group.apply(c, entries);
                }
                self.again(100, Event::Apply(c));
            }
            Event::Tick(i) => {
                self.tick(i);
                let every = 3_300 * 1_000 / self.ingesters[i].rate;
                self.queue.plan(if self.ingesters[i].epoch.is_some() { every } else { 500 }, Event::Tick(i));
            }
            Event::Crash => {
                let i = self.random.pick(INGESTERS);
                if self.trouble() && self.ingesters[i].up {
                    self.ingesters[i].up = false;
                    self.ingesters[i].epoch = None;
                    let longest = if self.random.one_in(3) { 100_000 } else { 20_000 };
                    let back = 500 + self.random.below(longest);
                    self.queue.plan(back, Event::Restart(i));
                }
                let next = 3_000 + self.random.below(30_000);
                self.queue.plan(next, Event::Crash);
            }
            Event::Restart(i) => {
                let replay = self.random.below(5_000);
                let ingester = &mut self.ingesters[i];
                (ingester.up, ingester.epoch, ingester.told) = (true, None, None);
                ingester.complete_at = self.queue.now + replay;
            }
            Event::Divide => {
                if self.trouble() {
                    for side in &mut self.sides {
                        *side = u8::from(self.random.one_in(3));
                    }
                    let healed = 500 + self.random.below(30_000);
                    self.queue.plan(healed, Event::Heal);
                }
            }
            Event::Heal => {
                self.sides = [0; NODES];
                let next = 10_000 + self.random.below(40_000);
                self.queue.plan(next, Event::Divide);
            }
            Event::CrashCoordinator => {
                let c = self.random.pick(COORDINATORS);
                if self.trouble() && self.coordinators_up[c] {
                    self.coordinators_up[c] = false;
                    let back = 500 + self.random.below(30_000);
                    self.queue.plan(back, Event::RestartCoordinator(c));
                }
                self.again(40_000, Event::CrashCoordinator);
            }
            Event::RestartCoordinator(c) => self.coordinators_up[c] = true,
            Event::Order => {
                let (i, read_only) = (self.random.pick(INGESTERS), self.trouble() && self.random.one_in(2));
                let all: Vec<usize> = if self.trouble() { vec![i] } else { (0..INGESTERS).collect() };
                for i in all {
                    self.order(i, read_only);
                }
                self.again(20_000, Event::Order);
            }
            Event::Depart => {
                let i = self.random.pick(INGESTERS);
                // Not the last one of a zone: then copies would come to lie in fewer zones.
                let partner = self.group.leader.is_some_and(|l| self.group.members[l].state.get(&key((i + 3) % INGESTERS)).is_some());
                if self.trouble() && partner && self.ingesters[i].up && self.ingesters.iter().all(|other| other.mode == Mode::Normal) {
                    self.ingesters[i].mode = Mode::ReadOnly { shipped_at: None };
                    self.queue.plan(1_000, Event::DepartStep(i));
                }
                self.again(20_000, Event::Depart);
            }
            Event::DepartStep(i) => self.depart(i),
            Event::Ship(i) => {
                self.ship(i, 10_000);
                self.again(6_000, Event::Ship(i));
            }
            Event::Watch(w) => {
                let c = self.random.pick(COORDINATORS);
                if self.coordinators_up[c] && self.connected(c, COORDINATORS + INGESTERS + w) {
                    let state = &self.group.members[c].state;
                    // All who see a version see the same ring, which takes some time to make.
                    let known = self.rings.get(&state.header().version).cloned();
                    let ring = known.unwrap_or_else(|| self.watchers[w].ring.updated(&state.snapshot(), Role::Ingester));
                    self.rings.insert(ring.version(), ring.clone());
                    self.watchers[w].see(ring);
                    if let Some(side) = self.senders.get_mut(w) {
                        side.follow(&self.group, c, Duration::from_millis(self.queue.now));
                    }
                }
                self.again(300, Event::Watch(w));
            }
            Event::Write(d) => {
                self.write(d);
                self.again(700, Event::Write(d));
            }
            Event::Push { write, target, ingester, samples } => {
                let (now, to) = (self.queue.now, &mut self.ingesters[ingester]);
                let ok = to.up && to.mode == Mode::Normal;
                if ok {
                    to.data.extend(samples.into_iter().map(|sample| (sample, now)));
                }
                let back = COORDINATORS + INGESTERS + write % DISTRIBUTORS;
                if let Some(delay) = self.message(COORDINATORS + ingester, back) {
                    self.queue.plan(delay, Event::Pushed { write, target, ok });
                }
            }
            Event::Pushed { write, target, ok } => {
                let write = &mut self.writes[write];
                let verdict = if ok { write.quorum.succeeded(target) } else { write.quorum.failed(target) };
                if verdict == Verdict::Reached && !std::mem::replace(&mut write.acked, true) {
                    self.samples.acknowledged(write);
                }
            }
            Event::Read => {
                self.read();
                self.again(1_500, Event::Read);
            }
            Event::Select { read, index, ingester } => {
                let now = self.queue.now;
                let from = &self.ingesters[ingester];
                // What is not asked about is not looked at: it is in the store for long.
                let oldest = self.reads[read].owed.first().copied().unwrap_or(u64::MAX);
                let found = (from.up && from.complete_at <= now).then(|| from.data.range(oldest..).map(|(sample, _)| *sample).collect());
                if let Some(delay) = self.message(COORDINATORS + ingester, NODES - 1) {
                    self.queue.plan(delay, Event::Selected { read, index, found });
                }
            }
            Event::Selected { read, index, found } => {
                let read = &mut self.reads[read];
                if read.quorum.verdict() != Verdict::Pending {
                    return;
                }
                match found {
                    Some(found) => {
                        read.found.extend(found);
                        read.quorum.succeeded(index);
                    }
                    None => {
                        read.quorum.failed(index);
                    }
                }
                self.samples.check(read, self.queue.now);
            }
            Event::Sender(replica) => {
                let d = self.random.pick(DISTRIBUTORS);
                // Now and then a sender is silent for a while.
                let silent = if self.trouble() && self.random.one_in(60) { self.random.below(60_000) } else { 0 };
                let now = Duration::from_millis(self.queue.now);
                let leads = self.group.leader.is_some_and(|leader| self.connected(COORDINATORS + INGESTERS + d, leader)) && self.leads();
                self.senders[d].send(&mut self.agreement, leads.then_some(&mut self.group), replica, now);
                self.queue.plan(1_000 + silent, Event::Sender(replica));
            }
            Event::Renew(d) => {
                let now = Duration::from_millis(self.queue.now);
                if self.group_of(COORDINATORS + INGESTERS + d).is_some() {
                    self.senders[d].renew(&mut self.agreement, &mut self.group, now);
                }
                self.again(1_000, Event::Renew(d));
            }
        }
    }

    fn tick(&mut self, i: usize) {
        let now = self.queue.now;
        let Ingester { up, complete_at, epoch, told, mode, .. } = self.ingesters[i];
        if !up {
            return;
        }
        let own = match mode {
            Mode::ReadOnly { .. } => InstanceState::ReadOnly,
            Mode::Gone => InstanceState::Gone,
            Mode::Normal if complete_at <= now => InstanceState::Active,
            Mode::Normal => InstanceState::Joining,
        };
        let Some(group) = self.group_of(COORDINATORS + i) else { return };
        let (epoch, told) = match epoch {
            None => {
                let (_, id) = key(i);
                let zone = ["a", "b", "c"][i % 3].to_owned();
                let (role, address, version) = (Role::Ingester, "h:1".to_owned(), String::new());
                let reply = group.propose(Command::Register { id, role, address, zone, state: own, now_ms: 0, version });
                let Some(Reply::Registered { epoch }) = reply else { panic!("{reply:?}") };
                group.renew(&key(i), epoch, now);
                (Some(epoch), Some(own))
            }
            Some(epoch) if told != Some(own) => match group.propose(Command::SetState { member: key(i), epoch, state: own }) {
                Some(Reply::Done) => {
                    group.renew(&key(i), epoch, now);
                    (Some(epoch), Some(own))
                }
                _ => (None, None),
            },
            Some(epoch) => match group.renew(&key(i), epoch, now) {
                Some(false) => (None, None),
                _ => (Some(epoch), told),
            },
        };
        (self.ingesters[i].epoch, self.ingesters[i].told) = (epoch, told);
    }

    fn order(&mut self, i: usize, read_only: bool) {
        if self.leads()
            && let Some(leader) = self.group.leader
            && let Some(epoch) = self.group.members[leader].state.get(&key(i)).map(|record| record.instance.epoch)
        {
            self.group.propose(Command::Order { member: key(i), epoch, read_only });
        }
    }

    /// Ships what is older than this; whether that is everything.
    fn ship(&mut self, i: usize, older_than: u64) -> bool {
        let (now, ingester) = (self.queue.now, &mut self.ingesters[i]);
        let can = ingester.up && ingester.complete_at <= now;
        if can {
            self.samples.ship(ingester.data.iter().filter(|(_, at)| **at + older_than <= now).map(|(sample, _)| *sample), now);
            // As an ingester does it: only what everybody finds in the store goes.
            ingester.data.retain(|sample, at| *at + KEPT_MS > now || !self.samples.is_stored(*sample, now));
        }
        can
    }

    fn depart(&mut self, i: usize) {
        let now = self.queue.now;
        match self.ingesters[i].mode {
            Mode::Normal => return,
            Mode::ReadOnly { shipped_at: None } => {
                if self.ship(i, 0) {
                    self.ingesters[i].mode = Mode::ReadOnly { shipped_at: Some(now) };
                }
            }
            Mode::ReadOnly { shipped_at: Some(at) } if self.ingesters[i].up && at + SETTLE_MS <= now => self.ingesters[i].mode = Mode::Gone,
            Mode::ReadOnly { .. } => {}
            Mode::Gone if self.ingesters[i].up && self.ingesters[i].told == Some(InstanceState::Gone) => {
                let epoch = self.ingesters[i].epoch;
                if let (Some(epoch), Some(group)) = (epoch, self.group_of(COORDINATORS + i)) {
                    group.propose(Command::Deregister { member: key(i), epoch });
                }
                let ingester = &mut self.ingesters[i];
                (ingester.up, ingester.epoch, ingester.mode) = (false, None, Mode::Normal);
                ingester.data.clear();
                self.summary.departed += 1;
                // Another one of this name, with an empty disk.
                let back = 5_000 + self.random.below(30_000);
                self.queue.plan(back, Event::Restart(i));
                return;
            }
            Mode::Gone => {}
        }
        self.queue.plan(2_000, Event::DepartStep(i));
    }

    fn write(&mut self, d: usize) {
        let ring = &self.watchers[d].ring;
        let count = 1 + self.random.pick(4);
        let tokens: Vec<u64> = (0..count).map(|_| self.random.next()).collect();
        let plan = ring.plan_write(tokens);
        if plan.quorum.verdict() != Verdict::Pending {
            return;
        }
        let to: Vec<usize> = plan.targets.iter().map(|t| place(ring.instances()[t.instance as usize].id.as_str())).collect();
        let version = ring.version();
        let samples = self.samples.make(count as u64);
        // Its number says whose it is.
        while self.writes.len() % DISTRIBUTORS != d {
            let unused = Write { quorum: plan.quorum.clone(), samples: Vec::new(), version, acked: true };
            self.writes.push(unused);
        }
        let write = self.writes.len();
        for (target, (wanted, ingester)) in plan.targets.iter().zip(to).enumerate() {
            let of = |series: &u32| samples[*series as usize];
            let samples = wanted.series.as_ref().map_or_else(|| samples.clone(), |picked| picked.iter().map(of).collect());
            if let Some(delay) = self.message(COORDINATORS + INGESTERS + d, COORDINATORS + ingester) {
                self.queue.plan(delay, Event::Push { write, target, ingester, samples });
            }
        }
        self.writes.push(Write { quorum: plan.quorum, samples, version, acked: false });
    }

    fn read(&mut self) {
        let ring = &self.watchers[WATCHERS - 1].ring;
        let (mut quorum, version) = (ReadQuorum::new(ring), ring.version());
        let asked = ReadQuorum::first_choice(ring, ring.members(), |_| false);
        let all: Vec<(u32, usize)> = (0..).zip(ring.instances().iter().map(|i| place(i.id.as_str()))).collect();
        let read = self.reads.len();
        for (index, ingester) in all {
            let message = self.message(NODES - 1, COORDINATORS + ingester);
            match message.filter(|_| asked.contains(&index)) {
                Some(delay) => self.queue.plan(delay, Event::Select { read, index, ingester }),
                None => {
                    quorum.failed(index);
                }
            }
        }
        self.reads.push(Read { quorum, version, owed: self.samples.owed_to(version, self.queue.now), found: BTreeSet::new() });
    }

    fn end(mut self) -> Summary {
        let leader = self.group.leader.expect("somebody leads after the rest");
        let state = &self.group.members[leader].state;
        for i in 0..INGESTERS {
            let shown = state.get(&key(i)).map(|record| record.instance.state);
            let (up, mode) = (self.ingesters[i].up, self.ingesters[i].mode);
            // One that came back a moment ago is still at it.
            let settled = up && mode == Mode::Normal && self.ingesters[i].complete_at + 30_000 < self.queue.now;
            assert!(!settled || shown == Some(InstanceState::Active), "i-{i} lives and is {shown:?} after the rest");
        }
        let before = self.samples.complete_reads;
        assert!(before > 0, "no read was complete in all that time");
        self.summary.acked = self.samples.count;
        self.summary.complete_reads = before;
        self.summary.terms = self.group.term;
        self.summary.taken = self.senders.iter().map(|side| side.taken).sum();
        self.summary
    }
}

fn place(id: &str) -> usize {
    id.trim_start_matches("i-").parse().expect("our own names")
}
