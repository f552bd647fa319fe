//! Many schedules, each from a number and in a process of its own. `PLIMSOLL_SIM_SEED=n` repeats one, `PLIMSOLL_SIM_SCHEDULES=n` asks for as many.
#![allow(clippy::disallowed_methods, reason = "looks at the clock to end in time, and at the environment for what to do")]

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// As many are run on any machine.
const AT_LEAST: u64 = 200;
/// More are run as long as there is time: the test must not hold up the others.
const AT_MOST: Duration = Duration::from_secs(18);

/// Schedules that found something, and what. They are run first.
const FOUND: [(u64, &str); 0] = [];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulate")).args(args).output().expect("it is built with this test")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a schedule; its summary, or all that it said.
fn run(seed: u64) -> Result<String, String> {
    let output = simulate(&[&seed.to_string()]);
    if output.status.success() { Ok(text(&output)) } else { Err(text(&output)) }
}

/// Runs schedules side by side as `next` names them; how many, and what the failed ones said.
fn run_all(next: impl Fn() -> Option<u64> + Sync) -> (u64, Vec<String>) {
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let work = || {
        let (mut runs, mut failed) = (0, Vec::new());
        while let Some(seed) = next() {
            runs += 1;
            if let Err(said) = run(seed) {
                failed.push(format!("PLIMSOLL_SIM_SEED={seed} repeats this:\n{said}"));
            }
        }
        (runs, failed)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let ended = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        ended.fold((0, Vec::new()), |(runs, failed), (more, also)| (runs + more, [failed, also].concat()))
    })
}

#[test]
fn whatever_happens_the_invariants_hold() {
    if let Some(seed) = number("PLIMSOLL_SIM_SEED") {
        println!("seed {seed}: {}", run(seed).expect("it holds"));
        return;
    }
    for (seed, what) in FOUND {
        run(seed).unwrap_or_else(|said| panic!("again, {what} (PLIMSOLL_SIM_SEED={seed}):\n{said}"));
    }
    let (wanted, first, started) = (number("PLIMSOLL_SIM_SCHEDULES"), AtomicU64::new(1), Instant::now());
    let (runs, failed) = run_all(|| {
        let seed = first.fetch_add(1, Ordering::Relaxed);
        let more = wanted.map_or_else(|| seed <= AT_LEAST || started.elapsed() < AT_MOST, |wanted| seed <= wanted);
        more.then_some(seed)
    });
    println!("seeds 1 to {runs} in {:?}, {} failed", started.elapsed(), failed.len());
    assert!(failed.is_empty(), "{} of {runs} schedules failed, first: {}", failed.len(), failed[0]);
}

#[test]
fn a_schedule_is_the_same_each_time() {
    for seed in 1..=3 {
        let first = run(seed).expect("it holds");
        assert_eq!(run(seed).expect("it holds"), first, "seed {seed}");
        assert_ne!(run(seed + 1).expect("it holds"), first, "another seed is another schedule");
    }
}

/// What Raft relies on is broken, and it is noticed that what was committed is lost.
#[test]
fn disks_that_lose_what_they_acknowledged_are_noticed() {
    let said: Vec<String> = (1..=24).map(|seed| text(&simulate(&[&seed.to_string(), "lying-disks"]))).collect();
    let noticed = said.iter().filter(|said| said.contains("is lost") || said.contains("was committed and is thrown away")).count();
    println!("of {} schedules on lying disks, {noticed} lost what was committed", said.len());
    assert!(noticed > 0, "{}", said[0]);
}
