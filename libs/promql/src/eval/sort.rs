//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use super::QueryState;
use super::column::is_absent;
use super::series::{BoxStream, Ready, Series, Stream};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::plan::SortOrder;

/// Puts the series of a single step in order.
pub(super) struct Sort {
    input: BoxStream,
    order: SortOrder,
    charge: Option<Charge>,
    ready: Option<Ready>,
    state: Arc<QueryState>,
}

impl Sort {
    pub(super) fn new(input: BoxStream, order: SortOrder, state: &Arc<QueryState>) -> Self {
        Self { input, order, charge: Some(Charge::none(&state.budget)), ready: None, state: Arc::clone(state) }
    }

    fn run(&mut self, charge: &mut Charge) -> Result<Vec<Series>, QueryError> {
        let mut all = Vec::new();
        while let Some(batch) = self.input.next_batch()? {
            self.state.check()?;
            charge.grow(batch.iter().map(Series::heap_bytes).sum())?;
            all.extend(batch);
        }
        match &self.order {
            SortOrder::Value { descending } => {
                let value = |series: &Series| series.column.values.first().copied().unwrap_or(f64::NAN);
                all.retain(|series| series.column.values.iter().any(|v| !is_absent(*v)));
                all.sort_by(|a, b| by_value(value(a), value(b), *descending).then_with(|| a.order().cmp(b.order())));
            }
            SortOrder::Labels { names, descending } => {
                all.sort_by(|a, b| {
                    let ascending = by_labels(names, a, b);
                    if *descending { ascending.reverse() } else { ascending }
                });
            }
        }
        Ok(all)
    }
}

impl Stream for Sort {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let Some(mut charge) = self.charge.take() {
            let all = self.run(&mut charge)?;
            self.ready = Some(Ready::new(all, charge));
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        true
    }
}

/// NaN comes last either way.
fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let ascending = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { ascending.reverse() } else { ascending }
        }
    }
}

fn by_labels(names: &[String], a: &Series, b: &Series) -> Ordering {
    for name in names {
        let (a, b) = (a.labels.get(name).unwrap_or_default(), b.labels.get(name).unwrap_or_default());
        match natural(a, b) {
            Ordering::Equal => {}
            other => return other,
        }
    }
    a.labels.cmp(&b.labels)
}

/// Natural order: runs of digits compare as numbers, the rest as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.chars().peekable(), b.chars().peekable());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            let (l, r) = (digits(&mut left), digits(&mut right));
            l.len().cmp(&r.len()).then_with(|| l.cmp(&r))
        } else {
            let order = l.cmp(r);
            left.next();
            right.next();
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    left.peek().is_some().cmp(&right.peek().is_some()).then_with(|| a.cmp(b))
}

/// A run of digits without leading zeros.
fn digits(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut run = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        if !run.is_empty() || digit != '0' {
            run.push(digit);
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn natural_order() {
        let mut names = vec!["4m1000", "4m600", "a", "", "4m5", "b10", "b9", "b09"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["", "4m5", "4m600", "4m1000", "a", "b09", "b9", "b10"]);
    }
}
