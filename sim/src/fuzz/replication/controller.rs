//! An ideal controller: one partition, one log that never fails, every rule of the metadata kept.

use jangbu_core::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use jangbu_core::replica::{
    AlterIsr, AlterPartitionRejection, BrokerStanding, BrokersView, PartitionState, PartitionView,
};

use super::BROKERS_MAX;

/// The metadata at one offset, as brokers see it.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The offset of the newest record.
    pub offset: i64,
    /// The assignment.
    pub replicas: Vec<BrokerId>,
    /// In sync.
    pub isr: Vec<BrokerId>,
    /// Eligible leader replicas.
    pub elr: Vec<BrokerId>,
    /// The leader or -1.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: i32,
    /// The version.
    pub partition_epoch: i32,
    /// From an unclean election.
    pub is_recovering: bool,
    /// The effective one.
    pub min_insync_replicas: usize,
    /// By id, from 1.
    pub brokers: [Option<BrokerStanding>; BROKERS_MAX],
}

impl BrokersView for View {
    fn standing(&self, id: BrokerId) -> Option<BrokerStanding> {
        *self.brokers.get(usize::try_from(id.0 - 1).ok()?)?
    }
}

impl View {
    /// The partition.
    pub fn partition(&self) -> PartitionView<'_> {
        PartitionView {
            replicas: &self.replicas,
            isr: &self.isr,
            leader: self.leader,
            leader_epoch: LeaderEpoch(self.leader_epoch),
            partition_epoch: PartitionEpoch(self.partition_epoch),
            is_recovering: self.is_recovering,
            min_insync_replicas: self.min_insync_replicas,
        }
    }

    fn is_active(&self, id: BrokerId) -> bool {
        self.standing(id).is_some_and(|standing| standing.is_eligible())
    }
}

/// How a leader was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// From the ISR.
    InSync,
    /// From the eligible leader replicas.
    Eligible,
    /// The last known leader, when there is nobody else.
    LastKnown,
}

#[derive(Clone, Copy, Debug, Default)]
struct Session {
    incarnation: u64,
    directory: u32,
    heard_at_ms: u64,
    metadata_offset: i64,
    shutdown_offset: Option<i64>,
}

/// The controller.
#[derive(Clone, Debug)]
pub struct IdealController {
    /// Every state there was: the metadata log.
    pub views: Vec<View>,
    sessions: [Session; BROKERS_MAX],
    target: Option<Vec<BrokerId>>,
    last_known_leader: BrokerId,
    session_ms: u64,
    /// Elections since the last look.
    pub elections: Vec<Election>,
}

/// What a heartbeat is answered with.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// It has published its registration.
    pub is_caught_up: bool,
    /// It is fenced.
    pub is_fenced: bool,
    /// It may stop.
    pub should_shut_down: bool,
}

impl IdealController {
    /// Brokers that serve, and a topic with these replicas, all in sync.
    pub fn new(brokers: usize, replicas: Vec<BrokerId>, min_insync_replicas: usize, session_ms: u64) -> Self {
        let min_insync_replicas = min_insync_replicas.min(replicas.len());
        let last_known_leader = replicas[0];
        let mut view = View { isr: replicas.clone(), replicas, leader: last_known_leader, ..View::default() };
        view.min_insync_replicas = min_insync_replicas;
        for standing in view.brokers.iter_mut().take(brokers) {
            view.offset += 1;
            let epoch = BrokerEpoch(view.offset);
            *standing = Some(BrokerStanding { epoch, fenced: false, in_controlled_shutdown: false });
        }
        Self {
            views: vec![view],
            sessions: Default::default(),
            target: None,
            last_known_leader,
            session_ms,
            elections: Vec::new(),
        }
    }

    /// The newest state.
    pub fn view(&self) -> &View {
        &self.views[self.views.len() - 1]
    }

    /// A process that registered before the episode began.
    pub fn begin_session(&mut self, id: BrokerId, incarnation: u64, directory: u32, now_ms: u64) {
        let metadata_offset = self.view().offset;
        self.sessions[(id.0 - 1) as usize] =
            Session { incarnation, directory, heard_at_ms: now_ms, metadata_offset, shutdown_offset: None };
    }

    fn commit(&mut self, mut view: View) {
        view.offset += 1;
        self.views.push(view);
    }

