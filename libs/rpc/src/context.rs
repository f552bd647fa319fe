//! What travels with every call.

use model::TenantId;
use runtime::Deadline;

/// For whom a call is made and by when its answer is needed. The trace context travels beside it, in the current span.
#[derive(Debug, Clone)]
pub struct CallContext {
    /// The tenant; checked where it entered the process.
    pub tenant: TenantId,
    /// After it the callee may stop working and the caller does stop waiting.
    pub deadline: Deadline,
}
