//! What a leader knows of its followers.

use super::Settings;
use super::fetch::ReplicaFetch;
use super::isr::Isr;
use super::view::{BrokerStanding, BrokersView, PartitionView};
use crate::epochs::LogView;
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use crate::museum::Switch;
use crate::time::Instant;

/// One leadership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Leader {
    /// Its epoch.
    pub(super) epoch: LeaderEpoch,
    /// Where its epoch begins: nothing below is committed because of its own followers before one reaches it.
    pub(super) epoch_start: Offset,
    pub(super) isr: Isr,
    /// The other replicas, in the order of the assignment.
    pub(super) remotes: Vec<Remote>,
    /// Our own incarnation.
    pub(super) broker_epoch: BrokerEpoch,
}

/// Another replica, by what it fetched in this leader epoch. All of it changes under one lock, so that a decision
/// reads one consistent state (KAFKA-15221).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Remote {
    pub(super) id: BrokerId,
    /// Up to where it has the log: the offset of its last fetch, or -1 before the first one in this leader epoch.
    pub(super) log_end: Offset,
    /// Its incarnation at its last fetch.
    pub(super) broker_epoch: Option<BrokerEpoch>,
    /// Whether it fetched in this leader epoch.
    pub(super) has_fetched: bool,
    /// When it last was at what was the leader's end one fetch before.
    pub(super) last_caught_up: Option<Instant>,
    pub(super) last_fetch: Instant,
    pub(super) leader_end_at_last_fetch: Offset,
    /// What the metadata says of it.
    pub(super) standing: Option<BrokerStanding>,
}

impl Remote {
    /// A replica that has not fetched. A member of the ISR is given the time to.
    fn new(id: BrokerId, is_in_sync: bool, now: Instant) -> Self {
        Self {
            id,
            log_end: Offset::UNKNOWN,
            broker_epoch: None,
            has_fetched: false,
            last_caught_up: is_in_sync.then_some(now),
            last_fetch: now,
            leader_end_at_last_fetch: Offset::UNKNOWN,
            standing: None,
        }
    }

    /// Takes in a fetch that was accepted.
    pub(super) fn note_fetch(&mut self, fetch: &ReplicaFetch, leader_end: Offset, now: Instant) {
        let caught_up = if fetch.fetch_offset >= leader_end {
            Some(now)
        } else if fetch.fetch_offset >= self.leader_end_at_last_fetch && self.has_fetched {
            Some(self.last_fetch)
        } else {
            None
        };
        self.last_caught_up = self.last_caught_up.max(caught_up);
        self.log_end = fetch.fetch_offset;
        self.broker_epoch = Some(fetch.broker_epoch);
        self.has_fetched = true;
        self.last_fetch = now;
        self.leader_end_at_last_fetch = leader_end;
    }

    /// Whether it trails for less than `replica.lag.time.max.ms`.
    pub(super) fn is_caught_up(&self, settings: &Settings, leader_end: Offset, now: Instant) -> bool {
        self.log_end == leader_end
            || self.last_caught_up.is_some_and(|at| now.saturating_since(at) <= settings.replica_lag_time_max)
    }

    /// Whether the controller would take it: unfenced, not shutting down, and the incarnation that fetched is the one
    /// that is registered (KIP-841, KIP-903).
    pub(super) fn is_eligible(&self) -> bool {
        let matches =
            |standing: BrokerStanding| standing.is_eligible() && self.broker_epoch == Some(standing.epoch);
        self.standing.is_some_and(matches)
    }
}

impl Leader {
    /// A new leadership: nothing that was known of followers counts, for they may have been cut since (KIP-320).
    pub(super) fn new(id: BrokerId, partition: &PartitionView<'_>, start: Offset, now: Instant) -> Self {
        let others = partition.replicas.iter().copied().filter(|other| *other != id);
        Self {
            epoch: partition.leader_epoch,
            epoch_start: start,
            isr: Isr::new(partition.isr),
            remotes: others.map(|other| Remote::new(other, partition.isr.contains(&other), now)).collect(),
            broker_epoch: BrokerEpoch(-1),
        }
    }

    /// Takes over what the leadership before knew: nothing, unless a guard is off.
    pub(super) fn inherit(&mut self, before: &Leader, settings: &Settings) {
        for remote in &mut self.remotes {
            let Some(known) = before.remotes.iter().find(|known| known.id == remote.id) else { continue };
            if settings.switches.off(Switch::HighWatermarkAnyEpoch) {
                remote.log_end = known.log_end;
            }
            if settings.switches.off(Switch::KeepStateOnEpochChange)
                && !self.isr.committed().contains(&remote.id)
            {
                *remote = known.clone();
            }
        }
    }

    /// Follows a change of the assignment within one leadership: who is new is unknown.
    pub(super) fn note_replicas(
        &mut self,
        id: BrokerId,
        (replicas, isr): (&[BrokerId], &[BrokerId]),
        log: &dyn LogView,
        now: Instant,
    ) {
        self.remotes.retain(|remote| replicas.contains(&remote.id));
        for other in replicas.iter().filter(|other| **other != id) {
            if !self.remotes.iter().any(|remote| remote.id == *other) {
                let mut remote = Remote::new(*other, isr.contains(other), now);
                remote.leader_end_at_last_fetch = log.log_end();
                self.remotes.push(remote);
            }
        }
    }

    /// Follows a change of the brokers.
    pub(super) fn note_brokers(&mut self, id: BrokerId, brokers: &dyn BrokersView) {
        if let Some(standing) = brokers.standing(id) {
            self.broker_epoch = standing.epoch;
        }
        for remote in &mut self.remotes {
            remote.standing = brokers.standing(remote.id);
        }
    }

    pub(super) fn remote(&self, id: BrokerId) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.id == id)
    }

    pub(super) fn remote_mut(&mut self, id: BrokerId) -> Option<&mut Remote> {
        self.remotes.iter_mut().find(|remote| remote.id == id)
    }
}
