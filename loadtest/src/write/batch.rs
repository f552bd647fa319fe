//! Series that travel together: one request holds one sample of each.

use tokio::sync::Mutex;

use super::load::Load;
use crate::encode::{Protocol, Template};
use crate::series::{Motion, series};
use crate::values::Walker;

/// One batch, sent by one connection at a time, so that every series' samples are in order.
pub(crate) struct Batch {
    protocol: Protocol,
    /// Number of the first series.
    first: usize,
    walkers: Vec<Walker>,
    template: Template,
    generation: usize,
    /// `None`: the server has but one.
    pub(crate) tenant: Option<String>,
}

impl Batch {
    fn new(protocol: Protocol, numbers: std::ops::Range<usize>, tenant: Option<String>) -> Self {
        let all: Vec<(Motion, model::Labels)> = numbers.clone().map(|n| series(n, 0)).map(|s| (s.motion, s.labels)).collect();
        let walkers = numbers.clone().zip(&all).map(|(n, (motion, _))| Walker::new(*motion, n)).collect();
        let template = Template::new(protocol, all.iter().map(|(_, labels)| labels));
        Self { protocol, first: numbers.start, walkers, template, generation: 0, tenant }
    }

    /// Samples in a request.
    pub(crate) fn len(&self) -> usize {
        self.walkers.len()
    }

    /// The next request. Every other series has a new name in each generation (churn).
    pub(crate) fn request(&mut self, t: i64, generation: usize) -> anyhow::Result<Vec<u8>> {
        if generation != self.generation {
            self.generation = generation;
            let numbers = self.first..self.first + self.walkers.len();
            let labels: Vec<_> = numbers.enumerate().map(|(i, n)| series(n, if i % 2 == 0 { generation } else { 0 }).labels).collect();
            self.template = Template::new(self.protocol, labels.iter());
        }
        self.template.request(t, self.walkers.iter_mut().map(Walker::next))
    }
}

/// The batches of a load.
pub(crate) fn batches(load: &Load) -> Vec<Mutex<Batch>> {
    let firsts = (0..load.series).step_by(load.batch);
    firsts
        .map(|first| {
            let tenant = (load.tenants > 1).then(|| format!("tenant-{:05}", first / load.batch % load.tenants));
            Mutex::new(Batch::new(load.protocol, first..(first + load.batch).min(load.series), tenant))
        })
        .collect()
}
