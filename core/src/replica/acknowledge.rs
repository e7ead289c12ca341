//! What a producer may be told (KIP-98, KIP-966; min.insync.replicas).

use super::leader::Leader;
use super::{Replica, Role};
use crate::epochs::LogView;
use crate::ids::{LeaderEpoch, Offset};
use crate::museum::Switch;
use crate::time::Instant;

/// What a producer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acks {
    /// acks=0: nothing.
    None,
    /// acks=1: the leader has it.
    Leader,
    /// acks=all: it is committed.
    All,
}

/// A produce that was appended, or that repeats one which was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// One past its last record.
    pub end: Offset,
    /// The leader epoch that it was admitted in.
    pub leader_epoch: LeaderEpoch,
    /// What its producer waits for.
    pub acks: Acks,
    /// Whether its records were in the log before.
    pub is_duplicate: bool,
}

/// Whether it can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// With success.
    Given,
    /// Not yet.
    Awaits,
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND: committed, but on too few. It may stay: the outcome is unknown.
    NotEnoughReplicas,
    /// NOT_LEADER_OR_FOLLOWER: the leadership ended first. The outcome is unknown.
    Lost,
}

/// Why a produce is refused before anything is appended: a definite failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// NOT_LEADER_OR_FOLLOWER.
    #[error("this replica does not lead the partition: refresh the metadata")]
    NotLeader,
    /// NOT_ENOUGH_REPLICAS.
    #[error("{in_sync} replicas are in sync but min.insync.replicas is {needed}")]
    NotEnoughReplicas {
        /// How many are in sync.
        in_sync: usize,
        /// How many must be.
        needed: usize,
    },
}

/// The one predicate of min.insync.replicas: asked with the committed ISR when a produce comes, and with the maximal ISR
/// when it is complete.
fn has_enough_in_sync(in_sync: usize, min_insync_replicas: usize) -> bool {
    in_sync >= min_insync_replicas
}

impl Replica {
    /// Whether a produce may be appended; gives the leader epoch to append it with.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn handle_append(&self, acks: Acks) -> Result<LeaderEpoch, Refusal> {
        let Role::Leader(leader) = &self.role else { return Err(Refusal::NotLeader) };
        let in_sync = leader.isr.committed().len();
        let needed = self.min_insync_replicas;
        let may_append = acks != Acks::All
            || has_enough_in_sync(in_sync, needed)
            || self.settings.switches.off(Switch::MinIsrAckOnly);
        if may_append { Ok(leader.epoch) } else { Err(Refusal::NotEnoughReplicas { in_sync, needed }) }
    }

    /// The leader has appended something.
    pub fn appended(&mut self, log: &dyn LogView, now: Instant) {
        self.advance_high_watermark(log, now);
    }

    /// Whether a produce can be answered now, and how. To be asked again after each event of the machine.
    pub fn acknowledgement(&self, pending: &Pending, log: &dyn LogView) -> Acknowledgement {
        let leader = match &self.role {
            Role::Leader(leader) if leader.epoch == pending.leader_epoch => leader,
            _ if self.settings.switches.off(Switch::AckOnEpochMatch) => {
                let last = Offset(pending.end.0 - 1);
                let is_there =
                    log.log_end() >= pending.end && log.epochs().at(last) == Some(pending.leader_epoch);
                return if is_there { Acknowledgement::Given } else { Acknowledgement::Lost };
            }
            _ => return Acknowledgement::Lost,
        };
        match pending.acks {
            Acks::None => Acknowledgement::Given,
            Acks::Leader if self.has_on_leader(pending.end) => Acknowledgement::Given,
            Acks::Leader => Acknowledgement::Awaits,
            Acks::All => self.acknowledge_all(pending, leader),
        }
    }

    /// acks=1 under `flush.messages=1` waits for the leader's own flush.
    fn has_on_leader(&self, end: Offset) -> bool {
        !self.settings.flush_before_ack || self.flushed >= end
    }

    fn acknowledge_all(&self, pending: &Pending, leader: &Leader) -> Acknowledgement {
        if !self.may_acknowledge(pending, leader) {
            return Acknowledgement::Awaits;
        }
        let in_sync = leader.isr.maximal_len(self.settings.switches);
        let is_enough = has_enough_in_sync(in_sync, self.min_insync_replicas)
            || self.settings.switches.off(Switch::MinIsrAppendOnly);
        if is_enough { Acknowledgement::Given } else { Acknowledgement::NotEnoughReplicas }
    }

    /// acks=all waits for the high watermark, a repeated batch like its original.
    fn may_acknowledge(&self, pending: &Pending, leader: &Leader) -> bool {
        let switches = self.settings.switches;
        self.high_watermark >= pending.end
            || (pending.is_duplicate && switches.off(Switch::DuplicateAckEarly))
            || (leader.isr.is_unreachable() && switches.off(Switch::ZombieAck))
    }
}
