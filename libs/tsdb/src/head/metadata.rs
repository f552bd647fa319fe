//! Metadata of metric families.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use model::{Metadata, RejectReason};

use super::Head;
use super::append::Push;
use super::log::epoch;
use super::outcome::AppendOutcome;
use crate::wal::record::{Section, Tag, write_metadata};

/// Metadata by family, bounded.
#[derive(Debug, Default)]
pub(super) struct MetadataMap {
    families: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    metadata: Metadata,
    /// As [`super::series::LogState::epoch`].
    epoch: u32,
}

impl MetadataMap {
    /// Sets a family's metadata. Whether the log has to learn it; `None` when there are `max` others.
    pub(super) fn set(&mut self, metadata: &Metadata, epoch: u32, max: usize) -> Option<bool> {
        if let Some(entry) = self.families.get_mut(&metadata.family) {
            let known = entry.metadata == *metadata && entry.epoch == epoch | 1;
            if !known {
                *entry = Entry { metadata: metadata.clone(), epoch };
            }
            return Some(!known);
        }
        if self.families.len() >= max {
            return None;
        }
        self.families.insert(metadata.family.clone(), Entry { metadata: metadata.clone(), epoch });
        Some(true)
    }

    fn confirm(&mut self, families: &[String], epoch: u32) {
        for family in families {
            if let Some(entry) = self.families.get_mut(family)
                && entry.epoch == epoch
            {
                entry.epoch |= 1;
            }
        }
    }

    pub(super) fn list(&self, family: Option<&str>, limit: usize) -> Vec<Metadata> {
        match family {
            Some(family) => self.families.get(family).into_iter().take(limit).map(|e| e.metadata.clone()).collect(),
            None => self.families.values().take(limit).map(|e| e.metadata.clone()).collect(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let text = |m: &Metadata| m.family.len() * 2 + m.help.len() + m.unit.len();
        self.families.values().map(|e| size_of::<(String, Entry)>() + text(&e.metadata)).sum()
    }
}

/// Takes the batch's metadata.
pub(super) fn append(push: &Push<'_>, out: &mut AppendOutcome) {
    let max = push.head.limits.max_metadata.load(Relaxed);
    let mut map = push.head.metadata.lock();
    let epoch = epoch(out.generation);
    let mut section = Section::begin(&mut out.record.body, Tag::Metadata);
    let mut refused = 0_u32;
    for metadata in &push.batch.metadata {
        match map.set(metadata, epoch, max) {
            Some(false) => {}
            Some(true) => {
                write_metadata(&mut out.record.body, metadata);
                section.add();
                out.families.push(metadata.family.clone());
            }
            None => refused += 1,
        }
    }
    section.end(&mut out.record.body);
    out.refused_metadata = refused;
    if refused > 0 {
        tracing::debug!(refused, max, reason = RejectReason::InvalidMetadata.as_str(), "metadata of further metric families refused");
    }
}

/// Notes that the log has the metadata of `out`'s record.
pub(super) fn confirm(head: &Head, out: &AppendOutcome) {
    if !out.families.is_empty() {
        head.metadata.lock().confirm(&out.families, epoch(out.generation));
    }
}
