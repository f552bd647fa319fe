//! `@st` lines: when the counters of the next line's samples began.

use model::Labels;

use super::duration::parse_signed_duration;
use super::scan::Scanner;
use super::series::parse_labels;

/// The most start times that one line may stand for; the line of values that follows has the same bound.
const MAX_START_TIMES: usize = 1_000_000;

/// Whether a line of a `load` block holds start times rather than values.
pub(super) fn is_start_times(text: &str) -> bool {
    text.split([' ', '\t']).next().is_some_and(|word| word.ends_with("@st"))
}

/// Reads `name{…}@st _ -1m -30s-1mx2`: milliseconds relative to the sample at the same place.
pub(super) fn parse_start_times(text: &str) -> Result<(Labels, Vec<Option<i64>>), String> {
    let mut s = Scanner::new(text);
    let labels = parse_labels(&mut s)?;
    if !s.eat("@st") {
        return Err(s.expected("\"@st\""));
    }
    let mut offsets = Vec::new();
    for item in s.rest().split_ascii_whitespace() {
        parse_item(item, &mut offsets)?;
        if offsets.len() > MAX_START_TIMES {
            return Err(format!("a line may stand for at most {MAX_START_TIMES} start times"));
        }
    }
    Ok((labels, offsets))
}

fn parse_item(item: &str, out: &mut Vec<Option<i64>>) -> Result<(), String> {
    let (base, repeats) = match item.split_once('x') {
        Some((base, count)) => (base, Scanner::new(count).count(MAX_START_TIMES)?),
        None => (item, 0),
    };
    if base == "_" {
        out.resize(out.len() + if item == "_" { 1 } else { repeats }, None);
        return Ok(());
    }
    let signed = |c: char| c == '+' || c == '-';
    let (first, step) = match base.char_indices().skip(1).find(|(_, c)| signed(*c)) {
        Some((at, _)) => (base.get(..at).unwrap_or_default(), Some(base.get(at..).unwrap_or_default())),
        None => (base, None),
    };
    if step.is_some() && !item.contains('x') {
        return Err(format!("start time {item:?} has a step but no count"));
    }
    let first = parse_signed_duration(first)?;
    let step = step.map_or(Ok(0), parse_signed_duration)?;
    out.extend((0..=repeats as i64).map(|i| Some(first.saturating_add(step.saturating_mul(i)))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::{is_start_times, parse_start_times};

    #[test]
    fn reads_offsets() {
        assert!(is_start_times("a{b=\"c\"}@st _"));
        assert!(!is_start_times("a{b=\"c\"} 1"));
        let (labels, offsets) = parse_start_times("a{b=\"c\"}@st _ _x2 -30s-1mx2 0 +1ms -0msx1").expect("valid");
        assert_eq!(labels, Labels::from_pairs([("__name__", "a"), ("b", "c")]));
        let expected = [None, None, None, Some(-30_000), Some(-90_000), Some(-150_000), Some(0), Some(1), Some(0), Some(0)];
        assert_eq!(offsets, expected);
    }

    #[test]
    fn refuses_nonsense() {
        for bad in ["a@st 1", "a@st -30s-1m", "a@st x3", "a@st 1mx", "a@st 1mx99999999", "{@st 1m"] {
            assert!(parse_start_times(bad).is_err(), "{bad}");
        }
    }
}
