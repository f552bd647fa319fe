//! Go's layouts: a time is formatted like the reference time Mon Jan 2 15:04:05 MST 2006.

use super::{Civil, MONTHS, WEEKDAYS, civil};

/// The pieces of a layout that mean something; of those that begin alike the longer comes first.
const PIECES: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "__2",
    "_2",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "Z070000",
    "Z07:00:00",
    "Z0700",
    "Z07:00",
    "Z07",
    "-070000",
    "-07:00:00",
    "-0700",
    "-07:00",
    "-07",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// Formats.
pub(super) fn format(nanos: i64, layout: &str) -> String {
    let parts = civil(nanos);
    let mut out = String::with_capacity(layout.len() + 8);
    let mut rest = layout;
    while let Some(c) = rest.chars().next() {
        if let Some(len) = fraction(rest) {
            push_fraction(&mut out, &parts, rest.get(..len).unwrap_or_default());
            rest = rest.get(len..).unwrap_or_default();
        } else if let Some(piece) = PIECES.into_iter().find(|piece| fits(rest, piece)) {
            push_piece(&mut out, &parts, piece);
            rest = rest.get(piece.len()..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

fn fits(rest: &str, piece: &str) -> bool {
    // "_2006" is an underscore and a year.
    rest.starts_with(piece) && !(piece == "_2" && rest.starts_with("_2006")) && !(piece == "Jan" && lower_follows(rest, 3))
}

/// "Janet" is no month.
fn lower_follows(rest: &str, at: usize) -> bool {
    rest.as_bytes().get(at).is_some_and(u8::is_ascii_lowercase)
}

/// The length of `.000` or `,999` that no digit follows.
fn fraction(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let (separator, digit) = (bytes.first()?, bytes.get(1)?);
    if !matches!(separator, b'.' | b',') || !matches!(digit, b'0' | b'9') {
        return None;
    }
    let digits = bytes.iter().skip(1).take_while(|b| *b == digit).count();
    (!bytes.get(digits + 1).is_some_and(u8::is_ascii_digit)).then_some(digits + 1)
}

fn push_fraction(out: &mut String, parts: &Civil, piece: &str) {
    let digits = piece.len().saturating_sub(1).min(9);
    let all = format!("{:09}", parts.nanos);
    let mut kept = all.get(..digits).unwrap_or_default();
    if piece.ends_with('9') {
        kept = kept.trim_end_matches('0');
        if kept.is_empty() {
            return;
        }
    }
    out.extend(piece.chars().next());
    out.push_str(kept);
}

fn push_piece(out: &mut String, parts: &Civil, piece: &str) {
    let name = |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or_default();
    let (month, weekday) = (name(&MONTHS, parts.month - 1), name(&WEEKDAYS, parts.weekday));
    let hour12 = if parts.hour % 12 == 0 { 12 } else { parts.hour % 12 };
    let half = if parts.hour < 12 { "AM" } else { "PM" };
    let text = match piece {
        "January" => month.to_owned(),
        "Jan" => month.get(..3).unwrap_or_default().to_owned(),
        "Monday" => weekday.to_owned(),
        "Mon" => weekday.get(..3).unwrap_or_default().to_owned(),
        "MST" => "UTC".to_owned(),
        "2006" => format!("{:04}", parts.year),
        "06" => format!("{:02}", parts.year.rem_euclid(100)),
        "__2" => format!("{:3}", parts.day_of_year),
        "002" => format!("{:03}", parts.day_of_year),
        "_2" => format!("{:2}", parts.day),
        "02" => format!("{:02}", parts.day),
        "2" => parts.day.to_string(),
        "01" => format!("{:02}", parts.month),
        "1" => parts.month.to_string(),
        "15" => format!("{:02}", parts.hour),
        "03" => format!("{hour12:02}"),
        "3" => hour12.to_string(),
        "04" => format!("{:02}", parts.minute),
        "4" => parts.minute.to_string(),
        "05" => format!("{:02}", parts.second),
        "5" => parts.second.to_string(),
        "PM" => half.to_owned(),
        "pm" => half.to_ascii_lowercase(),
        zone if zone.starts_with('Z') => "Z".to_owned(),
        zone => zone.replace("-07", "+00"),
    };
    out.push_str(&text);
}
