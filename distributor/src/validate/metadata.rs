//! Metadata: bounded, not refused for a long help text.

use limits::Limits;
use model::{Metadata, MetricType, RejectReason};

use super::Fault;

/// Makes metadata of what a sender wrote. The help text, and then the unit, are cut so that with the family's name they keep within
/// `max_metadata_length`.
pub fn checked(family: &[u8], metric_type: MetricType, help: &[u8], unit: &[u8], limits: &Limits) -> Result<Metadata, Fault> {
    let invalid = |detail: String| Fault::new(RejectReason::InvalidMetadata, detail);
    let family = std::str::from_utf8(family).map_err(|_| invalid("the metric family of metadata is not valid UTF-8".to_owned()))?;
    if family.is_empty() {
        return Err(invalid("metadata without a metric family".to_owned()));
    }
    let most = limits.max_metadata_length;
    if family.len() > most {
        let limit = limits::named("max_metadata_length", most, "bytes");
        return Err(invalid(format!("the metric family of metadata has {} bytes ({limit})", family.len())));
    }
    let help = cut(help, most - family.len());
    let unit = cut(unit, most - family.len() - help.len());
    Ok(Metadata { family: family.to_owned(), metric_type, help, unit })
}

/// At most `most` bytes of a text, cut between characters; what is not UTF-8 is replaced.
fn cut(text: &[u8], most: usize) -> String {
    // Three bytes more, so that the character at the cut is whole.
    let mut text = String::from_utf8_lossy(text.get(..text.len().min(most.saturating_add(3))).unwrap_or_default()).into_owned();
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// The metric family of a series whose type is known: the suffixes of a classic histogram's or a summary's parts are taken off.
#[must_use]
pub fn family_of(metric: &str, metric_type: MetricType) -> &str {
    let suffixes: &[&str] = match metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => &["_bucket", "_count", "_sum", "_gcount", "_gsum"],
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix).filter(|family| !family.is_empty())).unwrap_or(metric)
}

#[cfg(test)]
mod tests {
    use limits::Limits;
    use model::{MetricType, RejectReason};

    use super::{checked, family_of};

    #[test]
    fn long_texts_are_cut() {
        let limits = Limits { max_metadata_length: 8, ..Limits::default() };
        let made = |family: &str, help: &[u8], unit: &str| {
            checked(family.as_bytes(), MetricType::Gauge, help, unit.as_bytes(), &limits).map(|m| (m.help, m.unit)).map_err(|f| f.reason)
        };
        let ok = |help: &str, unit: &str| Ok((help.to_owned(), unit.to_owned()));
        assert_eq!(made("up", b"abcdef", "s"), ok("abcdef", ""));
        assert_eq!(made("up", b"abcd", "sec"), ok("abcd", "se"));
        assert_eq!(made("up", b"abcdefgh", "s"), ok("abcdef", ""));
        assert_eq!(made("up", "abcdeé".as_bytes(), ""), ok("abcde", ""));
        assert_eq!(made("up", b"\xff\xff\xff", "").map(|(h, _)| h.len() <= 6), Ok(true));
        assert_eq!(made("123456789", b"", ""), Err(RejectReason::InvalidMetadata));
        assert_eq!(made("", b"x", ""), Err(RejectReason::InvalidMetadata));
    }

    #[test]
    fn parts_belong_to_their_family() {
        assert_eq!(family_of("rpc_seconds_bucket", MetricType::Histogram), "rpc_seconds");
        assert_eq!(family_of("rpc_seconds_count", MetricType::Summary), "rpc_seconds");
        assert_eq!(family_of("rpc_seconds_bucket", MetricType::Summary), "rpc_seconds_bucket");
        assert_eq!(family_of("rpc_total", MetricType::Counter), "rpc_total");
        assert_eq!(family_of("_sum", MetricType::Histogram), "_sum");
    }
}
