//! Sealing: what goes into the next block, while appends go on.
//!
//! A chunk is sealed once and for all, and a block is written from sealed chunks only. So samples that arrive while it is written are in
//! other chunks, and dropping the sealed chunks afterwards drops what the block has and nothing else. Only a sample that comes late, into the middle of a sealed
//! chunk of late samples, takes that chunk's samples back: they are in an unsealed chunk then, and maybe in the block as well.
//!
//! Between sealing and dropping nobody else may collect series of the head ([`Head::truncate`]): the caller sees to that.

use std::collections::BTreeSet;

use model::SeriesChunks;

use super::series::ClosedChunk;
use super::stripe::Stripe;
use super::truncate::{COLLECT_BATCH, SWEEP_BATCH, Truncated, collect};
use super::{Head, HeadError};

/// Series that are read under one hold of the index lock.
const READ_BATCH: usize = 256;

/// The start of the aligned range of `width` milliseconds that holds `t`.
pub(super) fn range_start(t: i64, width: i64) -> i64 {
    t.div_euclid(width).saturating_mul(width)
}

/// Calls `visit` for every slot of every stripe, with the id of the slot, a batch of slots under one hold of a stripe.
fn sweep(head: &Head, mut visit: impl FnMut(&mut Stripe, u32, u32)) {
    for (number, stripe) in head.stripes.iter().enumerate() {
        let mut from = 0;
        loop {
            let mut stripe = stripe.write();
            let to = stripe.slots().min(from + SWEEP_BATCH);
            if from >= to {
                break;
            }
            for slot in from..to {
                visit(&mut stripe, slot, slot * head.stripes.len() as u32 + number as u32);
            }
            from = to;
        }
    }
}

/// See [`Head::seal`].
pub(super) fn seal(head: &Head, before: i64) -> Vec<i64> {
    let width = head.chunk_range_ms();
    let mut ranges = BTreeSet::new();
    sweep(head, |stripe, slot, _| {
        let (Some(cold), Some(hot)) = (stripe.cold.get_mut(slot), stripe.hot.get_mut(slot)) else { return };
        if hot.open_newest().is_some_and(|newest| newest < before)
            && let Some(chunk) = hot.close()
        {
            cold.push(chunk);
        }
        if let Some(late) = cold.late.as_mut().filter(|late| late.first_waiting().is_some_and(|first| first < before)) {
            late.close(hot.hash(), width);
        }
        for chunk in cold.finished_mut().filter(|chunk| chunk.max_t() < before) {
            chunk.seal();
            ranges.insert(range_start(chunk.min_t(), width));
            ranges.insert(range_start(chunk.max_t(), width));
        }
    });
    ranges.into_iter().collect()
}

/// See [`Head::read_sealed`].
pub(super) fn read_sealed(head: &Head, ids: &[u32], min_t: i64, max_t: i64, out: &mut Vec<SeriesChunks>) -> Result<(), HeadError> {
    let mut block = Vec::new();
    for ids in ids.chunks(READ_BATCH) {
        let index = head.index.read();
        for id in ids {
            let (stripe, slot) = head.locate(*id);
            let stripe = head.stripes[stripe].read();
            let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot)) else { continue };
            let sealed = cold.finished().filter(|c| c.is_sealed() && c.overlaps(min_t, max_t));
            let chunks: Vec<_> = sealed.map(|chunk| chunk.to_chunk(hot.hash())).collect::<Result<_, _>>()?;
            if !chunks.is_empty() {
                let labels = index.labels(stripe.pairs_of(cold), &mut block);
                out.push(SeriesChunks { labels, hash: hot.hash(), chunks, newest: None });
            }
        }
    }
    Ok(())
}

/// See [`Head::drop_sealed`].
pub(super) fn drop_sealed(head: &Head, ranges: &[i64]) -> Truncated {
    let width = head.chunk_range_ms();
    let written = |t: i64| ranges.binary_search(&range_start(t, width)).is_ok();
    let mut dropped = Truncated::default();
    let mut dead = Vec::new();
    sweep(head, |stripe, slot, id| {
        let (Some(cold), Some(hot)) = (stripe.cold.get_mut(slot), stripe.hot.get(slot)) else { return };
        let before = cold.finished().count();
        let stays = |c: &ClosedChunk| !(c.is_sealed() && written(c.min_t()) && written(c.max_t()));
        cold.retain_finished(stays);
        let gone = before - cold.finished().count();
        if gone > 0 {
            dropped.chunks += gone as u64;
            if cold.is_empty() && hot.open_newest().is_none() {
                dead.push(id);
            }
        }
    });
    for ids in dead.chunks(COLLECT_BATCH) {
        dropped.series += collect(head, ids);
    }
    head.totals.dropped(&dropped);
    dropped
}
