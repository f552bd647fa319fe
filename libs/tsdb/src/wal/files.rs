//! Names of segments.

use std::path::{Path, PathBuf};

/// The path of a segment.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}"))
}

/// The number of a segment's name; `None` for other files.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.len() >= 8 && name.bytes().all(|b| b.is_ascii_digit());
    // More zeros than eight digits need are another file's name.
    digits.then(|| name.parse().ok()).flatten().filter(|number| format!("{number:08}") == name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn names_are_numbers() {
        assert_eq!(super::path(Path::new("wal"), 12), Path::new("wal/00000012"));
        for (name, number) in [("00000001", Some(1)), ("123456789", Some(123_456_789))] {
            assert_eq!(super::number(name), number);
        }
        for name in ["1", "000000001", "0000001x", "00000001.tmp", "99999999999999999999999"] {
            assert_eq!(super::number(name), None, "{name}");
        }
    }
}
