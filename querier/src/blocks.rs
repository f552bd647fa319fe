//! Blocks of the object store, as a source of series beside the ingesters.
//!
//! A query looks its tenant's blocks up in the bucket index, asks the ingesters which blocks of level 1 their answers hold anyway, and reads the rest. So what is
//! recent comes from memory and from the ingesters' disks, whatever an ingester has lost or never had comes from the store, and no setting has to say where one ends and
//! the other begins.
//!
//! Why nothing is missing. A sample that was acknowledged is in the head of an ingester, or in a block that an ingester has, or in a block that the bucket
//! index shows: an ingester deletes a block only some time after it has seen it in the index, and names it as held only as long as it will be there
//! ([`rpc::HELD_FOR`]). An index as old as [`catalog`] allows is younger than that. A block of the index is left out only if *all* blocks that it was made of are held by
//! ingesters that answer. A block that the index shows and that cannot be read is an error.
//!
//! Why nothing is there twice: samples of one series at one time are one, wherever they come from ([`crate::merge`], and the engine where chunks differ).
//!
//! In reading order: [`catalog`] (the index of each tenant), [`plan`] (which blocks, purely), [`store`] (reading them), `find` and `stream` (its parts).

pub mod catalog;
mod find;
pub mod plan;
pub mod store;
mod stream;

pub use catalog::Catalog;
pub use store::Store;
