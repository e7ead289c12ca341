//! Who has been heard of lately. Volatile: a controller that takes over begins every session anew.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BrokerId, Offset};
use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
struct Session {
    last_heard: Instant,
    /// How far the broker has published the metadata.
    metadata_offset: Offset,
    /// Where its controlled shutdown stands in the log.
    shutdown_offset: Option<Offset>,
}

/// The sessions of brokers, and what their heartbeats said last.
#[derive(Clone, Debug)]
pub struct Sessions {
    timeout: Duration,
    sessions: BTreeMap<BrokerId, Session>,
    /// When somebody last looked for sessions that are over.
    looked_at: Instant,
}

impl Sessions {
    /// Nobody has been heard of.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, sessions: BTreeMap::new(), looked_at: Instant(0) }
    }

    /// A broker lives.
    pub fn heard(&mut self, broker: BrokerId, now: Instant) {
        let session = Session { last_heard: now, metadata_offset: Offset::UNKNOWN, shutdown_offset: None };
        self.sessions.entry(broker).or_insert(session).last_heard = now;
    }

    /// How far a broker has published the metadata.
    pub fn reached(&mut self, broker: BrokerId, metadata_offset: Offset) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.metadata_offset = metadata_offset;
        }
    }

    /// Whether a broker's session has begun and nobody has ended it.
    pub fn is_live(&self, broker: BrokerId) -> bool {
        self.sessions.contains_key(&broker)
    }

    /// The first broker whose session is over. It stays so until somebody ends the session, or the broker is heard.
    pub fn expired(&mut self, now: Instant) -> Option<BrokerId> {
        self.looked_at = self.looked_at.max(now);
        self.all_expired().next()
    }

    /// All whose sessions were over when somebody last looked, the one silent for the longest first.
    pub(super) fn all_expired(&self) -> impl Iterator<Item = BrokerId> {
        let is_over =
            |(_, session): &(&BrokerId, &Session)| session.last_heard + self.timeout <= self.looked_at;
        let mut over: Vec<(Instant, BrokerId)> = self
            .sessions
            .iter()
            .filter(is_over)
            .map(|(broker, session)| (session.last_heard, *broker))
            .collect();
        over.sort_unstable();
        over.into_iter().map(|(_, broker)| broker)
    }

    /// When the next session is over, if nobody is heard.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().map(|session| session.last_heard + self.timeout).min()
    }

    /// The session is over.
    pub(super) fn end(&mut self, broker: BrokerId) {
        self.sessions.remove(&broker);
    }

    /// Where the controlled shutdown of a broker stands in the log: noted once, for an offset that moved with every
    /// heartbeat would never be reached (KAFKA-14292).
    pub(super) fn shuts_down_from(&mut self, broker: BrokerId, offset: Offset) {
        if let Some(session) = self.sessions.get_mut(&broker) {
            session.shutdown_offset.get_or_insert(offset);
        }
    }

    /// Whether all of these brokers have published the controlled shutdown of that one.
    pub(super) fn know_shutdown_of(
        &self,
        broker: BrokerId,
        others: impl IntoIterator<Item = BrokerId>,
    ) -> bool {
        let offset = self.sessions.get(&broker).and_then(|session| session.shutdown_offset);
        let Some(offset) = offset else { return false };
        let has_reached = |other: BrokerId| {
            self.sessions.get(&other).is_some_and(|session| session.metadata_offset >= offset)
        };
        others.into_iter().all(has_reached)
    }
}
