//! PromQL: text in, a complete answer or an error out.
//!
//! ```text
//! text ─ parser::parse ─▶ Expr ─ plan::Planner ─▶ Plan ─ eval (build) ─▶ operators ─ eval (pull) ─▶ QueryResult
//!                                                            │ Queryable::select, for every selector first
//!                                                            ▼
//!                                                     SeriesSource: encoded chunks, series by series
//! ```
//!
//! In reading order:
//! - [`parser`]: text to syntax tree and back, with Prometheus's error texts and positions.
//! - [`plan`]: the tree with times resolved and types fixed: which times each part is evaluated at, what is the same at every step.
//! - [`storage`]: what the engine needs of a store. [`memory`]: a store for scripts and tests.
//! - [`eval`]: streaming operators over columns of steps. [`functions`]: the arithmetic, apart from series and labels; [`histogram`]: that of native histograms.
//! - [`explain`]: the plan and the figures of its operators, on request.
//! - [`engine`]: puts these together. [`limits`], [`cancel`], `annotations`: what accompanies a query. [`value`], [`error`]: what comes of it.
//! - [`script`]: test scripts in the language of Prometheus's own suite.
//!
//! It has no I/O, no clock, no threads and no tenant: the caller runs it on a CPU pool and brings a [`Queryable`], a [`CancelToken`],
//! [`QueryLimits`], and [`Workers`] if other threads may help ([`parallel`]).
//!
//! Invariants:
//! - An answer is what Prometheus 3 gives on the same samples, or it is an error; what is not supported is an error that says so.
//! - Nothing is allocated in proportion to data or steps before the query's budget has been asked.
//! - Recursion goes only over trees whose depth the parser bounds; no input makes the engine panic.
//! - A selector decodes one series at a time per thread that works on it; what an operator holds beyond a batch is charged to the budget.

mod annotations;
pub mod cancel;
pub mod engine;
pub mod error;
pub mod eval;
pub mod explain;
pub mod functions;
pub mod histogram;
pub mod limits;
pub mod memory;
pub mod parallel;
pub mod parser;
pub mod plan;
pub mod script;
pub mod storage;
pub mod value;

pub use cancel::CancelToken;
pub use engine::{Engine, EngineOptions, Features, QueryContext};
pub use error::QueryError;
pub use explain::{Explain, ExplainClock};
pub use limits::QueryLimits;
pub use memory::MemoryStorage;
pub use parallel::Workers;
pub use parser::{Expr, ParseError, ParseOptions, parse, parse_bytes, parse_selector};
pub use script::{EvalReport, ScriptError, ScriptReport, run_script};
pub use storage::{Queryable, SelectHints, SelectRequest, SeriesSource};
pub use value::{InstantSeries, Point, PointValue, QueryResult, QueryStats, QueryTimings, QueryValue, RangeSeries, SampleFigures};
