//! How a leader answers the fetch of a replica (KIP-320, KIP-595's truncation on fetch, KIP-903).

use super::leader::Leader;
use super::truncation::Divergence;
use super::{Replica, Role};
use crate::epochs::{EpochEnd, LogView};
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use crate::museum::{Switch, Switches};
use crate::time::Instant;

/// A replica's fetch of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplicaFetch {
    /// Who fetches.
    pub replica: BrokerId,
    /// Its incarnation (KIP-903).
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch that it follows.
    pub current_leader_epoch: LeaderEpoch,
    /// Its log end.
    pub fetch_offset: Offset,
    /// The epoch of its last record, or -1 when it has none.
    pub last_fetched_epoch: LeaderEpoch,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDecision {
    /// Records from `from` on, to the log's end `bound` (exclusive), with the leader's high watermark and log start as
    /// they are after this fetch.
    Read {
        /// The first offset.
        from: Offset,
        /// One past the last.
        bound: Offset,
    },
    /// The logs differ: no records, but where the follower is to cut.
    Diverging(EpochEnd),
    /// Nothing.
    Refused(FetchRefusal),
}

/// Why a replica's fetch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchRefusal {
    /// NOT_LEADER_OR_FOLLOWER: not the leader, not a replica, or not its present incarnation.
    NotLeader,
    /// FENCED_LEADER_EPOCH: the follower does not know of this leadership yet.
    FencedLeaderEpoch,
    /// UNKNOWN_LEADER_EPOCH: this leader does not know of the newer leadership yet.
    UnknownLeaderEpoch,
    /// OFFSET_OUT_OF_RANGE: the records are gone, or where the logs part cannot be told.
    OutOfRange,
}

/// Whether leader and follower mean the same leadership: whoever is behind learns it before anything is read, counted
/// or cut (KIP-320).
fn check_leader_epoch(leader: &Leader, asked: LeaderEpoch) -> Result<(), FetchRefusal> {
    match asked.cmp(&leader.epoch) {
        std::cmp::Ordering::Less => Err(FetchRefusal::FencedLeaderEpoch),
        std::cmp::Ordering::Greater => Err(FetchRefusal::UnknownLeaderEpoch),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// Whether a fetch says what the follower has: not when its tail is about to be cut (KAFKA-13141), nor when all it has
/// lies below our start and may be another history's: elected now, it would serve that.
fn may_count(divergence: &Divergence, switches: Switches) -> bool {
    *divergence == Divergence::None || switches.off(Switch::CountDivergingFetch)
}

impl Replica {
    /// Judges a replica's fetch, takes in what it tells, and says what to read. The order is the protocol's: leader
    /// epoch, incarnation, log start, divergence.
    pub fn handle_fetch(&mut self, fetch: &ReplicaFetch, log: &dyn LogView, now: Instant) -> FetchDecision {
        match self.judge_fetch(fetch, log) {
            Ok(divergence) => {
                if may_count(&divergence, self.settings.switches) {
                    self.count_fetch(fetch, log, now);
                }
                match divergence {
                    // What lies below our start the follower drops with this answer.
                    Divergence::None | Divergence::BelowStart => {
                        FetchDecision::Read { from: fetch.fetch_offset, bound: log.log_end() }
                    }
                    Divergence::At(end) => FetchDecision::Diverging(end),
                    Divergence::Unknown => FetchDecision::Refused(FetchRefusal::OutOfRange),
                }
            }
            Err(refusal) => FetchDecision::Refused(refusal),
        }
    }

    fn judge_fetch(&self, fetch: &ReplicaFetch, log: &dyn LogView) -> Result<Divergence, FetchRefusal> {
        let switches = self.settings.switches;
        let Role::Leader(leader) = &self.role else { return Err(FetchRefusal::NotLeader) };
        let fence = check_leader_epoch(leader, fetch.current_leader_epoch);
        if fence.is_err() && switches.off(Switch::UnfencedTruncation) {
            let divergence = self.divergence(fetch, log);
            return if matches!(divergence, Divergence::At(_)) {
                Ok(divergence)
            } else {
                Err(FetchRefusal::FencedLeaderEpoch)
            };
        }
        if !switches.off(Switch::UnfencedFetch) {
            fence?;
        }
        let Some(remote) = leader.remote(fetch.replica) else { return Err(FetchRefusal::NotLeader) };
        if remote.standing.is_some_and(|standing| fetch.broker_epoch < standing.epoch) {
            // A fetch of an incarnation that is no more says nothing about the log of the present one (KIP-903).
            return Err(FetchRefusal::NotLeader);
        }
        if fetch.fetch_offset < log.log_start() {
            return Err(FetchRefusal::OutOfRange);
        }
        Ok(self.divergence(fetch, log))
    }

    fn count_fetch(&mut self, fetch: &ReplicaFetch, log: &dyn LogView, now: Instant) {
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(remote) = leader.remote_mut(fetch.replica) else { return };
        remote.note_fetch(fetch, log.log_end(), now);
        self.maybe_expand(fetch.replica, now);
        self.advance_high_watermark(log, now);
    }
}