    /// Settles ISR, ELR and leader for a target ISR (KIP-966). `unclean` leaves without a trace.
    fn settle(&mut self, view: &mut View, target_isr: Vec<BrokerId>, unclean: Option<BrokerId>) {
        let before = self.view().clone();
        let mut isr: Vec<BrokerId> = target_isr.into_iter().filter(|id| view.replicas.contains(id)).collect();
        let mut elr: Vec<BrokerId> = Vec::new();
        for id in before.elr.iter().chain(&before.isr) {
            let stays = !isr.contains(id) && !elr.contains(id) && Some(*id) != unclean;
            if stays && view.replicas.contains(id) {
                elr.push(*id);
            }
        }
        if isr.len() >= view.min_insync_replicas {
            elr.clear();
        }
        let mut leader = view.leader;
        let mut recovering = view.is_recovering;
        if !isr.contains(&leader) || !view.is_active(leader) {
            let active = |id: &&BrokerId| view.is_active(**id);
            let from_isr = view.replicas.iter().find(|id| isr.contains(id) && view.is_active(**id));
            leader = match from_isr {
                Some(id) => {
                    self.elections.push(Election::InSync);
                    *id
                }
                None if isr.is_empty() => match view.replicas.iter().filter(active).find(|id| elr.contains(id)) {
                    Some(id) => {
                        self.elections.push(Election::Eligible);
                        isr = vec![*id];
                        elr.retain(|other| other != id);
                        *id
                    }
                    None if elr.is_empty() && view.is_active(self.last_known_leader) => {
                        self.elections.push(Election::LastKnown);
                        isr = vec![self.last_known_leader];
                        recovering = true;
                        self.last_known_leader
                    }
                    None => BrokerId::NONE,
                },
                None => BrokerId::NONE,
            };
        }
        if isr.len() >= view.min_insync_replicas {
            elr.clear();
        }
        if leader != view.leader {
            view.leader_epoch += 1;
        }
        if leader != BrokerId::NONE {
            self.last_known_leader = leader;
        }
        let changed = leader != view.leader || isr != before.isr || elr != before.elr || view.replicas != before.replicas;
        (view.leader, view.isr, view.elr, view.is_recovering) = (leader, isr, elr, recovering);
        if changed {
            view.partition_epoch += 1;
        }
    }

    fn without(&self, id: BrokerId) -> Vec<BrokerId> {
        self.view().isr.iter().copied().filter(|member| *member != id).collect()
    }

    /// A process starts. `None`: refused, for another directory's session lives.
    pub fn register(
        &mut self,
        id: BrokerId,
        incarnation: u64,
        directory: u32,
        previous: Option<BrokerEpoch>,
        now_ms: u64,
    ) -> Option<BrokerEpoch> {
        let index = (id.0 - 1) as usize;
        let session = self.sessions[index];
        if let Some(standing) = self.view().standing(id) {
            if session.incarnation == incarnation {
                return Some(standing.epoch);
            }
            let lives = !standing.fenced && now_ms < session.heard_at_ms + self.session_ms;
            if session.directory != directory && lives {
                return None;
            }
        }
        let is_clean = previous.is_some() && previous == self.view().standing(id).map(|standing| standing.epoch);
        let mut view = self.view().clone();
        let epoch = BrokerEpoch(view.offset + 1);
        view.brokers[index] = Some(BrokerStanding { epoch, fenced: true, in_controlled_shutdown: false });
        let isr = self.without(id);
        self.sessions[index] =
            Session { incarnation, directory, heard_at_ms: now_ms, metadata_offset: -1, shutdown_offset: None };
        self.settle(&mut view, isr, (!is_clean).then_some(id));
        self.commit(view);
        Some(epoch)
    }

    /// A heartbeat. `None`: another incarnation is registered.
    pub fn heartbeat(
        &mut self,
        id: BrokerId,
        epoch: BrokerEpoch,
        metadata_offset: i64,
        wants: (bool, bool),
        now_ms: u64,
    ) -> Option<Heartbeat> {
        let index = (id.0 - 1) as usize;
        let standing = self.view().standing(id).filter(|standing| standing.epoch == epoch)?;
        let (wants_fence, wants_shutdown) = wants;
        let session = &mut self.sessions[index];
        session.heard_at_ms = now_ms;
        session.metadata_offset = session.metadata_offset.max(metadata_offset);
        let is_caught_up = metadata_offset >= epoch.0;
        if wants_shutdown && !standing.in_controlled_shutdown {
            self.change_standing(id, |standing| standing.in_controlled_shutdown = true);
            self.sessions[index].shutdown_offset = Some(self.view().offset);
        } else if standing.fenced && !wants_fence && !wants_shutdown && is_caught_up {
            self.change_standing(id, |standing| standing.fenced = false);
        }
        let mut should_shut_down = false;
        if let Some(offset) = self.sessions[index].shutdown_offset {
            let view = self.view();
            should_shut_down = (0..BROKERS_MAX).all(|other| {
                view.brokers[other].is_none_or(|standing| standing.fenced)
                    || self.sessions[other].metadata_offset >= offset
            });
            if should_shut_down && !self.view().standing(id).is_some_and(|standing| standing.fenced) {
                self.change_standing(id, |standing| standing.fenced = true);
            }
        }
        let is_fenced = self.view().standing(id).is_some_and(|standing| standing.fenced);
        Some(Heartbeat { is_caught_up, is_fenced, should_shut_down })
    }

