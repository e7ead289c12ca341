//! A partition's replication, without its bytes: one pure machine per partition and broker (KIP-101, KIP-279, KIP-320,
//! KIP-497, KIP-903, KIP-966), and the fold of its producers.
//!
//! The shell owns the log and tells the machine what happened to it; the machine decides what may happen next: what
//! a fetch is answered with, where a follower cuts its log, who is in sync, what is committed, what may be
//! acknowledged and read. It sees the log through [`LogView`], never its bytes; `now` is an argument.
//!
//! Each guard is one named predicate in the file that owns the rule, and each can be taken away by the simulator
//! ([`crate::museum`]).
//!
//! | file | what |
//! |---|---|
//! | `roles.rs` | what the metadata makes of a replica: leader, follower, neither |
//! | `fetch.rs`, `follower.rs` | the leader's answer to a replica's fetch; the follower's question, and what it does |
//! | `truncation.rs` | where two logs part: the leader's test of a fetch for divergence, and where a follower cuts |
//! | `isr.rs` | the in-sync set, its growth and shrinking, proposals and their outcomes |
//! | `leader.rs` | what a leader knows of each follower: its end, since when it trails (`replica.lag.time.max.ms`), whether it is eligible |
//! | `high_watermark.rs` | what is committed |
//! | `acknowledge.rs` | what producers are told, of a repetition too |
//! | `read.rs` | what consumers may read |
//! | `idempotence.rs` | which producer may begin where, and when a batch enters the fold |
//! | `producers.rs` | the fold of the producers; which batch repeats one of the last five |
//! | `view.rs` | what the machine reads of the metadata |

mod acknowledge;
#[cfg(feature = "museum")]
mod canonical;
mod fetch;
mod follower;
mod high_watermark;
pub mod idempotence;
mod isr;
mod leader;
pub mod producers;
mod read;
mod roles;
#[cfg(test)]
mod tests;
mod truncation;
mod view;

use std::time::Duration;

pub use acknowledge::{Acknowledgement, Acks, Pending, Refusal};
pub use fetch::{FetchDecision, FetchRefusal, ReplicaFetch};
pub use follower::{FetchBody, FetchResponse, FollowerAction};
pub use isr::{AlterIsr, AlterPartitionOutcome, AlterPartitionRejection, PartitionState, Ticket};
pub use read::{Isolation, ReaderFetch};
pub use roles::{Became, RoleChange};
pub use truncation::{Cut, may_keep_epochs, recovered_epochs};
pub use view::{BrokerStanding, BrokersView, PartitionView};

use crate::epochs::LogView;
use crate::ids::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};
use crate::museum::Switches;
use crate::time::Instant;
use follower::Follower;
use leader::Leader;

/// What the machine needs of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// `replica.lag.time.max.ms`: how long an in-sync replica may trail the leader's end.
    pub replica_lag_time_max: Duration,
    /// How long after an unknown outcome the same AlterPartition is sent again.
    pub alter_partition_backoff: Duration,
    /// `flush.messages=1`: only what is on the disk itself counts as replicated.
    pub flush_before_ack: bool,
    /// Which guards are off.
    pub switches: Switches,
}

/// One replica of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    id: BrokerId,
    settings: Settings,
    high_watermark: Offset,
    flushed: Offset,
    leader_epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    min_insync_replicas: usize,
    role: Role,
    /// The leadership before: nothing, unless a guard is off that forgets it.
    former: Option<Box<Leader>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// It knows no leader, or is not assigned.
    Idle,
    Leader(Leader),
    Follower(Follower),
}

impl Replica {
    /// A replica whose log was just opened. `high_watermark` is the one in the checkpoint, which may be any earlier
    /// one. `flushed` is one past the last record that is known to be on the disk itself: that recovery could read a
    /// record says nothing, for the page cache outlives the process and not the power (KAFKA-10101).
    pub fn new(
        id: BrokerId,
        settings: Settings,
        log: &dyn LogView,
        high_watermark: Offset,
        flushed: Offset,
    ) -> Self {
        let flushed = flushed.min(log.log_end());
        let counts = if settings.flush_before_ack { flushed } else { log.log_end() };
        Self {
            id,
            settings,
            high_watermark: high_watermark.min(counts).max(log.log_start()),
            flushed,
            leader_epoch: LeaderEpoch::NONE,
            partition_epoch: PartitionEpoch(-1),
            min_insync_replicas: 1,
            role: Role::Idle,
            former: None,
        }
    }

    /// One past the last record that is known here to be committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The epoch of the leader it knows, or -1.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The version of the registration it follows, or -1.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// Whether it leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// The leader it fetches from.
    pub fn followed(&self) -> Option<BrokerId> {
        match &self.role {
            Role::Follower(follower) => Some(follower.leader()),
            Role::Idle | Role::Leader(_) => None,
        }
    }

    /// The in-sync replicas that the controller has confirmed, as far as this leader knows; empty elsewhere.
    pub fn committed_isr(&self) -> &[BrokerId] {
        match &self.role {
            Role::Leader(leader) => leader.isr.committed(),
            Role::Idle | Role::Follower(_) => &[],
        }
    }

    /// The in-sync replicas that may be committed already: what the high watermark waits for; empty elsewhere.
    pub fn maximal_isr(&self) -> Vec<BrokerId> {
        match &self.role {
            Role::Leader(leader) => leader.isr.maximal(self.settings.switches).collect(),
            Role::Idle | Role::Follower(_) => Vec::new(),
        }
    }

    /// Whether a proposed change of the ISR has not been decided.
    pub fn has_pending_isr(&self) -> bool {
        matches!(&self.role, Role::Leader(leader) if leader.isr.has_pending())
    }

    /// Follows a flush that ended: everything below `offset` is on the disk. Whoever flushes compares the log's
    /// generation first, for what was cut since does not count.
    pub fn flushed(&mut self, offset: Offset, log: &dyn LogView, now: Instant) {
        self.flushed = self.flushed.max(offset.min(log.log_end()));
        self.advance_high_watermark(log, now);
    }

    /// Follows a move of the log's start, by retention or DeleteRecords; it never passes the high watermark.
    pub fn log_start_moved(&mut self, log: &dyn LogView) {
        assert!(log.log_start() <= self.high_watermark, "only what is committed is removed from the start");
    }

    /// When [`Replica::handle_timeout`] or [`Replica::alter_partition_due`] has something to do.
    pub fn next_deadline(&self, log: &dyn LogView) -> Option<Instant> {
        let Role::Leader(leader) = &self.role else { return None };
        if leader.isr.has_pending() {
            return leader.isr.due_at();
        }
        leader.next_lag_deadline(self.id, &self.settings, log)
    }

    /// Looks for in-sync replicas that trail for too long.
    pub fn handle_timeout(&mut self, log: &dyn LogView, now: Instant) {
        let Role::Leader(leader) = &mut self.role else { return };
        leader.propose_shrink((self.id, self.partition_epoch), &self.settings, log, now);
        if self.settings.switches.off(crate::museum::Switch::ShrinkEager) {
            self.advance_high_watermark(log, now);
        }
    }
}
