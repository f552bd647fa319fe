//! Which failpoints there are.

macro_rules! failpoints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A place in the code. What an error there means is that of the work that was about to be done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Failpoint {
            $($(#[$doc])* $variant,)*
        }

        impl Failpoint {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

failpoints! {
    /// Before a group of pushes is written to the write-ahead log.
    WalAppend = "wal.append",
    /// Before a segment of the log is synced.
    WalFsync = "wal.fsync",
    /// Before a new segment of the log is made.
    WalRotate = "wal.rotate",
    /// Before a range of a head is written as a block.
    HeadCut = "head.cut",
    /// Before the last chunks of a block are written, in an ingester or a compactor.
    BlockWriteChunks = "block.write.chunks",
    /// Before the index of a block is finished.
    BlockWriteIndex = "block.write.index",
    /// Before `meta.json` of a block is written.
    BlockWriteMeta = "block.write.meta",
    /// Before a block goes to the object store, an ingester's or a compactor's.
    ShipUpload = "ship.upload",
    /// When all of it is there but `meta.json`.
    ShipMeta = "ship.meta",
    /// Before a compactor plans what to merge.
    CompactPlan = "compact.plan",
    /// Before it fetches a block.
    CompactDownload = "compact.download",
    /// Before it merges the blocks that it has fetched.
    CompactMerge = "compact.merge",
    /// Before the merged block goes to the object store.
    CompactUpload = "compact.upload",
    /// Before a block is marked for deletion.
    CompactMark = "compact.mark",
    /// Before a block is deleted.
    CompactDelete = "compact.delete",
    /// Before a coordinator writes entries to its Raft log. An error ends the member.
    RaftAppend = "raft.append",
    /// Before it writes its vote. An error ends the member.
    RaftVote = "raft.vote",
    /// Before it writes a snapshot.
    RaftSnapshot = "raft.snapshot",
    /// Before a member renews its lease.
    RingHeartbeat = "ring.heartbeat",
    /// Before a member asks to be forgotten.
    RingLeave = "ring.leave",
    /// Before a ruler evaluates a rule.
    RulerEval = "ruler.eval",
    /// Before it sends alerts to an Alertmanager.
    RulerSend = "ruler.send",
    /// Before a write request is decoded.
    RwDecode = "rw.decode",
    /// Before it is divided among ingesters.
    RwShard = "rw.shard",
    /// Before an ingester is sent its part.
    RwSend = "rw.send",
    /// When a quorum has it, before the answer.
    RwAck = "rw.ack",
}
