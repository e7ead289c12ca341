//! One broker: the replica machine, its log, what waits for it, and what an event makes of them.

use std::time::Duration;

use jangbu_core::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use jangbu_core::replica::{
    Acknowledgement, Acks, AlterPartitionOutcome, FetchBody, FetchDecision, FetchRefusal, FetchResponse,
    FollowerAction, Pending, Replica, ReplicaFetch, Settings, Ticket,
};
use jangbu_core::time::Instant;

use super::log::{Entry, ScopeLog};
use super::message::{Answer, Call, Message, Proposal};
use super::metadata::{Metadata, members};
use super::permutation::Permutation;
use super::scope::Scope;
use jangbu_core::epochs::LogView;

/// The clock always shows this: timers are actions of their own.
pub const NOW: Instant = Instant(1_000_000_000_000_000);

/// A produce whose producer waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiting {
    /// One past its record.
    pub end: Offset,
    /// The epoch that it was admitted in.
    pub leader_epoch: LeaderEpoch,
    /// The record.
    pub value: u8,
    /// What the producer waits for.
    pub acks: Acks,
}

/// What a broker does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// A process runs.
    Up {
        /// The machine.
        replica: Box<Replica>,
        /// Whoever waits.
        waiting: Vec<Waiting>,
    },
    /// None does.
    Down {
        /// Whether it stopped as asked: it left the marker of a clean shutdown.
        is_clean: bool,
        /// replication-offset-checkpoint.
        checkpoint: Offset,
    },
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Broker {
    /// Its name.
    pub id: BrokerId,
    /// The number of the process, which is its broker epoch too.
    pub process: u8,
    /// Its log.
    pub log: ScopeLog,
    /// Whether it runs.
    pub life: Life,
}

