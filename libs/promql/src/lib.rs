//! PromQL: parser, planner, engine. (Map completed as the modules land.)

mod annotations;
pub mod cancel;
pub mod engine;
pub mod error;
pub mod eval;
pub mod functions;
pub mod limits;
pub mod memory;
pub mod parser;
pub mod plan;
pub mod script;
pub mod storage;
pub mod value;

pub use cancel::CancelToken;
pub use engine::{Engine, EngineOptions, QueryContext};
pub use error::QueryError;
pub use limits::QueryLimits;
pub use memory::MemoryStorage;
pub use parser::{Expr, ParseError, ParseOptions, parse, parse_bytes, parse_selector};
pub use script::{EvalReport, ScriptError, ScriptReport, run_script};
pub use storage::{Queryable, SelectHints, SelectRequest, SeriesSource};
pub use value::{InstantSeries, Point, PointValue, QueryResult, QueryStats, QueryValue, RangeSeries};
