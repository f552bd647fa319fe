//! Two-hour blocks: cut from heads, kept beside them until they are older than the retention and the object store has them (`crate::ship`), and read together with them.
//!
//! A cycle of a tenant: the head is sealed up to a border; each aligned range that has sealed chunks becomes a block; each block is published, that is, in every
//! query that begins from then on; when no query is left that began before, the sealed chunks are dropped from the head. So a query sees each
//! sample in the head, or in a block, or in both, and never in neither. What goes wrong leaves the head as it is, and is tried again.
//!
//! In reading order: [`schedule`] (when, purely), [`set`] (the blocks of a tenant as a query sees them), [`store`] (the folder, and which blocks are open), [`cycle`]
//! (cutting and forgetting), [`damaged`] (blocks that cannot be opened), [`flush`] (cutting on demand), [`rounds`] (the loop).

mod cycle;
mod damaged;
mod flush;
mod rounds;
mod schedule;
mod set;
mod store;

pub use flush::Flushed;
pub(crate) use rounds::run;
pub(crate) use set::{BlockSet, LocalBlock, TenantBlocks};
pub(crate) use store::{BlockStore, unreadable};
