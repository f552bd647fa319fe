//! Which load: the data sets of the project's targets, and their bounds.

use std::time::Duration;

use anyhow::bail;

use crate::encode::Protocol;
use crate::values::SCRAPE_SECONDS;

/// The data sets of the project's targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// 200,000 series, 40 scrapes.
    Wide,
    /// 20,000 series, 1,440 scrapes (6 h).
    Long,
    /// 20,000 series, 960 scrapes, half of the series replaced every hour.
    Churn,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Long => "long",
            Self::Churn => "churn",
        }
    }

    /// Series and scrapes.
    pub(crate) fn size(self) -> (usize, usize) {
        match self {
            Self::Wide => (200_000, 40),
            Self::Long => (20_000, 1_440),
            Self::Churn => (20_000, 960),
        }
    }
}

/// What is written.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LoadArgs {
    /// The data set.
    #[arg(long, value_enum, default_value = "wide")]
    shape: Shape,
    /// Series, instead of the shape's.
    #[arg(long)]
    series: Option<usize>,
    /// Scrapes, instead of the shape's.
    #[arg(long)]
    scrapes: Option<usize>,
    /// Which remote write.
    #[arg(long, value_enum, default_value = "v1")]
    protocol: Protocol,
    /// Samples in a request.
    #[arg(long, default_value_t = 2_000)]
    batch: usize,
    /// Tenants; each batch is one tenant's, in turn. With more than one the server runs with --multitenancy.
    #[arg(long, default_value_t = 1)]
    tenants: usize,
    /// Connections.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The load stops after this many seconds, wherever it is.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

impl LoadArgs {
    pub(crate) fn load(&self) -> anyhow::Result<Load> {
        let (series, scrapes) = self.shape.size();
        let load = Load {
            shape: self.shape,
            series: self.series.unwrap_or(series),
            scrapes: self.scrapes.unwrap_or(scrapes),
            protocol: self.protocol,
            batch: self.batch,
            tenants: self.tenants,
            connections: self.connections,
            within: Duration::from_secs(self.seconds),
        };
        load.check()?;
        Ok(load)
    }
}

/// A load within its bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) series: usize,
    pub(crate) scrapes: usize,
    pub(crate) protocol: Protocol,
    /// Samples in a request.
    pub(crate) batch: usize,
    pub(crate) tenants: usize,
    pub(crate) connections: usize,
    /// It stops after this, wherever it is.
    pub(crate) within: Duration,
}

impl Load {
    /// A shape with its series times `scale`, 2,000 samples a request, four connections.
    pub(crate) fn of(shape: Shape, scale: f64, within: Duration) -> Self {
        let (series, scrapes) = shape.size();
        let series = ((series as f64 * scale) as usize).max(1);
        Self { shape, series, scrapes, protocol: Protocol::V1, batch: 2_000, tenants: 1, connections: 4, within }
    }

    /// Memory of the generator is about a kilobyte per series.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let bounds = [
            ("--series", self.series, 5_000_000),
            ("--scrapes", self.scrapes, 100_000),
            ("--batch", self.batch, 20_000),
            ("--tenants", self.tenants, 100_000),
            ("--connections", self.connections, 256),
            ("--seconds", self.within.as_secs() as usize, 86_400),
        ];
        for (name, value, most) in bounds {
            if value == 0 || value > most {
                bail!("{name} is {value}, but must be 1 to {most}");
            }
        }
        Ok(())
    }

    /// How long the data set is, from the first to the last scrape.
    pub(crate) fn milliseconds(&self) -> i64 {
        (self.scrapes as i64 - 1) * SCRAPE_SECONDS * 1_000
    }

    /// Scrapes until series are replaced; `None`: they never are.
    pub(crate) fn churn_scrapes(&self) -> Option<usize> {
        (self.shape == Shape::Churn).then_some(3_600 / SCRAPE_SECONDS as usize)
    }

    /// Series over the whole load, replaced ones included.
    pub(crate) fn series_ever(&self) -> usize {
        let replacements = self.churn_scrapes().map_or(0, |every| (self.scrapes - 1) / every);
        self.series + replacements * self.series.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Load, Shape};

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_load_has_bounds() {
        let load = Load::of(Shape::Wide, 0.1, HOUR);
        assert_eq!((load.series, load.scrapes, load.milliseconds()), (20_000, 40, 585_000));
        load.check().unwrap();
        assert!(Load { batch: 0, ..load }.check().unwrap_err().to_string().contains("--batch"));
        assert!(Load { series: 5_000_001, ..load }.check().unwrap_err().to_string().contains("--series"));
    }

    #[test]
    fn half_of_the_series_are_replaced_every_hour() {
        assert_eq!(Load::of(Shape::Churn, 1.0, HOUR).series_ever(), 20_000 + 3 * 10_000);
        assert_eq!(Load::of(Shape::Long, 1.0, HOUR).series_ever(), 20_000);
    }
}
