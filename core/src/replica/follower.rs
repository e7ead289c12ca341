//! A follower's side of the fetch.

use super::fetch::ReplicaFetch;
use super::truncation::Cut;
use super::{Replica, Role};
use crate::epochs::{EpochEnd, LogView};
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use crate::museum::{Switch, Switches};

/// Whom a replica follows, in the epoch that the machine holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Follower {
    pub(super) leader: BrokerId,
    /// Only with a guard off: its fetches do not say which epoch they continue.
    skips_check: bool,
}

impl Follower {
    pub(super) fn new(leader: BrokerId, skips_check: bool) -> Self {
        Self { leader, skips_check }
    }

    pub(super) fn leader(&self) -> BrokerId {
        self.leader
    }
}

/// A leader's answer to a replica's fetch, with what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FetchResponse {
    /// The leader epoch of the request.
    pub leader_epoch: LeaderEpoch,
    /// The fetch offset of the request.
    pub fetch_offset: Offset,
    /// The leader's high watermark.
    pub high_watermark: Offset,
    /// The leader's log start.
    pub log_start: Offset,
    /// The answer itself.
    pub body: FetchBody,
}

/// What a fetch was answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchBody {
    /// Records, or none.
    Records,
    /// The logs part.
    Diverging(EpochEnd),
    /// OFFSET_OUT_OF_RANGE.
    OutOfRange,
    /// Any other error.
    Refused,
}

/// What a follower does with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerAction {
    /// Nothing: it is not the answer to what would be asked now, or an error.
    Ignore,
    /// Cut the log, tell [`Replica::truncated`], then fetch again.
    Truncate(Cut),
    /// Append the records, then tell [`Replica::replicated`].
    Append,
    /// The leader's log begins after the end of ours: empty the log, begin at that offset, tell
    /// [`Replica::started_over`], then fetch from there.
    StartOver(Offset),
}

/// Whether a response still concerns the log as it is: the replica follows in the same epoch, and its log ends where it
/// did when it asked. A replica that leads by now must not be cut by a late answer (KAFKA-13207).
fn is_current(replica: &Replica, response: &FetchResponse, log: &dyn LogView, switches: Switches) -> bool {
    let is_follower = matches!(replica.role, Role::Follower(_));
    (is_follower && response.leader_epoch == replica.leader_epoch && response.fetch_offset == log.log_end())
        || switches.off(Switch::LateTruncation)
            && (matches!(response.body, FetchBody::Diverging(_))
                || (is_follower && response.fetch_offset == log.log_end()))
}

impl Replica {
    /// The fetch that a follower sends now; `None` of others, and while what it has is still on its way to the disk
    /// that it must be on (`flush.messages=1`): its offset says that it has it.
    pub fn next_fetch(&self, broker_epoch: BrokerEpoch, log: &dyn LogView) -> Option<ReplicaFetch> {
        let Role::Follower(follower) = &self.role else { return None };
        if self.settings.flush_before_ack && self.flushed < log.log_end() {
            return None;
        }
        // The newest epoch that is noted, though nothing may have been written in it: what the leader does not know of
        // it is cut (KAFKA-10706). An empty log continues nothing.
        let newest = log.epochs().latest().filter(|_| log.log_start() < log.log_end());
        let last_epoch = newest.map_or(LeaderEpoch::NONE, |newest| newest.epoch);
        Some(ReplicaFetch {
            replica: self.id,
            broker_epoch,
            current_leader_epoch: self.leader_epoch,
            fetch_offset: log.log_end(),
            last_fetched_epoch: if follower.skips_check { LeaderEpoch::NONE } else { last_epoch },
        })
    }

    /// Judges a response. The high watermark in it is not applied before the log agrees with the leader's.
    pub fn handle_fetch_response(&mut self, response: &FetchResponse, log: &dyn LogView) -> FollowerAction {
        let switches = self.settings.switches;
        if !is_current(self, response, log, switches) {
            return FollowerAction::Ignore;
        }
        match response.body {
            FetchBody::Records => FollowerAction::Append,
            FetchBody::Diverging(end) => {
                if switches.off(Switch::HighWatermarkBeforeTruncation) {
                    self.take_high_watermark(response.high_watermark, log);
                }
                FollowerAction::Truncate(self.cut_for(end, log))
            }
            FetchBody::OutOfRange if response.log_start > log.log_end() => {
                FollowerAction::StartOver(response.log_start)
            }
            FetchBody::OutOfRange | FetchBody::Refused => FollowerAction::Ignore,
        }
    }

    /// The records of a response are appended, and the log's start follows the leader's.
    pub fn replicated(&mut self, response: &FetchResponse, log: &dyn LogView) {
        self.take_high_watermark(response.high_watermark, log);
    }

    /// The log was cut.
    pub fn truncated(&mut self, log: &dyn LogView) {
        self.high_watermark = self.high_watermark.min(log.log_end());
        self.flushed = self.flushed.min(log.log_end());
    }

    /// The log was emptied and begins at the leader's start, below which everything was committed once (KAFKA-9491).
    pub fn started_over(&mut self, log: &dyn LogView) {
        self.flushed = log.log_end();
        if !self.settings.switches.off(Switch::HighWatermarkBelowStart) {
            self.high_watermark = log.log_start();
        }
    }
}
