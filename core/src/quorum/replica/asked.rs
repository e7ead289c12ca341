//! The requests of others that a replica has not answered yet.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::ids::Offset;
use crate::raft::ReplyTo;
use crate::raft::messages::{FetchRequest, Request, Response};
use crate::time::Instant;

/// A request of another replica.
#[derive(Debug)]
pub struct Question {
    /// What it asks.
    pub request: Request,
    /// How long a fetch may wait for news.
    pub max_wait: Duration,
    /// The most bytes of records that a fetch takes; the first batch comes whole.
    pub max_bytes: u32,
    /// Gets the answer. When it is dropped, there is none.
    pub reply: oneshot::Sender<Reply>,
}

/// What is answered.
#[derive(Debug)]
pub struct Reply {
    /// What the machine says.
    pub response: Response,
    /// The records that were fetched, or the piece of a snapshot.
    pub bytes: Bytes,
    /// Where this replica's log begins.
    pub log_start: Offset,
}

/// What is known of a question while the machine thinks.
struct Waiting {
    reply: oneshot::Sender<Reply>,
    max_bytes: u32,
    /// Until when a fetch may wait.
    until: Instant,
}

/// All of them, under the names that the machine knows them by.
#[derive(Default)]
pub(super) struct Asked {
    waiting: BTreeMap<u64, Waiting>,
    parked: Vec<(ReplyTo, FetchRequest)>,
    last: u64,
}

impl Asked {
    /// Takes a question, and names it.
    pub(super) fn admit(&mut self, question: Question, now: Instant) -> (ReplyTo, Request) {
        let Question { request, max_wait, max_bytes, reply } = question;
        self.last += 1;
        self.waiting.insert(self.last, Waiting { reply, max_bytes, until: now + max_wait });
        (ReplyTo(self.last), request)
    }

    /// The most bytes that the answer may have.
    pub(super) fn max_bytes(&self, to: ReplyTo) -> u32 {
        self.waiting.get(&to.0).map_or(0, |waiting| waiting.max_bytes)
    }

    /// Answers. Whoever asked may be gone.
    pub(super) fn answer(&mut self, to: ReplyTo, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&to.0) {
            let _ = waiting.reply.send(reply);
        }
    }

    /// Gives no answer.
    pub(super) fn forget(&mut self, to: ReplyTo) {
        self.waiting.remove(&to.0);
    }

    /// Keeps a fetch until there is news. Those whose connection has closed are forgotten with the next one.
    pub(super) fn park(&mut self, to: ReplyTo, request: FetchRequest) {
        let Self { waiting, parked, .. } = self;
        waiting.retain(|_, waiting| !waiting.reply.is_closed());
        parked.retain(|(to, _)| waiting.contains_key(&to.0));
        parked.push((to, request));
    }

    /// All fetches that wait: there is news.
    pub(super) fn unpark(&mut self) -> Vec<(ReplyTo, FetchRequest)> {
        std::mem::take(&mut self.parked)
    }

    /// Fetches that have waited long enough.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<(ReplyTo, FetchRequest)> {
        let waiting = &self.waiting;
        let is_due = |to: &ReplyTo| waiting.get(&to.0).is_none_or(|waiting| waiting.until <= now);
        self.parked.extract_if(.., |(to, _)| is_due(to)).collect()
    }

    /// When the next fetch has waited long enough.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.parked.iter().filter_map(|(to, _)| Some(self.waiting.get(&to.0)?.until)).min()
    }
}
