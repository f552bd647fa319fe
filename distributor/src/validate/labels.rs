//! Label sets: well-formed, within the tenant's limits, canonical.

use limits::Limits;
use model::labels::{METRIC_NAME, append_pair};
use model::{LabelBlock, RejectReason};

use super::{Fault, lossy};

/// One label as its sender wrote it.
pub type RawPair<'a> = (&'a [u8], &'a [u8]);

/// Whether a block is canonical, names a metric and keeps within the limits: if not, [`canonicalise`] tells what is wrong or rewrites it.
#[must_use]
pub fn is_acceptable(block: &[u8], limits: &Limits) -> bool {
    let Ok(block) = LabelBlock::validate(block) else { return false };
    let (mut count, mut named) = (0_usize, false);
    for (name, value) in block.iter() {
        count += 1;
        named |= name == METRIC_NAME;
        if name.len() > limits.max_label_name_length || value.len() > limits.max_label_value_length {
            return false;
        }
    }
    named && count <= limits.max_label_names_per_series
}

/// Sorts labels, drops those without a value, and appends their canonical block to `out`. On a fault `out` is as before.
///
/// The number of pairs is bounded by the caller: see [`too_many`].
pub fn canonicalise(pairs: &mut [RawPair<'_>], limits: &Limits, out: &mut Vec<u8>) -> Result<(), Fault> {
    pairs.sort_unstable();
    let start = out.len();
    let checked = append_checked(pairs, limits, out);
    if checked.is_err() {
        out.truncate(start);
    }
    checked
}

fn append_checked(pairs: &[RawPair<'_>], limits: &Limits, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut named = false;
    let mut previous: Option<&[u8]> = None;
    let mut count = 0;
    for (name, value) in pairs {
        if previous == Some(name) {
            return Err(Fault::new(RejectReason::DuplicateLabelName, format!("label {} occurs twice", lossy(name))));
        }
        previous = Some(name);
        let (name, value) = check_pair(name, value, limits)?;
        if value.is_empty() {
            continue;
        }
        named |= name == METRIC_NAME;
        count += 1;
        append_pair(out, name, value);
    }
    if !named {
        return Err(Fault::new(RejectReason::MissingMetricName, "the series has no metric name (label __name__)"));
    }
    if count > limits.max_label_names_per_series {
        return Err(too_many(limits));
    }
    Ok(())
}

fn check_pair<'a>(name: &'a [u8], value: &'a [u8], limits: &Limits) -> Result<(&'a str, &'a str), Fault> {
    if name.is_empty() {
        return Err(Fault::new(RejectReason::InvalidLabelName, "a label name is empty"));
    }
    if name.len() > limits.max_label_name_length {
        let (have, most) = (name.len(), limits.max_label_name_length);
        let detail = format!("label name {} has {have} bytes ({})", lossy(name), limits::named("max_label_name_length", most, "bytes"));
        return Err(Fault::new(RejectReason::LabelNameTooLong, detail));
    }
    if value.len() > limits.max_label_value_length {
        let (have, most) = (value.len(), limits.max_label_value_length);
        let limit = limits::named("max_label_value_length", most, "bytes");
        let detail = format!("the value of label {} has {have} bytes ({limit})", lossy(name));
        return Err(Fault::new(RejectReason::LabelValueTooLong, detail));
    }
    match (std::str::from_utf8(name), std::str::from_utf8(value)) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        (Err(_), _) => Err(Fault::new(RejectReason::InvalidUtf8, format!("label name {} is not valid UTF-8", lossy(name)))),
        (_, Err(_)) => {
            let detail = format!("the value {} of label {} is not valid UTF-8", lossy(value), lossy(name));
            Err(Fault::new(RejectReason::InvalidUtf8, detail))
        }
    }
}

/// The fault of a series with more labels than its tenant may have.
#[must_use]
pub fn too_many(limits: &Limits) -> Fault {
    let limit = limits::named("max_label_names_per_series", limits.max_label_names_per_series, "labels");
    Fault::new(RejectReason::TooManyLabels, format!("the series has too many labels ({limit})"))
}

/// A series as text, from labels that may be anything.
#[must_use]
pub fn pairs_to_text(pairs: &[RawPair<'_>]) -> String {
    let labels: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", lossy(name), lossy(value))).collect();
    format!("{{{}}}", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use limits::Limits;
    use model::{LabelBlock, Labels, RejectReason};

    use super::{RawPair, canonicalise, is_acceptable};

    const NAME: RawPair<'static> = (b"__name__", b"up");

    fn verdict(pairs: &[RawPair<'_>], limits: &Limits) -> Result<Labels, RejectReason> {
        let mut out = b"before".to_vec();
        match canonicalise(&mut pairs.to_vec(), limits, &mut out) {
            Ok(()) => Ok(LabelBlock::validate(&out[6..]).unwrap().to_labels()),
            Err(fault) => {
                assert_eq!(out, b"before");
                assert!(!fault.detail.is_empty());
                Err(fault.reason)
            }
        }
    }

    #[test]
    fn puts_in_order_what_can_be() {
        let limits = Limits::default();
        let want = Labels::from_pairs([("__name__", "up"), ("a", "1"), ("b.c d", "ü\n")]);
        assert_eq!(verdict(&[("b.c d".as_bytes(), "ü\n".as_bytes()), NAME, (b"a", b"1"), (b"z", b"")], &limits), Ok(want));
    }

    #[test]
    fn names_what_cannot_be() {
        let limits = Limits { max_label_names_per_series: 3, max_label_name_length: 9, max_label_value_length: 4, ..Limits::default() };
        let cases: [(&[RawPair<'_>], RejectReason); 9] = [
            (&[], RejectReason::MissingMetricName),
            (&[(b"__name__", b"")], RejectReason::MissingMetricName),
            (&[(b"a", b"1")], RejectReason::MissingMetricName),
            (&[NAME, (b"a", b"1"), (b"a", b"2")], RejectReason::DuplicateLabelName),
            (&[NAME, (b"", b"1")], RejectReason::InvalidLabelName),
            (&[NAME, (b"a", b"\xff")], RejectReason::InvalidUtf8),
            (&[NAME, (b"0123456789", b"1")], RejectReason::LabelNameTooLong),
            (&[NAME, (b"a", b"12345")], RejectReason::LabelValueTooLong),
            (&[NAME, (b"a", b"1"), (b"b", b"1"), (b"c", b"1")], RejectReason::TooManyLabels),
        ];
        for (pairs, reason) in cases {
            assert_eq!(verdict(pairs, &limits), Err(reason), "{pairs:?}");
        }
    }

    #[test]
    fn the_quick_check_agrees() {
        let limits = Limits { max_label_names_per_series: 2, max_label_name_length: 8, max_label_value_length: 4, ..Limits::default() };
        let acceptable = |pairs: &[(&str, &str)]| is_acceptable(Labels::from_pairs(pairs.iter().copied()).as_bytes(), &limits);
        assert!(acceptable(&[("__name__", "up"), ("a", "1234")]));
        assert!(!acceptable(&[("__name__", "up"), ("a", "12345")]));
        assert!(!acceptable(&[("__name__", "up"), ("a", "1"), ("b", "1")]));
        assert!(!acceptable(&[("a", "1")]));
        assert!(!acceptable(&[]));
        assert!(!is_acceptable(b"\x0a\x06\x0a\x01b\x12\x011\x0a\x06\x0a\x01a\x12\x012", &limits));
    }
}
