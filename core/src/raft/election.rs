//! Elections: Vote, pre-vote, BeginQuorumEpoch, EndQuorumEpoch (KIP-595, KIP-996).

use super::follower::Following;
use super::machine::{ElectionState, Leading, Machine, Moment, Role};
use super::messages::{
    BeginQuorumEpochRequest, EndQuorumEpochRequest, EpochResponse, Refusal, Request, Response, Standing,
    VoteRequest, VoteResponse,
};
use super::output::{Fatal, Output, ReplyTo};
use super::voters::ReplicaKey;
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::museum::Switch;

/// The last epoch; who names a later one is not believed.
const EPOCH_MAX: LeaderEpoch = LeaderEpoch(i32::MAX - 1);

/// How far an epoch that is heard of may be ahead of the own one. Epochs are elections, one in a second at most, and
/// each restart takes the last one up: a replica misses a few. A single broken message would otherwise use up the
/// epochs of the cluster for good, since they never go back.
const EPOCH_LEAP_MAX: i32 = 1 << 20;

/// Who answered what, other than the candidate itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Ballot {
    granted: Vec<ReplicaKey>,
    rejected: Vec<ReplicaKey>,
}

impl Ballot {
    fn clear(&mut self) {
        self.granted.clear();
        self.rejected.clear();
    }

    fn count(&mut self, voter: ReplicaKey, granted: bool) {
        if !self.granted.contains(&voter) && !self.rejected.contains(&voter) {
            if granted { &mut self.granted } else { &mut self.rejected }.push(voter);
        }
    }
}

impl Machine {
    /// Answers a Vote request.
    pub fn handle_vote(&mut self, to: ReplyTo, request: &VoteRequest, moment: &Moment<'_>) {
        if self.has_failed {
            return;
        }
        let waiting = self.outputs_waiting();
        let granted = self.decide_vote(request, moment);
        let response = VoteResponse { standing: self.standing(), granted, pre_vote: request.pre_vote };
        let reply = Output::Reply { to, response: Response::Vote(response) };
        if self.saves_votes_first() {
            self.push(reply);
        } else {
            self.insert(waiting, reply);
        }
    }

    fn decide_vote(&mut self, request: &VoteRequest, moment: &Moment<'_>) -> Result<bool, Refusal> {
        if request.epoch < self.election.epoch {
            return Err(Refusal::FencedLeaderEpoch);
        }
        let is_possible = (request.log_end.epoch < request.epoch
            || (request.pre_vote && request.log_end.epoch == request.epoch))
            && request.log_end.epoch >= LeaderEpoch(0)
            && request.log_end.offset >= Offset::ZERO
            && request.candidate.id.is_node();
        if !is_possible || request.candidate.id == self.me.id || !self.is_credible(request.epoch) {
            return Err(Refusal::InvalidRequest);
        }
        if request.epoch > self.election.epoch {
            self.become_unattached(request.epoch, moment);
        }
        if !self.is_same_replica(request.voter, self.me) {
            return Err(Refusal::InvalidVoterKey);
        }
        if request.pre_vote {
            return Ok(self.would_vote_for(request, moment));
        }
        if !self.may_vote_for(request, moment) {
            return Ok(false);
        }
        if self.election.voted.is_none() {
            self.election.voted = Some(request.candidate);
            self.save_election();
            self.role = Role::Unattached { deadline: moment.jittered(self.settings.election_timeout) };
        }
        Ok(true)
    }

    /// One vote per epoch; none once its leader is known; none for an older log. Whether the candidate is among
    /// the voters is not asked: this replica's log may lag behind the one that made it a voter (KIP-853).
    fn may_vote_for(&self, request: &VoteRequest, moment: &Moment<'_>) -> bool {
        match self.role {
            Role::Unattached { .. } | Role::Prospective { .. } => match self.election.voted {
                Some(voted) => self.is_same_replica(voted, request.candidate),
                None => self.election.leader.is_none() && self.is_log_new_enough(request, moment),
            },
            Role::Candidate { .. } | Role::Follower(_) | Role::Leader(_) | Role::Resigned { .. } => false,
        }
    }

    /// A pre-vote changes nothing here, and is refused by whoever hears its leader (KIP-996).
    fn would_vote_for(&self, request: &VoteRequest, moment: &Moment<'_>) -> bool {
        let hears_leader = match &self.role {
            Role::Leader(_) => true,
            Role::Follower(following) => following.has_fetched,
            _ => false,
        };
        !hears_leader && self.is_log_new_enough(request, moment)
    }

