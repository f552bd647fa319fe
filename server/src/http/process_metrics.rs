//! The process's own figures, under the names that every Prometheus client library uses.

use std::fmt::Write;

/// The place of the number of threads among the fields.
const THREADS: usize = 17;

/// The fields of `/proc/self/stat` from the third on, as numbers where they are; none where there is no such file.
fn stat() -> Vec<Option<f64>> {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the name in parentheses and may hold spaces; what follows is numbers.
    stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().map(|field| field.parse().ok()).collect()).unwrap_or_default()
}

/// How many threads the process has.
pub(super) fn threads() -> Option<f64> {
    stat().get(THREADS).copied().flatten()
}

/// Appends the metrics as OpenMetrics text. What the system does not tell is left out.
pub(super) fn append(out: &mut String) {
    let fields = stat();
    let number = |i: usize| fields.get(i).copied().flatten();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as f64;
    if let (Some(user), Some(system)) = (number(11), number(12)) {
        let seconds = (user + system) / ticks;
        let _ = write!(
            out,
            "# HELP process_cpu_seconds CPU time of the process.\n# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total {seconds}\n"
        );
    }
    let boot =
        std::fs::read_to_string("/proc/stat").ok().and_then(|s| s.lines().find_map(|l| l.strip_prefix("btime ")?.parse::<f64>().ok()));
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count() as f64).ok();
    let gauges = [
        ("process_resident_memory_bytes", "Resident memory.", number(21).map(|pages| pages * page)),
        ("process_virtual_memory_bytes", "Virtual memory.", number(20)),
        ("process_threads", "Threads.", number(THREADS)),
        ("process_open_fds", "Open file descriptors.", open),
        ("process_start_time_seconds", "Start of the process since the Unix epoch.", boot.zip(number(19)).map(|(b, t)| b + t / ticks)),
    ];
    for (name, help, value) in gauges {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_memory_and_threads() {
        let mut out = String::new();
        super::append(&mut out);
        assert!(out.contains("process_resident_memory_bytes ") && out.contains("process_cpu_seconds_total "), "{out}");
    }
}
