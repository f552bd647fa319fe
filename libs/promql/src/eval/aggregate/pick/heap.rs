//! The heap of Prometheus's `topk` and `bottomk`: a binary heap as Go's `container/heap`, the worst on top. Which of several equal series
//! it holds in the end is a matter of its moves, so they are the same here.

use super::candidates::Candidate;
use crate::parser::ast::AggregateOp;

/// Go sorts up to so many by insertion.
const INSERTION_SORT: usize = 12;

/// Whether a series takes the place of the worst one in a full heap.
pub(super) fn displaces(op: AggregateOp, new: f64, worst: f64) -> bool {
    match op {
        AggregateOp::Topk => worst < new || (worst.is_nan() && !new.is_nan()),
        AggregateOp::Bottomk => worst > new || (worst.is_nan() && !new.is_nan()),
        // `limitk` takes the first ones.
        _ => false,
    }
}

/// The heap's order: NaN is worst.
fn less(op: AggregateOp, a: f64, b: f64) -> bool {
    a.is_nan() || if op == AggregateOp::Topk { a < b } else { a > b }
}

/// The k that stay of those that come in this order, the best first.
pub(super) fn pick(op: AggregateOp, k: usize, all: Vec<Candidate>) -> Vec<Candidate> {
    if op == AggregateOp::Limitk {
        return all;
    }
    let mut heap: Vec<Candidate> = Vec::with_capacity(k.min(all.len()));
    for candidate in all {
        if heap.len() < k {
            heap.push(candidate);
            rise(op, &mut heap);
        } else if let Some(worst) = heap.first_mut().filter(|worst| displaces(op, candidate.value, worst.value)) {
            *worst = candidate;
            sink(op, &mut heap);
        }
    }
    best_first(op, &mut heap);
    heap
}

fn rise(op: AggregateOp, heap: &mut [Candidate]) {
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !less(op, heap[at].value, heap[parent].value) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

fn sink(op: AggregateOp, heap: &mut [Candidate]) {
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        if left >= heap.len() {
            break;
        }
        let right = left + 1;
        let child = if right < heap.len() && less(op, heap[right].value, heap[left].value) { right } else { left };
        if !less(op, heap[child].value, heap[at].value) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}

/// `sort.Sort(sort.Reverse(heap))`. Go's order of equals among more than twelve is not followed: they stay as they are.
fn best_first(op: AggregateOp, heap: &mut [Candidate]) {
    if heap.len() > INSERTION_SORT {
        heap.sort_by(|a, b| match (a.value.is_nan(), b.value.is_nan()) {
            (false, false) if op == AggregateOp::Topk => b.value.total_cmp(&a.value),
            (false, false) => a.value.total_cmp(&b.value),
            (a, b) => a.cmp(&b),
        });
        return;
    }
    for end in 1..heap.len() {
        let mut at = end;
        while at > 0 && less(op, heap[at - 1].value, heap[at].value) {
            heap.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(op: AggregateOp, k: usize, values: &[f64]) -> Vec<u32> {
        let all = (0..).zip(values).map(|(slot, &value)| Candidate { value, histogram: None, slot, better_before: 0 });
        pick(op, k, all.collect()).iter().map(|candidate| candidate.slot).collect()
    }

    #[test]
    fn of_equal_ones_the_first_stay_until_a_better_one_comes() {
        assert_eq!(picked(AggregateOp::Topk, 3, &[1.0, 1.0, 1.0, 1.0]), [0, 1, 2]);
        // The better one takes the place on top, which is that of the first.
        assert_eq!(picked(AggregateOp::Topk, 2, &[1.0, 1.0, 2.0]), [2, 1]);
        assert_eq!(picked(AggregateOp::Topk, 3, &[0.0, 0.0, 0.0, 7.0, 8.0]), [4, 3, 2]);
        assert_eq!(picked(AggregateOp::Bottomk, 2, &[1.0, 1.0, 1.0, 0.5]), [3, 1]);
        assert_eq!(picked(AggregateOp::Topk, 2, &[f64::NAN, f64::NAN, 1.0, f64::NAN]), [2, 0]);
    }
}
