//! Native histograms, written out whole: they are rare and large, and a record must not need another to be read.

use model::{CounterResetHint, FloatHistogram, Histogram, HistogramSample, HistogramValue, Span};

use super::{Cursor, Malformed, Section, Tag, put_varint, put_zigzag, reference_delta};

/// Writes a section of histograms.
#[derive(Debug)]
pub(crate) struct HistogramWriter {
    section: Section,
    reference: u32,
    t: i64,
}

impl HistogramWriter {
    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        Self { section: Section::begin(out, Tag::Histograms), reference: 0, t: 0 }
    }

    pub(crate) fn put(&mut self, out: &mut Vec<u8>, reference: u32, sample: &HistogramSample) {
        put_zigzag(out, reference_delta(self.reference, reference));
        put_zigzag(out, sample.t.wrapping_sub(self.t));
        (self.reference, self.t) = (reference, sample.t);
        match &sample.value {
            HistogramValue::Int(h) => put_int(out, h),
            HistogramValue::Float(h) => put_float(out, h),
        }
        self.section.add();
    }

    pub(crate) fn end(self, out: &mut Vec<u8>) {
        self.section.end(out);
    }
}

fn put_int(out: &mut Vec<u8>, h: &Histogram) {
    out.push(hint_to_wire(h.counter_reset_hint) << 1);
    put_zigzag(out, i64::from(h.schema));
    put_f64(out, h.zero_threshold);
    put_varint(out, h.zero_count);
    put_varint(out, h.count);
    put_f64(out, h.sum);
    put_spans(out, &h.positive_spans);
    put_spans(out, &h.negative_spans);
    for deltas in [&h.positive_deltas, &h.negative_deltas] {
        put_varint(out, deltas.len() as u64);
        deltas.iter().for_each(|d| put_zigzag(out, *d));
    }
    put_floats(out, &h.custom_values);
}

fn put_float(out: &mut Vec<u8>, h: &FloatHistogram) {
    out.push(hint_to_wire(h.counter_reset_hint) << 1 | 1);
    put_zigzag(out, i64::from(h.schema));
    for v in [h.zero_threshold, h.zero_count, h.count, h.sum] {
        put_f64(out, v);
    }
    put_spans(out, &h.positive_spans);
    put_spans(out, &h.negative_spans);
    put_floats(out, &h.positive_buckets);
    put_floats(out, &h.negative_buckets);
    put_floats(out, &h.custom_values);
}

fn put_f64(out: &mut Vec<u8>, v: f64) {
    out.extend_from_slice(&v.to_bits().to_le_bytes());
}

fn put_floats(out: &mut Vec<u8>, values: &[f64]) {
    put_varint(out, values.len() as u64);
    values.iter().for_each(|v| put_f64(out, *v));
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_varint(out, spans.len() as u64);
    for span in spans {
        put_zigzag(out, i64::from(span.offset));
        put_varint(out, u64::from(span.length));
    }
}

fn hint_to_wire(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn hint_from_wire(n: u8) -> CounterResetHint {
    match n & 3 {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

/// Reads a section of histograms.
#[derive(Debug)]
pub(crate) struct HistogramReader<'a> {
    content: Cursor<'a>,
    left: u32,
    reference: u32,
    t: i64,
}

impl<'a> HistogramReader<'a> {
    pub(crate) fn new(count: u32, content: Cursor<'a>) -> Self {
        Self { content, left: count, reference: 0, t: 0 }
    }

    /// The next histogram with its reference.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, HistogramSample)>, Malformed> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let c = &mut self.content;
        self.reference = self.reference.wrapping_add(c.zigzag()? as u32);
        self.t = self.t.wrapping_add(c.zigzag()?);
        let flags = c.u8()?;
        let hint = hint_from_wire(flags >> 1);
        let value = if flags & 1 == 0 { int(c, hint)? } else { float(c, hint)? };
        Ok(Some((self.reference, HistogramSample { t: self.t, value })))
    }
}

fn int(c: &mut Cursor<'_>, counter_reset_hint: CounterResetHint) -> Result<HistogramValue, Malformed> {
    Ok(HistogramValue::Int(Box::new(Histogram {
        counter_reset_hint,
        schema: schema(c)?,
        zero_threshold: c.f64()?,
        zero_count: c.varint()?,
        count: c.varint()?,
        sum: c.f64()?,
        positive_spans: spans(c)?,
        negative_spans: spans(c)?,
        positive_deltas: deltas(c)?,
        negative_deltas: deltas(c)?,
        custom_values: floats(c)?,
    })))
}

fn float(c: &mut Cursor<'_>, counter_reset_hint: CounterResetHint) -> Result<HistogramValue, Malformed> {
    Ok(HistogramValue::Float(Box::new(FloatHistogram {
        counter_reset_hint,
        schema: schema(c)?,
        zero_threshold: c.f64()?,
        zero_count: c.f64()?,
        count: c.f64()?,
        sum: c.f64()?,
        positive_spans: spans(c)?,
        negative_spans: spans(c)?,
        positive_buckets: floats(c)?,
        negative_buckets: floats(c)?,
        custom_values: floats(c)?,
    })))
}

fn schema(c: &mut Cursor<'_>) -> Result<i32, Malformed> {
    i32::try_from(c.zigzag()?).map_err(|_| Malformed)
}

fn spans(c: &mut Cursor<'_>) -> Result<Vec<Span>, Malformed> {
    let count = c.count(2)?;
    let span = |c: &mut Cursor<'_>| {
        let offset = i32::try_from(c.zigzag()?).map_err(|_| Malformed)?;
        let length = u32::try_from(c.varint()?).map_err(|_| Malformed)?;
        Ok(Span { offset, length })
    };
    (0..count).map(|_| span(c)).collect()
}

fn deltas(c: &mut Cursor<'_>) -> Result<Vec<i64>, Malformed> {
    let count = c.count(1)?;
    (0..count).map(|_| c.zigzag()).collect()
}

fn floats(c: &mut Cursor<'_>) -> Result<Vec<f64>, Malformed> {
    let count = c.count(8)?;
    (0..count).map(|_| c.f64()).collect()
}
