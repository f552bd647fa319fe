//! Native histograms: a data set of their own, expressions over it, and answers with histograms compared bucket by bucket.
//!
//! The data avoids what later versions than 3.5.3 changed: counters begin high, so that no rate is cut off at zero (since 3.6 it is, by the
//! count); where there are resets, only functions that do not extrapolate look at them; custom bounds are the same everywhere (since 3.8 they
//! are reconciled); nothing observes NaN (since 3.7 that is annotated); nothing is trimmed (since 3.11).

pub mod answer;
pub mod data;
pub mod expression;
