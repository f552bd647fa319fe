#![allow(clippy::unusual_byte_groupings, reason = "groups are the fields of an encoding")]

mod promtool;
mod round_trip;
