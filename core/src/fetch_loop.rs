//! A follower's rounds: one fetcher per leader, one request in flight, all partitions that follow there (KIP-227's shape
//! without its sessions).
//!
//! The machine decides when a round begins, which partitions are in it, and which answers still count; what each
//! partition asks for and does with its answer is `replica`'s business.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BrokerId, LeaderEpoch, TopicPartition};
use crate::museum::{Switch, Switches};
use crate::time::Instant;

/// What the machine needs of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `replica.fetch.backoff.ms`: the wait after a round or a partition that failed.
    pub backoff: Duration,
    /// How long a round may take before its connection is given up: `replica.socket.timeout.ms`.
    pub timeout: Duration,
    /// Which guards are off.
    pub switches: Switches,
}

/// Names a round of one fetcher. An answer is matched by it: what comes on a connection that was given up is nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundId(pub u64);

/// A request to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// To whom.
    pub leader: BrokerId,
    /// To be given back with the answer.
    pub id: RoundId,
    /// The partitions to ask for, with the leader epoch each follows in.
    pub partitions: Vec<(TopicPartition, LeaderEpoch)>,
}

#[derive(Clone, Copy, Debug)]
struct Followed {
    leader_epoch: LeaderEpoch,
    /// `None`: it has nothing to ask until somebody says so.
    not_before: Option<Instant>,
}

impl Followed {
    fn is_ready(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|not_before| not_before <= now)
    }
}

#[derive(Clone, Debug)]
struct InFlight {
    id: RoundId,
    gives_up_at: Instant,
}

/// The fetcher of one leader.
#[derive(Clone, Debug, Default)]
struct Fetcher {
    partitions: BTreeMap<TopicPartition, Followed>,
    in_flight: Option<InFlight>,
    not_before: Instant,
}

/// All fetchers of a broker.
#[derive(Clone, Debug)]
pub struct FetchLoop {
    settings: Settings,
    fetchers: BTreeMap<BrokerId, Fetcher>,
    last_round: RoundId,
}

impl FetchLoop {
    /// A loop that follows nobody.
    pub fn new(settings: Settings) -> Self {
        Self { settings, fetchers: BTreeMap::new(), last_round: RoundId(0) }
    }

    /// A partition follows a leader from now on, in this epoch; wherever it was before, it is no longer. A new epoch is
    /// a new start even under the same leader: what was asked in the old one counts no more.
    pub fn follow(&mut self, partition: TopicPartition, leader: BrokerId, leader_epoch: LeaderEpoch) {
        self.leave(partition);
        let fetcher = self.fetchers.entry(leader).or_default();
        let not_before = Some(Instant::default());
        fetcher.partitions.insert(partition, Followed { leader_epoch, not_before });
    }

    /// A partition follows nobody: it leads, has no leader, or is gone.
    pub fn leave(&mut self, partition: TopicPartition) {
        self.fetchers.retain(|_, fetcher| {
            fetcher.partitions.remove(&partition);
            !fetcher.partitions.is_empty() || fetcher.in_flight.is_some()
        });
    }

    /// A round that can begin now, of any leader.
    pub fn poll_output(&mut self, now: Instant) -> Option<Round> {
        for (leader, fetcher) in &mut self.fetchers {
            if fetcher.in_flight.is_some() || fetcher.not_before > now {
                continue;
            }
            let ready = fetcher.partitions.iter().filter(|(_, followed)| followed.is_ready(now));
            let partitions: Vec<_> = ready.map(|(name, followed)| (*name, followed.leader_epoch)).collect();
            if partitions.is_empty() {
                continue;
            }
            self.last_round = RoundId(self.last_round.0 + 1);
            let id = self.last_round;
            fetcher.in_flight = Some(InFlight { id, gives_up_at: now + self.settings.timeout });
            return Some(Round { leader: *leader, id, partitions });
        }
        None
    }

