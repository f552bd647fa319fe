//! PromQL: parser, planner, engine. (Map completed as the modules land.)

pub mod error;
pub mod parser;
pub mod storage;
pub mod value;

pub use error::QueryError;
pub use storage::{Queryable, SelectHints, SelectRequest, SeriesSource};
pub use value::{InstantSeries, Point, PointValue, QueryResult, QueryStats, QueryValue, RangeSeries};
