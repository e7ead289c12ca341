//! The world of an episode: brokers, clients and the controller, what is on its way between them, and what is true.

use jangbu_core::ids::Offset;
use jangbu_core::lifecycle::{HeartbeatAnswer, Output, Stage};
use jangbu_core::replica::{AlterPartitionOutcome, Became, BrokersView};

use super::broker::{Broker, Call, PARTITION, REQUEST_TIMEOUT};
use super::check::{self, Book, Truth, Violation};
use super::client::Client;
use super::message::{Body, CONTROLLER, Message, Node};
use super::profile::Profile;
use super::quorum::{Election, Quorum};
use super::report::Counts;

/// Nothing is wrong, or something is.
pub type Checked = Result<(), Violation>;

/// Everything there is.
#[derive(Debug)]
pub struct World {
    /// The episode.
    pub profile: Profile,
    /// True time.
    pub now_ms: u64,
    /// By id, from 1.
    pub brokers: Vec<Broker>,
    /// The controller.
    pub controller: Quorum,
    /// How many of the controller's states were checked.
    pub checked_views: usize,
    /// What is on its way, oldest first.
    pub bag: Vec<Message>,
    /// The clients.
    pub clients: Vec<Client>,
    /// What is committed.
    pub truth: Truth,
    /// What checks remember.
    pub book: Book,
    /// What happened how often.
    pub counts: Counts,
    /// The next value that a client writes.
    pub next_value: u32,
    /// Where the consumer reads next.
    pub consumer: i64,
}

impl World {
    /// Every broker serves; the partition is empty.
    pub fn new(profile: &Profile) -> Self {
        let mut world = Self {
            now_ms: 100_000,
            brokers: (1..=profile.brokers).map(|number| Broker::new(profile, number)).collect(),
            controller: Quorum::new(profile, 100_000),
            checked_views: 1,
            bag: Vec::with_capacity(32),
            clients: profile
                .clients
                .iter()
                .zip(0..)
                .map(|(kind, number)| Client::new(*kind, number))
                .collect(),
            truth: Truth::default(),
            book: Book::default(),
            counts: Counts::default(),
            next_value: 2,
            consumer: 0,
            profile: profile.clone(),
        };
        for number in 1..=profile.brokers {
            world.serve_from_the_start(number);
        }
        world
    }

    fn serve_from_the_start(&mut self, number: u8) {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[usize::from(number) - 1];
        let now = broker.local(now_ms);
        let view = self.controller.view();
        let epoch = view.brokers[usize::from(number) - 1].expect("it is registered").epoch;
        if let Some((request, Output::Register { .. })) = broker.lifecycle.poll_output(now) {
            broker.lifecycle.handle_registered(request, epoch, now);
        }
        self.publish(number, 1).expect("nothing is wrong at the start");
        // Its first heartbeat was sent when it had published: it is answered at once.
        let sent = self.bag.pop();
        let broker = &mut self.brokers[usize::from(number) - 1];
        if let Some(Message { body: Body::Heartbeat { request, .. }, .. }) = sent {
            let answer = HeartbeatAnswer { is_caught_up: true, is_fenced: false, should_shut_down: false };
            broker.lifecycle.handle_heartbeat(request, answer, now);
        }
        assert_eq!(broker.lifecycle.stage(), Stage::Serving, "an episode begins with brokers that serve");
    }

    /// A broker.
    pub fn broker(&self, number: u8) -> &Broker {
        &self.brokers[usize::from(number) - 1]
    }

    /// A broker.
    pub fn broker_mut(&mut self, number: u8) -> &mut Broker {
        &mut self.brokers[usize::from(number) - 1]
    }

    /// Sends.
    pub fn send(&mut self, from: Node, to: Node, process: u32, connection: u32, body: Body) {
        self.bag.push(Message { from, to, process, connection, body });
    }

