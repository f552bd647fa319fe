//! The engine from outside: random expressions on random data, and hostile ones.

mod expressions;
mod hostile;
mod optimiser;
mod seeds;
mod world;
