//! Buffers of appends, used again and again.

use model::PushReport;
use parking_lot::Mutex;
use tsdb::AppendOutcome;

/// The most that are kept: about as many pushes as are ever appended at a time. The buffers of a push of 2,000 series are some 100 KB.
const MAX_KEPT: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Outcomes(Mutex<Vec<AppendOutcome>>);

impl Outcomes {
    pub(crate) fn take(&self) -> AppendOutcome {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Keeps the buffers; what was not taken goes to the caller.
    pub(crate) fn give_back(&self, mut outcome: AppendOutcome) -> PushReport {
        let report = PushReport { rejected: std::mem::take(&mut outcome.rejected), unknown: std::mem::take(&mut outcome.unknown) };
        let mut kept = self.0.lock();
        if kept.len() < MAX_KEPT {
            kept.push(outcome);
        }
        report
    }
}
