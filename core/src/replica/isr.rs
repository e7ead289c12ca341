//! The in-sync set, and its changes through the controller (KIP-497, KIP-841, KIP-903).
//!
//! The set is committed, or a change is pending: one replica to be added, or some to be removed. At most one request is
//! in flight. Until its outcome is known the leader counts with the larger of both sets, the maximal ISR (KAFKA-8836).

use super::leader::{Leader, Remote};
use super::{Replica, Role, Settings};
use crate::epochs::LogView;
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};
use crate::museum::{Switch, Switches};
use crate::time::Instant;

/// Names one proposal, so that the answer to another one is not taken for its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket(pub u32);

/// A proposed ISR, to be sent to the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlterIsr {
    /// To be given back with the outcome.
    pub ticket: Ticket,
    /// The epoch of the leader.
    pub leader_epoch: LeaderEpoch,
    /// The version of the registration that is to be changed.
    pub partition_epoch: PartitionEpoch,
    /// The members, with the incarnation of each.
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the partition still recovers from an unclean election.
    pub recovering: bool,
}

/// A partition as the controller answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PartitionState {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync set.
    pub isr: Vec<BrokerId>,
    /// The version of the registration.
    pub partition_epoch: PartitionEpoch,
    /// Whether it recovers from an unclean election.
    pub recovering: bool,
}

