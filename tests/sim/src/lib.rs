//! A cluster in one thread: the real decisions of coordinator, ring, quorums and equal senders, driven through made-up time, networks that lose, delay and divide, crashes
//! and clocks that run apart. One number decides everything, so what went wrong once can be seen again.
//!
//! [`queue`] is time, [`random`] chance, [`world`] the cluster with its events, [`group`] the coordinators, [`data`] writes, reads and what must hold of them, [`senders`]
//! the equal senders. What is real: `coordinator::{machine, lease, forget}`, `ring`, `distributor::ha::tracker`. What is not: Raft itself, which is one log that a
//! leader with a connected majority appends to; and disks, which keep what they acknowledged.

mod data;
mod group;
mod queue;
mod random;
mod senders;
mod world;

pub use world::{Summary, run};
