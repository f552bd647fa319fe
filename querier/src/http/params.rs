//! Parameters from the query string and from form bodies.

use std::num::IntErrorKind;

use super::ApiError;

/// More parameters than any real request has.
const MAX_PARAMS: usize = 10_000;

/// All parameters; those of the form come first, as in Go, so that they win.
#[derive(Debug, Default)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Reads them. An expression (`query`) of more than `longest` bytes is refused before it is decoded.
    pub(crate) fn read(form: &[u8], query: &str, longest: usize) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        for source in [form, query.as_bytes()] {
            for part in source.split(|b| *b == b'&').filter(|part| !part.is_empty()) {
                if pairs.len() >= MAX_PARAMS {
                    return Err(ApiError::bad_data(format!("more than {MAX_PARAMS} parameters")));
                }
                let at = part.iter().position(|b| *b == b'=').unwrap_or(part.len());
                let (name, value) = part.split_at(at);
                let value = value.get(1..).unwrap_or_default();
                if name == b"query" {
                    check_length(value, longest)?;
                }
                pairs.push((decode(name)?, decode(value)?));
            }
        }
        Ok(Self { pairs })
    }

    /// The first value of a parameter, if there is one and it is not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// `limit` of queries and of label APIs: 0 is none. Errors are Go's.
    pub(crate) fn limit(&self, name: &str) -> Result<usize, ApiError> {
        let number = self.number(name).map_err(|(text, kind)| {
            let problem = if kind.is_overflow() { "value out of range" } else { "invalid syntax" };
            ApiError::parameter(name, &format!("strconv.Atoi: parsing {text:?}: {problem}"))
        })?;
        if number < 0 {
            return Err(ApiError::parameter(name, &format!("{name} must be non-negative")));
        }
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Limits of metadata: what is not positive is none.
    pub(crate) fn plain_limit(&self, name: &str) -> Result<usize, ApiError> {
        let number = self.number(name).map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
        Ok(usize::try_from(number).unwrap_or(0))
    }

    fn number(&self, name: &str) -> Result<i64, (&str, NotANumber)> {
        let Some(text) = self.get(name) else { return Ok(0) };
        text.parse().map_err(|e: std::num::ParseIntError| (text, NotANumber(e)))
    }
}

/// Every escape is three bytes for one.
fn check_length(value: &[u8], longest: usize) -> Result<(), ApiError> {
    let decoded = value.len().saturating_sub(2 * value.iter().filter(|b| **b == b'%').count());
    if decoded > longest {
        let limit = limits::named("max_query_expression_bytes", longest, "bytes");
        return Err(ApiError::parameter(
            "query",
            &format!("expression of {decoded} bytes is longer than the limit of {longest} bytes ({limit})"),
        ));
    }
    Ok(())
}

struct NotANumber(std::num::ParseIntError);

impl NotANumber {
    fn is_overflow(&self) -> bool {
        matches!(self.0.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow)
    }
}

/// `application/x-www-form-urlencoded`: `+` is a space, `%41` a byte.
fn decode(text: &[u8]) -> Result<String, ApiError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = tail.get(..2).and_then(|d| std::str::from_utf8(d).ok()).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                out.push(byte.ok_or_else(|| ApiError::bad_data("invalid URL escape in a parameter"))?);
                rest = tail.get(2..).unwrap_or_default();
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).map_err(|_| ApiError::bad_data("a parameter is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::Params;

    #[test]
    fn form_wins_and_escapes_are_read() {
        let params = Params::read(b"query=a%2Bb+c&match[]=x", "query=z&match%5B%5D=y&empty=", 99).unwrap();
        assert_eq!(params.get("query"), Some("a+b c"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(params.get("empty"), None);
        assert!(Params::read(b"a=%f", "", 99).is_err());
        assert!(Params::read(b"a=%ff", "", 99).is_err());
        assert!(Params::read(b"a=%+1", "", 99).is_err());
    }

    #[test]
    fn a_long_expression_is_not_even_decoded() {
        let read = |form: &[u8]| Params::read(form, "", 3).map_err(|e| e.message);
        assert_eq!(read(b"query=a%2Bb&other=abcdef").unwrap().get("query"), Some("a+b"));
        let error = read(b"query=%41%42%43%44").unwrap_err();
        assert!(
            error.contains("expression of 4 bytes is longer than the limit of 3 bytes (limit: max_query_expression_bytes = 3 bytes"),
            "{error}"
        );
    }

    #[test]
    fn limits_are_refused_in_the_words_of_each_api() {
        let limit = |text: &str| Params::read(format!("limit={text}").as_bytes(), "", 99).unwrap().limit("limit").map_err(|e| e.message);
        assert_eq!((limit(""), limit("0"), limit("7")), (Ok(0), Ok(0), Ok(7)));
        for (text, problem) in [
            ("-1", "limit must be non-negative"),
            ("abc", "strconv.Atoi: parsing \"abc\": invalid syntax"),
            ("99999999999999999999", "strconv.Atoi: parsing \"99999999999999999999\": value out of range"),
        ] {
            assert_eq!(limit(text), Err(format!("invalid parameter \"limit\": {problem}")));
        }
        let plain =
            |text: &str| Params::read(format!("limit={text}").as_bytes(), "", 99).unwrap().plain_limit("limit").map_err(|e| e.message);
        assert_eq!((plain("-1"), plain("7"), plain("x")), (Ok(0), Ok(7), Err("limit must be a number".to_owned())));
    }
}
