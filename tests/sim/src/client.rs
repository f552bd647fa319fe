//! Who asks the group: members in turn, the one that led last before all others, until one does what it is asked for.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::chance;
use crate::cluster::Cluster;
use crate::member::{Refused, Running};

/// How long one member may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How many are asked before it is given up.
const TURNS: usize = 4;

/// Somebody who asks.
#[derive(Debug)]
pub(crate) struct Client {
    place: u64,
    leader: Option<u64>,
}

impl Client {
    pub(crate) fn new(place: u64) -> Self {
        Self { place, leader: None }
    }

    /// The first answer that says yes or that the epoch is an old one; `None` if nobody says so: it may have been done or not.
    pub(crate) async fn ask<T, F>(&mut self, cluster: &Cluster, call: impl Fn(Arc<Running>) -> F) -> Option<Result<T, Refused>>
    where
        F: Future<Output = Result<T, Refused>> + Send + 'static,
        T: Send + 'static,
    {
        for _ in 0..TURNS {
            let member = self.leader.take().or_else(|| chance::pick(&cluster.members()))?;
            let (net, from) = (Arc::clone(&cluster.net), self.place);
            let answered = match net.process(member) {
                None => None,
                Some(process) => {
                    net.travel_or_give_up(from, member, ANSWERS_WITHIN).await?;
                    // It goes on there, also when nobody waits for the answer any more.
                    let done = tokio::spawn(call(process));
                    let back = async {
                        let answer = done.await.ok()?;
                        net.travel(member, from).await;
                        Some(answer)
                    };
                    tokio::time::timeout(ANSWERS_WITHIN, back).await.ok().flatten()
                }
            };
            match answered {
                Some(Ok(done)) => {
                    self.leader = Some(member);
                    return Some(Ok(done));
                }
                Some(Err(Refused::Fenced)) => return Some(Err(Refused::Fenced)),
                Some(Err(Refused::NotLeader(leader))) => self.leader = leader,
                Some(Err(_)) => {}
                // Whether it was done is not known.
                None => {}
            }
            tokio::time::sleep(chance::ms(20, 200)).await;
        }
        None
    }
}
