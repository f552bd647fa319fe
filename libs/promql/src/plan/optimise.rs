//! Plans that give the same answers with less work.
//!
//! Every rewriting here is exact: values, errors and annotations are what they would be without it, which a property test holds against random
//! expressions on random data.

mod common;
mod projection;
mod pushdown;

use super::Plan;

/// Optimises a plan in place. Recursion is bounded by the parser's depth limit.
pub(crate) fn optimise(plan: &mut Plan) {
    pushdown::narrow(plan);
    projection::set(plan);
    common::share(plan);
}
