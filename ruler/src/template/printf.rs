//! Go's `fmt`, as far as templates reach it.

use promql::functions::number;

use super::value::Value;

/// The widest field and the most decimals: Go's own bound.
const MAX_WIDTH: usize = 1_000_000;

/// What is written at most; the template's own bound is lower.
const MAX_LENGTH: usize = super::MAX_OUTPUT * 2;

/// `Sprint`: a space between two values of which neither is a text.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in values.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|before| values.get(before));
        if before.is_some_and(|before| !before.is_text() && !value.is_text()) {
            out.push(' ');
        }
        out.push_str(&value.show());
    }
    out
}

/// `Sprintln`.
pub(super) fn println(values: &[Value]) -> String {
    let shown: Vec<String> = values.iter().map(Value::show).collect();
    format!("{}\n", shown.join(" "))
}

/// `%.4g`.
pub(super) fn significant(v: f64) -> String {
    general(v, 4, false)
}

#[derive(Default, Clone, Copy)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `Sprintf`.
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len() + 16);
    let (mut rest, mut next) = (format, 0);
    while let Some((text, directive)) = rest.split_once('%') {
        out.push_str(text);
        rest = directive;
        let mut flags = Flags::default();
        if let Some(problem) = read_flags(&mut rest, &mut flags, args, &mut next) {
            out.push_str(problem);
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = rest.get(verb.len_utf8()..).unwrap_or_default();
        if verb == '%' {
            out.push('%');
            continue;
        }
        match args.get(next) {
            Some(value) => out.push_str(&formatted(value, verb, flags)),
            None => out.push_str(&format!("%!{verb}(MISSING)")),
        }
        next += 1;
        if out.len() > MAX_LENGTH {
            return out;
        }
    }
    if !out.ends_with("%!(NOVERB)") {
        out.push_str(rest);
    }
    let extra: Vec<String> = args.iter().skip(next).map(|v| format!("{}={}", v.type_name(), v.show())).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

/// Reads flags, width and precision; a text to write if they are wrong.
fn read_flags(rest: &mut &str, flags: &mut Flags, args: &[Value], next: &mut usize) -> Option<&'static str> {
    while let Some(c) = rest.chars().next() {
        match c {
            '+' => flags.plus = true,
            '-' => flags.minus = true,
            '#' => flags.sharp = true,
            ' ' => flags.space = true,
            '0' => flags.zero = true,
            _ => break,
        }
        *rest = rest.get(1..).unwrap_or_default();
    }
    let mut problem = None;
    match read_size(rest, args, next) {
        Ok(Some(width)) => {
            flags.minus |= width < 0;
            flags.width = Some(usize::try_from(width.unsigned_abs()).unwrap_or(0));
        }
        Ok(None) => {}
        Err(()) => problem = Some("%!(BADWIDTH)"),
    }
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        match read_size(rest, args, next) {
            Ok(size) => flags.precision = Some(usize::try_from(size.unwrap_or(0)).unwrap_or(0)),
            Err(()) => problem = Some("%!(BADPREC)"),
        }
    }
    // Zeros pad on the left only.
    flags.zero &= !flags.minus;
    problem
}

fn read_size(rest: &mut &str, args: &[Value], next: &mut usize) -> Result<Option<i64>, ()> {
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        *next += 1;
        return match args.get(*next - 1) {
            Some(Value::Int(n)) if n.unsigned_abs() <= MAX_WIDTH as u64 => Ok(Some(*n)),
            _ => Err(()),
        };
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, after) = rest.split_at(digits);
    *rest = after;
    if number.is_empty() {
        return Ok(None);
    }
    // What is too wide to be meant counts as no width, as in Go.
    Ok(number.parse().ok().filter(|n| *n <= MAX_WIDTH as i64))
}

fn formatted(value: &Value, verb: char, flags: Flags) -> String {
    let text = match (value, verb) {
        (_, 'T') => value.type_name().to_owned(),
        (Value::Missing, 'v') => "<nil>".to_owned(),
        (Value::Missing, _) => format!("%!{verb}(<nil>)"),
        (Value::Float(v), _) => return float(*v, verb, flags).unwrap_or_else(|| bad(value, verb)),
        (Value::Int(n), _) => return integer(*n, verb, flags).unwrap_or_else(|| bad(value, verb)),
        (Value::Text(text), _) => match of_text(text, verb, flags) {
            Some(text) => text,
            None => return bad(value, verb),
        },
        (Value::Bool(_), 'v' | 't') => value.show(),
        (Value::Bool(_), _) => return bad(value, verb),
        (other, _) => match of_text(&other.show(), verb, flags) {
            Some(text) => text,
            None => return bad(value, verb),
        },
    };
    pad(&text, flags)
}

