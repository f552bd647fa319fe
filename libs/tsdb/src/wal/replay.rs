//! Reading the log back at start.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use hashbrown::HashMap;
use model::TenantId;

use super::frame::{Content, Header, content};
use super::reader::{Next, SegmentReader};
use super::state::Shared;
use super::{Generation, SyncPolicy, WalError, state::io_error};
use crate::head::{Head, ReplayStats, Replayer};

/// Records on their way to a worker.
const CHANNEL_RECORDS: usize = 64;

/// Most workers that are of use: each decodes every record.
const MAX_WORKERS: usize = 8;

/// Where replayed records go.
pub trait ReplaySink: Sync {
    /// The head of a tenant, the same at each call; `None` to leave the tenant's records out. Called by several threads, and not
    /// often.
    fn head(&self, tenant: &TenantId) -> Option<Arc<Head>>;
}

impl<F: Fn(&TenantId) -> Option<Arc<Head>> + Sync> ReplaySink for F {
    fn head(&self, tenant: &TenantId) -> Option<Arc<Head>> {
        self(tenant)
    }
}

/// What a replay found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayReport {
    /// Segments read.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whole records.
    pub records: u64,
    /// Whole records that were left out because a snapshot has what they say.
    pub before_snapshot: u64,
    /// Places at which something was damaged and left out, torn tails not counted.
    pub quarantined: u64,
    /// Bytes left out there.
    pub quarantined_bytes: u64,
    /// Bytes cut off the end of the last segment.
    pub torn_bytes: u64,
    /// What came into the heads.
    pub heads: ReplayStats,
}

/// What earlier processes left in the log.
#[derive(Debug)]
pub struct Replay {
    shared: Arc<Shared>,
    segments: Vec<OldSegment>,
    /// Records of generations before are left out.
    from: Generation,
}

/// A segment of an earlier process.
#[derive(Debug)]
pub(super) struct OldSegment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// `None` if it cannot be read.
    pub(super) header: Option<Header>,
}

/// A push on its way to the heads.
#[derive(Debug)]
struct Push {
    tenant: TenantId,
    generation: Generation,
    /// The rest of a record, of which `body` are the sections.
    rest: Vec<u8>,
    body: Range<usize>,
}

impl Replay {
    pub(super) fn new(shared: Arc<Shared>, segments: Vec<OldSegment>) -> Self {
        Self { shared, segments, from: Generation(0) }
    }

    /// Leaves out records of generations before `generation`: a snapshot of it has what they say.
    #[must_use]
    pub fn from(self, generation: Generation) -> Self {
        Self { from: generation, ..self }
    }

    /// Bytes to be read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().filter(|s| self.needs(s)).map(|s| s.bytes).sum()
    }

    /// Whether a segment may have records that are wanted. A record is never of a later generation than its segment: the
    /// writer looks at the generation after the record was encoded.
    fn needs(&self, segment: &OldSegment) -> bool {
        segment.header.is_none_or(|header| header.generation >= self.from)
    }

    /// Reads all segments in order and appends what they hold to the heads, with `workers` threads besides this one (at least one, at most 8).
    /// A head is complete when this returns; a sample that was appended to it meanwhile keeps older ones of its series out. Damage does
    /// not fail a replay: it is logged and counted in the report. Errors are those of the file system at the end.
    pub fn run(self, sink: &dyn ReplaySink, workers: usize) -> Result<ReplayReport, WalError> {
        let workers = workers.clamp(1, MAX_WORKERS);
        std::thread::scope(|scope| {
            let mut senders = Vec::new();
            let mut threads = Vec::new();
            for worker in 0..workers {
                let (sender, receiver) = sync_channel(CHANNEL_RECORDS);
                senders.push(sender);
                let thread = std::thread::Builder::new().name("wal-replay".to_owned());
                let thread = thread.spawn_scoped(scope, move || apply_all(&receiver, sink, worker, workers));
                threads.push(thread.map_err(|e| io_error(&self.shared.dir, "start a thread for", &self.shared.dir, e))?);
            }
            let (shared, report) = (&*self.shared, ReplayReport::default());
            let mut reading = Reading { shared, from: self.from, senders, report, tenants: HashMap::new() };
            for (i, segment) in self.segments.iter().enumerate().filter(|(_, segment)| self.needs(segment)) {
                reading.segment(segment, i + 1 == self.segments.len());
            }
            let Reading { mut report, senders, .. } = reading;
            drop(senders);
            for thread in threads {
                match thread.join() {
                    Ok(stats) => report.heads.add(&stats),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            self.finish(&report)?;
            Ok(report)
        })
    }

    /// From now on old segments may be deleted.
    fn finish(&self, report: &ReplayReport) -> Result<(), WalError> {
        for segment in self.segments.iter().filter(|segment| self.needs(segment)) {
            if let Some(entry) = self.shared.ledger.lock().segments.get_mut(&segment.number) {
                entry.set_known();
            }
        }
        self.cut_torn_tail(report)?;
        let replayed = self.segments.iter().filter(|segment| self.needs(segment)).map(|segment| segment.path.clone());
        self.shared.unsynced_old.lock().extend(replayed);
        if self.shared.config.sync == SyncPolicy::Always {
            // Nobody syncs later. A failure has been logged and counted; what was read is here.
            let _ = self.shared.sync();
        }
        Ok(())
    }

    fn cut_torn_tail(&self, report: &ReplayReport) -> Result<(), WalError> {
        let Some(last) = self.segments.last().filter(|_| report.torn_bytes > 0) else { return Ok(()) };
        let whole = last.bytes.saturating_sub(report.torn_bytes);
        tracing::warn!(path = %last.path.display(), bytes = report.torn_bytes, "torn tail of the write-ahead log cut off");
        self.shared.fs.set_len(&last.path, whole).map_err(|e| io_error(&self.shared.dir, "cut", &last.path, e))
    }
}

/// The reading side.
struct Reading<'a> {
    shared: &'a Shared,
    from: Generation,
    senders: Vec<SyncSender<Arc<Push>>>,
    report: ReplayReport,
    tenants: HashMap<Box<str>, TenantId>,
}