    /// A broker looks at the metadata, `states` further on.
    pub fn publish(&mut self, number: u8, states: usize) -> Checked {
        let newest = self.controller.views.len() - 1;
        let now_ms = self.now_ms;
        let profile = &self.profile;
        let broker = &mut self.brokers[usize::from(number) - 1];
        let target = if broker.published.is_none() && broker.looked_at == 0 && newest == 0 {
            0
        } else {
            (broker.looked_at + states).min(newest)
        };
        broker.looked_at = target;
        let view = &self.controller.views[target];
        let offset = Offset(view.offset);
        let is_assigned = view.replicas.contains(&broker.id);
        if !is_assigned && broker.log.end() > 0 && broker.lifecycle.may_sweep(offset) {
            broker.remove_replica(profile);
            self.counts.swept += 1;
        }
        if !broker.lifecycle.may_publish(offset) || broker.published.is_some_and(|at| at >= target) {
            check::deposed(self, number)?;
            return check::candidates(self);
        }
        broker.published = Some(target);
        let view = view.clone();
        let now = broker.local(now_ms);
        let before = (broker.replica.high_watermark(), broker.replica.leader_epoch());
        let change = broker.replica.handle_metadata(&view.partition(), &view, &broker.log, now);
        if let Some(to) = change.truncate_to {
            broker.log.truncate(to.0);
            broker.replica.truncated(&broker.log);
        }
        if let Some(start) = change.epoch_start {
            broker.log.assign_epoch(start.epoch, start.start);
        }
        match change.became {
            Became::Unchanged => {}
            Became::Follower => {
                broker.fetch_loop.follow(PARTITION, view.leader, broker.replica.leader_epoch())
            }
            Became::Leader | Became::Idle => broker.fetch_loop.leave(PARTITION),
        }
        broker.lifecycle.published(offset);
        check::epochs_rise(self, number, before.1)?;
        if change.became == Became::Leader {
            check::new_leader(self, number)?;
        }
        if change.became != Became::Unchanged {
            check::epoch_cache(self, number)?;
        }
        check::candidates(self)?;
        self.after_event(number, before.0)
    }

    /// Whatever may follow from an event on a broker: what was moved, what can be answered, what is to be sent.
    pub fn after_event(&mut self, number: u8, high_watermark: Offset) -> Checked {
        if self.broker(number).replica.high_watermark() != high_watermark {
            check::high_watermark(self, number, high_watermark)?;
        }
        if self.broker(number).replica.is_leader() {
            check::quorum_superset(self, number)?;
        }
        self.settle_waiting(number)?;
        self.send_due(number);
        Ok(())
    }

    /// Requests that a broker has to send.
    pub fn send_due(&mut self, number: u8) {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[usize::from(number) - 1];
        if !broker.runs() {
            return;
        }
        let now = broker.local(now_ms);
        let process = broker.process;
        if let Some(asked) = broker.replica.alter_partition_due(now) {
            let connection = broker.next_call();
            let (ticket, leader_epoch) = (asked.ticket, asked.leader_epoch);
            broker.calls.push(Call { connection, ticket, leader_epoch, gives_up_at: now + REQUEST_TIMEOUT });
            let broker_epoch = broker.lifecycle.broker_epoch();
            let body = Body::AlterPartition { broker_epoch, asked };
            self.bag.push(Message { from: number, to: CONTROLLER, process, connection, body });
        }
        let broker = &mut self.brokers[usize::from(number) - 1];
        if let Some((request, output)) = broker.lifecycle.poll_output(now) {
            let body = match output {
                Output::Register { previous_broker_epoch: previous } => {
                    Body::Register { request, directory: broker.directory, previous }
                }
                // The one directory of a broker fails with its process.
                Output::Heartbeat {
                    broker_epoch: epoch,
                    metadata_offset,
                    wants_fence,
                    wants_shutdown,
                    offline_log_dirs: _,
                } => {
                    let (offset, wants) = (metadata_offset.0, (wants_fence, wants_shutdown));
                    Body::Heartbeat { request, epoch, offset, wants }
                }
            };
            self.bag.push(Message { from: number, to: CONTROLLER, process, connection: 0, body });
        }
    }

