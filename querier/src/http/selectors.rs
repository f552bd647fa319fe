//! `match[]`, `start`, `end`.

use std::sync::Arc;

use model::Matcher;
use promql::parser::{self, ParseOptions};
use rpc::SeriesRequest;

use super::params::Params;
use super::time::{MAX_TIME, MIN_TIME, parse_time};
use super::{ApiError, Call};

/// The request of `series`, `labels` and `label/…/values`; `wrong` says how a selector's error is told, which is not the same for all.
pub(super) fn series_request(call: &Call, limit: usize, wrong: impl Fn(String) -> ApiError) -> Result<SeriesRequest, ApiError> {
    let (min_t, max_t) = time_range(&call.params, MIN_TIME, MAX_TIME)?;
    let selectors = call.params.all("match[]").map(|text| selector(text).map_err(&wrong)).collect::<Result<Vec<_>, _>>()?;
    Ok(SeriesRequest { selectors, min_t, max_t, limit })
}

/// `start` and `end`, or the defaults.
pub(super) fn time_range(params: &Params, start: i64, end: i64) -> Result<(i64, i64), ApiError> {
    Ok((time(params, "start", start)?, time(params, "end", end)?))
}

/// A time that may be left out. Range queries, which need theirs, tell errors without the second half.
pub(super) fn time(params: &Params, name: &str, default: i64) -> Result<i64, ApiError> {
    let Some(text) = params.get(name) else { return Ok(default) };
    parse_time(text).map_err(|e| ApiError::parameter(name, &format!("invalid time value for '{name}': {e}")))
}

/// One `match[]`: a bare selector with at least one matcher that does not match the empty string.
pub(super) fn selector(text: &str) -> Result<Arc<[Matcher]>, String> {
    let matchers = parser::parse_selector(text, &ParseOptions::default()).map_err(|e| e.to_string())?;
    if matchers.iter().all(Matcher::matches_empty) {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(matchers.into())
}

#[cfg(test)]
mod tests {
    use super::{Params, selector, time};

    #[test]
    fn selectors_are_bare_and_select() {
        assert_eq!(selector("up{job=\"a\"}").unwrap().len(), 2);
        for (text, problem) in [
            ("{job=~\".*\"}", "match[] must contain at least one non-empty matcher"),
            ("up[5m]", "1:3: parse error: unexpected \"[\""),
            ("sum(up)", "1:4: parse error: unexpected \"(\""),
            ("", "unknown position: parse error: unexpected end of input"),
        ] {
            assert_eq!(selector(text).unwrap_err(), problem);
        }
    }

    #[test]
    fn times_are_refused_by_name() {
        let params = Params::read(b"start=x&end=5", "").unwrap();
        assert_eq!((time(&params, "end", 1).unwrap(), time(&params, "other", 1).unwrap()), (5_000, 1));
        let problem = "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp";
        assert_eq!(time(&params, "start", 1).unwrap_err().message, problem);
    }
}
