//! The state of one replica of the metadata log, its roles and its timers.

use std::collections::VecDeque;
use std::time::Duration;

use super::election::Ballot;
use super::follower::Following;
use super::output::{Fatal, Output};
use super::progress::Progress;
use super::settings::Settings;
use super::voters::{ReplicaKey, VoterHistory, Voters};
use crate::epochs::{LogEnd, MetadataLogView, SnapshotId};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::museum::Switch;
use crate::time::Instant;

/// What the machine may look at while it decides.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// This node's clock.
    pub now: Instant,
    /// Fresh random bits.
    pub random: u64,
    /// This replica's log, everything in it that the machine asked to be appended or cut.
    pub log: &'a dyn MetadataLogView,
}

impl Moment<'_> {
    /// Now, and a wait of `wait` to twice that: timers of several nodes must not fire together for ever.
    pub(super) fn jittered(&self, wait: Duration) -> Instant {
        self.now + wait + self.fraction(wait)
    }

    /// A random share of a wait.
    pub(super) fn fraction(&self, wait: Duration) -> Duration {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(((u128::from(self.random) * u128::from(nanos)) >> 64) as u64)
    }

    /// A random one of so many.
    pub(super) fn pick(&self, count: usize) -> usize {
        ((u128::from(self.random) * count as u128) >> 64) as usize
    }

    /// Where the log ends, as a vote compares it.
    pub(super) fn log_end(&self) -> LogEnd {
        self.end_at(self.log.log_end())
    }

    /// The same for the part of the log before `offset`.
    pub(super) fn end_at(&self, offset: Offset) -> LogEnd {
        let in_log =
            if offset > self.log.log_start() { self.log.epochs().at(Offset(offset.0 - 1)) } else { None };
        LogEnd { epoch: in_log.unwrap_or_else(|| self.log.epoch_before_start()), offset }
    }
}

/// What a replica must not forget of elections (KIP-595): it never votes twice in an epoch, and never leads again in
/// one that it led before a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ElectionState {
    /// The newest epoch heard of.
    pub epoch: LeaderEpoch,
    /// Who leads it.
    pub leader: Option<BrokerId>,
    /// For whom this replica voted in it.
    pub voted: Option<ReplicaKey>,
}

/// The role's name, for people and DescribeQuorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleName {
    /// Knows of no leader.
    Unattached,
    /// Asks whether it could be elected (KIP-996).
    Prospective,
    /// Wants to be elected.
    Candidate,
    /// Fetches from a leader.
    Follower,
    /// Leads.
    Leader,
    /// Led, and waits for another to be elected.
    Resigned,
}

