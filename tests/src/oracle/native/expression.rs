//! Random expressions over native histograms.

use super::data::SPAN_MS;
use crate::oracle::question::Question;
use crate::oracle::random::Random;

const RANGES: [&str; 6] = ["1m", "90s", "2m", "5m", "7m30s", "10m"];
const NUMBERS: [&str; 8] = ["2", "0.5", "-1", "3.25", "0", "-0.125", "1e3", "time()"];

/// Makes expressions of bounded depth.
struct Expressions<'a> {
    random: &'a mut Random,
}

/// A random expression as an instant query or as a range query.
pub fn question(random: &mut Random, base: i64) -> Question {
    let end = base + random.between(0, SPAN_MS + 60_000);
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
    if random.percent(5) {
        let samples = Expressions { random }.samples();
        return Question::new("query", &[("query", &samples), ("time", &seconds(end))]);
    }
    let query = {
        let mut expressions = Expressions { random };
        let depth = 1 + expressions.random.below(3) as u32;
        if expressions.random.percent(60) { expressions.numbers(depth) } else { expressions.histograms(depth) }
    };
    if random.percent(50) {
        return Question::new("query", &[("query", &query), ("time", &seconds(end))]);
    }
    let step = [15_000, 30_000, 60_000, 61_500, 300_000][random.below(5) as usize];
    let start = end - step * random.between(1, 20);
    Question::new(
        "query_range",
        &[("query", &query), ("start", &seconds(start)), ("end", &seconds(end)), ("step", &format!("{}", step as f64 / 1_000.0))],
    )
}

impl Expressions<'_> {
    fn range(&mut self) -> &'static str {
        self.random.pick(&RANGES)
    }

    fn matchers(&mut self) -> &'static str {
        self.random.pick(&["", "", "", "{job=\"api\"}", "{job=\"db\"}", "{instance=\"i0\"}", "{instance!=\"i2\"}"])
    }

    fn metric(&mut self) -> &'static str {
        self.random.pick(&[
            "native_seconds",
            "native_seconds",
            "native_float",
            "native_custom",
            "native_gauge",
            "native_resets",
            "native_mixed",
        ])
    }

    fn by(&mut self) -> &'static str {
        self.random.pick(&["", " by (job) ", " by (instance) ", " without (instance) ", " by (job, instance) "])
    }

    /// What the store holds.
    fn samples(&mut self) -> String {
        format!("{}{}[{}]", self.metric(), self.matchers(), self.range())
    }

    /// Mostly histograms.
    fn histograms(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("{}{}", self.metric(), self.matchers());
        }
        let d = depth - 1;
        match self.random.below(20) {
            0..=3 => self.rate(),
            4..=5 => {
                let function = self.random.pick(&["sum_over_time", "avg_over_time", "last_over_time"]);
                format!("{function}({}{}[{}])", self.metric(), self.matchers(), self.range())
            }
            6..=9 => format!("{}{}({})", self.random.pick(&["sum", "avg"]), self.by(), self.histograms(d)),
            10 => format!("{} {} {}", self.histograms(d), self.random.pick(&["+", "-"]), self.histograms(d)),
            11 => {
                let inner = self.histograms(d);
                format!("{inner} {} {inner}", self.random.pick(&["+", "-", "==", "!=", "== bool", "!= bool"]))
            }
            12 => format!("({}) {} {}", self.histograms(d), self.random.pick(&["*", "/"]), self.random.pick(&NUMBERS)),
            13 => format!("{} * ({})", self.random.pick(&NUMBERS), self.histograms(d)),
            14 => format!("-({})", self.histograms(d)),
            15 => format!("({}) {} plain", self.histograms(d), self.random.pick(&["* on (job, instance)", "/ on (job, instance)"])),
            16 => format!("({}) {} ({})", self.histograms(d), self.random.pick(&["and", "or", "unless"]), self.histograms(d)),
            17 => {
                let function = self.random.pick(&["resets", "changes", "rate", "avg_over_time", "last_over_time"]);
                let function = if function == "rate" { "count_over_time" } else { function };
                format!("{function}(({})[{}:30s])", self.histograms(d), self.range())
            }
            18 => format!("label_replace({}, \"x\", \"$1\", \"instance\", \"i(.)\")", self.histograms(d)),
            _ => format!("{}{}", self.metric(), self.matchers()),
        }
    }

    /// What extrapolates looks at counters that are far from zero, and at gauges.
    fn rate(&mut self) -> String {
        let (function, metrics): (&str, &[&str]) = match self.random.below(6) {
            0..=2 => (self.random.pick(&["rate", "increase"]), &["native_seconds", "native_float", "native_custom"]),
            3 => ("delta", &["native_gauge", "native_seconds", "native_mixed"]),
            _ => (self.random.pick(&["irate", "idelta"]), &["native_seconds", "native_gauge", "native_resets", "native_mixed"]),
        };
        format!("{function}({}{}[{}])", self.random.pick(metrics), self.matchers(), self.range())
    }

    /// Numbers made of histograms.
    fn numbers(&mut self, depth: u32) -> String {
        let d = depth - 1;
        match self.random.below(24) {
            0..=3 => {
                let function = self.random.pick(&["histogram_count", "histogram_sum", "histogram_avg"]);
                format!("{function}({})", self.histograms(d))
            }
            4..=5 => format!("{}({})", self.random.pick(&["histogram_stddev", "histogram_stdvar"]), self.histograms(d)),
            6..=10 => {
                let q = if self.random.percent(90) { format!("0.{:02}", self.random.below(100)) } else { "1.5".to_owned() };
                format!("histogram_quantile({q}, {})", self.histograms(d))
            }
            11..=13 => {
                let bounds = ["-Inf", "-1", "0", "0.25", "0.5", "0.7", "1", "1.2", "2", "Inf"];
                let (lower, upper) = (self.random.pick(&bounds), self.random.pick(&bounds));
                format!("histogram_fraction({lower}, {upper}, {})", self.histograms(d))
            }
            14 => format!("{}{}({})", self.random.pick(&["count", "group"]), self.by(), self.histograms(d)),
            15 => format!("{}{}({})", self.random.pick(&["min", "max", "stddev", "stdvar"]), self.by(), self.histograms(d)),
            16 => format!("quantile(0.5, {})", self.histograms(d)),
            // Of what has no equal values: which of them is picked is not defined.
            17 if self.random.percent(50) => format!("{}(2, native_mixed)", self.random.pick(&["topk", "bottomk"])),
            17 => format!("count_values(\"v\", {}{})", self.metric(), self.matchers()),
            18..=19 => {
                let function = self.random.pick(&["resets", "changes", "count_over_time", "present_over_time", "ts_of_last_over_time"]);
                format!("{function}({}{}[{}])", self.metric(), self.matchers(), self.range())
            }
            20 => {
                let function = self.random.pick(&["max_over_time", "min_over_time", "stddev_over_time", "deriv", "sum_over_time"]);
                format!("{function}(native_mixed{}[{}])", self.matchers(), self.range())
            }
            21 => format!("({}) {} 2", self.histograms(d), self.random.pick(&[">", "<=", "+", "-", "^", "% ", "== bool"])),
            22 => format!("{}({})", self.random.pick(&["abs", "timestamp", "absent", "hour", "sgn"]), self.histograms(d)),
            _ => format!("({}) {} ({})", self.histograms(d), self.random.pick(&["*", "/", ">", "atan2"]), self.histograms(d)),
        }
    }
}
