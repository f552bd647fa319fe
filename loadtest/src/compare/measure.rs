//! One server under one load: written, asked, killed, started, flushed.

use std::time::Duration;

use bytes::Bytes;

use crate::query::{Asked, Costs, ask_all, questions};
use crate::server::{Disk, LongTerm, Server, Where};
use crate::write::{Load, Written, write};

/// Pause after the load, so that work that a server put off counts.
const SETTLE: Duration = Duration::from_secs(2);

/// What every server gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) load: Load,
    pub(super) repeat: u32,
    /// Time of the last scrape, milliseconds since the epoch: the same for all, so that their answers can be compared.
    pub(super) last_t: i64,
}

/// Answers to the list, at two times.
pub(super) struct Answers {
    /// Five seconds after the last scrape: no sample is on the border of a range, so it does not matter whether that is open or closed.
    pub(super) beside: Vec<Answer>,
    /// At the last scrape itself.
    pub(super) on_border: Vec<Answer>,
}

/// One question's.
pub(super) struct Answer {
    pub(super) what: String,
    pub(super) expr: Option<&'static str>,
    pub(super) body: Result<Bytes, String>,
}

/// Everything that is measured of one server under one load.
pub(super) struct Measured {
    pub(super) written: Written,
    pub(super) disk: Option<Disk>,
    pub(super) costs: Costs,
    pub(super) answers: Answers,
    pub(super) ready_after_kill: Option<Duration>,
    pub(super) long_term: LongTerm,
}

/// The newest time that is four seconds after a full minute and not in the future. Scrapes are then never at a full quarter of a minute, where the steps of subqueries are.
pub(super) fn last_scrape(now_ms: i64) -> i64 {
    (now_ms - 4_000).div_euclid(60_000) * 60_000 + 4_000
}

pub(super) async fn measure(place: &Where, plan: &Plan) -> anyhow::Result<Measured> {
    let mut server = Server::get(place, false).await?;
    let written = write_settled(&server, plan).await?;
    let disk = server.disk();
    server.reset_peak()?;
    let before = server.usage()?;
    let (end, length) = (written.last_t / 1_000 + 5, (written.last_t - written.first_t) / 1_000);
    let beside = ask_all(&server, &questions(end, length), plan.repeat).await?;
    let costs = Costs::of(&beside, before.rss_bytes, server.usage()?.peak_rss_bytes);
    let on_border = ask_all(&server, &questions(end - 5, length), 1).await?;
    let answers = Answers { beside: answers(beside, end, length), on_border: answers(on_border, end - 5, length) };
    let ready_after_kill = server.restart().await?;
    let long_term = server.long_term(written.samples).await?.unwrap_or_default();
    Ok(Measured { written, disk, costs, answers, ready_after_kill, long_term })
}

pub(super) async fn write_only(place: &Where, plan: &Plan) -> anyhow::Result<Written> {
    let server = Server::get(place, false).await?;
    write_settled(&server, plan).await
}

async fn write_settled(server: &Server, plan: &Plan) -> anyhow::Result<Written> {
    let mut written = write(server, &plan.load, plan.last_t).await?;
    tokio::time::sleep(SETTLE).await;
    written.after = server.usage()?;
    Ok(written)
}

fn answers(asked: Vec<Asked>, end: i64, length: i64) -> Vec<Answer> {
    let exprs = questions(end, length).into_iter().map(|question| question.expr);
    asked.into_iter().zip(exprs).map(|(asked, expr)| Answer { what: asked.what, expr, body: asked.answer }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn scrapes_are_beside_the_steps_of_subqueries_and_of_the_list() {
        let now = 1_700_000_055_123;
        let last = super::last_scrape(now);
        assert!(last <= now && now - last < 60_000);
        assert_eq!((last.rem_euclid(60_000), (last + 5_000).rem_euclid(15_000)), (4_000, 9_000));
        assert_eq!(super::last_scrape(last), last);
        assert_eq!(super::last_scrape(last - 1), last - 60_000);
    }
}
