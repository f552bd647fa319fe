//! `simulate SEED` runs one schedule and prints what came of it; it is the same each time. `simulate SEED lying-disks` breaks what Raft relies on (`sim::Premise`).
//!
//! For that, a process runs one schedule and no more: tokio draws the order in which a task looks at what is ready from the standard library's random keys. Those come from
//! `getrandom`, which the library looks up so that it may be replaced, and here it is: what it gives is of the seed as well.
#![allow(clippy::print_stdout, reason = "a command that prints a report")]

use std::sync::atomic::{AtomicU64, Ordering};

use sim::Premise;

/// What the next random bytes are of.
static STATE: AtomicU64 = AtomicU64::new(0);

/// In the place of the C library's: fills `length` bytes at `bytes`.
///
/// # Safety
///
/// As for the C library's: `bytes` points to so many bytes that may be written.
#[allow(unsafe_code, reason = "the only way to give the standard library its random keys; a program of the tests")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(bytes: *mut u8, length: usize, _flags: u32) -> isize {
    for at in 0..length {
        let n = STATE.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        // SAFETY: below `length`.
        unsafe { bytes.add(at).write((n ^ (n >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).to_be_bytes()[0]) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

fn main() -> anyhow::Result<()> {
    let Some(seed) = std::env::args().nth(1) else { anyhow::bail!("which schedule? simulate SEED") };
    let seed: u64 = seed.parse()?;
    STATE.store(seed, Ordering::Relaxed);
    // A panic in any task is the end: nothing after it is worth anything.
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        std::process::exit(101);
    }));
    let premise = match std::env::args().nth(2).as_deref() {
        None => Premise::HonestDisks,
        Some("lying-disks") => Premise::LyingDisks,
        Some(other) => anyhow::bail!("{other:?} is not `lying-disks`"),
    };
    println!("{:?}", sim::run(seed, premise)?);
    Ok(())
}
