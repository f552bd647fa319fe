//! `info`: series with the labels of the info metrics that describe their target.
//!
//! The input is read first: its `instance` and `job` values say which info series are asked for. At each step, each info metric has at
//! most one series per target, that with the newest sample; so the labels of a result may change from step to step, and one input
//! series becomes as many pieces as there are sets of info series over the steps.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp, Matcher};

use super::QueryState;
use super::column::{StepVector, is_absent};
use super::meter::Meter;
use super::presence::Presence;
use super::selector::{Feed, look_back};
use super::series::{BoxStream, DuplicateGuard, Ready, Series, Stream};
use crate::error::QueryError;
use crate::limits::Charge;
use crate::plan::{InfoPlan, SampleRead, SelectorPlan};
use crate::storage::Queryable;

/// The labels by which an info series and the series that it describes know each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// More values of an identifying label than this are not put into a matcher: the store would spend more on it than it saves.
const MAX_VALUES: usize = 1_000;

/// The operator.
pub(super) struct Info {
    input: Option<BoxStream>,
    plan: InfoPlan,
    storage: Arc<dyn Queryable>,
    meter: Meter,
    ready: Option<Ready>,
    state: Arc<QueryState>,
}

impl Info {
    /// `input` need not yield whole series.
    pub(super) fn new(input: BoxStream, plan: InfoPlan, storage: &Arc<dyn Queryable>, meter: Meter, state: &Arc<QueryState>) -> Self {
        Self { input: Some(input), plan, storage: Arc::clone(storage), meter, ready: None, state: Arc::clone(state) }
    }

    /// Whether a series is one of an info metric itself.
    fn is_info(&self, labels: &Labels) -> bool {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        self.plan.names.iter().all(|m| m.matches(name))
    }

    fn evaluate(&self, mut input: BoxStream) -> Result<Ready, QueryError> {
        let mut charge = Charge::none(&self.state.budget);
        let mut base = Vec::new();
        while let Some(batch) = input.next_batch()? {
            self.state.check()?;
            charge.grow(batch.iter().map(Series::heap_bytes).sum())?;
            base.extend(batch);
        }
        let targets = Targets::of(base.iter().map(|s| &s.labels).filter(|labels| !self.is_info(labels)));
        let known = self.fetch(&targets, &mut charge)?;
        known.check_newest(&base)?;
        let mut guard = DuplicateGuard::new(&self.state);
        let mut out = Vec::new();
        for series in base {
            self.state.check()?;
            let pieces = if self.is_info(&series.labels) { vec![series] } else { self.enrich(&series, &known)? };
            for piece in pieces {
                guard.check(&piece)?;
                charge.grow(piece.heap_bytes())?;
                out.push(piece);
            }
        }
        Ok(Ready::new(out, charge))
    }

    /// The info series of all targets.
    fn fetch(&self, targets: &Targets, charge: &mut Charge) -> Result<Known, QueryError> {
        let mut known = Known::default();
        if targets.is_empty() {
            return Ok(known);
        }
        let mut matchers = targets.matchers()?;
        matchers.extend(self.plan.names.iter().chain(&self.plan.data).cloned());
        let plan = SelectorPlan { matchers: matchers.into(), ..self.plan.selector.clone() };
        let mut feed = Feed::open(&plan, self.storage.as_ref(), &self.state)?;
        let steps = plan.grid.count();
        while let Some((labels, samples)) = feed.next()? {
            if !targets.have(&labels) {
                continue;
            }
            let mut values = StepVector::absent(steps);
            look_back(&plan, samples, SampleRead::Value, &mut values);
            if !values.histograms().is_empty() {
                return Err(QueryError::Execution(format!("this should be an info metric, with float samples: {labels}")));
            }
            let mut column = StepVector::absent(steps);
            look_back(&plan, samples, SampleRead::Timestamp, &mut column);
            if !column.is_empty() {
                self.meter.column(&column);
                charge.grow(2 * labels.as_bytes().len() + column.heap_bytes() + 64)?;
                known.add(labels, column);
            }
        }
        Ok(known)
    }

    /// A series with the labels of its info series: a piece for each set of these.
    fn enrich(&self, series: &Series, known: &Known) -> Result<Vec<Series>, QueryError> {
        let metrics = known.of_target(&series.labels);
        let unmatched = self.plan.data.iter().all(Matcher::matches_empty).then(|| series.labels.clone());
        let mut pieces: Vec<(Vec<Option<usize>>, Option<Series>)> = Vec::new();
        for step in (0..series.column.values.len()).filter(|step| series.column.is_present(*step)) {
            let newest: Vec<Option<usize>> = metrics.iter().map(|metric| metric.newest(step)).collect();
            let at = match pieces.iter().position(|(of, _)| *of == newest) {
                Some(at) => at,
                None => {
                    let found: Vec<&Labels> = metrics.iter().zip(&newest).filter_map(|(m, i)| Some(&m.series.get((*i)?)?.0)).collect();
                    let labels = if found.is_empty() { unmatched.clone() } else { Some(self.with_labels(&series.labels, &found)?) };
                    let column = StepVector::absent(series.column.values.len());
                    pieces.push((
                        newest,
                        labels.map(|labels| {
                            let mut piece =
                                Series { labels: series.labels.clone(), drop_name: series.drop_name, first: series.first.clone(), column };
                            piece.relabel(labels, &self.state);
                            piece
                        }),
                    ));
                    pieces.len() - 1
                }
            };
            if let Some((_, Some(piece))) = pieces.get_mut(at) {
                piece.column.values[step] = series.column.values[step];
                if let Some(histogram) = series.column.histogram_at(step) {
                    piece.column.put_histogram(step, Arc::clone(histogram));
                }
            }
        }
        Ok(pieces.into_iter().filter_map(|(_, piece)| piece).collect())
    }

