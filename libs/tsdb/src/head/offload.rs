//! Finished chunks leave memory.

use super::Head;
use super::series::{ChunkData, ClosedChunk};
use super::stripe::Stripe;
use crate::head_chunks::{ChunkKey, HeadChunkError, HeadChunks, Records, Written};

/// Series that are looked at under one hold of a stripe.
const BATCH: u32 = 128;

/// Bytes that are written at a time, about: chunks of histograms are large.
const BATCH_BYTES: usize = 1 << 20;

/// What [`Head::offload`] moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offloaded {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of their data.
    pub bytes: u64,
}

/// Chunks of one stripe on their way.
#[derive(Debug, Default)]
struct Batch {
    records: Records,
    /// The slot and the key of each record.
    of: Vec<(u32, ChunkKey)>,
}

/// See [`Head::offload`].
pub(super) fn offload(head: &Head, files: &HeadChunks) -> Result<Offloaded, HeadChunkError> {
    let mut done = Offloaded::default();
    let mut batch = Batch::default();
    for stripe in &head.stripes {
        let mut from = 0;
        loop {
            let next = collect(&stripe.read(), from, &mut batch);
            if !batch.records.is_empty() {
                let written = files.write(&batch.records)?;
                replace(&mut stripe.write(), &batch, &written, &mut done);
            }
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
    Ok(done)
}

/// Copies the chunks of some slots from `from` on into the batch; where to go on.
fn collect(stripe: &Stripe, from: u32, batch: &mut Batch) -> Option<u32> {
    batch.records.clear();
    batch.of.clear();
    let to = stripe.slots().min(from.saturating_add(BATCH));
    for slot in from..to {
        let (Some(hot), Some(cold)) = (stripe.hot.get(slot), stripe.cold.get(slot)) else { continue };
        for chunk in cold.finished() {
            if let ChunkData::Memory(data) = chunk.data() {
                let key = chunk.key(hot.hash());
                if batch.records.push(&key, data) {
                    batch.of.push((slot, key));
                }
            }
        }
        if batch.records.bytes() >= BATCH_BYTES {
            return Some(slot + 1);
        }
    }
    (to < stripe.slots()).then_some(to)
}

/// Puts the places where the data was, unless the chunk has gone or changed meanwhile.
fn replace(stripe: &mut Stripe, batch: &Batch, written: &Written, done: &mut Offloaded) {
    for (n, (slot, key)) in batch.of.iter().enumerate() {
        let (Some(hot), Some(cold)) = (stripe.hot.get(*slot), stripe.cold.get_mut(*slot)) else { continue };
        if !hot.is(key.series) {
            continue;
        }
        let copy = batch.records.data(n);
        let same =
            |chunk: &&mut ClosedChunk| chunk.key(key.series) == *key && matches!(chunk.data(), ChunkData::Memory(data) if data == copy);
        if let (Some(chunk), Some((file, at))) = (cold.finished_mut().find(same), written.place(&batch.records, n)) {
            chunk.set_stored(file, at);
            done.chunks += 1;
            done.bytes += copy.len() as u64;
        }
    }
}
