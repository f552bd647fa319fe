//! Every name in the bucket. That of Cortex and Mimir, and with one tenant as the prefix that of Thanos:
//!
//! ```text
//! <tenant>/<ULID>/meta.json                    last of a block to be written, first to be deleted
//! <tenant>/<ULID>/index
//! <tenant>/<ULID>/chunks/000001
//! <tenant>/<ULID>/deletion-mark.json           and no-compact-mark.json
//! <tenant>/markers/<ULID>-deletion-mark.json   the same markers once more, to be listed without listing blocks
//! <tenant>/markers/tenant-deletion-mark.json
//! <tenant>/bucket-index.json.gz
//! rules/<tenant>/<namespace>/<group>           both in base64 of URLs, with padding
//! ```
//!
//! A tenant may be called `rules`; as a namespace is never a ULID or `markers`, its blocks and the rule groups do not meet.

use std::fmt;

use model::TenantId;
use tsdb::block::Ulid;

/// The file in which a block describes itself.
pub const META: &str = "meta.json";
/// A block's marker that says from when on it is to be deleted.
pub const DELETION_MARK: &str = "deletion-mark.json";
/// A block's marker that keeps it out of compaction.
pub const NO_COMPACT_MARK: &str = "no-compact-mark.json";
/// The folder of a tenant's markers.
pub const MARKERS: &str = "markers";
/// A tenant's list of blocks.
pub const BUCKET_INDEX: &str = "bucket-index.json.gz";