    /// An answer came. Whether it is the one that is waited for; if not, nothing in it counts.
    pub fn handle_response(&mut self, leader: BrokerId, id: RoundId) -> bool {
        let Some(fetcher) = self.fetchers.get_mut(&leader) else { return false };
        if fetcher.in_flight.as_ref().is_none_or(|in_flight| in_flight.id != id) {
            return false;
        }
        fetcher.in_flight = None;
        if fetcher.partitions.is_empty() {
            self.fetchers.remove(&leader);
        }
        true
    }

    /// Whether what an answer says of a partition still counts: it follows there, in the epoch that was asked in
    /// (KAFKA-13207).
    pub fn owns(&self, partition: TopicPartition, leader: BrokerId, leader_epoch: LeaderEpoch) -> bool {
        let followed = self.fetchers.get(&leader).and_then(|fetcher| fetcher.partitions.get(&partition));
        followed.is_some_and(|followed| followed.leader_epoch == leader_epoch)
            || self.settings.switches.off(Switch::LateTruncation)
    }

    /// A partition was refused: it waits a little, the others go on.
    pub fn back_off(&mut self, partition: TopicPartition, now: Instant) {
        for fetcher in self.fetchers.values_mut() {
            if let Some(followed) = fetcher.partitions.get_mut(&partition) {
                followed.not_before = Some(now + self.settings.backoff);
            }
        }
    }

    /// A partition of a round has nothing to ask yet: what it has is still on its way to the disk
    /// (`flush.messages=1`). It is in no round until [`FetchLoop::resume`]; the others go on. Asked again and again
    /// instead, it would spin for as long as the flush takes. That it has nothing to ask, and this, are one step under
    /// the lock that the end of a flush takes: one that ended in between would wake nobody.
    pub fn pause(&mut self, partition: TopicPartition) {
        for fetcher in self.fetchers.values_mut() {
            if let Some(followed) = fetcher.partitions.get_mut(&partition) {
                followed.not_before = None;
            }
        }
    }

    /// A flush of a partition ended: it may have something to ask. To be told of every flush, for that which a
    /// partition waits for may be followed by another.
    pub fn resume(&mut self, partition: TopicPartition) {
        for fetcher in self.fetchers.values_mut() {
            if let Some(followed) = fetcher.partitions.get_mut(&partition) {
                followed.not_before.get_or_insert_default();
            }
        }
    }

    /// Nothing is to be asked in a round, for all its partitions were paused: it ends where it began.
    pub fn handle_empty(&mut self, leader: BrokerId, id: RoundId) {
        self.handle_response(leader, id);
    }

    /// The connection of a round broke: its outcome does not matter, for a fetch changes nothing that the next one does
    /// not say again.
    pub fn handle_failure(&mut self, leader: BrokerId, id: RoundId, now: Instant) {
        if self.handle_response(leader, id)
            && let Some(fetcher) = self.fetchers.get_mut(&leader)
        {
            fetcher.not_before = now + self.settings.backoff;
        }
    }

    /// Gives up the rounds that took too long, and names them, so that their connections are closed.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<(BrokerId, RoundId)> {
        let is_late = |fetcher: &Fetcher| {
            fetcher
                .in_flight
                .as_ref()
                .filter(|in_flight| in_flight.gives_up_at <= now)
                .map(|in_flight| in_flight.id)
        };
        let (leader, id) =
            self.fetchers.iter().find_map(|(leader, fetcher)| is_late(fetcher).map(|id| (*leader, id)))?;
        self.handle_failure(leader, id, now);
        Some((leader, id))
    }

    /// When something is to be done without being asked.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadline = |fetcher: &Fetcher| match &fetcher.in_flight {
            Some(in_flight) => Some(in_flight.gives_up_at),
            None => {
                let waits_until = fetcher.partitions.values().filter_map(|followed| followed.not_before);
                waits_until.map(|not_before| not_before.max(fetcher.not_before)).min()
            }
        };
        self.fetchers.values().filter_map(deadline).min()
    }
}

#[cfg(test)]
mod tests;
