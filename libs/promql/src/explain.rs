//! What a query did: its plan, operator by operator, with figures.
//!
//! Figures of an operator include those of its inputs: an operator pulls its inputs while it is pulled itself. An operator that is shared by
//! several places of the query is told where it is first built; elsewhere stands `shared`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::error::QueryError;
use crate::eval::{BoxStream, Series, Stream};
use crate::limits::Budget;
use crate::parser::ast::TextSpan;
use crate::plan::VectorPlan;

mod describe;

/// Nanoseconds of any monotonic clock. The engine has none of its own.
#[derive(Clone)]
pub struct ExplainClock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl ExplainClock {
    /// A clock that says `now_ns()`.
    pub fn new(now_ns: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ns))
    }
}

impl fmt::Debug for ExplainClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExplainClock")
    }
}

/// The operators of a query, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explain {
    /// One for a vector expression; a scalar expression may have several or none.
    pub operators: Vec<Operator>,
}

/// One operator and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// What it is, for example `aggregate`.
    pub name: &'static str,
    /// What exactly, in PromQL's words.
    pub detail: String,
    /// Where it stands in the expression, in bytes: from, to (exclusive).
    pub span: (u32, u32),
    /// Times that it was evaluated at.
    pub steps: usize,
    /// Series that it yielded.
    pub series: u64,
    /// Batches that these came in.
    pub batches: u64,
    /// Samples decoded for it.
    pub samples: u64,
    /// Nanoseconds spent in it, waiting for the store included.
    pub nanoseconds: u64,
    /// The operators that it reads.
    pub inputs: Vec<Operator>,
}

impl Explain {
    /// For the HTTP API.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Array(self.operators.iter().map(Operator::to_json).collect())
    }
}

impl Operator {
    fn to_json(&self) -> Value {
        json!({
            "operator": self.name,
            "detail": self.detail,
            "position": [self.span.0, self.span.1],
            "steps": self.steps,
            "series": self.series,
            "batches": self.batches,
            "samples": self.samples,
            "seconds": self.nanoseconds as f64 / 1e9,
            "inputs": self.inputs.iter().map(Self::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Takes note of operators as they are built, and of what they do.
#[derive(Debug)]
pub(crate) struct Recorder {
    clock: ExplainClock,
    nodes: Mutex<Nodes>,
}

#[derive(Debug, Default)]
struct Nodes {
    all: Vec<Node>,
    /// The operators that are being built, outermost first.
    open: Vec<usize>,
}

#[derive(Debug)]
struct Node {
    name: &'static str,
    detail: String,
    span: TextSpan,
    steps: usize,
    parent: Option<usize>,
    figures: Arc<Figures>,
}

#[derive(Debug, Default)]
struct Figures {
    series: AtomicU64,
    batches: AtomicU64,
    samples: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Recorder {
    pub(crate) fn new(clock: ExplainClock) -> Self {
        Self { clock, nodes: Mutex::default() }
    }

    /// Builds the operator of a plan; operators that are built meanwhile are its inputs.
    pub(crate) fn build(
        self: &Arc<Self>,
        plan: &VectorPlan,
        budget: &Arc<Budget>,
        build: impl FnOnce() -> Result<BoxStream, QueryError>,
    ) -> Result<BoxStream, QueryError> {
        let figures = Arc::new(Figures::default());
        let (name, detail) = describe::operator(plan);
        {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            let parent = nodes.open.last().copied();
            let node = Node { name, detail, span: plan.span, steps: plan.grid.count(), parent, figures: Arc::clone(&figures) };
            let number = nodes.all.len();
            nodes.all.push(node);
            nodes.open.push(number);
        }
        let built = build();
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).open.pop();
        let measured = Measured { input: built?, figures, recorder: Arc::clone(self), budget: Arc::clone(budget) };
        Ok(Box::new(measured))
    }

    /// What was noted.
    pub(crate) fn finish(&self) -> Explain {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut operators: Vec<Operator> = nodes.all.iter().map(Node::operator).collect();
        let mut roots = Vec::new();
        // Inputs were noted after their operator, so that from the back each has all of its own.
        while let (Some(mut operator), Some(node)) = (operators.pop(), nodes.all.get(operators.len())) {
            operator.inputs.reverse();
            match node.parent.and_then(|parent| operators.get_mut(parent)) {
                Some(parent) => parent.inputs.push(operator),
                None => roots.push(operator),
            }
        }
        roots.reverse();
        Explain { operators: roots }
    }
}

impl Node {
    fn operator(&self) -> Operator {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Operator {
            name: self.name,
            detail: self.detail.clone(),
            span: (self.span.start, self.span.end),
            steps: self.steps,
            series: read(&self.figures.series),
            batches: read(&self.figures.batches),
            samples: read(&self.figures.samples),
            nanoseconds: read(&self.figures.nanoseconds),
            inputs: Vec::new(),
        }
    }
}

/// An operator that is watched.
struct Measured {
    input: BoxStream,
    figures: Arc<Figures>,
    recorder: Arc<Recorder>,
    budget: Arc<Budget>,
}

impl Stream for Measured {
    fn next_batch(&mut self) -> Result<Option<Vec<Series>>, QueryError> {
        let (samples, start) = (self.budget.stats().samples_read, (self.recorder.clock.0)());
        let next = self.input.next_batch();
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        add(&self.figures.nanoseconds, (self.recorder.clock.0)().saturating_sub(start));
        add(&self.figures.samples, self.budget.stats().samples_read.saturating_sub(samples));
        if let Ok(Some(batch)) = &next {
            add(&self.figures.batches, 1);
            add(&self.figures.series, batch.len() as u64);
        }
        next
    }

    fn whole(&self) -> bool {
        self.input.whole()
    }
}

#[cfg(test)]
mod tests;
