//! What happened, and what must hold of it at every step:
//!
//! - what is committed at a place of the log is committed there for ever, in every member, and leads to the same state;
//! - the log goes up: no entry is of an earlier leader than the one before;
//! - a term and a number name one leader; of a term, leaders come in the order of their numbers (openraft lets a greater one take a term over);
//! - versions of the ring grow, and a version is one ring; an epoch is given once, and no two instances have the same;
//! - of equal senders one is elected by each version;
//! - who heard that a command was committed, heard of one that is;
//! - who was registered again is fenced: its old epoch is not renewed any more, but by a leader that has not noticed yet that it is none.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use coordinator::handle::QUORUM_SILENCE;
use coordinator::machine::{Command, MemberKey, Reply, State};
use openraft::EntryPayload;
use parking_lot::Mutex;
use ring::{Instance, InstanceId, Role};
use rpc::Swapped;
use tokio::time::Instant;

use crate::Summary;
use crate::types::{Entry, LogId};

/// The name under which equal senders are elected.
pub(crate) const ELECTION: &str = "ha/t/c";

/// How long after [`QUORUM_SILENCE`] a leader may take to see that nobody answers it: the clock of openraft's metrics ticks with its heartbeats.
const NOTICES_WITHIN: Duration = Duration::from_millis(1_500);

/// Of all members.
#[derive(Default)]
pub(crate) struct History(Mutex<Events>);

#[derive(Default)]
struct Events {
    /// By index: what was committed, and the state after it.
    committed: BTreeMap<u64, Committed>,
    rings: BTreeMap<u64, Vec<Instance>>,
    epochs: BTreeSet<u64>,
    elected: BTreeMap<u64, String>,
    leaders: BTreeSet<(u64, u64)>,
    /// Who heard of its registration, and when: by epoch.
    registered: BTreeMap<InstanceId, BTreeMap<u64, Instant>>,
    acked_index: u64,
    /// Who was forgotten since this was asked last.
    forgotten: Vec<MemberKey>,
    summary: Summary,
    trace: DefaultHasher,
}

struct Committed {
    log_id: LogId,
    entry: u64,
    state: u64,
    version: u64,
}

fn hash(of: &impl serde::Serialize) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(of).expect("states and entries are written as JSON").hash(&mut hasher);
    hasher.finish()
}

impl History {
    /// Something happened: a part of the trace.
    pub(crate) fn note(&self, what: &impl Hash) {
        what.hash(&mut self.0.lock().trace);
    }

    /// A member applied an entry, and this is its state.
    pub(crate) fn applied(&self, member: u64, entry: &Entry, reply: &Reply, state: &State) {
        let index = entry.log_id.index;
        let version = state.header().version;
        let now = Committed { log_id: entry.log_id, entry: hash(entry), state: hash(state), version };
        let mut events = self.0.lock();
        (member, index, now.entry).hash(&mut events.trace);
        if let Some(known) = events.committed.get(&index) {
            assert!(
                known.entry == now.entry && known.log_id == now.log_id,
                "entry {index} was {} and is {} in member {member}: what was committed is lost",
                known.log_id,
                entry.log_id
            );
            assert!(known.state == now.state, "member {member} has another state after entry {index}");
            return;
        }
        if let Some((_, before)) = events.committed.range(..index).next_back() {
            assert!(before.log_id < entry.log_id, "entry {} comes after {}", entry.log_id, before.log_id);
            assert!(before.version <= version, "version {version} comes after {}", before.version);
        }
        events.committed.insert(index, now);
        events.summary.entries += 1;
        events.check_ring(state);
        events.check_reply(entry, reply);
    }

    /// A member took over a snapshot.
    pub(crate) fn installed(&self, member: u64, at: Option<LogId>, state: &State) {
        let mut events = self.0.lock();
        events.summary.installed += 1;
        let Some(at) = at else { return };
        let Some(known) = events.committed.get(&at.index) else { panic!("member {member} was sent a state at {at} that nobody had") };
        assert!(known.log_id == at && known.state == hash(state), "member {member} was sent another state at {at}");
    }

