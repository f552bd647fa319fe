//! The types that openraft is made of here.

use std::io::Cursor;

use openraft::BasicNode;
use xxhash_rust::xxh3::xxh3_64;

use crate::machine::{Command, Reply};

openraft::declare_raft_types!(
    /// Commands in, replies out; members are numbers with an address; a snapshot is a piece of memory, for the state is small.
    pub Types:
        D = Command,
        R = Reply,
        NodeId = u64,
        Node = BasicNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// A running member.
pub(crate) type Raft = openraft::Raft<Types>;

/// The number of a member of a group of several, from its address as all members write it. A number, once taken, is kept in the store.
pub(crate) fn node_id(address: &str) -> u64 {
    xxh3_64(address.as_bytes())
}

/// The number of the only member of a group of one, whatever its address.
pub(crate) const ONLY_NODE: u64 = 1;