    /// KIP-595: the later last epoch is newer, then the longer log.
    fn is_log_new_enough(&self, request: &VoteRequest, moment: &Moment<'_>) -> bool {
        self.settings.switches.off(Switch::VoteNoLogCheck) || request.log_end >= moment.log_end()
    }

    /// A vote that a restart forgets can be given twice.
    fn saves_votes_first(&self) -> bool {
        !self.settings.switches.off(Switch::VoteNoFsync)
    }

    /// KIP-853: a node that came back with an empty directory is not the voter it was.
    pub(super) fn is_same_replica(&self, named: ReplicaKey, asked: ReplicaKey) -> bool {
        named.matches(asked) || (self.goes_by_id_alone() && named.id == asked.id)
    }

    pub(super) fn goes_by_id_alone(&self) -> bool {
        self.settings.switches.off(Switch::NoDirectoryId)
    }

    /// KIP-996: nobody raises the epoch before a majority said that it would follow.
    fn asks_before_candidacy(&self) -> bool {
        !self.settings.switches.off(Switch::NoPreVote)
    }

    pub(super) fn become_prospective(&mut self, moment: &Moment<'_>) {
        if !self.may_stand() {
            return self.become_unattached(self.election.epoch, moment);
        }
        if !self.asks_before_candidacy() {
            return self.become_candidate(moment);
        }
        self.ballot.clear();
        self.role = Role::Prospective { deadline: moment.jittered(self.settings.election_timeout) };
        self.ask_for_votes(true, moment);
        self.count_votes(moment);
    }

    fn become_candidate(&mut self, moment: &Moment<'_>) {
        let Some(epoch) = self.next_epoch() else { return };
        self.election = ElectionState { epoch, leader: None, voted: Some(self.me) };
        self.save_election();
        self.ballot.clear();
        self.role = Role::Candidate { deadline: moment.jittered(self.settings.election_timeout) };
        self.ask_for_votes(false, moment);
        self.count_votes(moment);
    }

    fn ask_for_votes(&mut self, pre_vote: bool, moment: &Moment<'_>) {
        let log_end = moment.log_end();
        let (epoch, candidate) = (self.election.epoch, self.me);
        self.send_to_voters(|voter| {
            Request::Vote(VoteRequest { epoch, candidate, voter, log_end, pre_vote })
        });
    }

    pub(super) fn send_to_voters(&mut self, request: impl Fn(ReplicaKey) -> Request) {
        let voters = self.voters.latest().clone();
        for voter in voters.iter() {
            if voter.key.id != self.me.id {
                self.push(Output::Send { to: voter.key.id, request: request(voter.key) });
            }
        }
    }

    /// Counts an answer to a Vote request.
    pub fn handle_vote_response(&mut self, from: BrokerId, response: &VoteResponse, moment: &Moment<'_>) {
        if self.has_failed {
            return;
        }
        self.learn(response.standing, moment);
        let is_awaited = match self.role {
            Role::Prospective { .. } => response.pre_vote,
            Role::Candidate { .. } => !response.pre_vote,
            _ => false,
        };
        if is_awaited
            && response.standing.epoch == self.election.epoch
            && let Some(voter) = self.voters.latest().get(from)
        {
            self.ballot.count(voter.key, response.granted == Ok(true));
            self.count_votes(moment);
        }
    }

    /// Who voted for this replica in the epoch that it leads, itself included.
    pub fn granting_voters(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let others = self.ballot.granted.iter().map(|key| key.id).filter(|id| *id != self.me.id);
        std::iter::once(self.me.id).chain(others)
    }

    /// Only the set that counts now is asked what it said: who left it meanwhile elects nobody (KIP-853).
    pub(super) fn count_votes(&mut self, moment: &Moment<'_>) {
        let voters = self.voters.latest();
        let of_voters = |keys: &[ReplicaKey]| keys.iter().filter(|key| voters.contains(**key)).count();
        let is_own_vote_safe = self.saved.epoch == self.election.epoch || !self.saves_votes_first();
        let counts_itself =
            self.is_voter && (is_own_vote_safe || matches!(self.role, Role::Prospective { .. }));
        let granted = of_voters(&self.ballot.granted) + usize::from(counts_itself);
        let is_won = granted >= voters.majority();
        let is_lost = of_voters(&self.ballot.rejected) > voters.len() - voters.majority();
        match &mut self.role {
            Role::Prospective { .. } if is_won => self.become_candidate(moment),
            Role::Prospective { .. } if is_lost => self.lose_pre_vote(moment),
            Role::Candidate { .. } if is_won => self.become_leader(moment),
            Role::Candidate { deadline } if is_lost => {
                let backoff = moment.fraction(self.settings.election_backoff_max);
                *deadline = (*deadline).min(moment.now + backoff);
            }
            _ => {}
        }
    }

