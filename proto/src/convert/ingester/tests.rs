//! Round trips of whatever the model can hold, and messages that lie.

mod arbitrary;
mod hostile;
mod round_trip;
