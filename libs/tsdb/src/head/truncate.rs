//! Forgetting old chunks, and series that have none left.

use std::sync::atomic::Ordering::Relaxed;

use super::Head;
use super::stripe::Stripe;

/// Series that are looked at under one hold of a stripe.
pub(super) const SWEEP_BATCH: u32 = 128;

/// Series that are collected under one hold of the index. Each batch goes once through the postings of the labels
/// concerned, so it is larger than that of creation.
pub(super) const COLLECT_BATCH: usize = 2048;

/// What a truncation dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Truncated {
    /// Chunks.
    pub chunks: u64,
    /// Series.
    pub series: u64,
}

/// See [`Head::truncate`].
pub(super) fn truncate(head: &Head, before: i64) -> Truncated {
    let mut dropped = Truncated::default();
    let mut dead = Vec::new();
    for number in 0..head.stripes.len() {
        sweep(head, number, before, &mut dropped, &mut dead);
    }
    for ids in dead.chunks(COLLECT_BATCH) {
        dropped.series += collect(head, ids);
    }
    head.totals.truncated(&dropped, before);
    dropped
}

fn sweep(head: &Head, number: usize, before: i64, dropped: &mut Truncated, dead: &mut Vec<u32>) {
    let mut from = 0;
    loop {
        let mut stripe = head.stripes[number].write();
        if from >= stripe.slots() {
            return;
        }
        let to = stripe.slots().min(from + SWEEP_BATCH);
        for slot in from..to {
            if drop_chunks(&mut stripe, slot, before, &mut dropped.chunks) {
                dead.push(slot * head.stripes.len() as u32 + number as u32);
            }
        }
        from = to;
    }
}

/// Drops the old chunks of a slot; whether a series is there and has none left.
fn drop_chunks(stripe: &mut Stripe, slot: u32, before: i64, dropped: &mut u64) -> bool {
    let (Some(cold), Some(hot)) = (stripe.cold.get_mut(slot), stripe.hot.get_mut(slot)) else { return false };
    let old = cold.chunks.partition_point(|chunk| chunk.max_t() < before);
    if old > 0 {
        cold.chunks.drain(..old);
        cold.chunks.shrink_to_fit();
        *dropped += old as u64;
    }
    if let Some(late) = &mut cold.late {
        *dropped += late.truncate(before);
    }
    cold.late.take_if(|late| late.is_empty());
    if hot.open_newest().is_some_and(|newest| newest < before) {
        drop(hot.close());
        *dropped += 1;
    }
    let empty = cold.is_empty() && hot.open_newest().is_none();
    if empty {
        // Who comes before the series is collected finds it as if it were new.
        hot.forget_newest();
    }
    cold.pairs_len > 0 && empty
}

/// Collects those of the series that still have no chunks; how many.
pub(super) fn collect(head: &Head, ids: &[u32]) -> u64 {
    let mut index = head.index.write();
    let mut pairs = Vec::new();
    let mut gone = Vec::new();
    for id in ids {
        let (stripe, slot) = head.locate(*id);
        let mut stripe = head.stripes[stripe].write();
        // Somebody may have appended meanwhile. With the index held, nobody can make a series in the slot.
        let empty = match (stripe.cold.get(slot), stripe.hot.get(slot)) {
            (Some(cold), Some(hot)) if cold.pairs_len > 0 && cold.is_empty() && hot.open_newest().is_none() => cold,
            _ => continue,
        };
        pairs.extend_from_slice(stripe.pairs_of(empty));
        stripe.remove(slot);
        gone.push(*id);
    }
    gone.sort_unstable();
    index.remove_series(&mut pairs, |id| gone.binary_search(&id).is_ok());
    head.series.fetch_sub(gone.len(), Relaxed);
    gone.len() as u64
}
