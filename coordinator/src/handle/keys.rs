//! Small values: changing them, following them.

use async_trait::async_trait;
use futures::{Stream, StreamExt};
use rpc::keys::{MAX_KEY_BYTES, MAX_VALUE_BYTES};
use rpc::{KeyStore, KeysStream, KeysUpdate, RpcError, Swap, Swapped};

use super::Handle;
use crate::error::Error;
use crate::machine::{Command, Reply};
use crate::metrics::Operation;

/// The most changes in one command.
const MAX_SWAPS: usize = 1_000;

/// Bytes of names and values in one message to a follower.
const UPDATE_BYTES: usize = 1 << 20;

impl Handle {
    /// Changes small values, each if its version is the expected one. Leader only.
    pub async fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, Error> {
        let result = self.try_swap(swaps).await;
        self.count(Operation::Swap, &result);
        result
    }

    async fn try_swap(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, Error> {
        let bytes: usize = swaps.iter().map(|swap| swap.key.len() + swap.value.as_ref().map_or(0, String::len)).sum();
        let long = swaps.iter().any(|swap| swap.key.is_empty() || swap.key.len() > MAX_KEY_BYTES);
        if long || swaps.len() > MAX_SWAPS || bytes > MAX_KEY_BYTES + MAX_VALUE_BYTES {
            return Err(Error::Invalid(format!(
                "at most {MAX_SWAPS} changes of {MAX_VALUE_BYTES} bytes together, with keys of 1 to {MAX_KEY_BYTES} bytes"
            )));
        }
        match self.propose(Command::Swap { swaps }).await? {
            Reply::Swapped { outcomes } => Ok(outcomes),
            other => Err(Error::Raft(format!("an unexpected answer of the state machine: {other:?}"))),
        }
    }

    /// Follows the values whose keys have this prefix, from this member's point of view. Ends with the shutdown.
    pub fn watch_keys(&self, prefix: String) -> impl Stream<Item = KeysUpdate> + Send + 'static + use<> {
        let (shared, mut shutdown) = (self.inner.shared.clone(), self.inner.shutdown.clone());
        // Subscribed before the state is read, so that no change falls in between.
        let changes = shared.subscribe_keys();
        futures::stream::unfold((0, true, changes), move |(known, first, mut changes)| {
            let (shared, prefix) = (shared.clone(), prefix.clone());
            async move {
                loop {
                    if !first {
                        changes.changed().await.ok()?;
                    }
                    changes.mark_unchanged();
                    let update = {
                        let state = shared.state.read();
                        state.keys().since(known, &prefix, state.header().keys)
                    };
                    let version = update.version;
                    if first || update.reset || !update.entries.is_empty() {
                        return Some((update, (version, false, changes)));
                    }
                }
            }
        })
        .flat_map(|update| futures::stream::iter(in_pieces(update)))
        .take_until(async move { shutdown.requested().await })
    }
}

/// Cuts an update into messages of about [`UPDATE_BYTES`]. Only the last one says that everything is known.
fn in_pieces(update: KeysUpdate) -> Vec<KeysUpdate> {
    let mut pieces = vec![KeysUpdate { reset: update.reset, ..KeysUpdate::default() }];
    let mut bytes = 0;
    for (key, entry) in update.entries {
        let more = key.len() + entry.value.as_ref().map_or(0, String::len);
        if bytes > 0 && bytes + more > UPDATE_BYTES {
            pieces.push(KeysUpdate::default());
            bytes = 0;
        }
        bytes += more;
        if let Some(piece) = pieces.last_mut() {
            piece.entries.push((key, entry));
        }
    }
    if let Some(last) = pieces.last_mut() {
        last.version = update.version;
    }
    pieces
}

#[async_trait]
impl KeyStore for Handle {
    async fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<Swapped>, RpcError> {
        match Self::swap(self, swaps.clone()).await {
            Err(Error::NotLeader { leader: Some(leader) }) => self.towards(leader).swap(swaps).await,
            result => Ok(result?),
        }
    }

    async fn watch_keys(&self, prefix: &str) -> Result<KeysStream, RpcError> {
        if self.inner.shutdown.is_requested() {
            return Err(RpcError::unavailable("the coordinator is stopping"));
        }
        Ok(Self::watch_keys(self, prefix.to_owned()).map(Ok).boxed())
    }
}

#[cfg(test)]
mod tests {
    use rpc::{KeyEntry, KeysUpdate};

    use super::{UPDATE_BYTES, in_pieces};

    #[test]
    fn long_updates_are_cut() {
        let entry = |n: u64| (format!("k{n}"), KeyEntry { version: n, value: Some("x".repeat(UPDATE_BYTES / 3)) });
        let pieces = in_pieces(KeysUpdate { reset: true, version: 9, entries: (0..5).map(entry).collect() });
        assert_eq!(pieces.iter().map(|p| p.entries.len()).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(pieces.iter().map(|p| p.reset).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(pieces.iter().map(|p| p.version).collect::<Vec<_>>(), [0, 0, 9]);
        assert_eq!(in_pieces(KeysUpdate { reset: true, version: 3, entries: Vec::new() }).len(), 1);
    }
}
