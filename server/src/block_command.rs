//! `plimsoll block`: what people need to know of a block.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use tsdb::block::{Block, BlockError, dump, inspect, verify};
use tsdb::fs::RealFs;

use crate::cli::BlockCommand;

/// Does what is asked and writes the answer to `out`. A reader that closes the other end early (`head`) is no error.
pub fn run(command: &BlockCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut out = BufWriter::new(out);
    let result = match command {
        BlockCommand::Inspect { dir } => print_inspection(&open(dir)?, &mut out),
        BlockCommand::Verify { dir } => print_verification(&open(dir)?, &mut out),
        BlockCommand::Dump { dir } => dump(&open(dir)?, &mut out).map_err(Into::into),
    };
    let result = result.and_then(|()| out.flush().map_err(Into::into));
    match result {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        result => result,
    }
}

fn open(dir: &Path) -> anyhow::Result<Block> {
    Block::open(Arc::new(RealFs), dir).with_context(|| format!("open the block {}", dir.display()))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = match cause.downcast_ref::<BlockError>() {
            Some(BlockError::Io { source, .. }) => Some(source),
            _ => cause.downcast_ref::<std::io::Error>(),
        };
        io.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
    })
}

fn print_inspection(block: &Block, out: &mut dyn Write) -> anyhow::Result<()> {
    let found = inspect(block)?;
    let meta = block.meta();
    writeln!(out, "block             {}", meta.ulid)?;
    writeln!(out, "range             {} to {} (exclusive), {} s", meta.min_time, meta.max_time, seconds(meta.min_time, meta.max_time))?;
    if let Some((min_t, max_t)) = found.range {
        writeln!(out, "samples from      {min_t} to {max_t}")?;
    }
    writeln!(out, "compaction level  {}, {} sources", meta.compaction.level, meta.compaction.sources.len())?;
    writeln!(out, "series            {}", found.series)?;
    writeln!(out, "samples           {}", found.samples)?;
    writeln!(out, "chunks            {}", found.chunks)?;
    writeln!(out, "tombstones        {}", found.tombstones)?;
    writeln!(out, "index bytes       {}", found.index_bytes)?;
    writeln!(out, "chunk bytes       {}", found.chunk_bytes)?;
    writeln!(out, "bytes per sample  {:.3} ({:.3} without the index)", found.bytes_per_sample(), found.chunk_bytes_per_sample())?;
    writeln!(out, "labels with the most values:")?;
    for (name, values) in found.cardinality {
        writeln!(out, "{values:>10} {name}")?;
    }
    Ok(())
}

fn seconds(from: i64, to: i64) -> i64 {
    to.saturating_sub(from) / 1000
}

fn print_verification(block: &Block, out: &mut dyn Write) -> anyhow::Result<()> {
    let found = verify(block);
    for problem in &found.problems {
        writeln!(out, "{problem}")?;
    }
    let stats = found.stats;
    writeln!(out, "read {} series, {} chunks, {} samples", stats.num_series, stats.num_chunks, stats.num_samples)?;
    if found.unreferenced_chunks > 0 {
        writeln!(out, "{} chunks belong to no series", found.unreferenced_chunks)?;
    }
    if !found.is_sound() {
        out.flush()?;
        bail!("the block {} is damaged: {} problems", block.dir().display(), found.problem_count);
    }
    writeln!(out, "the block is sound")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use model::{Chunk, ChunkEncoding, Labels};
    use tsdb::block::{BlockSpec, Ulid, write_block};
    use tsdb::chunk::XorAppender;

    use super::*;

    fn text(command: &BlockCommand) -> (String, bool) {
        let mut out = Vec::new();
        let sound = run(command, &mut out).is_ok();
        (String::from_utf8(out).expect("text"), sound)
    }

    #[test]
    fn a_block_is_inspected_verified_and_dumped() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let mut appender = XorAppender::new();
        appender.append(1000, 1.0);
        appender.append(2000, 2e6);
        let chunk = Chunk { encoding: ChunkEncoding::Xor, min_t: 1000, max_t: 2000, data: appender.finish().into() };
        let series = (Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]), vec![chunk]);
        let spec = BlockSpec::level_1(Ulid::new(1, 2), 0, 7_200_000);
        let meta = write_block(Arc::new(RealFs), parent.path(), spec, [Ok(series)]).expect("write").expect("a block");
        let dir = parent.path().join(meta.ulid.to_string());

        let (inspected, _) = text(&BlockCommand::Inspect { dir: dir.clone() });
        assert!(inspected.contains("samples           2\n") && inspected.contains("         1 job\n"), "{inspected}");
        let (dumped, _) = text(&BlockCommand::Dump { dir: dir.clone() });
        assert_eq!(dumped, "{__name__=\"up\", job=\"a\\\"b\"} 1 1000\n{__name__=\"up\", job=\"a\\\"b\"} 2e+06 2000\n");
        let (verified, sound) = text(&BlockCommand::Verify { dir: dir.clone() });
        assert!(sound && verified.ends_with("the block is sound\n"), "{verified}");

        let segment = dir.join("chunks/000001");
        let mut bytes = std::fs::read(&segment).expect("read");
        *bytes.last_mut().expect("bytes") ^= 1;
        std::fs::write(&segment, bytes).expect("write");
        let (verified, sound) = text(&BlockCommand::Verify { dir });
        assert!(!sound && verified.contains("chunks/000001 is damaged at byte 8: a chunk's checksum is wrong"), "{verified}");
    }
}