#[derive(Clone, Debug)]
pub(super) enum Role {
    Unattached { deadline: Instant },
    Prospective { deadline: Instant },
    Candidate { deadline: Instant },
    Follower(Following),
    Leader(Leading),
    Resigned { deadline: Instant },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Leading {
    /// Where the LeaderChange record of this epoch stands.
    pub(super) epoch_start: Offset,
    /// Whether a record of this epoch is committed. Until then the high watermark is told to nobody.
    pub(super) has_committed: bool,
    /// When to resign unless a majority has fetched.
    pub(super) check_quorum_deadline: Instant,
    /// When to remind those who do not fetch.
    pub(super) begin_deadline: Instant,
}

/// One replica of the metadata log: a voter, or an observer when it is not among [`Machine::voters`].
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) settings: Settings,
    pub(super) me: ReplicaKey,
    pub(super) election: ElectionState,
    /// What of that is durable.
    pub(super) saved: ElectionState,
    pub(super) role: Role,
    pub(super) voters: VoterHistory,
    pub(super) is_voter: bool,
    pub(super) high_watermark: Offset,
    pub(super) flushed: Offset,
    pub(super) installing: Option<SnapshotId>,
    pub(super) ballot: Ballot,
    pub(super) progress: Progress,
    pub(super) last_request_id: u32,
    pub(super) has_failed: bool,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// A replica that starts, or starts again. `saved` is what it last made durable, `voters` what its log says,
    /// `flushed` how much of the log is known to be on the disk.
    ///
    /// Whoever led comes back resigned in that epoch and never as its leader: records that it did not flush are
    /// lost, and others would get their offsets in the same epoch (KAFKA-10527).
    pub fn new(
        settings: Settings,
        me: ReplicaKey,
        saved: ElectionState,
        voters: VoterHistory,
        flushed: Offset,
        moment: &Moment<'_>,
    ) -> Self {
        let log_start = moment.log.log_start();
        let snapshot_end = moment.log.latest_snapshot().map_or(log_start, |snapshot| snapshot.end);
        let mut machine = Self {
            settings,
            me,
            election: saved,
            saved,
            role: Role::Unattached { deadline: moment.jittered(settings.election_timeout) },
            is_voter: false,
            voters,
            high_watermark: snapshot_end.max(log_start),
            flushed,
            installing: None,
            ballot: Ballot::default(),
            progress: Progress::default(),
            last_request_id: 0,
            has_failed: false,
            outputs: VecDeque::with_capacity(12),
        };
        machine.voters_changed();
        let log_epoch = moment.log_end().epoch;
        if log_epoch > saved.epoch {
            // The log got to the disk before the election state did: its epoch counts, and no vote is known in it.
            machine.election = ElectionState { epoch: log_epoch, leader: None, voted: None };
            machine.save_election();
        } else if saved.leader == Some(me.id) {
            if machine.may_lead_after_restart() {
                machine.become_leader(moment);
            } else {
                machine.role = Role::Resigned { deadline: moment.jittered(settings.election_timeout) };
            }
        } else if let Some(leader) = saved.leader {
            machine.follow(leader, moment);
        }
        machine
    }

    /// The guard of KAFKA-10527.
    fn may_lead_after_restart(&self) -> bool {
        self.settings.switches.off(Switch::ResumeLeader)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Machine::handle_timeout`] wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.has_failed {
            return None;
        }
        Some(match &self.role {
            Role::Unattached { deadline }
            | Role::Prospective { deadline }
            | Role::Candidate { deadline }
            | Role::Resigned { deadline } => *deadline,
            Role::Follower(following) => following.next_deadline(self.may_fetch_next()),
            Role::Leader(leading) => leading.begin_deadline.min(leading.check_quorum_deadline),
        })
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, moment: &Moment<'_>) {
        if self.has_failed {
            return;
        }
        match self.role {
            Role::Unattached { deadline } if moment.now >= deadline => {
                if self.may_stand() {
                    self.become_prospective(moment);
                } else {
                    self.look_for_leader(moment);
                }
            }
            Role::Prospective { deadline } if moment.now >= deadline => self.lose_pre_vote(moment),
            Role::Candidate { deadline } if moment.now >= deadline => self.become_prospective(moment),
            Role::Resigned { deadline } if moment.now >= deadline => {
                // In its own old epoch it could neither vote nor be followed; the next one frees it.
                if let Some(next) = self.next_epoch() {
                    self.become_unattached(next, moment);
                }
            }
            Role::Follower(_) => self.follower_timeout(moment),
            Role::Leader(_) => self.leader_timeout(moment),
            _ => {}
        }
    }

    /// An election state that [`Output::SaveElection`] gave out is durable. A candidate's own vote counts from then
    /// on: a sole voter that led an epoch, crashed and forgot it would lead it again.
    pub fn handle_election_saved(&mut self, state: &ElectionState, moment: &Moment<'_>) {
        if !self.has_failed {
            self.saved = *state;
            self.count_votes(moment);
        }
    }

    /// The log is on the disk up to `flushed`. Nothing else counts: neither the leader's own end towards a
    /// majority, nor a follower's position in its next fetch.
    pub fn handle_flushed(&mut self, flushed: Offset, moment: &Moment<'_>) {
        if self.has_failed {
            return;
        }
        self.flushed = flushed.min(moment.log.log_end());
        match self.role {
            Role::Leader(_) => self.own_end_moved(moment),
            Role::Follower(_) => self.fetch_if_due(moment),
            _ => {}
        }
    }

    /// The shell appended records of this leader's epoch.
    pub fn handle_appended(&mut self, moment: &Moment<'_>) {
        if matches!(self.role, Role::Leader(_)) && !self.counts_only_flushed() {
            self.own_end_moved(moment);
        }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn outputs_waiting(&self) -> usize {
        self.outputs.len()
    }

    pub(super) fn insert(&mut self, index: usize, output: Output) {
        self.outputs.insert(index, output);
    }

    pub(super) fn save_election(&mut self) {
        self.outputs.push_back(Output::SaveElection(self.election));
    }

    pub(super) fn fail(&mut self, fatal: Fatal) {
        self.has_failed = true;
        self.push(Output::Fatal(fatal));
    }

    pub(super) fn next_request_id(&mut self) -> u32 {
        self.last_request_id = self.last_request_id.wrapping_add(1);
        self.last_request_id
    }

    pub(super) fn voters_changed(&mut self) {
        self.is_voter = self.is_among(self.voters.latest());
    }

    /// Whether this replica may want to lead. One that reads in its log that it was removed stands until that is
    /// committed: its vote may be needed to find a leader by the old set, and only the longest log can win (Raft's
    /// dissertation, 4.2.2). One that installs a snapshot waits for it: the snapshot names the voters that count
    /// (KIP-630, KIP-853).
    pub(super) fn may_stand(&self) -> bool {
        if self.installing.is_some() {
            return false;
        }
        let is_settled = self.voters.latest_offset() < self.high_watermark;
        self.is_voter || (!is_settled && self.is_among(self.voters.at(self.voters.latest_offset())))
    }

    fn is_among(&self, voters: &Voters) -> bool {
        voters.contains(self.me) || (self.goes_by_id_alone() && voters.get(self.me.id).is_some())
    }

    /// Which replica this is.
    pub fn me(&self) -> ReplicaKey {
        self.me
    }

    /// The epoch, its leader, and the vote in it.
    pub fn election(&self) -> ElectionState {
        self.election
    }

    /// Everything below is known to be committed.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// How much of the log is known to be on the disk.
    pub fn flushed(&self) -> Offset {
        self.flushed
    }

    /// The voters that count, committed or not.
    pub fn voters(&self) -> &Voters {
        self.voters.latest()
    }

    /// All sets of voters that the log still holds.
    pub fn voter_history(&self) -> &VoterHistory {
        &self.voters
    }

    /// Whether this replica votes.
    pub fn is_voter(&self) -> bool {
        self.is_voter
    }

    /// What the leader knows of the others; of no meaning elsewhere.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// In which role it is.
    pub fn role(&self) -> RoleName {
        match self.role {
            Role::Unattached { .. } => RoleName::Unattached,
            Role::Prospective { .. } => RoleName::Prospective,
            Role::Candidate { .. } => RoleName::Candidate,
            Role::Follower(_) => RoleName::Follower,
            Role::Leader(_) => RoleName::Leader,
            Role::Resigned { .. } => RoleName::Resigned,
        }
    }

    /// The epoch in which this replica may append, if it leads.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        (matches!(self.role, Role::Leader(_)) && !self.has_failed).then_some(self.election.epoch)
    }

    /// What must hold after every step.
    ///
    /// # Panics
    /// When it does not hold: a defect of the machine, or of the shell around it.
    pub fn check(&self, log: &dyn MetadataLogView) {
        assert!(self.flushed <= log.log_end(), "flushed {} beyond the end {}", self.flushed, log.log_end());
        assert!(self.high_watermark >= log.log_start(), "the log begins above the high watermark");
        if let Role::Leader(leading) = &self.role {
            assert_eq!(self.election.leader, Some(self.me.id), "a leader that nobody elected");
            assert!(leading.epoch_start <= log.log_end(), "a leader whose epoch has not begun");
        }
    }
}
