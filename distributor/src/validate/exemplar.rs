//! Exemplars: their labels are few and short.

use limits::Limits;
use model::labels::append_pair;
use model::{LabelBlock, Labels, RejectReason};

use super::labels::RawPair;
use super::{Fault, lossy};

/// The label set of an exemplar; may be empty. Together its names and values have at most `max_exemplar_label_length` characters.
pub fn checked(pairs: &mut [RawPair<'_>], limits: &Limits) -> Result<Labels, Fault> {
    pairs.sort_unstable();
    let mut out = Vec::new();
    let mut previous: Option<&[u8]> = None;
    let mut characters = 0_usize;
    for (name, value) in pairs.iter() {
        let (Ok(name_text), Ok(value_text)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Err(Fault::new(
                RejectReason::InvalidUtf8,
                format!("exemplar label {}={} is not valid UTF-8", lossy(name), lossy(value)),
            ));
        };
        if name.is_empty() {
            return Err(Fault::new(RejectReason::InvalidLabelName, "an exemplar's label name is empty"));
        }
        if previous == Some(name) {
            return Err(Fault::new(RejectReason::DuplicateLabelName, format!("exemplar label {} occurs twice", lossy(name))));
        }
        previous = Some(name);
        characters = characters.saturating_add(name_text.chars().count()).saturating_add(value_text.chars().count());
        if characters > limits.max_exemplar_label_length {
            return Err(too_long(limits));
        }
        if !value.is_empty() {
            append_pair(&mut out, name_text, value_text);
        }
    }
    Ok(LabelBlock::from_validated(&out).to_labels())
}

/// The fault of an exemplar with labels longer than its tenant may have.
#[must_use]
pub fn too_long(limits: &Limits) -> Fault {
    let limit = limits::named("max_exemplar_label_length", limits.max_exemplar_label_length, "characters");
    Fault::new(RejectReason::ExemplarLabelsTooLong, format!("an exemplar's labels are too long ({limit})"))
}

#[cfg(test)]
mod tests {
    use limits::Limits;
    use model::{Labels, RejectReason};

    use super::{RawPair, checked};

    #[test]
    fn verdicts() {
        let limits = Limits { max_exemplar_label_length: 10, ..Limits::default() };
        let verdict = |pairs: &[RawPair<'_>]| checked(&mut pairs.to_vec(), &limits).map_err(|f| f.reason);
        assert_eq!(verdict(&[]), Ok(Labels::empty()));
        assert_eq!(verdict(&[(b"b", b"2"), (b"a", "éééé".as_bytes())]), Ok(Labels::from_pairs([("a", "éééé"), ("b", "2")])));
        assert_eq!(verdict(&[(b"trace_id", b"123")]), Err(RejectReason::ExemplarLabelsTooLong));
        assert_eq!(verdict(&[(b"a", b"1"), (b"a", b"1")]), Err(RejectReason::DuplicateLabelName));
        assert_eq!(verdict(&[(b"", b"1")]), Err(RejectReason::InvalidLabelName));
        assert_eq!(verdict(&[(b"a", b"\xff")]), Err(RejectReason::InvalidUtf8));
    }
}