/// Why the controller refuses a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlterPartitionRejection {
    /// INELIGIBLE_REPLICA: a member is fenced, shuts down, or is another incarnation.
    IneligibleReplica,
    /// FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION, UNKNOWN_TOPIC_ID, NEW_LEADER_ELECTED, INVALID_REQUEST: the
    /// metadata that is on its way says more.
    Superseded,
    /// NOT_CONTROLLER and whatever else tells nothing about the proposal.
    TryAgain,
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterPartitionOutcome {
    /// The controller answered.
    Answered(Result<PartitionState, AlterPartitionRejection>),
    /// No answer: it may have been carried out, or may still be.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Expand(BrokerId),
    Shrink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sending {
    /// To be sent from then on.
    At(Instant),
    InFlight,
    /// The metadata decides.
    AwaitsMetadata,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proposal {
    pub(super) kind: Kind,
    pub(super) request: AlterIsr,
    pub(super) sending: Sending,
    pub(super) was_unknown: bool,
}

/// The in-sync set of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Isr {
    pub(super) committed: Vec<BrokerId>,
    pub(super) pending: Option<Proposal>,
    pub(super) last_ticket: Ticket,
}

impl Isr {
    pub(super) fn new(committed: &[BrokerId]) -> Self {
        Self { committed: committed.to_vec(), pending: None, last_ticket: Ticket(0) }
    }

    /// The set that the controller confirmed last.
    pub(super) fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    /// Everyone who may be in the controller's set: the committed one, which is the larger one while a shrink is
    /// pending, and the replica that is being added.
    pub(super) fn maximal(&self, switches: Switches) -> impl Iterator<Item = BrokerId> {
        let adding = match &self.pending {
            Some(Proposal { kind: Kind::Expand(adding), .. }) if !switches.off(Switch::NoMaximalIsr) => {
                Some(*adding)
            }
            _ => None,
        };
        self.committed.iter().copied().chain(adding)
    }

    pub(super) fn maximal_contains(&self, id: BrokerId, switches: Switches) -> bool {
        self.maximal(switches).any(|member| member == id)
    }

    pub(super) fn maximal_len(&self, switches: Switches) -> usize {
        self.maximal(switches).count()
    }

    pub(super) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether the controller did not answer to the pending proposal.
    pub(super) fn is_unreachable(&self) -> bool {
        self.pending.as_ref().is_some_and(|proposal| proposal.was_unknown)
    }

    pub(super) fn due_at(&self) -> Option<Instant> {
        match self.pending.as_ref()?.sending {
            Sending::At(at) => Some(at),
            Sending::InFlight | Sending::AwaitsMetadata => None,
        }
    }

    fn confirm(&mut self, isr: &[BrokerId]) {
        self.committed.clear();
        self.committed.extend_from_slice(isr);
        self.pending = None;
    }

    fn propose(&mut self, kind: Kind, mut request: AlterIsr, now: Instant) {
        self.last_ticket = Ticket(self.last_ticket.0.wrapping_add(1));
        request.ticket = self.last_ticket;
        self.pending = Some(Proposal { kind, request, sending: Sending::At(now), was_unknown: false });
    }
}

/// Whether a follower may be proposed for the ISR: it is outside, nothing is pending, it fetched in this leader epoch as
/// the incarnation that is registered and unfenced (KIP-841, KIP-903), and it has everything that is committed or may be:
/// the high watermark, and, because a new leader's is stale, the start of the leader's epoch (KAFKA-7128).
fn can_expand(leader: &Leader, remote: &Remote, high_watermark: Offset, switches: Switches) -> bool {
    !leader.isr.has_pending()
        && !leader.isr.committed().contains(&remote.id)
        && (remote.has_fetched || switches.off(Switch::KeepStateOnEpochChange))
        && (remote.log_end >= high_watermark || switches.off(Switch::ExpandBelowHighWatermark))
        && (remote.log_end >= leader.epoch_start || switches.off(Switch::ExpandBelowEpochStart))
        && remote.is_eligible()
}

/// Whether a member is to leave: it was not at the leader's end, as of its previous fetch, for
/// `replica.lag.time.max.ms`.
fn is_out_of_sync(remote: &Remote, settings: &Settings, log: &dyn LogView, now: Instant) -> bool {
    !remote.is_caught_up(settings, log.log_end(), now)
}

/// Whether a refused proposal may be taken back: only when the controller says that a member cannot join, which also
/// says that it did not and will not. Another copy of the proposal may be on its way, when an earlier outcome was
/// unknown; the controller raises the partition epoch with this answer, so that it finds all copies outdated. An
/// unknown outcome says nothing.
fn may_roll_back(outcome: &AlterPartitionOutcome, switches: Switches) -> bool {
    match outcome {
        AlterPartitionOutcome::Answered(Err(AlterPartitionRejection::IneligibleReplica)) => true,
        AlterPartitionOutcome::Unknown => switches.off(Switch::RollbackOnTimeout),
        AlterPartitionOutcome::Answered(_) => false,
    }
}

impl Leader {
    /// The controller's set is this one, whatever was proposed. Who is new in it was perhaps never at the end of the
    /// log, and is given `replica.lag.time.max.ms` to get there: counted from the beginning of time, it would be taken
    /// out at once, join again by its next fetch, and so on (KIP-16).
    pub(super) fn confirm(&mut self, isr: &[BrokerId], now: Instant) {
        let joins = |id: &BrokerId| isr.contains(id) && !self.isr.committed.contains(id);
        for remote in self.remotes.iter_mut().filter(|remote| joins(&remote.id)) {
            remote.last_caught_up = Some(now);
        }
        self.isr.confirm(isr);
    }

    fn request(
        &self,
        id: BrokerId,
        members: impl Iterator<Item = BrokerId>,
        epoch: PartitionEpoch,
    ) -> AlterIsr {
        let epoch_of = |member: BrokerId| {
            if member == id {
                return self.broker_epoch;
            }
            let remote = self.remote(member);
            // Who has not fetched is in the set already: the incarnation that the same metadata names.
            let known =
                remote.and_then(|remote| remote.broker_epoch.or(remote.standing.map(|known| known.epoch)));
            known.unwrap_or(BrokerEpoch(-1))
        };
        AlterIsr {
            ticket: Ticket(0),
            leader_epoch: self.epoch,
            partition_epoch: epoch,
            isr: members.map(|member| (member, epoch_of(member))).collect(),
            // A new leader has recovered when it begins to lead; the first proposal says so (KIP-704).
            recovering: false,
        }
    }

    /// Only with a guard off: the incarnations are read a second time, when the proposal is sent. They are those of the
    /// fetches that were judged, and stay so however often it is sent (KAFKA-15221).
    fn name_present_incarnations(&self, request: &mut AlterIsr) {
        for (member, epoch) in &mut request.isr {
            if let Some(standing) = self.remote(*member).and_then(|remote| remote.standing) {
                *epoch = standing.epoch;
            }
        }
    }

    /// When the first in-sync follower will have trailed for too long.
    pub(super) fn next_lag_deadline(
        &self,
        id: BrokerId,
        settings: &Settings,
        log: &dyn LogView,
    ) -> Option<Instant> {
        let trails = |remote: &&Remote| {
            remote.id != id && self.isr.committed().contains(&remote.id) && remote.log_end != log.log_end()
        };
        let just_after = std::time::Duration::from_nanos(1);
        let deadline = |remote: &Remote| {
            remote.last_caught_up.unwrap_or_default() + settings.replica_lag_time_max + just_after
        };
        self.remotes.iter().filter(trails).map(deadline).min()
    }

    pub(super) fn propose_shrink(
        &mut self,
        (id, partition_epoch): (BrokerId, PartitionEpoch),
        settings: &Settings,
        log: &dyn LogView,
        now: Instant,
    ) {
        if self.isr.has_pending() {
            return;
        }
        let leaves = |member: &BrokerId| {
            self.remote(*member).is_some_and(|remote| is_out_of_sync(remote, settings, log, now))
        };
        if !self.isr.committed().iter().any(leaves) {
            return;
        }
        let staying: Vec<BrokerId> =
            self.isr.committed().iter().copied().filter(|member| !leaves(member)).collect();
        let request = self.request(id, staying.iter().copied(), partition_epoch);
        self.isr.propose(Kind::Shrink, request, now);
        if settings.switches.off(Switch::ShrinkEager) {
            self.isr.committed = staying;
        }
    }
}

impl Replica {
    /// After a fetch of `id`: proposes it for the ISR if it may join.
    pub(super) fn maybe_expand(&mut self, id: BrokerId, now: Instant) {
        let switches = self.settings.switches;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(remote) = leader.remote(id) else { return };
        if can_expand(leader, remote, self.high_watermark, switches) {
            let members = leader.isr.committed().iter().copied().chain([id]);
            let request = leader.request(self.id, members, self.partition_epoch);
            leader.isr.propose(Kind::Expand(id), request, now);
        }
    }

    /// The proposal that is to be sent now, if any. It counts as in flight until its outcome is told.
    pub fn alter_partition_due(&mut self, now: Instant) -> Option<AlterIsr> {
        let Role::Leader(leader) = &mut self.role else { return None };
        let proposal = leader.isr.pending.as_mut()?;
        if !matches!(proposal.sending, Sending::At(at) if at <= now) {
            return None;
        }
        proposal.sending = Sending::InFlight;
        let mut request = proposal.request.clone();
        if self.settings.switches.off(Switch::EpochCheckTwice) {
            leader.name_present_incarnations(&mut request);
        }
        Some(request)
    }

    /// Follows the outcome of the proposal that `ticket` and `leader_epoch` name; of any other it is ignored.
    pub fn handle_alter_partition(
        &mut self,
        ticket: Ticket,
        leader_epoch: LeaderEpoch,
        outcome: &AlterPartitionOutcome,
        log: &dyn LogView,
        now: Instant,
    ) {
        let Settings { switches, alter_partition_backoff, .. } = self.settings;
        let Role::Leader(leader) = &mut self.role else { return };
        let Some(proposal) = &mut leader.isr.pending else { return };
        if leader.epoch != leader_epoch || proposal.request.ticket != ticket {
            return;
        }
        if may_roll_back(outcome, switches) {
            leader.isr.pending = None;
            return;
        }
        match outcome {
            AlterPartitionOutcome::Answered(Ok(state)) if state.leader_epoch == leader_epoch => {
                // Not newer: the controller found nothing to change. Older cannot be, for metadata that is newer
                // than the proposal has replaced it.
                if state.partition_epoch >= self.partition_epoch {
                    self.partition_epoch = state.partition_epoch;
                    leader.confirm(&state.isr, now);
                    if !switches.off(Switch::NoHighWatermarkAfterShrink) {
                        self.advance_high_watermark(log, now);
                    }
                }
            }
            AlterPartitionOutcome::Answered(Ok(_) | Err(AlterPartitionRejection::Superseded)) => {
                proposal.sending = Sending::AwaitsMetadata;
            }
            AlterPartitionOutcome::Answered(Err(_)) | AlterPartitionOutcome::Unknown => {
                proposal.was_unknown = true;
                proposal.sending = Sending::At(now + alter_partition_backoff);
            }
        }
    }
}