    fn change_standing(&mut self, id: BrokerId, change: impl FnOnce(&mut BrokerStanding)) {
        let mut view = self.view().clone();
        if let Some(standing) = &mut view.brokers[(id.0 - 1) as usize] {
            change(standing);
        }
        let isr = if view.is_active(id) { view.isr.clone() } else { self.without(id) };
        self.settle(&mut view, isr, None);
        self.commit(view);
    }

    /// Fences the first broker whose session is over.
    pub fn expire(&mut self, now_ms: u64) -> Option<BrokerId> {
        let is_over = |index: &usize| {
            let standing = self.view().brokers[*index];
            standing.is_some_and(|standing| !standing.fenced)
                && now_ms >= self.sessions[*index].heard_at_ms + self.session_ms
        };
        let index = (0..BROKERS_MAX).find(is_over)?;
        let id = BrokerId(index as i32 + 1);
        self.change_standing(id, |standing| standing.fenced = true);
        Some(id)
    }

    /// A leader proposes an ISR.
    ///
    /// # Errors
    /// As the order of KIP-497's checks has it.
    pub fn alter_partition(
        &mut self,
        id: BrokerId,
        broker_epoch: BrokerEpoch,
        asked: &AlterIsr,
    ) -> Result<PartitionState, AlterPartitionRejection> {
        let view = self.view();
        let is_present = view.standing(id).is_some_and(|standing| standing.epoch == broker_epoch);
        let is_current = asked.leader_epoch.0 == view.leader_epoch
            && view.leader == id
            && asked.partition_epoch.0 == view.partition_epoch;
        let members: Vec<BrokerId> = asked.isr.iter().map(|(member, _)| *member).collect();
        if !is_present || !is_current || !members.contains(&id) || !members.iter().all(|it| view.replicas.contains(it)) {
            return Err(AlterPartitionRejection::Superseded);
        }
        let may_join = |(member, epoch): &(BrokerId, BrokerEpoch)| {
            view.standing(*member).is_some_and(|standing| standing.is_eligible() && standing.epoch == *epoch)
        };
        if !asked.isr.iter().all(may_join) {
            return Err(AlterPartitionRejection::IneligibleReplica);
        }
        let mut next = view.clone();
        next.is_recovering = false;
        self.settle(&mut next, members, None);
        self.finish_reassignment(&mut next);
        if next.isr == self.view().isr && !self.view().is_recovering {
            return Ok(Self::state(self.view()));
        }
        if next.partition_epoch == self.view().partition_epoch {
            next.partition_epoch += 1;
        }
        let state = Self::state(&next);
        self.commit(next);
        Ok(state)
    }

    fn state(view: &View) -> PartitionState {
        PartitionState {
            leader: view.leader,
            leader_epoch: LeaderEpoch(view.leader_epoch),
            isr: view.isr.clone(),
            partition_epoch: PartitionEpoch(view.partition_epoch),
            recovering: view.is_recovering,
        }
    }

    /// Moves the partition to other brokers: both sets hold it until all targets are in sync.
    pub fn reassign(&mut self, target: Vec<BrokerId>) {
        let mut view = self.view().clone();
        if self.target.is_some() || target.is_empty() {
            return;
        }
        for id in &target {
            if !view.replicas.contains(id) {
                view.replicas.push(*id);
            }
        }
        view.partition_epoch += 1;
        self.target = Some(target);
        self.finish_reassignment(&mut view);
        self.commit(view);
    }

    fn finish_reassignment(&mut self, view: &mut View) {
        let Some(target) = self.target.clone() else { return };
        let is_done = target.iter().all(|id| view.isr.contains(id)) && target.len() >= view.min_insync_replicas;
        if !is_done {
            return;
        }
        self.target = None;
        view.replicas = target;
        view.isr.retain(|id| view.replicas.contains(id));
        view.elr.retain(|id| view.replicas.contains(id));
        let before = view.leader_epoch;
        let isr = view.isr.clone();
        self.settle(view, isr, None);
        // A replica left the assignment: whatever the leader knew of its followers begins anew.
        if view.leader_epoch == before {
            view.leader_epoch += 1;
        }
    }

    /// The preferred leader leads, if it can.
    pub fn elect_preferred(&mut self) {
        let mut view = self.view().clone();
        let preferred = view.replicas[0];
        if view.leader != preferred && view.isr.contains(&preferred) && view.is_active(preferred) {
            view.leader = preferred;
            view.leader_epoch += 1;
            view.partition_epoch += 1;
            self.last_known_leader = preferred;
            self.elections.push(Election::InSync);
            self.commit(view);
        }
    }
}

impl IdealController {
    /// Whether the partition is on its way to other brokers.
    pub fn is_reassigning(&self) -> bool {
        self.target.is_some()
    }
}
