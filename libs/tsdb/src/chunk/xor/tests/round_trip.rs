use model::{STALE_NAN_BITS, Sample};
use proptest::prelude::*;

use super::super::{XorAppender, XorIterator, decode_xor_into};
use crate::chunk::ChunkError;

fn encode(samples: &[(i64, u64)]) -> XorAppender {
    let mut appender = XorAppender::new();
    for (t, v) in samples {
        appender.append(*t, f64::from_bits(*v));
    }
    appender
}

fn decode(data: &[u8], min_t: i64, max_t: i64) -> Result<Vec<(i64, u64)>, ChunkError> {
    let (mut times, mut values) = (vec![7], vec![7.0]);
    let result = decode_xor_into(data, min_t, max_t, &mut times, &mut values);
    assert_eq!(times.len(), values.len());
    assert_eq!((times[0], values[0]), (7, 7.0));
    let got: Vec<_> = times.into_iter().zip(values.into_iter().map(f64::to_bits)).skip(1).collect();
    match result {
        Ok(count) => assert_eq!(count, got.len()),
        Err(_) => assert!(got.is_empty(), "an error leaves nothing behind"),
    }
    result.map(|_| got)
}

fn iterate(data: &[u8]) -> Result<Vec<(i64, u64)>, ChunkError> {
    let mut it = XorIterator::new(data)?;
    let mut out = Vec::new();
    loop {
        match it.next() {
            Ok(Some(Sample { t, v })) => out.push((t, v.to_bits())),
            Ok(None) => return Ok(out),
            Err(e) => {
                assert_eq!(it.next(), Err(e), "an error stays");
                return Err(e);
            }
        }
    }
}

#[test]
fn empty_chunk() {
    let appender = XorAppender::new();
    assert_eq!(appender.bytes(), [0, 0]);
    assert_eq!(iterate(appender.bytes()), Ok(vec![]));
    assert_eq!(decode(&[0, 0], i64::MIN, i64::MAX), Ok(vec![]));
    assert_eq!(XorAppender::resume(&[]).map(|a| a.count()), Ok(0));
    assert_eq!(XorAppender::resume(&[0, 0]).map(|a| a.last()), Ok(None));
    assert_eq!(appender.finish(), [0, 0]);
}

