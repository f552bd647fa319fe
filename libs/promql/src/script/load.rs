//! `load`: series lines into the store.

use std::sync::Arc;

use super::ScriptError;
use super::command::{LoadCommand, LoadSeries};
use super::nhcb::classic_to_native;
use super::series::ScriptValue;
use crate::memory::MemoryStorage;
use crate::value::{Point, PointValue};

/// Adds the series of a `load` to what is there.
pub(super) fn load(command: &LoadCommand, storage: &mut MemoryStorage) -> Result<(), ScriptError> {
    for series in &command.series {
        let at = |e: String| ScriptError::new(series.line, e);
        let (points, starts) = points(series, command.step).map_err(at)?;
        storage.append_with_start_times(&series.data.labels, &points, &starts).map_err(|e| at(e.to_string()))?;
    }
    let line = command.series.first().map_or(0, |s| s.line);
    let native = if command.with_nhcb { classic_to_native(&command.series) } else { Ok(Vec::new()) };
    for (labels, histograms) in native.map_err(|e| ScriptError::new(line, e))? {
        let point = |(i, histogram)| Ok(Point { t: time_of(i, command.step)?, value: PointValue::Histogram(Arc::new(histogram)) });
        let points: Result<Vec<Point>, String> = histograms.into_iter().map(point).collect();
        let appended = points.and_then(|points| storage.append(&labels, &points).map_err(|e| e.to_string()));
        appended.map_err(|e| ScriptError::new(line, e))?;
    }
    Ok(())
}

/// The samples, and when their counters began where an `@st` line tells it.
fn points(series: &LoadSeries, step: i64) -> Result<(Vec<Point>, Vec<Option<i64>>), String> {
    let mut points = Vec::with_capacity(series.data.values.len());
    let mut starts = Vec::with_capacity(series.start_offsets.len());
    for (i, value) in series.data.values.iter().enumerate() {
        let value = match value {
            None => continue,
            Some(ScriptValue::Float(v)) => PointValue::Float(*v),
            Some(ScriptValue::Histogram(h)) => PointValue::Histogram(Arc::new(h.histogram.clone())),
        };
        let t = time_of(i, step)?;
        points.push(Point { t, value });
        starts.push(match series.start_offsets.get(i).copied().flatten() {
            None => None,
            Some(offset) => Some(t.checked_add(offset).ok_or_else(|| "a start time reaches beyond the end of time".to_owned())?),
        });
    }
    Ok((points, starts))
}

/// Milliseconds of the value at position `i`.
fn time_of(i: usize, step: i64) -> Result<i64, String> {
    i64::try_from(i).ok().and_then(|i| i.checked_mul(step)).ok_or_else(|| "the values reach beyond the end of time".to_owned())
}