    /// Back to where the questions began: perhaps the leader lives after all (KIP-996).
    pub(super) fn lose_pre_vote(&mut self, moment: &Moment<'_>) {
        match self.election.leader {
            Some(leader) if leader != self.me.id => self.follow(leader, moment),
            _ => self.become_unattached(self.election.epoch, moment),
        }
        self.ask_bootstrap_server(moment);
    }

    pub(super) fn become_leader(&mut self, moment: &Moment<'_>) {
        self.election.leader = Some(self.me.id);
        self.save_election();
        let now = moment.now;
        self.role = Role::Leader(Leading {
            epoch_start: moment.log.log_end(),
            has_committed: false,
            check_quorum_deadline: now + self.settings.check_quorum_timeout(),
            begin_deadline: now + self.settings.begin_quorum_epoch_interval(),
        });
        self.progress.begin(self.voters.latest(), self.me);
        self.push(Output::BecameLeader(self.election.epoch));
        self.push(Output::AppendLeaderChange(self.election.epoch));
        if !self.voters.latest().is_static() && self.voters.latest_offset().0 < 0 {
            // KIP-853: the voters of the bootstrap become a record, so that everybody's log has them.
            self.push(Output::AppendVoters(self.voters.latest().clone()));
        }
        let (epoch, leader) = (self.election.epoch, self.me.id);
        self.send_to_voters(|voter| {
            Request::BeginQuorumEpoch(BeginQuorumEpochRequest { epoch, leader, voter })
        });
    }

    /// Answers a BeginQuorumEpoch request.
    pub fn handle_begin_quorum_epoch(
        &mut self,
        to: ReplyTo,
        request: &BeginQuorumEpochRequest,
        moment: &Moment<'_>,
    ) {
        if self.has_failed {
            return;
        }
        let refusal = self
            .learn_from_leader(request.epoch, request.leader, moment)
            .err()
            .or_else(|| (!self.is_same_replica(request.voter, self.me)).then_some(Refusal::InvalidVoterKey));
        self.reply_epoch(to, refusal);
    }

    /// Follows what a leader says of itself and its epoch, unless it cannot be true.
    fn learn_from_leader(
        &mut self,
        epoch: LeaderEpoch,
        leader: BrokerId,
        moment: &Moment<'_>,
    ) -> Result<(), Refusal> {
        if epoch < self.election.epoch {
            return Err(Refusal::FencedLeaderEpoch);
        }
        if leader == self.me.id || !leader.is_node() || !self.is_credible(epoch) {
            return Err(Refusal::InvalidRequest);
        }
        self.learn(Standing { epoch, leader: Some(leader) }, moment);
        Ok(())
    }

    /// Answers an EndQuorumEpoch request: the first of the successors asks for an election at once, the others leave
    /// it the time (KIP-595).
    pub fn handle_end_quorum_epoch(
        &mut self,
        to: ReplyTo,
        request: &EndQuorumEpochRequest,
        moment: &Moment<'_>,
    ) {
        if self.has_failed {
            return;
        }
        let learned = self.learn_from_leader(request.epoch, request.leader, moment);
        if learned.is_ok() {
            let is_me = |key: &ReplicaKey| self.is_same_replica(*key, self.me);
            let rank = request.successors.iter().position(is_me).unwrap_or(request.successors.len());
            self.hurry(rank, moment);
        }
        self.reply_epoch(to, learned.err());
    }

    /// The leader is gone: the wait for it ends now for the first successor, and twice as late for each next one.
    fn hurry(&mut self, rank: usize, moment: &Moment<'_>) {
        let backoff_max = self.settings.election_backoff_max;
        let wait = match rank {
            0 => std::time::Duration::ZERO,
            _ => (backoff_max / 8 * (1 << rank.min(3))) / 2 + moment.fraction(backoff_max / 8),
        };
        if let Role::Follower(following) = &mut self.role {
            following.has_fetched = false;
            following.fetch_deadline = following.fetch_deadline.min(moment.now + wait);
        }
    }

