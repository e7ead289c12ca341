//! What a leader knows of the other replicas: how far they are, and whether they still fetch.

use std::time::Duration;

use super::machine::{Machine, Moment, Role};
use super::messages::{BeginQuorumEpochRequest, Request};
use super::output::Output;
use super::voters::{ReplicaKey, Voters};
use crate::ids::Offset;
use crate::museum::Switch;
use crate::time::Instant;

/// An observer is forgotten after this time without a sign of life, as in Kafka.
const OBSERVER_SILENCE_MAX: Duration = Duration::from_secs(300);

/// The most observers a leader remembers; more are served all the same. Anybody may observe under any name, and
/// every fetch looks through the table.
const OBSERVERS_MAX: usize = 4096;

/// One replica, as DescribeQuorum shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which one.
    pub key: ReplicaKey,
    /// Whether it votes.
    pub is_voter: bool,
    /// Everything before this is safe there, once it has fetched in this epoch.
    pub log_end: Option<Offset>,
    /// When it last fetched.
    pub last_fetch: Option<Instant>,
    /// When it last had all that the leader had.
    pub last_caught_up: Option<Instant>,
    /// When it last asked for anything, records or snapshot; never for the leader itself.
    last_heard: Option<Instant>,
    /// Whether it fetched since a majority last did.
    has_fetched: bool,
}

/// All replicas that have been heard of in this epoch, the leader itself included.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    replicas: Vec<Replica>,
}

impl Progress {
    /// The replicas, voters first.
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    pub(super) fn begin(&mut self, voters: &Voters, me: ReplicaKey) {
        self.replicas.clear();
        self.set_voters(voters);
        self.entry(me);
    }

    /// Follows a change of the voters. What an observer fetched counts from now on, if it votes now.
    pub(super) fn set_voters(&mut self, voters: &Voters) {
        for replica in &mut self.replicas {
            replica.is_voter = voters.contains(replica.key);
        }
        for voter in voters.iter() {
            self.entry(voter.key).is_voter = true;
        }
        self.replicas.sort_by_key(|replica| !replica.is_voter);
    }

    /// A voter of a static set goes by its id; all others by id and directory.
    fn find(&self, key: ReplicaKey) -> Option<usize> {
        let is_it = |replica: &Replica| replica.key == key || (replica.is_voter && replica.key.matches(key));
        self.replicas.iter().position(is_it)
    }

    fn entry(&mut self, key: ReplicaKey) -> &mut Replica {
        let index = self.find(key).unwrap_or_else(|| {
            self.make_room();
            self.replicas.push(Replica {
                key,
                is_voter: false,
                log_end: None,
                last_fetch: None,
                last_caught_up: None,
                last_heard: None,
                has_fetched: false,
            });
            self.replicas.len() - 1
        });
        &mut self.replicas[index]
    }

    /// The observer that is silent for longest makes room; one that lives is back with its next fetch.
    fn make_room(&mut self) {
        if self.replicas.len() < OBSERVERS_MAX {
            return;
        }
        let observers =
            || self.replicas.iter().enumerate().filter(|(_, one)| !one.is_voter && one.last_heard.is_some());
        let silent = observers().min_by_key(|(_, observer)| observer.last_heard).map(|(index, _)| index);
        if let Some(index) = silent.filter(|_| observers().count() >= OBSERVERS_MAX) {
            self.replicas.remove(index);
        }
    }

    /// Voters stay, and the leader itself.
    fn forget_silent_observers(&mut self, now: Instant) {
        let is_silent = |heard: Instant| heard + OBSERVER_SILENCE_MAX <= now;
        self.replicas.retain(|replica| replica.is_voter || !replica.last_heard.is_some_and(is_silent));
    }

    pub(super) fn set_log_end(&mut self, key: ReplicaKey, log_end: Offset) -> &mut Replica {
        let replica = self.entry(key);
        replica.log_end = Some(log_end);
        replica
    }

    /// The largest offset that a majority of the voters has reached. `voters` counts those who never fetched too.
    fn majority_end(&self, majority: usize) -> Option<Offset> {
        let ends =
            || self.replicas.iter().filter(|replica| replica.is_voter).filter_map(|voter| voter.log_end);
        ends().filter(|end| ends().filter(|other| other >= end).count() >= majority).max()
    }

    /// Whether a majority fetched since this last said so; `needed` does not count the leader.
    fn take_quorum(&mut self, key: ReplicaKey, needed: usize, now: Instant) -> bool {
        let replica = self.entry(key);
        replica.has_fetched = true;
        replica.last_heard = Some(now);
        let fetched = self.replicas.iter().filter(|replica| replica.is_voter && replica.has_fetched).count();
        if fetched < needed {
            return false;
        }
        for replica in &mut self.replicas {
            replica.has_fetched = false;
        }
        true
    }