#[test]
fn bytes_by_hand() {
    let mut appender = XorAppender::new();
    appender.append(1000, 1.0);
    // 0x0001: one sample; zigzag(1000) = 2000 = d0 0f; 1.0 = 3f f0 and six zeros.
    assert_eq!(appender.bytes(), [0, 1, 0xd0, 0x0f, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
    appender.append(16_000, 1.0);
    // 15,000 = 98 75, and a 0 bit for the same value.
    assert_eq!(appender.bytes()[12..], [0x98, 0x75, 0b0000_0000]);
    appender.append(31_000, 2.0);
    // Same delta: 0. XOR of 1.0 and 2.0 is 7f f0 ...: 11, leading 1 = 00001, significant 11 = 001011, and eleven ones.
    assert_eq!(appender.bytes()[14..], [0b0_0_11_0000, 0b1_001011_1, 0b1111_1111, 0b11_000000]);
    appender.append(46_001, 1.0);
    // Delta of deltas 1: 10 and 14 bits. The same XOR within the same run: 10 and eleven ones.
    assert_eq!(appender.bytes()[17..], [0b11_10_0000, 0, 0b01_10_1111, 0b1111111_0]);
    assert_eq!(appender.bytes()[..2], [0, 4]);
}

#[test]
fn a_run_before_any_run_means_all_bits() {
    // The second sample's value is written as `10` and 64 bits though no run was written: so goes Prometheus on with a chunk
    // of one sample that it had read.
    let mut data = vec![0, 2, 0];
    data.extend(1.0_f64.to_bits().to_be_bytes());
    data.push(15);
    let xor = 1.0_f64.to_bits() ^ 3.5_f64.to_bits();
    let bits = (0b10_u128 << 126) | (u128::from(xor) << 62);
    data.extend(&bits.to_be_bytes()[..9]);
    assert_eq!(iterate(&data), Ok(vec![(0, 1.0_f64.to_bits()), (15, 3.5_f64.to_bits())]));
}

#[test]
fn damage_has_names() {
    assert_eq!(iterate(&[]), Err(ChunkError::Truncated));
    assert_eq!(iterate(&[0]), Err(ChunkError::Truncated));
    assert_eq!(iterate(&[0, 1]), Err(ChunkError::Truncated));
    assert_eq!(decode(&[0, 1, 0, 1], i64::MIN, i64::MAX), Err(ChunkError::Truncated));
    let mut long = vec![0, 1];
    long.extend([0xff; 20]);
    assert_eq!(iterate(&long), Err(ChunkError::Varint));
    // Leading 31 and 60 significant bits.
    let mut window = vec![0, 2, 0];
    window.extend([0; 9]);
    window.extend([0b1111_1111, 0b1111_0000, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(iterate(&window), Err(ChunkError::Window));
}

#[test]
fn a_count_that_lies_is_refused_and_reserves_little() {
    let samples: Vec<_> = (0..100).map(|i| (i * 15_000, (i as f64).to_bits())).collect();
    let mut data = encode(&samples).finish();
    data[0] = 0xff;
    data[1] = 0xff;
    let (mut times, mut values) = (Vec::new(), Vec::new());
    assert_eq!(decode_xor_into(&data, i64::MIN, i64::MAX, &mut times, &mut values), Err(ChunkError::Truncated));
    assert!(times.is_empty() && times.capacity() <= data.len() * 4);
    assert_eq!(iterate(&data), Err(ChunkError::Truncated));
}

#[test]
fn every_truncation_is_an_error() {
    let samples: Vec<_> = (0..50_i64).map(|i| (i * 15_000 + i % 3, (i as f64 * 1.1).to_bits())).collect();
    let data = encode(&samples).finish();
    for end in 0..data.len() {
        assert_eq!(iterate(&data[..end]), Err(ChunkError::Truncated), "{end}");
        assert_eq!(decode(&data[..end], i64::MIN, i64::MAX), Err(ChunkError::Truncated), "{end}");
    }
}

#[test]
fn the_last_of_the_samples_fits() {
    let mut appender = XorAppender::new();
    for i in 0..i64::from(u16::MAX) {
        appender.append(i, i as f64);
    }
    assert_eq!(appender.count(), u16::MAX);
    let got = iterate(appender.bytes()).expect("a full chunk is a chunk");
    assert_eq!(got.last(), Some(&(65_534, 65_534.0_f64.to_bits())));
}

fn values() -> impl Strategy<Value = u64> {
    let special = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 1.0, 2.0];
    let mut special: Vec<u64> = special.iter().map(|v| v.to_bits()).collect();
    special.extend([STALE_NAN_BITS, 0x7ff8_0000_0000_0001, u64::MAX, 1, 1 << 63]);
    prop_oneof![
        3 => (0_u32..1000).prop_map(|n| f64::from(n).to_bits()),
        2 => (-1e3..1e3).prop_map(f64::to_bits),
        1 => any::<u64>(),
        1 => proptest::sample::select(special),
    ]
}

fn deltas() -> impl Strategy<Value = i64> {
    // Deltas of deltas at and around every width.
    let edges: Vec<i64> = [14, 17, 20]
        .into_iter()
        .flat_map(|n| (-2..3).flat_map(move |d| [15_000 + (1 << (n - 1)) + d, 15_000 - (1 << (n - 1)) + d]))
        .collect();
    prop_oneof![
        8 => Just(15_000_i64),
        3 => 14_900_i64..15_100,
        2 => proptest::sample::select(edges),
        1 => any::<i64>(),
        1 => proptest::sample::select(vec![0, 1, -1, i64::MAX, i64::MIN]),
    ]
}

fn series() -> impl Strategy<Value = Vec<(i64, u64)>> {
    let start = prop_oneof![Just(1_700_000_000_000_i64), any::<i64>(), Just(i64::MIN), Just(i64::MAX)];
    (start, proptest::collection::vec((deltas(), values()), 0..200)).prop_map(|(start, steps)| {
        let mut t = start;
        let step = |(delta, v): (i64, u64)| {
            let at = t;
            t = t.wrapping_add(delta);
            (at, v)
        };
        steps.into_iter().map(step).collect()
    })
}

fn ascending() -> impl Strategy<Value = Vec<(i64, u64)>> {
    series().prop_map(|mut samples| {
        samples.sort_unstable();
        samples.dedup_by_key(|s| s.0);
        samples
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn round_trip(samples in series()) {
        let appender = encode(&samples);
        prop_assert_eq!(usize::from(appender.count()), samples.len());
        prop_assert_eq!(appender.last().map(|(t, v)| (t, v.to_bits())), samples.last().copied());
        prop_assert_eq!(iterate(appender.bytes()), Ok(samples.clone()));
        prop_assert_eq!(appender.bytes().to_vec(), appender.finish());
    }

    #[test]
    fn both_decoders_agree(samples in ascending(), a in any::<i64>(), b in any::<i64>()) {
        let data = encode(&samples).finish();
        prop_assert_eq!(decode(&data, i64::MIN, i64::MAX), Ok(samples.clone()));
        let pick = |n: i64| samples.get(n.unsigned_abs() as usize % (samples.len() + 1)).map_or(n, |s| s.0);
        let (min_t, max_t) = (pick(a), pick(b));
        let want: Vec<_> = samples.iter().copied().filter(|(t, _)| (min_t..=max_t).contains(t)).collect();
        prop_assert_eq!(decode(&data, min_t, max_t), Ok(want));
    }

    #[test]
    fn resuming_anywhere_writes_the_same(samples in series(), at in any::<prop::sample::Index>(), tail in proptest::collection::vec(any::<u8>(), 0..4)) {
        let at = at.index(samples.len() + 1);
        let mut front = encode(&samples[..at]).finish();
        front.extend(tail);
        let mut appender = XorAppender::resume(&front).expect("a chunk of our own");
        for (t, v) in &samples[at..] {
            appender.append(*t, f64::from_bits(*v));
        }
        prop_assert_eq!(appender.finish(), encode(&samples).finish());
    }

    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 1..300)) {
        let iterated = iterate(&data);
        if let Ok(appender) = XorAppender::resume(&data) {
            prop_assert_eq!(iterate(appender.bytes()), iterated.clone());
        }
        let _ = decode(&data, i64::MIN, i64::MAX);
        let _ = decode(&data, 0, 1 << 40);
    }

    #[test]
    fn mutated_chunks_are_survived(samples in series(), flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..6)) {
        let mut data = encode(&samples).finish();
        for (at, bit) in flips {
            let at = at.index(data.len());
            data[at] ^= 1 << bit;
        }
        let iterated = iterate(&data);
        if let Ok(got) = &iterated
            && got.is_sorted_by_key(|s| s.0)
        {
            prop_assert_eq!(decode(&data, i64::MIN, i64::MAX), iterated);
        }
    }
}