    /// Due timers of a broker.
    pub fn timers(&mut self, number: u8) -> Checked {
        let now_ms = self.now_ms;
        let broker = self.broker_mut(number);
        if !broker.runs() {
            return Ok(());
        }
        let now = broker.local(now_ms);
        let high_watermark = broker.replica.high_watermark();
        broker.lifecycle.handle_timeout(now);
        self.stop_if_told(number);
        let broker = self.broker_mut(number);
        if !broker.runs() {
            return Ok(());
        }
        while broker.fetch_loop.handle_timeout(now).is_some() {}
        broker.replica.handle_timeout(&broker.log, now);
        let late: Vec<Call> = broker.calls.iter().copied().filter(|call| call.gives_up_at <= now).collect();
        for call in late {
            self.give_up_call(number, call.connection);
        }
        self.after_event(number, high_watermark)
    }

    /// The connection of an AlterPartition is gone: its outcome is unknown.
    pub fn give_up_call(&mut self, number: u8, connection: u32) {
        let now_ms = self.now_ms;
        let broker = self.broker_mut(number);
        let Some(index) = broker.calls.iter().position(|call| call.connection == connection) else { return };
        let call = broker.calls.remove(index);
        let now = broker.local(now_ms);
        let outcome = AlterPartitionOutcome::Unknown;
        broker.replica.handle_alter_partition(call.ticket, call.leader_epoch, &outcome, &broker.log, now);
        self.counts.unknown_outcomes += 1;
    }

    /// A broker begins the rounds it may.
    pub fn fetch(&mut self, number: u8) {
        let now_ms = self.now_ms;
        let broker = &mut self.brokers[usize::from(number) - 1];
        if !broker.runs() {
            return;
        }
        let now = broker.local(now_ms);
        let Some(round) = broker.fetch_loop.poll_output(now) else { return };
        let Some(fetch) = broker.replica.next_fetch(broker.lifecycle.broker_epoch(), &broker.log) else {
            broker.fetch_loop.pause(PARTITION);
            broker.fetch_loop.handle_empty(round.leader, round.id);
            return;
        };
        let (process, leader) = (broker.process, round.leader.0 as u8);
        self.send(number, leader, process, 0, Body::Fetch { round: round.id, fetch });
    }

    /// A process dies. What is not on its disk may go with it.
    pub fn crash(&mut self, number: u8, lost: i64) {
        let is_flushed = self.profile.flush_before_ack;
        let broker = self.broker_mut(number);
        let end = broker.log.end();
        broker.written = Some(broker.log.clone());
        if lost > 0 {
            broker.log.lose_tail(end - lost);
        }
        let has_lost = broker.log.end() < end;
        broker.is_up = false;
        broker.is_unclean = true;
        // With `flush.messages=1` what was lost was never counted.
        broker.is_lossy |= lost > 0 && !is_flushed;
        broker.has_lost |= has_lost && !is_flushed;
        broker.checkpoint = broker.checkpoint.min(broker.log.end());
        broker.waiting.clear();
        self.counts.lost_tails += u64::from(has_lost);
        self.counts.crashes += 1;
    }

    /// Follows what the controller did.
    pub fn after_controller(&mut self) -> Checked {
        let elections = std::mem::take(&mut self.controller.elections);
        for election in elections {
            self.counts.elections += 1;
            self.counts.eligible_elections += u64::from(election == Election::Eligible);
            self.counts.last_known_elections += u64::from(election == Election::Unclean);
        }
        while self.checked_views < self.controller.views.len() {
            check::controller_state(self, self.checked_views)?;
            self.checked_views += 1;
        }
        let view = self.controller.view();
        for broker in &mut self.brokers {
            let registered = view.standing(broker.id).map(|standing| standing.epoch);
            let is_present = broker.is_up && registered == Some(broker.lifecycle.broker_epoch());
            if view.isr.contains(&broker.id) && !broker.has_lost && is_present {
                broker.is_unclean = false;
                broker.is_lossy = false;
            }
        }
        check::candidates(self)?;
        for number in 1..=self.profile.brokers {
            check::quorum_superset(self, number)?;
        }
        Ok(())
    }
}