    /// A member threw entries away.
    pub(crate) fn truncated<'a>(&self, entries: impl Iterator<Item = &'a Entry>) {
        let mut events = self.0.lock();
        for entry in entries {
            events.summary.truncated += 1;
            let committed = events.committed.get(&entry.log_id.index).is_some_and(|known| known.log_id == entry.log_id);
            assert!(!committed, "{} was committed and is thrown away", entry.log_id);
        }
    }

    /// A member says that it leads in this term.
    pub(crate) fn leads(&self, term: u64, member: u64) {
        let mut events = self.0.lock();
        if events.leaders.insert((term, member)) {
            (term, member).hash(&mut events.trace);
            events.summary.leaders += 1;
        }
    }

    /// Somebody heard that its command is committed.
    pub(crate) fn acked(&self, at: LogId) {
        let mut events = self.0.lock();
        let known = events.committed.get(&at.index).map(|known| known.log_id);
        assert_eq!(known, Some(at), "{at} was acknowledged and is not committed");
        events.acked_index = events.acked_index.max(at.index);
        events.summary.acked += 1;
    }

    /// An instance heard that it is registered.
    pub(crate) fn registered(&self, (_, id): &MemberKey, epoch: u64) {
        self.0.lock().registered.entry(id.clone()).or_default().insert(epoch, Instant::now());
    }

    /// A renewal that was asked for at this time was granted.
    pub(crate) fn renewed(&self, (_, id): &MemberKey, epoch: u64, asked: Instant) {
        let events = self.0.lock();
        let later = events.registered.get(id).and_then(|epochs| epochs.range(epoch + 1..).next());
        if let Some((later, since)) = later {
            let after = asked.saturating_duration_since(*since);
            assert!(after < QUORUM_SILENCE + NOTICES_WITHIN, "{id} was renewed with epoch {epoch}, {after:?} after it was given {later}");
        }
    }

    /// Who is elected by this version.
    pub(crate) fn elected(&self, version: u64) -> Option<String> {
        self.0.lock().elected.get(&version).cloned()
    }

    /// The last index that somebody was told of.
    pub(crate) fn acked_index(&self) -> u64 {
        self.0.lock().acked_index
    }

    /// Who was forgotten since this was asked last.
    pub(crate) fn take_forgotten(&self) -> Vec<MemberKey> {
        std::mem::take(&mut self.0.lock().forgotten)
    }

    /// Counted.
    pub(crate) fn moved(&self) {
        self.0.lock().summary.moved += 1;
    }

    pub(crate) fn departed(&self) {
        self.0.lock().summary.departed += 1;
    }

    /// Counted.
    pub(crate) fn replaced(&self) {
        self.0.lock().summary.replaced += 1;
    }

    pub(crate) fn summary(&self) -> Summary {
        let events = self.0.lock();
        Summary { trace: events.trace.finish(), elections: events.elected.len() as u64, ..events.summary }
    }
}

impl Events {
    fn check_ring(&mut self, state: &State) {
        let snapshot = state.snapshot();
        let epochs: BTreeSet<u64> = snapshot.instances.iter().map(|instance| instance.epoch).collect();
        assert_eq!(epochs.len(), snapshot.instances.len(), "two instances have one epoch: {:?}", snapshot.instances);
        let known = self.rings.entry(snapshot.version).or_insert_with(|| snapshot.instances.clone());
        assert!(*known == snapshot.instances, "version {} is two rings: {known:?}, {:?}", snapshot.version, snapshot.instances);
    }

    fn check_reply(&mut self, entry: &Entry, reply: &Reply) {
        let EntryPayload::Normal(command) = &entry.payload else { return };
        match (command, reply) {
            (Command::Register { role: Role::Ingester, .. }, Reply::Registered { epoch }) => {
                assert!(self.epochs.insert(*epoch), "epoch {epoch} was given twice");
            }
            (Command::Forget { member, .. }, Reply::Done) => {
                self.summary.forgotten += 1;
                self.forgotten.push(member.clone());
            }
            (Command::Swap { swaps }, Reply::Swapped { outcomes }) => {
                for (swap, outcome) in swaps.iter().zip(outcomes) {
                    if let (ELECTION, Some(value), Swapped::Done { version }) = (swap.key.as_str(), &swap.value, outcome) {
                        let before = self.elected.insert(*version, value.clone());
                        assert!(before.is_none(), "two are elected by version {version}");
                    }
                }
            }
            _ => {}
        }
    }
}
