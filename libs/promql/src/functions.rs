//! The arithmetic of PromQL's functions, apart from series, labels and steps.
//!
//! - [`element`]: functions of one value (`abs`, `round`, `hour`, …).
//! - [`range`]: functions of a window of samples; [`range::evaluate`] runs one over all steps of a series.
//! - [`extended`]: range functions over `anchored` and `smoothed` windows. [`start_times`]: what is known of when a counter began.
//! - [`rate`], [`over_time`], [`extreme`], [`sums`], [`regression`]: the families of range functions.
//! - [`quantile`], [`buckets`]: quantiles of values, and of classic histogram buckets.
//! - [`kahan`]: compensated sums. [`date`]: civil dates. [`number`]: numbers as Go prints them.

pub mod buckets;
pub mod date;
pub mod element;
pub mod extended;
pub mod extreme;
pub mod kahan;
pub mod number;
pub mod over_time;
pub mod quantile;
pub mod range;
pub mod rate;
pub mod regression;
pub mod start_times;
pub mod sums;

pub use element::{ElementFunction, go_max, go_min};
pub use range::RangeFunction;
