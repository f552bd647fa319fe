//! Lines to commands.

use hashbrown::HashMap;
use model::Labels;

use super::ScriptError;
use super::duration::parse_duration;
use super::expect::{Expectation, ExpectationReader, LegacyMode, TimeRange, parse_time_range};
use super::pattern::{EVAL_INSTANT, EVAL_RANGE, LOAD, word};
use super::series::{SeriesLine, ValueBudget, parse_series_line};
use super::start_times::{is_start_times, parse_start_times};

/// One command.
#[derive(Debug)]
pub(super) enum Command {
    /// Drop all data.
    Clear,
    /// Add data.
    Load(LoadCommand),
    /// Run a query.
    Eval(EvalCommand),
}

/// `load`.
#[derive(Debug)]
pub(super) struct LoadCommand {
    /// Milliseconds between values.
    pub(super) step: i64,
    /// Also build histograms with custom buckets from classic ones.
    pub(super) with_nhcb: bool,
    pub(super) series: Vec<LoadSeries>,
}

/// One series of a `load`.
#[derive(Debug)]
pub(super) struct LoadSeries {
    /// The line in the script, from 1.
    pub(super) line: usize,
    pub(super) data: SeriesLine,
    /// Start times from an `@st` line, in milliseconds relative to the value at the same place; as long as the values, or
    /// empty without such a line.
    pub(super) start_offsets: Vec<Option<i64>>,
}

/// `eval`.
#[derive(Debug)]
pub(super) struct EvalCommand {
    /// The line in the script, from 1.
    pub(super) line: usize,
    pub(super) expression: String,
    pub(super) time: EvalTime,
    pub(super) expectation: Expectation,
}

/// When a query is evaluated, in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EvalTime {
    Instant(i64),
    Range(TimeRange),
}

/// Reads a script command by command.
#[derive(Debug)]
pub(super) struct CommandReader<'a> {
    /// Trimmed; comments are empty lines.
    lines: Vec<&'a str>,
    next: usize,
    budget: ValueBudget,
}

impl<'a> CommandReader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let clean = |line: &'a str| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        };
        Self { lines: text.split('\n').map(clean).collect(), next: 0, budget: ValueBudget::new() }
    }

    /// The next command, `None` at the end.
    pub(super) fn command(&mut self) -> Result<Option<Command>, ScriptError> {
        while let Some((line, text)) = self.any_line() {
            if text.is_empty() {
                continue;
            }
            let word = text.split([' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
            return match word.as_str() {
                "clear" => Ok(Some(Command::Clear)),
                w if w.starts_with("load") => self.load(line, text).map(Command::Load).map(Some),
                w if w.starts_with("eval") => self.eval(line, text).map(Command::Eval).map(Some),
                _ => Err(ScriptError::new(line, format!("unknown command {word:?}"))),
            };
        }
        Ok(None)
    }

    /// The next line and its number from 1.
    fn any_line(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.next)?;
        self.next += 1;
        Some((self.next, line))
    }

    /// The next line of the current block, which an empty line ends.
    fn block_line(&mut self) -> Option<(usize, &'a str)> {
        self.any_line().filter(|(_, text)| !text.is_empty())
    }

    fn load(&mut self, line: usize, text: &str) -> Result<LoadCommand, ScriptError> {
        let captures = LOAD.captures(text).ok_or_else(|| ScriptError::new(line, "load needs a step: load <step>"))?;
        let step = parse_duration(word(&captures, 2)).map_err(|e| ScriptError::new(line, e))?;
        let mut command = LoadCommand { step, with_nhcb: !word(&captures, 1).is_empty(), series: Vec::new() };
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut start: Option<(Labels, Vec<Option<i64>>)> = None;
        while let Some((line, text)) = self.block_line() {
            let at = |e: String| ScriptError::new(line, e);
            if is_start_times(text) {
                if start.is_some() {
                    return Err(at("start times must be followed by the series' values".to_owned()));
                }
                start = Some(parse_start_times(text).map_err(at)?);
                continue;
            }
            let data = parse_series_line(text, &mut self.budget).map_err(at)?;
            let start_offsets = start.take().map_or(Ok(Vec::new()), |s| start_offsets_for(&data, s)).map_err(at)?;
            let series = LoadSeries { line, data, start_offsets };
            // Of several lines for one series the last counts, as upstream: data of later `load`s is added, that of one is not.
            let at = *places.entry(series.data.labels.clone()).or_insert(command.series.len());
            match command.series.get_mut(at) {
                Some(earlier) => *earlier = series,
                None => command.series.push(series),
            }
        }
        match start {
            Some((labels, _)) => Err(ScriptError::new(line, format!("start times of {labels} are not followed by values"))),
            None => Ok(command),
        }
    }

    fn eval(&mut self, line: usize, text: &str) -> Result<EvalCommand, ScriptError> {
        let at = |e: String| ScriptError::new(line, e);
        let (mode, time, expression) = if let Some(c) = EVAL_INSTANT.captures(text) {
            let time = word(&c, 2);
            let time = if time.is_empty() { 0 } else { parse_duration(time).map_err(at)? };
            (word(&c, 1), EvalTime::Instant(time), word(&c, 3))
        } else if let Some(c) = EVAL_RANGE.captures(text) {
            let range = parse_time_range(word(&c, 2), word(&c, 3), word(&c, 4)).map_err(at)?;
            (word(&c, 1), EvalTime::Range(range), word(&c, 5))
        } else {
            return Err(at("expected eval instant [at <time>] <query> or eval range from <start> to <end> step <step> <query>".to_owned()));
        };
        let legacy = match mode {
            "fail" => Some(LegacyMode::Fail),
            "warn" => Some(LegacyMode::Warn),
            "info" => Some(LegacyMode::Info),
            "ordered" => Some(LegacyMode::Ordered),
            _ => None,
        };
        let mut reader = ExpectationReader::new(legacy, matches!(time, EvalTime::Instant(_)));
        while !reader.is_complete() {
            let Some((line, text)) = self.block_line() else { break };
            reader.line(text, &mut self.budget).map_err(|e| ScriptError::new(line, e))?;
        }
        Ok(EvalCommand { line, expression: expression.to_owned(), time, expectation: reader.finish() })
    }
}

fn start_offsets_for(data: &SeriesLine, (labels, offsets): (Labels, Vec<Option<i64>>)) -> Result<Vec<Option<i64>>, String> {
    if labels != data.labels {
        return Err(format!("start times of {labels} are followed by values of {}", data.labels));
    }
    if offsets.len() != data.values.len() {
        return Err(format!("{} start times for {} values", offsets.len(), data.values.len()));
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests;
