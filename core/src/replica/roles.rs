//! Role changes: what a replica does when the metadata says who leads.
//!
//! Deltas arrive batched. The machine acts on the final state and never assumes to have seen what lay between
//! (KAFKA-7164).

use super::follower::Follower;
use super::leader::Leader;
use super::view::{BrokersView, PartitionView};
use super::{Replica, Role};
use crate::epochs::{EpochStart, LogView};
use crate::ids::{BrokerId, Offset};
use crate::museum::Switch;
use crate::time::Instant;

/// What a replica became by a change of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// What it was: nothing changed, the change was older than what is known, or it concerns the ISR alone.
    Unchanged,
    /// The leader of a new epoch.
    Leader,
    /// A follower of a leader in a new epoch: it fetches from there with its own end and last epoch, even when the
    /// leader is the same broker.
    Follower,
    /// Nobody's: there is no leader, or it is no replica.
    Idle,
}

/// What the shell is to do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// The role.
    pub became: Became,
    /// To be written to the epoch cache before the first append, data or none (KAFKA-7415).
    pub epoch_start: Option<EpochStart>,
    /// To be cut, before anything else: never, unless a guard is off. A log is cut where the leader says that it
    /// diverges, and nowhere else.
    pub truncate_to: Option<Offset>,
}

impl RoleChange {
    const NONE: Self = Self { became: Became::Unchanged, epoch_start: None, truncate_to: None };
}

impl Replica {
    /// Follows the metadata to a newer state. To be called for each change of the partition or of a broker that
    /// holds a replica of it.
    pub fn handle_metadata(
        &mut self,
        partition: &PartitionView<'_>,
        brokers: &dyn BrokersView,
        log: &dyn LogView,
        now: Instant,
    ) -> RoleChange {
        if partition.partition_epoch < self.partition_epoch || partition.leader_epoch < self.leader_epoch {
            // An accepted AlterPartition told us more than this image knows. Its brokers are as old.
            return RoleChange::NONE;
        }
        self.min_insync_replicas = partition.min_insync_replicas;
        let is_known = partition.partition_epoch == self.partition_epoch;
        let is_new_epoch = partition.leader_epoch > self.leader_epoch || matches!(self.role, Role::Idle);
        self.leader_epoch = partition.leader_epoch;
        let change = if !partition.replicas.contains(&self.id) || partition.leader == BrokerId::NONE {
            self.become_idle()
        } else if partition.leader != self.id {
            self.follow(partition.leader, is_new_epoch)
        } else if is_new_epoch || !self.is_leader() {
            self.lead(partition, log, now)
        } else {
            self.continue_to_lead(partition, log, now)
        };
        self.partition_epoch = partition.partition_epoch;
        if let Role::Leader(leader) = &mut self.role {
            leader.note_brokers(self.id, brokers);
            if self.settings.switches.off(Switch::KeepStateOnEpochChange) && change.became == Became::Leader {
                let remotes: Vec<BrokerId> = leader.remotes.iter().map(|remote| remote.id).collect();
                remotes.into_iter().for_each(|remote| self.maybe_expand(remote, now));
            }
            if !(is_known && self.settings.switches.off(Switch::NoHighWatermarkAfterShrink)) {
                self.advance_high_watermark(log, now);
            }
        }
        change
    }

    fn become_idle(&mut self) -> RoleChange {
        let became = if matches!(self.role, Role::Idle) { Became::Unchanged } else { Became::Idle };
        self.retire();
        RoleChange { became, ..RoleChange::NONE }
    }

    /// A new epoch is a new start, with our own end and last epoch, even under the same leader (KAFKA-7164).
    fn follow(&mut self, leader: BrokerId, is_new_epoch: bool) -> RoleChange {
        let followed = self.followed();
        if followed == Some(leader) && !is_new_epoch {
            return RoleChange::NONE;
        }
        let skips_check =
            self.settings.switches.off(Switch::SameLeaderNoTruncation) && followed == Some(leader);
        self.retire();
        self.role = Role::Follower(Follower::new(leader, skips_check));
        RoleChange { became: Became::Follower, epoch_start: None, truncate_to: self.cut_on_role_change() }
    }

    /// Nothing is cut because of a role (KIP-101): the high watermark trails the leader's by one fetch, and what lies
    /// above it may be committed.
    fn cut_on_role_change(&mut self) -> Option<Offset> {
        self.settings.switches.off(Switch::TruncateToHighWatermark).then_some(self.high_watermark)
    }

    // The high watermark stays; ListOffsets (`read.rs`) and the ISR (`isr.rs`) wait for the epoch start.
    fn lead(&mut self, partition: &PartitionView<'_>, log: &dyn LogView, now: Instant) -> RoleChange {
        let start = log.log_end();
        let mut leader = Leader::new(self.id, partition, start, now);
        self.retire();
        if let Some(former) = &self.former {
            leader.inherit(former, &self.settings);
        }
        self.role = Role::Leader(leader);
        let writes_start = !self.settings.switches.off(Switch::NoEpochStart);
        let epoch_start = writes_start.then_some(EpochStart { epoch: partition.leader_epoch, start });
        RoleChange { became: Became::Leader, epoch_start, truncate_to: None }
    }

    /// Ends the role. What a leadership knew of its followers ends with it (KIP-320).
    fn retire(&mut self) {
        let remembers = |switch| self.settings.switches.off(switch);
        let role = std::mem::replace(&mut self.role, Role::Idle);
        if let Role::Leader(leader) = role
            && (remembers(Switch::HighWatermarkAnyEpoch) || remembers(Switch::KeepStateOnEpochChange))
        {
            self.former = Some(Box::new(leader));
        }
    }

    /// A record of the same leadership: its ISR overrides whatever was proposed (KIP-497).
    fn continue_to_lead(
        &mut self,
        partition: &PartitionView<'_>,
        log: &dyn LogView,
        now: Instant,
    ) -> RoleChange {
        if let Role::Leader(leader) = &mut self.role
            && partition.partition_epoch > self.partition_epoch
        {
            leader.confirm(partition.isr, now);
            leader.note_replicas(self.id, (partition.replicas, partition.isr), log, now);
        }
        RoleChange::NONE
    }
}
