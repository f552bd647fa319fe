use model::{HistogramSample, HistogramValue, Labels, Sample};
use proptest::prelude::*;

use super::{Cursor, Dictionary, FloatReader, FloatWriter, HistogramReader, HistogramWriter, Section, SeriesReader, Tag, next_section};

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<i64>().prop_map(|n| n as f64),
        (-100_000_000_i64..100_000_000).prop_map(|n| n as f64 / 100.0),
        (-100_000_000_i64..100_000_000).prop_map(|n| n as f64 / 1000.0),
        prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, model::stale_nan(), f64::MAX, 5e-324]),
        prop::sample::select(vec![(1_u64 << 53) as f64, ((1_u64 << 53) - 1) as f64, -((1_i64 << 53) as f64), 1e15 + 0.25]),
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), 1_700_000_000_000_i64..1_700_000_060_000]
}

proptest! {
    #[test]
    fn floats_round_trip(samples in proptest::collection::vec((prop_oneof![any::<u32>(), 0_u32..8], any_time(), any_value()), 1..60)) {
        let mut out = Vec::new();
        let mut writer = FloatWriter::begin(&mut out);
        for (reference, t, v) in &samples {
            writer.put(&mut out, *reference, Sample { t: *t, v: *v });
        }
        writer.end(&mut out);
        let (tag, count, content) = next_section(&mut Cursor::new(&out)).expect("a section").expect("one");
        prop_assert_eq!((tag, count as usize), (Tag::Floats, samples.len()));
        let mut reader = FloatReader::new(count, content);
        for (reference, t, v) in &samples {
            prop_assert_eq!(reader.next(), Ok(Some((*reference, Sample { t: *t, v: *v }))));
        }
        prop_assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn definitions_round_trip(series in proptest::collection::vec((any::<u32>(), proptest::collection::btree_map("[a-d]", "[x-z]{1,3}", 1..4)), 1..40)) {
        let series: Vec<_> = series.into_iter().map(|(r, pairs)| (r, Labels::from_pairs(pairs))).collect();
        let mut out = Vec::new();
        let mut dictionary = Dictionary::default();
        let mut section = Section::begin(&mut out, Tag::Series);
        for (reference, labels) in &series {
            super::write_series(&mut out, &mut section, &mut dictionary, *reference, labels.as_bytes());
        }
        section.end(&mut out);
        let (_, count, content) = next_section(&mut Cursor::new(&out)).expect("a section").expect("one");
        let mut reader = SeriesReader::new(count, content);
        let mut block = Vec::new();
        for (reference, labels) in &series {
            prop_assert_eq!(reader.next(&mut block), Ok(Some(*reference)));
            prop_assert_eq!(&block[..], labels.as_bytes());
        }
    }

    /// Whatever the bytes, readers end without panic and without large allocations.
    #[test]
    fn garbage_is_refused(tag in 1_u8..6, count in any::<u32>(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let content = Cursor::new(&bytes);
        let mut floats = FloatReader::new(count, content);
        while let Ok(Some(_)) = floats.next() {}
        let mut histograms = HistogramReader::new(count, content);
        while let Ok(Some(_)) = histograms.next() {}
        let mut exemplars = super::ExemplarReader::new(count, content);
        while let Ok(Some(_)) = exemplars.next() {}
        let mut series = SeriesReader::new(count, content);
        while let Ok(Some(_)) = series.next(&mut Vec::new()) {}
        let mut content = content;
        while super::read_metadata(&mut content).is_ok() {}
        let mut body = vec![tag];
        body.extend_from_slice(&bytes);
        let _ = next_section(&mut Cursor::new(&body));
    }
}

#[test]
fn histograms_round_trip() {
    let int = model::Histogram {
        counter_reset_hint: model::CounterResetHint::NotReset,
        schema: -53,
        zero_threshold: 0.001,
        zero_count: 3,
        count: 12,
        sum: f64::from_bits(0x7ff8_0000_0000_0001),
        positive_spans: vec![model::Span { offset: -4, length: 2 }, model::Span { offset: 0, length: 1 }],
        negative_spans: vec![model::Span { offset: i32::MIN, length: u32::MAX }],
        positive_deltas: vec![1, -1, i64::MAX],
        negative_deltas: vec![i64::MIN],
        custom_values: vec![0.5, 1.0],
    };
    let values = [HistogramValue::Int(Box::new(int.clone())), HistogramValue::Float(Box::new(int.to_float()))];
    let mut out = Vec::new();
    let mut writer = HistogramWriter::begin(&mut out);
    for (i, value) in values.iter().enumerate() {
        writer.put(&mut out, 7 + i as u32, &HistogramSample { t: i as i64 - 5, value: value.clone() });
    }
    writer.end(&mut out);
    let (_, count, content) = next_section(&mut Cursor::new(&out)).expect("a section").expect("one");
    let mut reader = HistogramReader::new(count, content);
    for (i, value) in values.iter().enumerate() {
        let (reference, sample) = reader.next().expect("reads").expect("one more");
        assert_eq!((reference, sample.t), (7 + i as u32, i as i64 - 5));
        // The sum is NaN, so that the values are compared in print, which shows every field.
        assert_eq!(format!("{:?}", sample.value), format!("{value:?}"));
        assert_eq!(sample.value.sum().to_bits(), value.sum().to_bits());
    }
}
