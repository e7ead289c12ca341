//! A replica's state as an explorer of all states compares it: brokers by any names, and of time only what the machine
//! makes of it, which is whether something happened lately.

use super::isr::{Isr, Kind, Sending, Ticket};
use super::leader::{Leader, Remote};
use super::{Replica, Role, Settings};
use crate::ids::{BrokerId, Offset};
use crate::museum::Switch;
use crate::time::Instant;

/// Tickets are told apart modulo this number: the answers to two proposals are under way at the most.
const TICKETS: u32 = 4;

impl Replica {
    /// The same state with other names for the brokers, for an explorer whose clock always shows `now`: what happened
    /// then is recent, all else is long ago.
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
            remote.last_fetch = Instant(0);
        }
    }
}

fn make_canonical(
    leader: &mut Leader,
    rename: &dyn Fn(BrokerId) -> BrokerId,
    settings: &Settings,
    now: Instant,
) {
    make_isr_canonical(&mut leader.isr, rename, settings, now);
    for remote in &mut leader.remotes {
        forget_times(remote, now);
        remote.id = rename(remote.id);
    }
    leader.remotes.sort_unstable_by_key(|remote| remote.id);
}

fn forget_times(remote: &mut Remote, now: Instant) {
    remote.last_caught_up = remote.last_caught_up.filter(|at| *at >= now);
    if remote.last_fetch != now {
        remote.last_fetch = Instant(0);
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
    isr.last_ticket = Ticket(isr.last_ticket.0 % TICKETS);
    let Some(proposal) = &mut isr.pending else { return };
    if let Kind::Expand(adding) = &mut proposal.kind {
        *adding = rename(*adding);
    }
    for (member, _) in &mut proposal.request.isr {
        *member = rename(*member);
    }
    proposal.request.isr.sort_unstable();
    proposal.request.ticket = Ticket(proposal.request.ticket.0 % TICKETS);
    if let Sending::At(at) = &mut proposal.sending {
        *at = now;
    }
    proposal.was_unknown &= settings.switches.off(Switch::ZombieAck);
}
