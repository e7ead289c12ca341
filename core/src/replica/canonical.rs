//! A replica's state as an explorer of all states compares it: brokers by any names, and of time and of counters only
//! what the machine makes of them.
//!
//! The explorer's clock always shows the same moment, and [`Replica::forget_recency`] may be called at any time. So it
//! does not matter for how long a member of the ISR was not caught up, and any fetch may pass for one that caught up:
//! what the machine could do otherwise, it can do after a call of that.

use super::isr::{Isr, Kind, Sending, Ticket};
use super::leader::{Leader, Remote};
use super::{Replica, Role, Settings};
use crate::ids::{BrokerId, Offset, PartitionEpoch};
use crate::museum::Switch;
use crate::time::Instant;

impl Replica {
    /// The same state with other names for the brokers, where the clock always shows `now`.
    #[must_use]
    pub fn canonical(&self, rename: &dyn Fn(BrokerId) -> BrokerId, now: Instant) -> Self {
        let mut replica = self.clone();
        replica.id = rename(self.id);
        if !self.settings.flush_before_ack {
            // Nobody asks for it.
            replica.flushed = Offset::ZERO;
        }
        match &mut replica.role {
            Role::Idle => {}
            Role::Follower(follower) => follower.leader = rename(follower.leader),
            Role::Leader(leader) => make_canonical(leader, rename, &self.settings, now),
        }
        if !self.is_leader() {
            // Only a leader may be ahead of the metadata that it learns.
            replica.partition_epoch = replica.partition_epoch.min(PartitionEpoch(0));
        }
        if let Some(former) = &mut replica.former {
            make_canonical(former, rename, &self.settings, now);
        }
        replica
    }

    /// `replica.lag.time.max.ms` passes without this follower being caught up. For nobody else time passes.
    pub fn forget_recency(&mut self, follower: BrokerId) {
        let Role::Leader(leader) = &mut self.role else { return };
        if let Some(remote) = leader.remote_mut(follower) {
            remote.last_caught_up = None;
        }
    }

    /// The ticket of the proposal that is not decided. In a canonical state it is 1, and so is the last that was given;
    /// where none is pending that is 0.
    pub fn pending_ticket(&self) -> Option<Ticket> {
        let Role::Leader(leader) = &self.role else { return None };
        leader.isr.pending.as_ref().map(|proposal| proposal.request.ticket)
    }
}

fn make_canonical(
    leader: &mut Leader,
    rename: &dyn Fn(BrokerId) -> BrokerId,
    settings: &Settings,
    now: Instant,
) {
    for remote in &mut leader.remotes {
        let is_in_sync = leader.isr.committed.contains(&remote.id);
        forget_times(remote, is_in_sync, now);
        remote.id = rename(remote.id);
    }
    leader.remotes.sort_unstable_by_key(|remote| remote.id);
    make_isr_canonical(&mut leader.isr, rename, settings, now);
}

fn forget_times(remote: &mut Remote, is_in_sync: bool, now: Instant) {
    remote.last_fetch = now;
    remote.leader_end_at_last_fetch = Offset::UNKNOWN;
    if is_in_sync {
        remote.last_caught_up = Some(now);
    } else if !remote.has_fetched {
        remote.last_caught_up = None;
    }
}

fn make_isr_canonical(
    isr: &mut Isr,
    rename: &dyn Fn(BrokerId) -> BrokerId,
    settings: &Settings,
    now: Instant,
) {
    for member in &mut isr.committed {
        *member = rename(*member);
    }
    isr.committed.sort_unstable();
    isr.last_ticket = Ticket(u32::from(isr.pending.is_some()));
    let Some(proposal) = &mut isr.pending else { return };
    if let Kind::Expand(adding) = &mut proposal.kind {
        *adding = rename(*adding);
    }
    for (member, _) in &mut proposal.request.isr {
        *member = rename(*member);
    }
    proposal.request.isr.sort_unstable();
    proposal.request.ticket = Ticket(1);
    if let Sending::At(at) = &mut proposal.sending {
        *at = now;
    }
    proposal.was_unknown &= settings.switches.off(Switch::ZombieAck);
}
