//! `match[]`, `start`, `end`.

use std::sync::Arc;

use model::Matcher;
use promql::parser::{self, ParseOptions};
use rpc::SeriesRequest;

use super::params::Params;
use super::time::{MAX_TIME, MIN_TIME, parse_time};
use super::{ApiError, Call};

/// The request of `series`, `labels` and `label/…/values`, and what the caller is to be warned of; `wrong` says how a selector's error is told, which is not the
/// same for all.
pub(super) fn series_request(
    call: &Call,
    limit: usize,
    wrong: impl Fn(String) -> ApiError,
) -> Result<(SeriesRequest, Vec<String>), ApiError> {
    let (mut min_t, max_t) = time_range(&call.params, MIN_TIME, MAX_TIME)?;
    let mut warnings = Vec::new();
    let longest = call.querier.limits.of(&call.tenant).max_labels_query_length_ms;
    if let Some(start) = shortened(min_t, max_t, longest, call.querier.clock.now_ms()) {
        min_t = start;
        let limit = limits::named("max_labels_query_length_ms", longest, "ms");
        warnings.push(format!("what is further back than such a request may look was left out ({limit})"));
    }
    let selectors = call.params.all("match[]").map(|text| selector(text).map_err(&wrong)).collect::<Result<Vec<_>, _>>()?;
    Ok((SeriesRequest { selectors, min_t, max_t, limit }, warnings))
}

/// The start of a range that is not longer than `longest`, if `[min_t, max_t]` is; the future does not count. 0: nothing is too long.
fn shortened(min_t: i64, max_t: i64, longest: i64, now: i64) -> Option<i64> {
    let start = max_t.min(now).saturating_sub(longest);
    (longest > 0 && min_t < start).then_some(start)
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
    use super::{MAX_TIME, MIN_TIME, Params, selector, shortened, time};

    #[test]
    fn long_ranges_lose_their_start() {
        assert_eq!(shortened(MIN_TIME, MAX_TIME, 100, 1_000), Some(900));
        assert_eq!(shortened(0, 500, 100, 1_000), Some(400));
        assert_eq!((shortened(900, MAX_TIME, 100, 1_000), shortened(400, 500, 100, 1_000)), (None, None));
        assert_eq!(shortened(MIN_TIME, MAX_TIME, 0, 1_000), None);
    }

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
        let params = Params::read(b"start=x&end=5", "", 99).unwrap();
        assert_eq!((time(&params, "end", 1).unwrap(), time(&params, "other", 1).unwrap()), (5_000, 1));
        let problem = "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp";
        assert_eq!(time(&params, "start", 1).unwrap_err().message, problem);
    }
}
