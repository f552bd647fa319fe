#![allow(clippy::unusual_byte_groupings, reason = "groups are the fields of an encoding")]

mod append;
mod golden;
mod round_trip;