/// The name of an object, or of a prefix that ends with `/`; relative to the prefix in the bucket's URL.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The root of the bucket.
    #[must_use]
    pub fn root() -> Self {
        Self(String::new())
    }

    /// All of a tenant.
    #[must_use]
    pub fn tenant(tenant: &TenantId) -> Self {
        Self(format!("{tenant}/"))
    }

    /// All of a block.
    #[must_use]
    pub fn block(tenant: &TenantId, block: Ulid) -> Self {
        Self(format!("{tenant}/{block}/"))
    }

    /// A file of a block: `index`, `chunks/000001`, [`META`], a marker. Empty parts, `.` and `..` are dropped.
    #[must_use]
    pub fn block_file(tenant: &TenantId, block: Ulid, file: &str) -> Self {
        let parts = file.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
        let mut key = format!("{tenant}/{block}");
        for part in parts {
            key.push('/');
            key.push_str(part);
        }
        Self(key)
    }

    /// The copy of a block's marker among all markers of the tenant. `mark` is [`DELETION_MARK`] or [`NO_COMPACT_MARK`].
    #[must_use]
    pub fn global_mark(tenant: &TenantId, block: Ulid, mark: &str) -> Self {
        Self(format!("{tenant}/{MARKERS}/{block}-{mark}"))
    }

    /// All markers of a tenant.
    #[must_use]
    pub fn markers(tenant: &TenantId) -> Self {
        Self(format!("{tenant}/{MARKERS}/"))
    }

    /// The mark of a tenant that is to be deleted.
    #[must_use]
    pub fn tenant_deletion_mark(tenant: &TenantId) -> Self {
        Self(format!("{tenant}/{MARKERS}/tenant-deletion-mark.json"))
    }

    /// A tenant's list of blocks.
    #[must_use]
    pub fn bucket_index(tenant: &TenantId) -> Self {
        Self(format!("{tenant}/{BUCKET_INDEX}"))
    }

    /// All rule groups of all tenants.
    #[must_use]
    pub fn all_rules() -> Self {
        Self("rules/".to_owned())
    }

    /// All rule groups of a tenant.
    #[must_use]
    pub fn rules(tenant: &TenantId) -> Self {
        Self(format!("rules/{tenant}/"))
    }

    /// All rule groups of a namespace.
    #[must_use]
    pub fn rule_namespace(tenant: &TenantId, namespace: &str) -> Self {
        Self(format!("rules/{tenant}/{}/", base64(namespace.as_bytes())))
    }

    /// A rule group.
    #[must_use]
    pub fn rule_group(tenant: &TenantId, namespace: &str, group: &str) -> Self {
        Self(format!("rules/{tenant}/{}/{}", base64(namespace.as_bytes()), base64(group.as_bytes())))
    }

    /// What [`Key::rule_group`] was made of, if it was.
    #[must_use]
    pub fn to_rule_group(&self) -> Option<(TenantId, String, String)> {
        let mut parts = self.0.strip_prefix("rules/")?.split('/');
        let (tenant, namespace, group) = (parts.next()?, parts.next()?, parts.next()?);
        let text = |part| String::from_utf8(unbase64(part)?).ok();
        let whole = parts.next().is_none();
        whole.then(|| Some((TenantId::new(tenant).ok()?, text(namespace)?, text(group)?))).flatten()
    }

    /// The block that a marker of [`Key::markers`] is about, and which marker it is.
    #[must_use]
    pub fn to_global_mark(&self) -> Option<(Ulid, &str)> {
        let (_, name) = self.0.split_once(&format!("/{MARKERS}/"))?;
        let (block, mark) = (name.get(..26)?, name.get(26..)?.strip_prefix('-')?);
        Some((block.parse().ok()?, mark))
    }

    pub(crate) fn from_store(path: String) -> Self {
        Self(path)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of the name, without a `/` at its end.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// RFC 4648 §5, with padding, as Cortex and Mimir name rule groups.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let written = digit <= three.len();
            out.push(if written { char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]) } else { '=' });
        }
    }
    out
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for b in four {
            bits = bits << 6 | DIGITS.iter().position(|d| d == b)? as u32;
        }
        bits <<= 6 * (4 - four.len());
        out.extend_from_slice(bits.to_be_bytes().get(1..four.len())?);
    }
    // Only what is written as `base64` writes it is a name: two names never mean one group.
    (base64(&out) == text).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant() -> TenantId {
        TenantId::new("team-a").unwrap()
    }

    #[test]
    fn names_are_those_of_cortex_and_mimir() {
        let block: Ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let names = [
            (Key::block_file(&tenant(), block, META), "team-a/01ARZ3NDEKTSV4RRFFQ69G5FAV/meta.json"),
            (Key::block_file(&tenant(), block, "chunks/000001"), "team-a/01ARZ3NDEKTSV4RRFFQ69G5FAV/chunks/000001"),
            (Key::global_mark(&tenant(), block, DELETION_MARK), "team-a/markers/01ARZ3NDEKTSV4RRFFQ69G5FAV-deletion-mark.json"),
            (Key::bucket_index(&tenant()), "team-a/bucket-index.json.gz"),
            (Key::rule_group(&tenant(), "my ns", "g/1"), "rules/team-a/bXkgbnM=/Zy8x"),
        ];
        for (key, name) in names {
            assert_eq!(key.as_str(), name);
        }
        let mark = Key::global_mark(&tenant(), block, NO_COMPACT_MARK);
        assert_eq!(mark.to_global_mark(), Some((block, NO_COMPACT_MARK)));
    }

    #[test]
    fn a_file_cannot_leave_its_block() {
        let block: Ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        assert_eq!(Key::block_file(&tenant(), block, "../../other/./x").as_str(), "team-a/01ARZ3NDEKTSV4RRFFQ69G5FAV/other/x");
    }

    proptest! {
        #[test]
        fn rule_groups_are_told_by_their_keys(namespace in "\\PC{1,20}", group in "\\PC{1,20}") {
            let key = Key::rule_group(&tenant(), &namespace, &group);
            prop_assert_eq!(key.as_str().split('/').count(), 4);
            prop_assert_eq!(key.to_rule_group(), Some((tenant(), namespace, group)));
        }

        #[test]
        fn no_text_is_taken_for_a_group_that_is_not_its_name(text in "[A-Za-z0-9=_-]{0,12}") {
            if let Some(bytes) = unbase64(&text) {
                prop_assert_eq!(base64(&bytes), text);
            }
        }
    }
}
