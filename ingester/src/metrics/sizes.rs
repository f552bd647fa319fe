//! What is asked for when the metrics are read: sizes of heads and log.

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use ring::InstanceState;
use tsdb::head::HeadStats;

use super::PREFIX;
use crate::service::Shared;
use crate::tenants::Tenants;

/// Sums over all heads. Making them walks all series, so they are made now and then and kept.
#[derive(Debug, Default)]
pub(crate) struct Sizes(Mutex<HeadStats>);

impl Sizes {
    /// Walks all heads: some milliseconds per 100,000 series.
    pub(crate) fn refresh(&self, tenants: &Tenants) {
        let mut sum = HeadStats::default();
        for (_, tenant) in tenants.all() {
            add(&mut sum, &tenant.head().stats());
        }
        *self.0.lock() = sum;
    }
}

fn add(sum: &mut HeadStats, one: &HeadStats) {
    sum.series += one.series;
    sum.chunks += one.chunks;
    sum.exemplars += one.exemplars;
    sum.label_pairs += one.label_pairs;
    let (to, from) = (&mut sum.memory, &one.memory);
    to.tables += from.tables;
    to.hot += from.hot;
    to.cold += from.cold;
    to.series_labels += from.series_labels;
    to.open_chunks += from.open_chunks;
    to.closed_chunks += from.closed_chunks;
    to.late += from.late;
    to.label_text += from.label_text;
    to.label_pairs += from.label_pairs;
    to.postings += from.postings;
    to.exemplars += from.exemplars;
    to.metadata += from.metadata;
}

/// Registers the collector. It does not keep the ingester alive.
pub(crate) fn register_sizes(registry: &mut Registry, shared: &Arc<Shared>) {
    registry.sub_registry_with_prefix(PREFIX).register_collector(Box::new(SizesCollector(Arc::downgrade(shared))));
}

struct SizesCollector(Weak<Shared>);

impl fmt::Debug for SizesCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SizesCollector")
    }
}

impl Collector for SizesCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(shared) = self.0.upgrade() else { return Ok(()) };
        let mut out = Out(encoder);
        encode_process(&mut out, &shared)?;
        encode_heads(&mut out, &shared)?;
        encode_head_chunks(&mut out, &shared)?;
        encode_wal(&mut out, &shared)
    }
}

fn encode_process(out: &mut Out<'_>, shared: &Shared) -> fmt::Result {
    let series: usize = shared.tenants.all().iter().map(|(_, tenant)| tenant.head().series_count()).sum();
    out.gauge("memory_series", "Series in memory", series as u64)?;
    out.gauge("tenants", "Tenants with a head in memory", shared.tenants.count() as u64)?;
    out.gauge("inflight_pushes", "Pushes in progress", shared.lifecycle.pushes() as u64)?;
    out.gauge("inflight_push_bytes", "Bytes of pushes in progress (ingester.max_inflight_push_bytes)", shared.inflight.used() as u64)?;
    out.gauge("open_queries", "Queries in progress", shared.open_queries() as u64)?;
    let active = matches!(shared.lifecycle.state(), InstanceState::Joining | InstanceState::Active);
    out.gauge("active", "1 while pushes are taken", u64::from(active))?;
    let restoring = shared.lifecycle.state() == InstanceState::Joining;
    out.gauge("restoring", "1 while the write-ahead log is replayed: pushes are taken, queries wait", u64::from(restoring))
}

fn encode_heads(out: &mut Out<'_>, shared: &Shared) -> fmt::Result {
    let sizes = shared.sizes.0.lock().clone();
    out.gauge("memory_chunks", "Chunks in memory, open ones included; refreshed now and then", sizes.chunks)?;
    out.gauge("memory_exemplars", "Exemplars in memory; refreshed now and then", sizes.exemplars)?;
    out.gauge("memory_label_pairs", "Distinct label pairs in memory, by tenant, summed; refreshed now and then", sizes.label_pairs)?;
    let m = &sizes.memory;
    let structures = [
        ("tables", m.tables),
        ("hot", m.hot),
        ("cold", m.cold),
        ("series_labels", m.series_labels),
        ("open_chunks", m.open_chunks),
        ("closed_chunks", m.closed_chunks),
        ("late", m.late),
        ("label_text", m.label_text),
        ("label_pairs", m.label_pairs),
        ("postings", m.postings),
        ("exemplars", m.exemplars),
        ("metadata", m.metadata),
    ];
    let help = "Bytes of memory by structure, all tenants; refreshed now and then";
    let mut family = out.0.encode_descriptor("memory_bytes", help, None, MetricType::Gauge)?;
    for (structure, bytes) in structures {
        family.encode_family(&[("structure", structure)])?.encode_gauge(&(bytes as u64))?;
    }
    Ok(())
}

fn encode_head_chunks(out: &mut Out<'_>, shared: &Shared) -> fmt::Result {
    let files = shared.offloading.files.stats();
    out.gauge("head_chunk_files", "Files with finished chunks of heads", files.files)?;
    out.counter("head_chunks_written", "Finished chunks moved from memory to files", files.written_chunks)?;
    out.counter("head_chunk_written_bytes", "Bytes written to files of finished chunks", files.written_bytes)?;
    let help = "Rounds in which finished chunks could not be written and stayed in memory";
    out.counter("head_chunk_write_errors", help, shared.offloading.failures())
}

fn encode_wal(out: &mut Out<'_>, shared: &Shared) -> fmt::Result {
    let wal = shared.wal.stats();
    out.counter("wal_records", "Pushes written to the write-ahead log", wal.records)?;
    out.counter("wal_written_bytes", "Bytes written to the write-ahead log", wal.bytes)?;
    out.counter("wal_groups", "Writes to the write-ahead log, each for all pushes that waited", wal.groups)?;
    out.counter("wal_write_errors", "Writes to the write-ahead log that failed", wal.write_errors)?;
    out.counter("wal_fsyncs", "Syncs of the write-ahead log", wal.syncs)?;
    out.counter("wal_fsync_errors", "Syncs of the write-ahead log that failed", wal.sync_errors)?;
    out.counter("wal_refused", "Pushes refused because too much waits for the write-ahead log", wal.refused)?;
    out.gauge("wal_queued_bytes", "Bytes that wait for the write-ahead log", wal.queued_bytes)?;
    out.gauge("wal_segments", "Segments of the write-ahead log", wal.segments)?;
    out.gauge("wal_disk_bytes", "Bytes of the write-ahead log on the disk", wal.disk_bytes)
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Counter)?.encode_counter::<NoLabelSet, u64, f64>(&value, None)
    }
}
