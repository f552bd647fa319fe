//! Many schedules, each from a number. `PLIMSOLL_SIM_SEED=n` repeats one, `PLIMSOLL_SIM_SCHEDULES=n` asks for more than the usual number.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a test that tells its seed, and looks at the clock to end in time")]

use std::time::{Duration, Instant};

/// Fewer where the machine is slow: the test must not hold up the others.
const SCHEDULES: u64 = 2_000;
const AT_MOST: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_the_invariants_hold() {
    if let Some(seed) = number("PLIMSOLL_SIM_SEED") {
        println!("seed {seed}: {:?}", sim::run(seed));
        return;
    }
    let wanted = number("PLIMSOLL_SIM_SCHEDULES");
    let (schedules, at_most) = (wanted.unwrap_or(SCHEDULES), if wanted.is_some() { Duration::MAX } else { AT_MOST });
    let first = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) as u64;
    let sums: Vec<(u64, u64, u64, u64)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                scope.spawn(move || {
                    let (mut runs, mut reads, mut forgotten, mut departed) = (0, 0, 0, 0);
                    for seed in (worker..schedules).step_by(threads as usize).take_while(|_| first.elapsed() < at_most) {
                        let run = std::panic::catch_unwind(|| sim::run(seed));
                        let Ok(summary) = run else { panic!("PLIMSOLL_SIM_SEED={seed} repeats it") };
                        assert!(summary.acked > 0 && summary.taken > 0, "seed {seed}: {summary:?}");
                        runs += 1;
                        reads += summary.complete_reads;
                        forgotten += summary.forgotten;
                        departed += summary.departed;
                    }
                    (runs, reads, forgotten, departed)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a schedule failed; its seed is above")).collect()
    });
    let sum = sums.into_iter().fold((0, 0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, a.3 + b.3));
    println!("{} schedules in {:?}: {} complete reads, {} forgotten, {} departed", sum.0, first.elapsed(), sum.1, sum.2, sum.3);
    assert!(sum.0 > 0);
}
