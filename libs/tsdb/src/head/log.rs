//! What an append gives to the log.
//!
//! A record may refer only to series that it defines itself or that the log is known to have. So a series is defined in every record until
//! one of them is confirmed: then concurrent pushes need no order, and a failed write leaves no series undefined. References are
//! given out in the order of the batch, because senders send the same order again and differences of 1 cost nothing.

use std::sync::atomic::Ordering::Relaxed;

use super::Head;
use super::append::Push;
use super::outcome::{AppendOutcome, Definition, Place, PlaceState};
use super::series::LogState;
use crate::wal::Generation;
use crate::wal::record::{FloatWriter, HistogramWriter, Section, Tag, write_series};

/// [`LogState::epoch`] of a series that is not confirmed in this generation; with bit 0 set, of one that is.
pub(super) fn epoch(generation: Generation) -> u32 {
    generation.0 << 1
}

/// Writes the definitions and the samples of a push into its record.
pub(super) fn begin(push: &Push<'_>, out: &mut AppendOutcome) {
    define(push, out);
    if !out.scratch.definitions.is_empty() {
        write_definitions(push, out);
    }
    write_floats(push, out);
    if !push.batch.histograms.is_empty() {
        write_histograms(push, out);
    }
}

/// Finds the references of series that the log may not know, and which of them the record has to define.
fn define(push: &Push<'_>, out: &mut AppendOutcome) {
    let unlogged = out.scratch.places.iter().filter(|p| p.state == PlaceState::Unlogged).count();
    if unlogged == 0 {
        return;
    }
    let head = push.head;
    let mut next = head.next_ref.fetch_add(unlogged as u32, Relaxed);
    let epoch = epoch(out.record.generation);
    for (position, place) in out.scratch.places.iter_mut().enumerate() {
        if place.state != PlaceState::Unlogged {
            continue;
        }
        let position = position as u32;
        let (stripe, slot) = head.locate(place.id);
        let mut stripe = head.stripes[stripe].write();
        let hot = stripe.hot.get_mut(slot).filter(|hot| push.series(position).is_some_and(|s| hot.is(s.hash)));
        let Some(hot) = hot else {
            // Collected between the append and now: its samples were older than what the head keeps.
            place.state = PlaceState::Absent;
            continue;
        };
        if hot.log.epoch | 1 != epoch | 1 {
            hot.log = LogState { reference: next, epoch };
        }
        next = next.wrapping_add(1);
        place.reference = hot.log.reference;
        if hot.log.epoch == epoch {
            out.scratch.definitions.push(Definition { position, id: place.id, reference: place.reference });
        }
    }
    out.defined = out.scratch.definitions.len() as u64;
}

fn write_definitions(push: &Push<'_>, out: &mut AppendOutcome) {
    let body = &mut out.record.body;
    let mut section = Section::begin(body, Tag::Series);
    for definition in &out.scratch.definitions {
        if let Some(series) = push.series(definition.position) {
            let block = push.batch.labels(series);
            write_series(body, &mut section, &mut out.scratch.dictionary, definition.reference, block.as_bytes());
        }
    }
    section.end(body);
}

fn write_floats(push: &Push<'_>, out: &mut AppendOutcome) {
    out.scratch.refused_samples.sort_unstable();
    let body = &mut out.record.body;
    body.reserve(out.scratch.places.len() * 8);
    let mut writer = FloatWriter::begin(body);
    for (position, place) in present(&out.scratch.places) {
        let Some(series) = push.series(position) else { continue };
        for (sample, index) in push.batch.samples_of(series).iter().zip(series.samples.start..) {
            if !place.partial || out.scratch.refused_samples.binary_search(&index).is_err() {
                writer.put(body, place.reference, *sample);
            }
        }
    }
    writer.end(body);
}

fn write_histograms(push: &Push<'_>, out: &mut AppendOutcome) {
    out.scratch.refused_histograms.sort_unstable();
    let body = &mut out.record.body;
    let mut writer = HistogramWriter::begin(body);
    for (position, place) in present(&out.scratch.places) {
        let Some(series) = push.series(position) else { continue };
        for (sample, index) in push.batch.histograms_of(series).iter().zip(series.histograms.start..) {
            if !place.partial || out.scratch.refused_histograms.binary_search(&index).is_err() {
                writer.put(body, place.reference, sample);
            }
        }
    }
    writer.end(body);
}

fn present(places: &[Place]) -> impl Iterator<Item = (u32, &Place)> {
    (0..).zip(places).filter(|(_, place)| place.state != PlaceState::Absent)
}

/// See [`Head::confirm`].
pub(super) fn confirm(head: &Head, out: &AppendOutcome) {
    let epoch = epoch(out.generation);
    for definition in &out.scratch.definitions {
        let (stripe, slot) = head.locate(definition.id);
        let mut stripe = head.stripes[stripe].write();
        // A reference is given out once per generation, so it tells whether the slot still is this series'.
        let wanted = LogState { reference: definition.reference, epoch };
        if let Some(hot) = stripe.hot.get_mut(slot)
            && hot.log == wanted
        {
            hot.log.epoch |= 1;
        }
    }
    super::metadata::confirm(head, out);
}
