//! What a quoted text says.

/// Decodes a text that the lexer accepted, quotes included.
///
/// Escapes name bytes (`\xff`, `\377`) as well as characters. Label values and PromQL texts are UTF-8 everywhere in Plimsoll, so
/// bytes that make no valid character become U+FFFD each; no stored series can hold such bytes.
pub(super) fn unquote(quoted: &str) -> String {
    String::from_utf8(unquote_bytes(quoted)).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The bytes that a text names if they are no UTF-8, for printing them as they were.
pub(super) fn undecodable(quoted: &str) -> Option<Box<[u8]>> {
    String::from_utf8(unquote_bytes(quoted)).err().map(|e| e.into_bytes().into_boxed_slice())
}

fn unquote_bytes(quoted: &str) -> Vec<u8> {
    let mut chars = quoted.chars();
    let quote = chars.next();
    chars.next_back();
    let inner = chars.as_str();
    if quote == Some('`') || !inner.contains('\\') {
        return inner.as_bytes().to_owned();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            unescape(&mut chars, &mut bytes);
        } else {
            push_char(&mut bytes, c);
        }
    }
    bytes
}

fn unescape(chars: &mut std::str::Chars<'_>, out: &mut Vec<u8>) {
    let Some(c) = chars.next() else { return };
    let mut code = |first: u32, digits: usize, base: u32| {
        chars.by_ref().take(digits).filter_map(|c| c.to_digit(base)).fold(first, |code, digit| code.wrapping_mul(base).wrapping_add(digit))
    };
    match c {
        'a' => out.push(0x07),
        'b' => out.push(0x08),
        'f' => out.push(0x0c),
        'n' => out.push(b'\n'),
        'r' => out.push(b'\r'),
        't' => out.push(b'\t'),
        'v' => out.push(0x0b),
        'x' => out.push(low_byte(code(0, 2, 16))),
        'u' => push_char(out, char::from_u32(code(0, 4, 16)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        'U' => push_char(out, char::from_u32(code(0, 8, 16)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        '0'..='7' => out.push(low_byte(code(u32::from(c) - u32::from('0'), 2, 8))),
        other => push_char(out, other),
    }
}

/// The lexer refuses what is more than a byte.
fn low_byte(code: u32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or_default()
}

fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes() {
        assert_eq!(unquote(r#""\a\b\f\n\r\t\v\\\"""#), "\x07\x08\x0c\n\r\t\x0b\\\"");
        assert_eq!(unquote(r"'\'\x41\101\u263a\U0001F600'"), "'AA☺😀");
        assert_eq!(unquote(r"`\d+\`"), r"\d+\");
        assert_eq!(unquote(r#""\xc3\xbc""#), "ü");
        assert_eq!(unquote(r#""a\xffb\377""#), "a\u{fffd}b\u{fffd}");
        assert_eq!(unquote(r#""ü\n""#), "ü\n");
    }
}
