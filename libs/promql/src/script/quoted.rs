//! Quoted text as in PromQL: `"…"` and `'…'` with Go's escapes, `` `…` `` raw.

use super::scan::Scanner;

/// Reads one quoted text.
pub(super) fn quoted(s: &mut Scanner<'_>) -> Result<String, String> {
    let quote = match s.peek() {
        Some(c @ ('"' | '\'' | '`')) => c,
        _ => return Err(s.expected("a quoted text")),
    };
    s.bump();
    if quote == '`' {
        let raw = s.take_while(|c| c != '`');
        return if s.eat("`") { Ok(raw.to_owned()) } else { Err("quoted text is not closed".to_owned()) };
    }
    let mut bytes = Vec::new();
    loop {
        match s.bump() {
            None => return Err("quoted text is not closed".to_owned()),
            Some('\\') => escape(s, quote, &mut bytes)?,
            Some(c) if c == quote => break,
            Some(c) => push(&mut bytes, c),
        }
    }
    String::from_utf8(bytes).map_err(|_| "quoted text is not valid UTF-8".to_owned())
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What follows a backslash.
fn escape(s: &mut Scanner<'_>, quote: char, out: &mut Vec<u8>) -> Result<(), String> {
    let Some(c) = s.bump() else { return Err("quoted text ends in an escape".to_owned()) };
    let byte = match c {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        c if c == quote => quote as u8,
        'x' => code(s, 2, 16)? as u8,
        '0'..='7' => {
            let first = c.to_digit(8).unwrap_or(0);
            u8::try_from(first * 64 + code(s, 2, 8)?).map_err(|_| "octal escape above 377".to_owned())?
        }
        'u' | 'U' => {
            let value = code(s, if c == 'u' { 4 } else { 8 }, 16)?;
            push(out, char::from_u32(value).ok_or_else(|| format!("escape names no character: {value:x}"))?);
            return Ok(());
        }
        other => return Err(format!("unknown escape \\{other}")),
    };
    out.push(byte);
    Ok(())
}

/// Exactly `digits` digits.
fn code(s: &mut Scanner<'_>, digits: usize, radix: u32) -> Result<u32, String> {
    let mut value = 0_u32;
    for _ in 0..digits {
        let digit = s.bump().and_then(|c| c.to_digit(radix)).ok_or_else(|| "bad digit in an escape".to_owned())?;
        value = value.checked_mul(radix).and_then(|v| v.checked_add(digit)).ok_or_else(|| "escape out of range".to_owned())?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::{Scanner, quoted};

    #[test]
    fn reads_escapes() {
        let read = |text| quoted(&mut Scanner::new(text));
        for (text, value) in [
            (r#""""#, ""),
            (r#""a\"b'""#, "a\"b'"),
            (r#"'it\'s "x"'"#, "it's \"x\""),
            (r"`a\n`", r"a\n"),
            (r#""\t\n\\\x41\101\u00e9\U0001F600""#, "\t\n\\AAé😀"),
            (r#""\xc3\xa9""#, "é"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(value), "{text}");
        }
        for text in
            ["", "x", "\"", "\"a\\", r#""\q""#, r#""\'""#, r#""\x4""#, r#""\777""#, r#""\uD800""#, r#""\xff""#, r#""\UFFFFFFFF""#, "`a"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
