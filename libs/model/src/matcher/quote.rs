//! Quoting as Go's `strconv.Quote` does, which is how Prometheus prints values and words its errors.

use std::fmt::Write as _;

/// The text in double quotes, escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote_into(&mut out, text);
    out
}

/// Appends [`quote`] of the text.
pub fn quote_into(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        push_escaped(out, c, '"');
    }
    out.push('"');
}

/// [`quote`] of bytes, of which those that are no UTF-8 are escaped one by one.
#[must_use]
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_escaped(&mut out, c, '"'));
        for byte in chunk.invalid() {
            let written = write!(out, "\\x{byte:02x}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
    out.push('"');
    out
}

/// The character in single quotes, escaped.
#[must_use]
pub fn quote_char(c: char) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c, '\'');
    out.push('\'');
    out
}

/// Whether the character is shown as it is: letters, marks, numbers, punctuation, symbols and the ASCII space.
#[must_use]
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return c == ' ' || c.is_ascii_graphic();
    }
    // `str::escape_debug` escapes what is not printable, and combining marks at the start only; hence the leading letter.
    let mut buffer = [b'a'; 5];
    let len = 1 + c.encode_utf8(buffer.get_mut(1..).unwrap_or_default()).len();
    let shown = buffer.get(..len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
    shown.escape_debug().count() == 2
}

fn push_escaped(out: &mut String, c: char, quote: char) {
    let simple = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        '\\' => '\\',
        c if c == quote => c,
        c if is_printable(c) => return out.push(c),
        c => return push_code(out, u32::from(c)),
    };
    out.push('\\');
    out.push(simple);
}

fn push_code(out: &mut String, code: u32) {
    let written = match code {
        0..=0x1f | 0x7f => write!(out, "\\x{code:02x}"),
        0..=0xffff => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_bytes() {
        assert_eq!(quote_bytes(b"a\xc5z\xff\xe2\x98\xba\""), "\"a\\xc5z\\xff\u{263a}\\\"\"");
    }

    #[test]
    fn quotes_like_go() {
        assert_eq!(quote("a\"b\\c'\n\t\x07\x7f\0"), r#""a\"b\\c'\n\t\a\x7f\x00""#);
        assert_eq!(quote("ü☺\u{fffd}e\u{301}"), "\"ü☺\u{fffd}e\u{301}\"");
        assert_eq!(quote("\u{a0}\u{200b}\u{feff}\u{10ffff}\u{e000}"), r#""\u00a0\u200b\ufeff\U0010ffff\ue000""#);
        assert_eq!(quote("\u{80}\u{ad}\u{2028}"), r#""\u0080\u00ad\u2028""#);
        assert_eq!(quote_char('\''), r"'\''");
        assert_eq!(quote_char('"'), "'\"'");
    }
}
