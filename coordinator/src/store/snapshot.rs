//! The bytes of a snapshot: what travels to a member that is too far behind, and what it is checked against.

use crate::machine::State;
use crate::store::StoreError;

/// `PLCOORD` and the version of the format.
const MAGIC: [u8; 8] = *b"PLCOORD\x01";
const HEADER_BYTES: usize = MAGIC.len() + 4;

/// More is refused before it is parsed: some hundred bytes for each of the instances that a cluster may have.
pub(crate) const MAX_BYTES: usize = 32 << 20;

/// Magic, CRC-32C of the rest (little-endian), the state as JSON.
pub(crate) fn encode(state: &State) -> Result<Vec<u8>, StoreError> {
    let json = serde_json::to_vec(state).map_err(|source| StoreError::Json { key: "snapshot".to_owned(), source })?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + json.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&crc32c::crc32c(&json).to_le_bytes());
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// The state, if the bytes are a snapshot.
pub(crate) fn decode(bytes: &[u8]) -> Result<State, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a snapshot of {} bytes {what}", bytes.len()));
    if bytes.len() > MAX_BYTES {
        return Err(corrupt("is larger than any can be"));
    }
    let rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| corrupt("does not begin with PLCOORD and version 1"))?;
    let (crc, json) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("ends before its checksum"))?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(json) {
        return Err(corrupt("does not have the checksum that it says"));
    }
    serde_json::from_slice(json).map_err(|source| StoreError::Json { key: "snapshot".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};
    use crate::machine::{Command, State};

    #[test]
    fn what_was_changed_on_the_way_is_refused() {
        let mut state = State::default();
        state.apply(Command::Bootstrap { cluster_id: "c".to_owned() });
        let bytes = encode(&state).unwrap();
        assert_eq!(decode(&bytes).unwrap(), state);
        for place in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[place] ^= 1;
            assert!(decode(&bad).is_err(), "byte {place}");
            assert!(decode(&bytes[..place]).is_err(), "cut at {place}");
        }
    }
}
