//! The answer: streams to values.

use std::sync::Arc;

use model::Labels;

use super::build::Builder;
use super::column::{HistogramAtStep, ScalarColumn, StepVector, is_absent};
use super::identity::without_metadata;
use super::meter::Meter;
use super::samples::Samples;
use super::series::{BoxStream, DuplicateGuard, Merged, Series};
use super::{QueryState, Windows};
use crate::error::QueryError;
use crate::functions::extended;
use crate::histogram;
use crate::limits::Charge;
use crate::plan::{Extension, Grid, MatrixPlan, QueryTime};
use crate::value::{InstantSeries, Point, PointValue, QueryValue, RangeSeries};

/// The answer of a scalar expression.
pub(super) fn scalar(column: &ScalarColumn, grid: Grid, time: QueryTime) -> QueryValue {
    if !time.is_range() {
        return QueryValue::Scalar { t: time.start, v: column.at(0) };
    }
    let points = grid.iter().enumerate().map(|(step, t)| Point { t, value: PointValue::Float(column.at(step)) }).collect();
    QueryValue::Matrix(vec![RangeSeries { labels: Labels::empty(), points }])
}

/// The answer of a vector expression.
pub(super) fn vector(stream: BoxStream, grid: Grid, time: QueryTime, state: &Arc<QueryState>) -> Result<QueryValue, QueryError> {
    if time.is_range() {
        range(stream, grid, state).map(QueryValue::Matrix)
    } else {
        instant(stream, time.start, state).map(QueryValue::Vector)
    }
}

/// With delayed name removal, removes the names now.
fn clean(series: &mut Series, state: &QueryState) {
    if state.delayed_name_removal && series.drop_name {
        series.labels = without_metadata(&series.labels);
        series.drop_name = false;
    }
}

fn instant(mut stream: BoxStream, t: i64, state: &Arc<QueryState>) -> Result<Vec<InstantSeries>, QueryError> {
    let mut charge = Charge::none(&state.budget);
    let mut guard = DuplicateGuard::new(state);
    let mut out = Vec::new();
    while let Some(batch) = stream.next_batch()? {
        state.check()?;
        charge.grow(batch.iter().map(|s| size_of::<InstantSeries>() + s.labels.as_bytes().len() + s.column.histogram_bytes()).sum())?;
        for mut series in batch {
            clean(&mut series, state);
            if state.delayed_name_removal {
                guard.check(&series)?;
            }
            let value = match (series.column.values.first(), series.column.histogram_at(0)) {
                (_, Some(histogram)) => PointValue::Histogram(Arc::clone(histogram)),
                (Some(v), None) if !is_absent(*v) => PointValue::Float(*v),
                _ => continue,
            };
            out.push(InstantSeries { labels: series.labels, point: Point { t, value } });
        }
    }
    Ok(out)
}

fn range(mut stream: BoxStream, grid: Grid, state: &Arc<QueryState>) -> Result<Vec<RangeSeries>, QueryError> {
    let mut charge = Charge::none(&state.budget);
    let mut out = Vec::new();
    if stream.whole() && !state.delayed_name_removal {
        while let Some(batch) = stream.next_batch()? {
            state.check()?;
            for series in batch {
                out.extend(finished(series, grid, &mut charge)?);
            }
        }
    } else {
        let mut merged = Merged::default();
        while let Some(batch) = stream.next_batch()? {
            state.check()?;
            for mut series in batch {
                clean(&mut series, state);
                merged.add(series, &mut charge)?;
            }
        }
        for series in merged.series {
            out.extend(finished(series, grid, &mut charge)?);
        }
    }
    out.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(out)
}

fn finished(series: Series, grid: Grid, charge: &mut Charge) -> Result<Option<RangeSeries>, QueryError> {
    let points = points(&series.column, grid);
    if points.is_empty() {
        return Ok(None);
    }
    let histograms = series.column.histogram_bytes();
    charge.grow(size_of::<RangeSeries>() + series.labels.as_bytes().len() + points.len() * size_of::<Point>() + histograms)?;
    Ok(Some(RangeSeries { labels: series.labels, points }))
}

fn points(column: &StepVector, grid: Grid) -> Vec<Point> {
    let present = column.values.iter().filter(|v| !is_absent(**v)).count() + column.histograms().len();
    let mut points = Vec::with_capacity(present);
    let floats = column.values.iter().enumerate().filter(|(_, v)| !is_absent(**v));
    points.extend(floats.map(|(step, v)| Point { t: grid.at(step), value: PointValue::Float(*v) }));
    if !column.histograms().is_empty() {
        let histogram = |(step, h): &HistogramAtStep| Point { t: grid.at(*step as usize), value: PointValue::Histogram(Arc::clone(h)) };
        points.extend(column.histograms().iter().map(histogram));
        points.sort_by_key(|p| p.t);
    }
    points
}

/// The answer of a range vector expression: the samples of its only window.
pub(super) fn matrix(builder: &Builder<'_>, plan: &MatrixPlan, state: &Arc<QueryState>) -> Result<QueryValue, QueryError> {
    let (inner, extension) = match plan {
        MatrixPlan::Selector(selector) => (Meter::off(), selector.extended),
        MatrixPlan::Subquery(subquery) => (builder.meter().in_subquery(subquery.inner_grid.count()), None),
    };
    let (mut feed, windows) = builder.windows(plan, inner)?;
    let mut charge = Charge::none(&state.budget);
    let mut out = Vec::new();
    while let Some((labels, drop_name, samples)) = feed.next()? {
        let points = match extension {
            Some(extension) => extended_points(samples, &windows, extension)?,
            None => window_points(samples, &windows),
        };
        if points.is_empty() {
            continue;
        }
        if matches!(plan, MatrixPlan::Selector(_)) {
            builder.meter().windows(&windows, None, samples);
        }
        let histograms: usize = points.iter().map(histogram_bytes).sum();
        charge.grow(size_of::<RangeSeries>() + labels.as_bytes().len() + points.len() * size_of::<Point>() + histograms)?;
        let labels = if drop_name && state.delayed_name_removal { without_metadata(&labels) } else { labels };
        out.push(RangeSeries { labels, points });
    }
    out.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    if out.windows(2).any(|pair| matches!(pair, [a, b] if a.labels == b.labels)) {
        return Err(super::series::same_labelset());
    }
    Ok(QueryValue::Matrix(out))
}

fn extended_points(samples: &Samples, windows: &Windows, extension: Extension) -> Result<Vec<Point>, QueryError> {
    let points = extended::points(windows, extension, samples)?;
    Ok(points.into_iter().map(|(t, v)| Point { t, value: PointValue::Float(v) }).collect())
}

fn histogram_bytes(point: &Point) -> usize {
    match &point.value {
        PointValue::Float(_) => 0,
        PointValue::Histogram(h) => histogram::bytes(h),
    }
}

fn window_points(samples: &Samples, windows: &Windows) -> Vec<Point> {
    let mut points = Vec::new();
    windows.each(&samples.ts, |w| {
        points.extend((w.lo..w.hi).map(|i| Point { t: samples.ts[i], value: PointValue::Float(samples.vs[i]) }));
    });
    let times: Vec<i64> = samples.histograms.iter().map(|(t, _)| *t).collect();
    let floats = points.len();
    windows.each(&times, |w| {
        let histograms = samples.histograms[w.lo..w.hi].iter();
        points.extend(histograms.map(|(t, h)| Point { t: *t, value: PointValue::Histogram(Arc::clone(h)) }));
    });
    if points.len() > floats {
        points.sort_by_key(|p| p.t);
    }
    points
}