    /// Adds the labels of info series that the series does not have itself.
    fn with_labels(&self, base: &Labels, infos: &[&Labels]) -> Result<Labels, QueryError> {
        let mut added: HashMap<&str, &str> = HashMap::new();
        let mut labels = LabelsBuilder::from_labels(base);
        for (name, value) in infos.iter().flat_map(|info| info.iter()) {
            let wanted = self.plan.data.is_empty() || self.plan.data.iter().any(|m| *m.name == *name);
            if name == METRIC_NAME || !wanted || base.get(name).is_some() {
                continue;
            }
            if added.insert(name, value).is_some_and(|other| other != value) {
                return Err(QueryError::Execution(format!("conflicting label: {name}")));
            }
            labels.set(name, value);
        }
        Ok(labels.build())
    }
}

impl Stream for Info {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        if let Some(input) = self.input.take() {
            self.ready = Some(self.evaluate(input)?);
        }
        Ok(self.ready.as_mut().and_then(Ready::next_batch))
    }

    fn whole(&self) -> bool {
        self.plan.selector.grid.count() <= 1
    }
}

/// The values of each identifying label in the input.
struct Targets {
    values: [BTreeSet<String>; 2],
}

impl Targets {
    fn of<'a>(all: impl Iterator<Item = &'a Labels>) -> Self {
        let mut values = [BTreeSet::new(), BTreeSet::new()];
        for labels in all {
            for (name, values) in IDENTIFYING.iter().zip(&mut values) {
                if let Some(value) = labels.get(name)
                    && !values.contains(value)
                {
                    values.insert(value.to_owned());
                }
            }
        }
        Self { values }
    }

    fn is_empty(&self) -> bool {
        self.values.iter().all(BTreeSet::is_empty)
    }

    /// Whether an info series could be that of a target: a label that no series of the input has says nothing.
    fn have(&self, labels: &Labels) -> bool {
        let fits =
            |(name, values): (&&str, &BTreeSet<String>)| values.is_empty() || labels.get(name).is_some_and(|value| values.contains(value));
        IDENTIFYING.iter().zip(&self.values).all(fits)
    }

    /// The same for the store, as far as it is cheap.
    fn matchers(&self) -> Result<Vec<Matcher>, QueryError> {
        let named = IDENTIFYING.iter().zip(&self.values).filter(|(_, values)| (1..=MAX_VALUES).contains(&values.len()));
        let matcher = |(name, values): (&&str, &BTreeSet<String>)| {
            let pattern: Vec<String> = values.iter().map(|v| regex::escape(v)).collect();
            Matcher::new(MatchOp::Regex, name, &pattern.join("|")).map_err(|e| QueryError::Execution(e.to_string()))
        };
        named.map(matcher).collect()
    }
}

/// The values of the identifying labels.
type Target = [String; 2];

fn target(labels: &Labels) -> Target {
    IDENTIFYING.map(|name| labels.get(name).unwrap_or_default().to_owned())
}

/// Info series by target, then by info metric.
#[derive(Default)]
struct Known {
    targets: HashMap<Target, Vec<InfoMetric>>,
}

/// The series of one info metric that one target has had.
struct InfoMetric {
    name: String,
    /// Labels, and the time of the sample in seconds at each step.
    series: Vec<(Labels, StepVector)>,
}

impl InfoMetric {
    /// The series with the newest sample at a step.
    fn newest(&self, step: usize) -> Option<usize> {
        let times = self.series.iter().enumerate().filter_map(|(i, (_, column))| Some((i, *column.values.get(step)?)));
        times.filter(|(_, t)| !is_absent(*t)).max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(i, _)| i)
    }

    /// Two series whose newest samples at a step are of one time.
    fn conflict(&self, step: usize) -> Option<(&Labels, &Labels, f64)> {
        let (first, column) = self.series.get(self.newest(step)?)?;
        let newest = *column.values.get(step)?;
        let mut equal = self.series.iter().filter(|(_, column)| column.values.get(step) == Some(&newest)).map(|(labels, _)| labels);
        let other = equal.find(|labels| *labels != first)?;
        Some((other, first, newest))
    }
}

impl Known {
    fn add(&mut self, labels: Labels, column: StepVector) {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        let metrics = self.targets.entry(target(&labels)).or_default();
        match metrics.iter_mut().find(|m| m.name == name) {
            Some(metric) => metric.series.push((labels, column)),
            None => metrics.push(InfoMetric { name: name.to_owned(), series: vec![(labels, column)] }),
        }
    }

    fn of_target(&self, labels: &Labels) -> &[InfoMetric] {
        self.targets.get(&target(labels)).map_or(&[], Vec::as_slice)
    }

    /// At every step at which the input has a value, which info series of a target is the newest must be plain, whether or not a series of
    /// the input asks for it.
    fn check_newest(&self, base: &[Series]) -> Result<(), QueryError> {
        let Some(steps) = base.first().map(|s| s.column.values.len()) else { return Ok(()) };
        let mut present = Presence::empty(steps);
        base.iter().for_each(|s| present.add(&Presence::of(&s.column)));
        for metric in self.targets.values().flatten().filter(|m| m.series.len() > 1) {
            for step in (0..steps).filter(|step| present.contains(*step)) {
                if let Some((existing, new, seconds)) = metric.conflict(step) {
                    let t = (seconds * 1000.0).round() as i64;
                    return Err(QueryError::Execution(format!(
                        "found duplicate series for info metric: existing {existing} @ {t}, new {new} @ {t}"
                    )));
                }
            }
        }
        Ok(())
    }
}