    /// Whether this replica still fetches and has had all that the leader had, both within this time (KIP-853).
    pub(super) fn is_caught_up(&self, key: ReplicaKey, within: Duration, now: Instant) -> bool {
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| at + within >= now);
        let replica = self.find(key).map(|index| &self.replicas[index]);
        replica.is_some_and(|replica| is_recent(replica.last_fetch) && is_recent(replica.last_caught_up))
    }

    /// The other voters, the furthest first. By id: in a static set the leader's own key has no directory.
    pub(super) fn successors(&self, me: ReplicaKey) -> Vec<ReplicaKey> {
        let mut voters: Vec<&Replica> =
            self.replicas.iter().filter(|replica| replica.is_voter && replica.key.id != me.id).collect();
        voters.sort_by_key(|voter| std::cmp::Reverse(voter.log_end));
        voters.into_iter().map(|voter| voter.key).collect()
    }
}

impl Machine {
    /// A leader's own tail that is not on its disk is no copy (KAFKA-10533).
    pub(super) fn counts_only_flushed(&self) -> bool {
        !self.settings.switches.off(Switch::RaftSelfUnflushed)
    }

    /// How far the leader lets others read: what it may lose itself it gives to nobody.
    pub(super) fn readable_end(&self, moment: &Moment<'_>) -> Offset {
        if self.counts_only_flushed() { self.flushed } else { moment.log.log_end() }
    }

    pub(super) fn own_end_moved(&mut self, moment: &Moment<'_>) {
        let end = self.readable_end(moment);
        self.progress.set_log_end(self.me, end);
        self.push(Output::Unpark);
        self.advance_high_watermark(moment);
    }

    /// A fetch arrived from a replica whose log agrees with ours up to `log_end`.
    pub(super) fn replica_fetched(&mut self, key: ReplicaKey, log_end: Offset, moment: &Moment<'_>) {
        if !key.id.is_node() {
            return; // a tool that reads along
        }
        let by_id = self.goes_by_id_alone().then(|| self.voters.latest().get(key.id)).flatten();
        let key = by_id.map_or(key, |voter| voter.key);
        let leader_end = self.readable_end(moment);
        let replica = self.progress.set_log_end(key, log_end);
        replica.last_fetch = Some(moment.now);
        if log_end >= leader_end {
            replica.last_caught_up = Some(moment.now);
        }
        let is_voter = replica.is_voter;
        self.note_fetch(key, moment);
        if is_voter && log_end > self.high_watermark {
            self.advance_high_watermark(moment);
        }
    }

    /// Any sign of life of a follower counts towards the quorum check (KAFKA-15489), records or snapshot.
    pub(super) fn note_fetch(&mut self, key: ReplicaKey, moment: &Moment<'_>) {
        if !key.id.is_node() {
            return;
        }
        let needed = self.voters.latest().majority() - usize::from(self.is_voter);
        if self.progress.take_quorum(key, needed, moment.now)
            && let Role::Leader(leading) = &mut self.role
        {
            leading.check_quorum_deadline = moment.now + self.settings.check_quorum_timeout();
        }
    }

    pub(super) fn advance_high_watermark(&mut self, moment: &Moment<'_>) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(end) = self.progress.majority_end(self.voters.latest().majority()) else { return };
        // Raft, figure 8: a majority has the older records, yet a later leader may lack them, until one of this
        // epoch is committed with them.
        let is_own_epoch = end > leading.epoch_start;
        if !is_own_epoch && !self.settings.switches.off(Switch::CommitOldEpoch) {
            return;
        }
        leading.has_committed = true;
        if end <= self.high_watermark {
            return; // voters that joined may lag behind what the old ones committed
        }
        self.raise_high_watermark(end);
        self.push(Output::Unpark);
        // KIP-853: who removed itself leads until that is committed, and no longer.
        if !self.is_voter && self.voters.latest_offset() < self.high_watermark {
            self.resign(moment);
        }
    }

    /// The high watermark, as others may know it.
    pub(super) fn told_high_watermark(&self) -> Offset {
        match &self.role {
            Role::Leader(leading) if leading.has_committed => self.high_watermark,
            _ => Offset::UNKNOWN,
        }
    }

    /// KAFKA-15489: a leader that no majority fetches from does not know whether it still leads.
    fn resigns_without_quorum(&self) -> bool {
        !self.settings.switches.off(Switch::NoCheckQuorum)
    }

    pub(super) fn leader_timeout(&mut self, moment: &Moment<'_>) {
        let interval = self.settings.begin_quorum_epoch_interval();
        let needs_others = self.voters.latest().majority() > usize::from(self.is_voter);
        let is_sure = !needs_others || !self.resigns_without_quorum();
        let Role::Leader(leading) = &mut self.role else { return };
        if moment.now >= leading.check_quorum_deadline {
            if !is_sure {
                return self.resign(moment);
            }
            leading.check_quorum_deadline = moment.now + self.settings.check_quorum_timeout();
        }
        if moment.now < leading.begin_deadline {
            return;
        }
        leading.begin_deadline = moment.now + interval;
        self.progress.forget_silent_observers(moment.now);
        let (epoch, leader) = (self.election.epoch, self.me.id);
        for index in 0..self.progress.replicas.len() {
            let Replica { key, is_voter, last_fetch, .. } = self.progress.replicas[index];
            let is_silent = last_fetch.is_none_or(|last| last + interval <= moment.now);
            if is_voter && key.id != leader && is_silent {
                let request = BeginQuorumEpochRequest { epoch, leader, voter: key };
                self.push(Output::Send { to: key.id, request: Request::BeginQuorumEpoch(request) });
            }
        }
    }
}