impl Reading<'_> {
    fn segment(&mut self, segment: &OldSegment, last: bool) {
        self.report.segments += 1;
        self.report.bytes += segment.bytes;
        let Some(header) = &segment.header else {
            return self.quarantine(segment, 0..segment.bytes, "its header cannot be read");
        };
        let reader = self.shared.fs.open(&segment.path).and_then(|file| SegmentReader::new(file, header));
        let mut reader = match reader {
            Ok(reader) => reader,
            Err(e) => return self.quarantine(segment, 0..segment.bytes, &e.to_string()),
        };
        loop {
            match reader.next() {
                Ok(Next::Record(range)) => self.record(segment, reader.rest(range), reader.position()),
                Ok(Next::Damage(range)) if last && range.end >= reader.len() => self.report.torn_bytes = range.end - range.start,
                Ok(Next::Damage(range)) => self.quarantine(segment, range, "no whole record with a right checksum"),
                Ok(Next::End) => return,
                Err(e) => return self.quarantine(segment, reader.position()..reader.len(), &e.to_string()),
            }
        }
    }

    fn quarantine(&mut self, segment: &OldSegment, range: Range<u64>, why: &str) {
        self.report.quarantined += 1;
        self.report.quarantined_bytes += range.end.saturating_sub(range.start);
        tracing::warn!(path = %segment.path.display(), from = range.start, to = range.end, why, "part of the write-ahead log left out");
    }

    /// Sends a push to all workers.
    fn record(&mut self, segment: &OldSegment, rest: &[u8], end: u64) {
        let start = end.saturating_sub(rest.len() as u64);
        let (tenant, generation, max_t, body) = match content(rest) {
            Some(Content::Push { tenant, generation, max_t, body }) => (tenant, generation, max_t, body),
            Some(Content::Unknown) => return self.quarantine(segment, start..end, "of a type that this version does not know"),
            None => return self.quarantine(segment, start..end, "not a push"),
        };
        let tenant = match self.tenants.get(tenant) {
            Some(id) => id.clone(),
            None => match TenantId::new(tenant) {
                Ok(id) => self.tenants.entry(tenant.into()).or_insert(id).clone(),
                Err(e) => return self.quarantine(segment, start..end, &e.to_string()),
            },
        };
        self.shared.ledger.lock().note(segment.number, 0, generation, max_t);
        if generation < self.from {
            self.report.before_snapshot += 1;
            return;
        }
        self.report.records += 1;
        let body = rest.len() - body.len()..rest.len();
        let push = Arc::new(Push { tenant, generation, rest: rest.to_vec(), body });
        for sender in &self.senders {
            // A worker ends early only by a panic, which is passed on when it is joined.
            let _ = sender.send(Arc::clone(&push));
        }
    }
}

/// A worker: replays its part of every record.
fn apply_all(pushes: &Receiver<Arc<Push>>, sink: &dyn ReplaySink, worker: usize, workers: usize) -> ReplayStats {
    let mut tenants: HashMap<TenantId, Option<Replayer>> = HashMap::new();
    for push in pushes {
        let replayer =
            tenants.entry(push.tenant.clone()).or_insert_with(|| sink.head(&push.tenant).map(|head| Replayer::new(head, worker, workers)));
        if let Some(replayer) = replayer {
            replayer.apply(push.generation, push.rest.get(push.body.clone()).unwrap_or_default());
        }
    }
    let mut stats = ReplayStats::default();
    for replayer in tenants.into_values().flatten() {
        if replayer.stats.malformed > 0 {
            tracing::warn!(records = replayer.stats.malformed, "records of the write-ahead log with content that does not decode");
        }
        stats.add(&replayer.stats);
    }
    stats
}
