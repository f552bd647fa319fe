//! Prometheus's own chunks: promtool writes blocks from text, and what we make of their samples must be their bytes.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::super::{XorAppender, XorIterator};

/// The NaN that Prometheus reads from the text `NaN`.
const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// A chunk file's header: magic, version 1, three bytes of padding.
const FILE_HEADER: [u8; 8] = [0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];

/// Series of several characters, some of them longer than one chunk of 120 samples and than one block of two hours.
fn samples_of(series: u64) -> Vec<(i64, f64)> {
    let mut state = series.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    };
    let mut t = 1_600_000_000_000 + series as i64 * 137;
    let mut walk = 0.0;
    (0..400_u32)
        .map(|i| {
            t += match series % 5 {
                0 => 15_000,
                1 => 15_000 + (random() % 21) as i64 - 10,
                2 => 1 + (random() % 60_000) as i64,
                3 if random().is_multiple_of(50) => 1 + (random() % 3_000_000) as i64,
                _ => 10_000,
            };
            walk += (random() % 2001) as f64 / 1000.0 - 1.0;
            let v = match series % 8 {
                0 => f64::from(i),
                1 => walk,
                2 => 42.0,
                3 => f64::from_bits(random() << 2),
                4 if random().is_multiple_of(4) => f64::NAN,
                5 if random().is_multiple_of(4) => [f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0][random() as usize % 4],
                6 => (walk * 100.0).round() / 100.0,
                _ => f64::from(i / 7) * 1e15,
            };
            (t, if v.is_nan() { f64::from_bits(NORMAL_NAN_BITS) } else { v })
        })
        .collect()
}

fn text(series: u64) -> String {
    let mut out = String::new();
    for s in 0..series {
        writeln!(out, "# TYPE m{s:03} gauge").expect("strings grow");
        for (t, v) in samples_of(s) {
            let v = if v.is_infinite() { format!("{}Inf", if v > 0.0 { '+' } else { '-' }) } else { format!("{v:?}") };
            writeln!(out, "m{s:03} {v} {}.{:03}", t / 1000, t % 1000).expect("strings grow");
        }
    }
    out.push_str("# EOF\n");
    out
}

/// The encoding and data of each chunk of a file, whose framing and checksums are checked on the way.
fn chunks(file: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = file.strip_prefix(&FILE_HEADER).expect("a chunk file begins with its magic");
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (len, at) = model::labels::read_varint(rest).expect("each chunk begins with its length");
        let (body, next) = rest[at..].split_at(len as usize + 5);
        let (covered, sum) = body.split_at(len as usize + 1);
        assert_eq!(crc32c::crc32c(covered).to_be_bytes(), sum);
        out.push((covered[0], &covered[1..]));
        rest = next;
    }
    out
}

#[test]
fn chunks_of_promtool_are_written_alike() {
    let series = 40;
    let dir = tempfile::tempdir().expect("temporary directory");
    let (input, output) = (dir.path().join("in.om"), dir.path().join("out"));
    std::fs::write(&input, text(series)).expect("write input");
    let run = Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&input).arg(&output).output();
    let run = match run {
        Ok(run) => run,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("!!! promtool is not on the PATH: chunks are NOT compared with those of Prometheus");
            return;
        }
        Err(e) => panic!("promtool: {e}"),
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let mut got = Vec::new();
    let mut count = 0;
    for block in std::fs::read_dir(&output).expect("blocks") {
        let path = block.expect("block").path().join("chunks/000001");
        compare_file(&path, &mut got, &mut count);
    }
    let mut want: Vec<_> = (0..series).flat_map(samples_of).map(|(t, v)| (t, v.to_bits())).collect();
    got.sort_unstable();
    want.sort_unstable();
    assert!(got == want, "{} samples in {count} chunks, {} were written", got.len(), want.len());
    assert!(count > 150, "{count} chunks");
}

/// Older Prometheus (2.42, not 3.14) begins a new byte, empty, when it has written a full one, and so leaves one behind where a
/// chunk's bits end with a byte.
fn without_spare_byte<'a>(appender: &XorAppender, data: &'a [u8]) -> &'a [u8] {
    match data.split_last() {
        Some((0, rest)) if appender.used == 0 && rest.len() == appender.bytes().len() => rest,
        _ => data,
    }
}

fn compare_file(path: &Path, samples: &mut Vec<(i64, u64)>, count: &mut usize) {
    let file = std::fs::read(path).expect("chunk file");
    for (encoding, data) in chunks(&file) {
        assert_eq!(encoding, model::ChunkEncoding::Xor as u8);
        let mut appender = XorAppender::new();
        let mut it = XorIterator::new(data).expect("a chunk of Prometheus");
        while let Some(sample) = it.next().expect("a chunk of Prometheus") {
            samples.push((sample.t, sample.v.to_bits()));
            appender.append(sample.t, sample.v);
        }
        let data = without_spare_byte(&appender, data);
        assert_eq!(appender.finish(), data, "{}", path.display());
        let resumed = XorAppender::resume(data).expect("a chunk of Prometheus");
        assert_eq!(resumed.bytes(), data);
        *count += 1;
    }
}