fn bad(value: &Value, verb: char) -> String {
    format!("%!{verb}({}={})", value.type_name(), value.show())
}

fn of_text(text: &str, verb: char, flags: Flags) -> Option<String> {
    let cut = |text: &str| flags.precision.map_or_else(|| text.to_owned(), |p| text.chars().take(p).collect());
    let hex = |upper: bool| {
        let digits: String = text.bytes().map(|b| format!("{b:02x}")).collect();
        if upper { digits.to_uppercase() } else { digits }
    };
    match verb {
        'v' | 's' => Some(cut(text)),
        'q' if flags.sharp && !text.contains('`') => Some(format!("`{}`", cut(text))),
        'q' => Some(model::matcher::quote(&cut(text))),
        'x' => Some(hex(false)),
        'X' => Some(hex(true)),
        _ => None,
    }
}

fn integer(n: i64, verb: char, flags: Flags) -> Option<String> {
    let size = n.unsigned_abs();
    let digits = match verb {
        'v' | 'd' => size.to_string(),
        'b' => format!("{size:b}"),
        'o' | 'O' => format!("{size:o}"),
        'x' => format!("{size:x}"),
        'X' => format!("{size:X}"),
        'c' | 'q' | 'U' => return character(n, verb).map(|text| pad(&text, flags)),
        _ => return None,
    };
    let prefix = match verb {
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        'o' if flags.sharp => "0",
        'O' => "0o",
        _ => "",
    };
    let least = flags.precision.unwrap_or(0);
    let digits = format!("{prefix}{digits:0>least$}");
    let sign = sign(n < 0, flags);
    Some(pad_number(sign, &digits, Flags { zero: flags.zero && flags.precision.is_none(), ..flags }))
}

fn character(n: i64, verb: char) -> Option<String> {
    let c = u32::try_from(n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
    match verb {
        'c' => Some(c.to_string()),
        'q' => Some(model::matcher::quote_char(c)),
        _ => Some(format!("U+{:04X}", u32::from(c))),
    }
}

fn sign(negative: bool, flags: Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn float(v: f64, verb: char, flags: Flags) -> Option<String> {
    let size = v.abs();
    let digits = match (verb, flags.precision) {
        ('e' | 'f' | 'F' | 'g' | 'v' | 'E' | 'G', _) if !v.is_finite() => if v.is_nan() { "NaN" } else { "Inf" }.to_owned(),
        ('f' | 'F', precision) => format!("{size:.*}", precision.unwrap_or(6)),
        ('e', precision) => exponent(size, precision.unwrap_or(6)),
        ('E', precision) => exponent(size, precision.unwrap_or(6)).to_uppercase(),
        ('g' | 'v', None) => number::general(size),
        ('G', None) => number::general(size).to_uppercase(),
        ('g' | 'v', Some(precision)) => general(size, precision, flags.sharp),
        ('G', Some(precision)) => general(size, precision, flags.sharp).to_uppercase(),
        _ => return None,
    };
    let sign = match (v.is_infinite(), v.is_nan()) {
        // Infinity always shows its sign.
        (true, _) => {
            if v > 0.0 {
                "+"
            } else {
                "-"
            }
        }
        (_, true) => "",
        _ => sign(v.is_sign_negative(), flags),
    };
    Some(pad_number(sign, &digits, Flags { zero: flags.zero && v.is_finite(), ..flags }))
}

/// `%.{precision}e`
fn exponent(v: f64, precision: usize) -> String {
    let text = format!("{v:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%.{precision}g`
fn general(v: f64, precision: usize, keep_zeros: bool) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let precision = precision.max(1);
    let text = exponent(v, precision - 1);
    let power: i64 = text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') && !keep_zeros {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= i64::try_from(precision).unwrap_or(i64::MAX) {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", trim(mantissa));
    }
    let decimals = usize::try_from(i64::try_from(precision).unwrap_or(i64::MAX) - 1 - power).unwrap_or(0);
    trim(&format!("{v:.decimals$}"))
}

fn pad_number(sign: &str, digits: &str, flags: Flags) -> String {
    let width = flags.width.unwrap_or(0);
    let missing = width.saturating_sub(sign.len() + digits.len());
    if flags.zero && missing > 0 {
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    pad(&format!("{sign}{digits}"), flags)
}

fn pad(text: &str, flags: Flags) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if flags.zero { "0" } else { " " }.repeat(missing);
    if flags.minus { format!("{text}{fill}") } else { format!("{fill}{text}") }
}