    fn reply_epoch(&mut self, to: ReplyTo, refusal: Option<Refusal>) {
        let response = EpochResponse { standing: self.standing(), refusal };
        self.push(Output::Reply { to, response: Response::Epoch(response) });
    }

    /// Takes note of an answer to a BeginQuorumEpoch or EndQuorumEpoch request.
    pub fn handle_epoch_response(&mut self, response: &EpochResponse, moment: &Moment<'_>) {
        if !self.has_failed {
            self.learn(response.standing, moment);
        }
    }

    /// Steps down; a majority no longer fetches, an operator asked for it, or this replica is no voter any more.
    pub fn resign(&mut self, moment: &Moment<'_>) {
        if self.leader_epoch().is_none() {
            return;
        }
        let (epoch, leader) = (self.election.epoch, self.me.id);
        let successors = self.progress.successors(self.me);
        self.push(Output::LostLeadership(epoch));
        self.push(Output::Unpark);
        self.role = Role::Resigned { deadline: moment.jittered(self.settings.election_timeout) };
        self.send_to_voters(|_| {
            Request::EndQuorumEpoch(EndQuorumEpochRequest { epoch, leader, successors: successors.clone() })
        });
    }

    pub(super) fn standing(&self) -> Standing {
        // A leader that resigned must not be taken for one.
        let is_resigned = matches!(self.role, Role::Resigned { .. });
        Standing { epoch: self.election.epoch, leader: if is_resigned { None } else { self.election.leader } }
    }

    /// Follows news of an epoch or of its leader. Epochs never go back.
    pub(super) fn learn(&mut self, news: Standing, moment: &Moment<'_>) {
        let leader = news.leader.filter(|leader| *leader != self.me.id && leader.is_node());
        if !self.is_credible(news.epoch) {
            return;
        }
        if news.epoch > self.election.epoch {
            match leader {
                Some(leader) => {
                    self.enter(news.epoch);
                    self.election.leader = Some(leader);
                    self.save_election();
                    self.follow(leader, moment);
                }
                None => self.become_unattached(news.epoch, moment),
            }
        } else if news.epoch == self.election.epoch
            && let Some(leader) = leader
        {
            match self.election.leader {
                Some(known) if known != leader => {
                    self.fail(Fatal::TwoLeaders { epoch: news.epoch, one: known, other: leader });
                }
                Some(_) => {
                    if matches!(self.role, Role::Unattached { .. }) {
                        self.follow(leader, moment);
                    }
                }
                None => {
                    self.election.leader = Some(leader);
                    self.save_election();
                    self.follow(leader, moment);
                }
            }
        }
    }

    /// Whether a peer can mean this epoch.
    fn is_credible(&self, epoch: LeaderEpoch) -> bool {
        epoch <= EPOCH_MAX && epoch.0.saturating_sub(self.election.epoch.0) <= EPOCH_LEAP_MAX
    }

    /// The epoch after this one. Where there is none the machine stops: to begin an epoch again would be to elect
    /// two leaders in it (KIP-595).
    pub(super) fn next_epoch(&mut self) -> Option<LeaderEpoch> {
        let epoch = self.election.epoch;
        let next = epoch.0.checked_add(1).map(LeaderEpoch).filter(|next| *next <= EPOCH_MAX);
        if next.is_none() {
            self.fail(Fatal::NoNextEpoch { epoch });
        }
        next
    }

    /// Enters a later epoch, in which nothing is known yet.
    fn enter(&mut self, epoch: LeaderEpoch) {
        if let Some(led) = self.leader_epoch() {
            self.push(Output::LostLeadership(led));
            self.push(Output::Unpark);
        }
        self.election = ElectionState { epoch, leader: None, voted: None };
    }

    pub(super) fn become_unattached(&mut self, epoch: LeaderEpoch, moment: &Moment<'_>) {
        if epoch > self.election.epoch {
            self.enter(epoch);
            self.save_election();
        }
        // An observer looks for a leader at once, a voter waits to be found by one.
        let deadline = if self.may_stand() {
            moment.jittered(self.settings.election_timeout)
        } else {
            moment.now + self.settings.retry_backoff
        };
        self.role = Role::Unattached { deadline };
    }

    pub(super) fn follow(&mut self, leader: BrokerId, moment: &Moment<'_>) {
        self.role = Role::Follower(Following::new(leader, moment.now, self.settings.fetch_timeout));
        self.fetch_if_due(moment);
    }
}