/// What may happen to a broker.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// It learns of the metadata.
    Metadata(&'a Metadata),
    /// A client produces.
    Append {
        /// The record.
        value: u8,
        /// What the client waits for.
        acks: Acks,
    },
    /// A fetch of this broker, or a response, arrives.
    Message(&'a Message, BrokerId),
    /// The controller answers a proposal.
    Answered(&'a Answer),
    /// The connection to the controller broke while this was on it.
    Unanswered(&'a Call),
    /// Followers were not caught up for too long: a set.
    Late(u8),
    /// It sends a proposal, if it has one.
    Propose,
    /// It fetches.
    Ask,
    /// It dies; so many records are found again, and this checkpoint.
    Crash {
        /// How many.
        kept: usize,
        /// The checkpoint.
        checkpoint: Offset,
    },
    /// It stops with everything flushed.
    Stop,
    /// It starts.
    Start,
}

/// What comes of an event.
#[derive(Clone, Debug, Default)]
pub struct Reaction {
    /// A message to be sent.
    pub message: Option<Message>,
    /// A proposal to be sent.
    pub proposal: Option<Proposal>,
    /// The produces that were acknowledged.
    pub acknowledged: Vec<Waiting>,
}

impl Broker {
    /// A broker that never ran.
    pub fn new(id: BrokerId) -> Self {
        let life = Life::Down { is_clean: true, checkpoint: Offset::ZERO };
        Self { id, process: 0, log: ScopeLog::default(), life }
    }

    /// Its machine, while a process runs.
    pub fn replica(&self) -> Option<&Replica> {
        match &self.life {
            Life::Up { replica, .. } => Some(replica),
            Life::Down { .. } => None,
        }
    }

    /// Its machine, if it leads.
    pub fn leading(&self) -> Option<&Replica> {
        self.replica().filter(|replica| replica.is_leader())
    }

    /// The ticket of the proposal that it has under way.
    pub fn pending_ticket(&self) -> Option<Ticket> {
        self.replica().and_then(Replica::pending_ticket)
    }

    /// The same with other names, in the form in which states are compared.
    #[must_use]
    pub fn canonical(&self, permutation: Permutation) -> Self {
        let rename = |id| permutation.id(id);
        let life = match &self.life {
            Life::Up { replica, waiting } => {
                Life::Up { replica: Box::new(replica.canonical(&rename, NOW)), waiting: waiting.clone() }
            }
            down @ Life::Down { .. } => down.clone(),
        };
        Self { id: rename(self.id), process: self.process, log: self.log.clone(), life }
    }

    /// What an event makes of it.
    pub fn handle(&mut self, event: &Event<'_>, scope: &Scope) -> Reaction {
        let mut reaction = Reaction::default();
        match *event {
            Event::Crash { kept, checkpoint } => self.crash(kept, checkpoint),
            Event::Stop => self.stop(),
            Event::Start => self.start(scope),
            _ => self.run(event, scope, &mut reaction),
        }
        self.settle(&mut reaction);
        reaction
    }

    fn crash(&mut self, kept: usize, checkpoint: Offset) {
        // What is found again is read when it starts; nobody looks at the log before.
        self.log.entries.truncate(kept);
        self.life = Life::Down { is_clean: false, checkpoint: checkpoint.min(Offset(kept as i64)) };
    }

    fn stop(&mut self) {
        let checkpoint = self.replica().map_or(Offset::ZERO, Replica::high_watermark);
        self.life = Life::Down { is_clean: true, checkpoint };
    }

    fn start(&mut self, scope: &Scope) {
        let Life::Down { checkpoint, .. } = self.life else { return };
        self.log.recover(self.log.entries.len(), scope.switches);
        self.process += 1;
        let replica = Replica::new(self.id, replica_settings(scope), &self.log, checkpoint, checkpoint);
        self.life = Life::Up { replica: Box::new(replica), waiting: Vec::new() };
    }

    fn run(&mut self, event: &Event<'_>, scope: &Scope, reaction: &mut Reaction) {
        let Life::Up { replica, waiting } = &mut self.life else { return };
        let log = &mut self.log;
        match event {
            Event::Metadata(metadata) => follow(replica, log, metadata, scope),
            Event::Append { value, acks } => {
                let Ok(leader_epoch) = replica.handle_append(*acks) else { return };
                log.append(Entry { epoch: leader_epoch.0, value: *value });
                replica.appended(log, NOW);
                let (end, value, acks) = (log.log_end(), *value, *acks);
                waiting.push(Waiting { end, leader_epoch, value, acks });
            }
            Event::Message(Message::Fetch(fetch), from) => {
                let named = ReplicaFetch { replica: *from, ..*fetch };
                let decision = replica.handle_fetch(&named, log, NOW);
                let entry = match decision {
                    FetchDecision::Read { from, .. } => log.entry(from),
                    _ => None,
                };
                let response = FetchResponse {
                    leader_epoch: fetch.current_leader_epoch,
                    fetch_offset: fetch.fetch_offset,
                    high_watermark: replica.high_watermark(),
                    log_start: log.log_start(),
                    body: body(decision),
                };
                // What a follower would ignore is not sent.
                if response.body != FetchBody::Refused {
                    let process = fetch.broker_epoch.0 as u8;
                    reaction.message = Some(Message::Response { process, response, entry });
                }
            }
            Event::Message(Message::Response { response, entry, .. }, _) => {
                take_response(replica, log, response, *entry, scope);
            }
            Event::Answered(answer) => {
                let outcome = AlterPartitionOutcome::Answered(answer.result.clone());
                let (ticket, epoch) = (answer.ticket, answer.leader_epoch);
                replica.handle_alter_partition(ticket, epoch, &outcome, log, NOW);
            }
            Event::Unanswered(call) => {
                let (ticket, epoch) = call.of();
                replica.handle_alter_partition(ticket, epoch, &AlterPartitionOutcome::Unknown, log, NOW);
            }
            Event::Late(followers) => {
                for follower in members(*followers) {
                    replica.forget_recency(BrokerId(follower as i32 + 1));
                }
                replica.handle_timeout(log, NOW);
            }
            Event::Propose => {
                let asked = replica.alter_partition_due(NOW);
                reaction.proposal = asked.map(|asked| Proposal { process: self.process, asked });
            }
            Event::Ask => {
                let fetch = replica.next_fetch(BrokerEpoch(self.process.into()), log);
                let nameless = |fetch| ReplicaFetch { replica: BrokerId::NONE, ..fetch };
                reaction.message = fetch.map(nameless).map(Message::Fetch);
            }
            Event::Crash { .. } | Event::Stop | Event::Start => {}
        }
    }

    /// Answers whoever can be answered.
    fn settle(&mut self, reaction: &mut Reaction) {
        let Life::Up { replica, waiting } = &mut self.life else { return };
        let log = &self.log;
        waiting.retain(|one| {
            let Waiting { end, leader_epoch, acks, .. } = *one;
            let pending = Pending { end, leader_epoch, acks, is_duplicate: false };
            match replica.acknowledgement(&pending, log) {
                Acknowledgement::Awaits => return true,
                Acknowledgement::Given => reaction.acknowledged.push(*one),
                Acknowledgement::NotEnoughReplicas | Acknowledgement::Lost => {}
            }
            false
        });
    }
}

fn replica_settings(scope: &Scope) -> Settings {
    Settings {
        replica_lag_time_max: Duration::from_secs(30),
        // The time has always come.
        alter_partition_backoff: Duration::ZERO,
        flush_before_ack: false,
        switches: scope.switches,
    }
}

fn follow(replica: &mut Replica, log: &mut ScopeLog, metadata: &Metadata, scope: &Scope) {
    let isr = metadata.isr_members();
    let partition = metadata.partition(&isr, scope.min_insync_replicas);
    let change = replica.handle_metadata(&partition, metadata, log, NOW);
    if let Some(to) = change.truncate_to {
        log.truncate(to, scope.switches);
        replica.truncated(log);
    }
    if let Some(start) = change.epoch_start {
        log.assign_epoch(start.epoch, start.start);
    }
}

fn body(decision: FetchDecision) -> FetchBody {
    match decision {
        FetchDecision::Read { .. } => FetchBody::Records,
        FetchDecision::Diverging(end) => FetchBody::Diverging(end),
        FetchDecision::Refused(FetchRefusal::OutOfRange) => FetchBody::OutOfRange,
        FetchDecision::Refused(_) => FetchBody::Refused,
    }
}

fn take_response(
    replica: &mut Replica,
    log: &mut ScopeLog,
    response: &FetchResponse,
    entry: Option<Entry>,
    scope: &Scope,
) {
    match replica.handle_fetch_response(response, log) {
        FollowerAction::Ignore => {}
        FollowerAction::Append => {
            if let Some(entry) = entry {
                log.append(entry);
            }
            replica.replicated(response, log);
        }
        FollowerAction::Truncate(cut) => {
            log.truncate(cut.to, scope.switches);
            replica.truncated(log);
        }
        FollowerAction::StartOver(_) => unreachable!("no log here begins behind offset 0"),
    }
}
