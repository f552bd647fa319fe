#![allow(clippy::disallowed_methods, reason = "tests spawn and wait as they like")]

mod blocks;
mod crash;
mod departure;
mod drain;
mod failures;
mod grpc;
mod head_chunks;
mod isolation;
mod limits;
mod push_and_query;
mod random;
mod replay;
mod retention;
mod rig;
mod shipping;
mod snapshots;
mod store;
mod survival;
