//! Series as a kube-prometheus cluster has them: node_exporter, cAdvisor, kube-state-metrics, and applications with three classic histograms.

use model::Labels;

/// Series of one target: 32 CPU counters, 20 container series, 14 pod gauges, three histograms of 12 buckets with sum and count.
pub(crate) const PER_TARGET: usize = 32 + 20 + 14 + 3 * 14;

/// How a series' values move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Motion {
    /// Grows by about this much a second, in whole numbers.
    Counter(f64),
    /// Grows by about this much a second, in hundredths.
    Hundredths(f64),
    /// Wanders.
    Walk,
    /// Jumps between whole numbers.
    Gauge,
    /// Stands.
    Constant(f64),
}

/// One series.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) motion: Motion,
}

const BUCKETS: [&str; 12] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];
const MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const CONTAINER: [(&str, Motion); 10] = [
    ("container_cpu_usage_seconds_total", Motion::Hundredths(0.4)),
    ("container_cpu_cfs_throttled_periods_total", Motion::Counter(0.1)),
    ("container_memory_working_set_bytes", Motion::Walk),
    ("container_memory_rss", Motion::Walk),
    ("container_memory_cache", Motion::Walk),
    ("container_network_receive_bytes_total", Motion::Counter(50_000.0)),
    ("container_network_transmit_bytes_total", Motion::Counter(9_000.0)),
    ("container_fs_reads_bytes_total", Motion::Counter(700.0)),
    ("container_fs_writes_bytes_total", Motion::Counter(6_000.0)),
    ("container_threads", Motion::Gauge),
];
const POD: [(&str, Motion); 14] = [
    ("kube_pod_info", Motion::Constant(1.0)),
    ("kube_pod_created", Motion::Constant(1_690_000_000.0)),
    ("kube_pod_start_time", Motion::Constant(1_690_000_001.0)),
    ("kube_pod_status_ready", Motion::Constant(1.0)),
    ("kube_pod_status_phase", Motion::Constant(1.0)),
    ("kube_pod_container_info", Motion::Constant(1.0)),
    ("kube_pod_container_status_restarts_total", Motion::Counter(0.0005)),
    ("kube_pod_container_status_running", Motion::Constant(1.0)),
    ("kube_pod_container_resource_requests", Motion::Constant(0.25)),
    ("kube_pod_container_resource_limits", Motion::Constant(1.0)),
    ("kube_pod_owner", Motion::Constant(1.0)),
    ("go_goroutines", Motion::Gauge),
    ("process_resident_memory_bytes", Motion::Walk),
    ("process_cpu_seconds_total", Motion::Hundredths(0.2)),
];
const HISTOGRAMS: [&str; 3] = ["http_request_duration_seconds", "grpc_server_handling_seconds", "workqueue_queue_duration_seconds"];

/// The series with this number; `generation` gives pods a new name (churn).
pub(crate) fn series(number: usize, generation: usize) -> Series {
    let target = number / PER_TARGET;
    let place = number % PER_TARGET;
    let (name, motion, extra) = member(place, target);
    let node = target % 500;
    let namespace =
        ["default", "kube-system", "monitoring", "ingress-nginx", "payments", "checkout", "search", "catalog-service"][target % 8];
    let pod =
        format!("app-{:04}-{generation:02x}{:08x}-{:05x}", target % 700, target.wrapping_mul(2_654_435_761) & 0xffff_ffff, target * 7 + 11);
    let mut pairs: Vec<(&str, String)> = vec![
        ("__name__", name),
        ("cluster", "production-eu-west-1".to_owned()),
        ("container", format!("app-{:04}", target % 700)),
        ("endpoint", "http-metrics".to_owned()),
        ("instance", format!("10.{}.{}.{}:9100", node / 250, node % 250, target % 250)),
        ("job", ["node-exporter", "kubelet", "kube-state-metrics", "application"][target % 4].to_owned()),
        ("namespace", namespace.to_owned()),
        ("node", format!("ip-10-{}-{}.eu-west-1.compute.internal", node / 250, node % 250)),
        ("pod", pod),
        ("service", format!("app-{:04}", target % 700)),
    ];
    pairs.extend(extra);
    Series { labels: Labels::from_pairs(pairs), motion }
}

/// Name, motion and own labels of a series by its place in its target.
fn member(place: usize, target: usize) -> (String, Motion, Vec<(&'static str, String)>) {
    // Five decades of rates, so that values have every length.
    let decade = 10_f64.powi((target % 5) as i32 - 1);
    match place {
        0..32 => {
            let extra = vec![("cpu", (place / 8).to_string()), ("mode", MODES[place % 8].to_owned())];
            ("node_cpu_seconds_total".to_owned(), Motion::Hundredths(0.12), extra)
        }
        32..52 => {
            let (name, motion) = CONTAINER[(place - 32) % 10];
            let motion = if let Motion::Counter(rate) = motion { Motion::Counter(rate * decade) } else { motion };
            (name.to_owned(), motion, vec![("id", format!("/kubepods/burstable/pod{:012x}/{}", target * 31, (place - 32) / 10))])
        }
        52..66 => {
            let (name, motion) = POD[place - 52];
            (name.to_owned(), motion, vec![("uid", format!("{:08x}-0000-4000-8000-{:012x}", target * 17, target * 13))])
        }
        _ => {
            let (which, part) = ((place - 66) / 14, (place - 66) % 14);
            let base = HISTOGRAMS[which];
            match part {
                12 => (format!("{base}_sum"), Motion::Hundredths(0.8 * decade), vec![("handler", "/api/v1/items".to_owned())]),
                13 => (format!("{base}_count"), Motion::Counter(12.0 * decade), vec![("handler", "/api/v1/items".to_owned())]),
                _ => {
                    let extra = vec![("handler", "/api/v1/items".to_owned()), ("le", BUCKETS[part].to_owned())];
                    // Higher buckets hold what lower ones do, and more.
                    (format!("{base}_bucket"), Motion::Counter(decade * (part + 1) as f64), extra)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    #[test]
    fn series_are_distinct_and_of_the_promised_size() {
        let all: Vec<_> = (0..20_000).map(|n| super::series(n, 0).labels).collect();
        assert_eq!(all.iter().map(model::Labels::hash).collect::<HashSet<_>>().len(), all.len());
        let bytes = all.iter().map(|l| l.as_bytes().len()).sum::<usize>() / all.len();
        assert!((280..=360).contains(&bytes), "{bytes} bytes of encoded labels");
        let labels = all.iter().map(model::Labels::len).sum::<usize>() / all.len();
        assert!((11..=12).contains(&labels), "{labels} labels");
    }
}
