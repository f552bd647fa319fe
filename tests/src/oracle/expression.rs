//! Random expressions over the data set. Most make sense; some are refused by both servers, and should be refused alike.

use super::random::Random;
use super::words::{
    AGGREGATIONS, COUNTERS, DURATIONS, ELEMENT_FUNCTIONS, GAUGES, LABELS, METRICS, NAME_PATTERNS, NUMBERS, PATTERNS, RANGE_FUNCTIONS,
    VALUES,
};

/// What `sort_by_label` sorts by.
pub const SORT_LABELS: [&str; 2] = ["instance", "code"];

/// Makes expressions of bounded depth.
pub struct Expressions<'a> {
    /// Where chance comes from.
    pub random: &'a mut Random,
    /// The first scrape, in milliseconds.
    pub base: i64,
    /// The whole data set's length, in milliseconds.
    pub span: i64,
}

impl Expressions<'_> {
    /// An expression of any type.
    pub fn any(&mut self) -> String {
        let depth = 1 + self.random.below(4) as u32;
        match self.random.below(100) {
            0..=2 => self.scalar(depth),
            3..=5 => self.matrix(1),
            6..=8 => self.sorted(depth),
            9..=11 => self.picked(depth),
            12..=13 => {
                let whole = self.vector(2);
                self.damaged(&whole)
            }
            _ => self.vector(depth),
        }
    }

    fn damaged(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.random.below(chars.len() as u64) as usize;
        match self.random.below(3) {
            0 => {
                chars.remove(at);
            }
            1 => chars.insert(at, *self.random.pick(&[&'(', &')', &'{', &'[', &',', &'"', &'=', &'+', &'5', &'x', &' ', &'@', &':'])),
            _ => chars.truncate(at),
        }
        chars.into_iter().collect()
    }

    /// Orders series; only the outermost order of an instant query shows.
    fn sorted(&mut self, depth: u32) -> String {
        let inner = self.vector(depth);
        match self.random.below(4) {
            0 => format!("sort({inner})"),
            1 => format!("sort_desc({inner})"),
            n => {
                let [a, b] = SORT_LABELS;
                format!("sort_by_label{}({inner}, \"{a}\", \"{b}\")", if n == 2 { "" } else { "_desc" })
            }
        }
    }

    /// Picks series. Over a range, which of several operands' results come first is not defined in Prometheus, so `limitk` shows its choice of
    /// selectors and range functions only.
    fn picked(&mut self, depth: u32) -> String {
        let (inner, by) = (self.vector(depth), self.grouping());
        let pick = match self.random.below(6) {
            0..=1 => format!("topk{by}({}, {inner})", self.count()),
            2..=3 => format!("bottomk{by}({}, {inner})", self.count()),
            4 if self.random.percent(50) => {
                let inner = if self.random.percent(50) { self.selector() } else { self.range_call(0) };
                return format!("limitk{by}({}, {inner})", self.count());
            }
            4 => return format!("count(limitk{by}({}, {inner}))", self.count()),
            _ => return format!("(count(limit_ratio(0.4, {inner})) or vector(0)) + (count(limit_ratio(-0.6, {inner})) or vector(0))"),
        };
        if self.random.percent(40) { format!("{}({pick})", self.random.pick(&["sum", "count", "max"])) } else { pick }
    }

    fn count(&mut self) -> String {
        match self.random.below(8) {
            0 => "0".to_owned(),
            1 => "-1".to_owned(),
            2 => "NaN".to_owned(),
            3 => "scalar(count(up)) / 5".to_owned(),
            4 => "1.9".to_owned(),
            n => n.to_string(),
        }
    }

    /// An instant vector.
    pub fn vector(&mut self, depth: u32) -> String {
        if depth == 0 {
            return if self.random.percent(5) { format!("vector({})", self.number()) } else { self.selector() };
        }
        let d = depth - 1;
        match self.random.below(100) {
            0..=7 => self.selector(),
            8..=31 => self.range_call(d),
            32..=43 => self.element_call(d),
            44..=61 => self.aggregation(d),
            62..=69 => self.with_scalar(d),
            70..=82 => self.join(d),
            83..=87 => self.set(d),
            88..=91 => self.buckets(d),
            92..=93 => self.relabelled(d),
            94 => format!("absent({})", self.vector(d)),
            95 => format!("vector({})", self.scalar(d)),
            96 => format!("-{}", self.vector(d)),
            97 => format!("timestamp({})", self.vector(d)),
            98 => format!("({})", self.vector(d)),
            _ => format!(
                "{}({})",
                self.random.pick(&["hour", "minute", "month", "year", "day_of_week", "day_of_month", "day_of_year", "days_in_month"]),
                self.vector(d)
            ),
        }
    }

    fn scalar(&mut self, depth: u32) -> String {
        match self.random.below(if depth == 0 { 6 } else { 10 }) {
            0..=3 => self.number(),
            4 => "time()".to_owned(),
            5 => "pi()".to_owned(),
            6 => format!("-{}", self.scalar(depth - 1)),
            7 => format!("scalar({})", self.vector(depth - 1)),
            _ => {
                let (a, b) = (self.scalar(depth - 1), self.scalar(depth - 1));
                let op = self.random.pick(&["+", "-", "*", "/", "%", "^", "atan2", "> bool", "== bool", "<= bool"]);
                format!("({a} {op} {b})")
            }
        }
    }

    fn number(&mut self) -> String {
        self.random.pick(&NUMBERS).to_owned()
    }

    /// A range vector.
    pub fn matrix(&mut self, depth: u32) -> String {
        let range = self.random.pick(&DURATIONS);
        if depth > 0 && self.random.percent(25) {
            let step = if self.random.percent(25) { "" } else { self.random.pick(&["10s", "30s", "1m", "37s", "2m30s", "1500ms"]) };
            let inner = self.vector(depth - 1);
            let inner = if inner.contains(' ') || inner.starts_with('-') { format!("({inner})") } else { inner };
            return format!("{inner}[{range}:{step}]{}", self.moved());
        }
        format!("{}[{range}]{}", self.bare_selector(), self.moved())
    }

    fn range_call(&mut self, depth: u32) -> String {
        match self.random.below(20) {
            0 => format!("quantile_over_time({}, {})", self.scalar(depth.min(1)), self.matrix(depth)),
            1 => format!("predict_linear({}, {})", self.matrix(depth), self.scalar(0)),
            2 => format!("double_exponential_smoothing({}, 0.{}, 0.{})", self.matrix(depth), self.random.below(10), self.random.below(10)),
            // Of what has no NaN, which 3.5 skips and later versions do not.
            4 => format!(
                "mad_over_time({}[{}]{})",
                self.random.pick(&["ratio", "temperature", "memory_bytes"]),
                self.random.pick(&DURATIONS),
                self.moved()
            ),
            3 => format!("absent_over_time({})", self.matrix(depth)),
            5..=8 => {
                let f = self.random.pick(&["rate", "increase", "irate", "resets", "delta", "idelta"]);
                format!("{f}({}{}[{}]{})", self.random.pick(&COUNTERS), self.matchers(), self.random.pick(&DURATIONS), self.moved())
            }
            _ => format!("{}({})", self.random.pick(&RANGE_FUNCTIONS), self.matrix(depth)),
        }
    }

    fn element_call(&mut self, depth: u32) -> String {
        let inner = self.vector(depth);
        match self.random.below(10) {
            0 => format!("round({inner}, {})", self.scalar(0)),
            1 => format!("round({inner})"),
            2 => format!("clamp({inner}, {}, {})", self.scalar(depth.min(1)), self.scalar(0)),
            3 => format!("clamp_min({inner}, {})", self.scalar(depth.min(1))),
            4 => format!("clamp_max({inner}, {})", self.scalar(0)),
            _ => format!("{}({inner})", self.random.pick(&ELEMENT_FUNCTIONS)),
        }
    }

    fn aggregation(&mut self, depth: u32) -> String {
        let (inner, by) = (self.vector(depth), self.grouping());
        match self.random.below(12) {
            0 => format!("quantile{by}({}, {inner})", self.scalar(depth.min(1))),
            1 => format!("count_values{by}(\"{}\", {inner})", self.random.pick(&["value", "code", "bad label", "job"])),
            2 => format!("{}({inner}){by}", self.random.pick(&AGGREGATIONS)),
            _ => format!("{}{by}({inner})", self.random.pick(&AGGREGATIONS)),
        }
    }

    fn grouping(&mut self) -> String {
        match self.random.below(10) {
            0..=2 => String::new(),
            3..=6 => format!(" by ({}) ", self.label_list()),
            7..=8 => format!(" without ({}) ", self.label_list()),
            _ => " by (job, instance) ".to_owned(),
        }
    }

    fn label_list(&mut self) -> String {
        let n = self.random.below(4);
        let labels: Vec<&str> = (0..n).map(|_| self.random.pick(&LABELS)).collect();
        labels.join(", ")
    }

    fn operator(&mut self) -> &'static str {
        self.random.pick(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "!= bool", "> bool", "< bool", ">= bool",
            "<= bool",
        ])
    }

    fn with_scalar(&mut self, depth: u32) -> String {
        let (v, s, op) = (self.vector(depth), self.scalar(depth.min(1)), self.operator());
        if self.random.percent(30) { format!("{s} {op} {v}") } else { format!("{v} {op} {s}") }
    }

    fn join(&mut self, depth: u32) -> String {
        let op = self.operator();
        match self.random.below(8) {
            0 => format!("{} {op} {}", self.vector(depth), self.vector(depth)),
            1 => format!("{} {op} on ({}) {}", self.vector(depth), self.label_list(), self.vector(depth)),
            2 => format!("{} {op} ignoring ({}) {}", self.vector(depth), self.label_list(), self.vector(depth)),
            3 => {
                let side = self.random.pick(&["group_left", "group_right"]);
                format!("{} {op} on ({}) {side} ({}) {}", self.vector(depth), self.label_list(), self.label_list(), self.vector(depth))
            }
            4 => {
                let many = self.random.pick(&["requests_total", "errors_total", "temperature", "latency_seconds_bucket"]);
                let include = self.random.pick(&["", "version", "version, job_version", "code"]);
                format!("{many}{} {op} on (job, instance) group_left ({include}) build_info{}", self.matchers(), self.moved())
            }
            5 => {
                let by = self.random.pick(&["job", "job, instance", "instance"]);
                format!("sum by ({by}) ({}) {op} sum by ({by}) ({})", self.vector(depth), self.vector(depth))
            }
            6 => {
                format!("rate(errors_total[{}]) {op} ignoring (method) group_right rate(requests_total[5m])", self.random.pick(&DURATIONS))
            }
            _ => {
                let name = self.random.pick(&METRICS);
                format!("{name} {op} {name}{}{}", self.matchers(), self.moved())
            }
        }
    }

    fn set(&mut self, depth: u32) -> String {
        let op = self.random.pick(&["and", "or", "unless"]);
        let matching = match self.random.below(4) {
            0 => format!("on ({})", self.label_list()),
            1 => format!("ignoring ({})", self.label_list()),
            _ => String::new(),
        };
        format!("{} {op} {matching} {}", self.vector(depth), self.vector(depth))
    }

    fn buckets(&mut self, depth: u32) -> String {
        let q = if self.random.percent(80) { format!("0.{}", self.random.below(100)) } else { self.scalar(depth.min(1)) };
        let input = match self.random.below(6) {
            0 => "latency_seconds_bucket".to_owned(),
            1 => "odd_bucket".to_owned(),
            2 => format!("rate(latency_seconds_bucket{}[{}])", self.matchers(), self.random.pick(&DURATIONS)),
            3 => "sum by (le, job) (rate(latency_seconds_bucket[5m]))".to_owned(),
            4 => format!("{{__name__=~\"latency_seconds.*|odd_bucket\"}}{}", self.moved()),
            _ => self.vector(depth),
        };
        if self.random.percent(25) {
            // Not within the first bucket: there 3.5 interpolates from -Inf, and answers NaN.
            let bounds = ["-Inf", "0.1", "0.2", "0.5", "1", "1.5", "10", "Inf", "NaN"];
            return format!("histogram_fraction({}, {}, {input})", self.random.pick(&bounds), self.random.pick(&bounds[1..]));
        }
        format!("histogram_quantile({q}, {input})")
    }

    fn relabelled(&mut self, depth: u32) -> String {
        let inner = self.vector(depth);
        let (dst, src) = (self.random.pick(&LABELS), self.random.pick(&LABELS));
        if self.random.percent(30) {
            return format!("label_join({inner}, \"{dst}\", \"-\", \"{src}\", \"job\")");
        }
        let replacement = self.random.pick(&["$1", "x-${1}", "", "$0$1", "$name", "$$1", "$1x"]);
        let pattern = self.random.pick(&["(.*)", "i(.)", "(?P<name>[a-z]+).*", ".+", "", "(a", "[^i].*"]);
        format!("label_replace({inner}, \"{dst}\", \"{replacement}\", \"{src}\", \"{pattern}\")")
    }

    fn selector(&mut self) -> String {
        format!("{}{}", self.bare_selector(), self.moved())
    }

    /// A selector without `offset` and `@`.
    pub fn bare_selector(&mut self) -> String {
        match self.random.below(100) {
            0..=69 => {
                let name = if self.random.percent(50) { self.random.pick(&GAUGES) } else { self.random.pick(&METRICS) };
                format!("{name}{}", self.matchers())
            }
            70..=79 => format!("{{__name__=~\"{}\", {}}}", self.random.pick(&NAME_PATTERNS), self.matcher()),
            80..=87 => format!("{{__name__=~\"{}\"}}", self.random.pick(&NAME_PATTERNS)),
            88..=91 => "{\"http.server.duration\", \"service.name\"=~\"gr.*e\"}".to_owned(),
            92..=95 => format!("{{job=\"{}\", __name__!~\"lat.*|req.*\"}}", self.random.pick(&["api", "db", "odd"])),
            96..=97 => format!("{{{}, {}}}", self.matcher(), self.matcher()),
            _ => "missing{job=\"api\"}".to_owned(),
        }
    }

    fn matchers(&mut self) -> String {
        match self.random.below(6) {
            0..=2 => String::new(),
            3..=4 => format!("{{{}}}", self.matcher()),
            _ => format!("{{{}, {}}}", self.matcher(), self.matcher()),
        }
    }

    fn matcher(&mut self) -> String {
        let label = self.random.pick(&LABELS);
        match self.random.below(8) {
            0..=2 => format!("{label}=\"{}\"", self.random.pick(&VALUES)),
            3 => format!("{label}!=\"{}\"", self.random.pick(&VALUES)),
            4..=6 => format!("{label}=~\"{}\"", self.random.pick(&PATTERNS)),
            _ => format!("{label}!~\"{}\"", self.random.pick(&PATTERNS)),
        }
    }

    /// `offset` and `@`, or neither, or both.
    fn moved(&mut self) -> String {
        let mut text = String::new();
        if self.random.percent(12) {
            text.push_str(&format!(" offset {}{}", if self.random.percent(25) { "-" } else { "" }, self.random.pick(&DURATIONS)));
        }
        if self.random.percent(8) {
            let at = self.base + self.random.between(-60_000, self.span + 60_000);
            match self.random.below(4) {
                0 => text.push_str(" @ start()"),
                1 => text.push_str(" @ end()"),
                2 => text.push_str(&format!(" @ {}", at / 1_000)),
                _ => text.push_str(&format!(" @ {}.{:03}", at / 1_000, at % 1_000)),
            }
        }
        text
    }
}
