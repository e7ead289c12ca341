//! Every step that can be taken from a state.

use jangbu_core::ids::{BrokerId, Offset};
use jangbu_core::replica::{Acks, Replica, Ticket};

use super::BROKERS;
use super::broker::{Life, Waiting};
use super::check::{self, Violation};
use super::message::{Call, Message};
use super::scope::Faults;
use super::state::{State, pair};
use super::world::{Asked, Cause, World};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A leader appends a record of a client.
    Append(usize, Acks),
    /// The connection of a follower to a leader breaks under a fetch that the follower would not send any more.
    Drop(usize, usize, u32),
    /// A fetch or its response arrives: follower, leader, message.
    Deliver(usize, usize, u32),
    /// A broker learns of the metadata, and this many of the controller's states are left to see.
    Metadata(usize, u8),
    /// A proposal of this broker arrives at the controller.
    Judge(usize),
    /// One on a connection that was given up arrives.
    JudgeGivenUp(usize),
    /// The answer arrives.
    Answer(usize),
    /// The connection of this broker to the controller breaks.
    Break(usize),
    /// To this leader a set of followers is late.
    Late(usize, u8),
    /// The session of this broker is over.
    Fence(usize),
    /// This broker is unfenced.
    Serve(usize),
    /// Another leader is elected.
    Elect,
    /// This broker dies, and so many of its records are found again; and the checkpoint.
    Crash(usize, u8, u8),
    /// It stops as asked.
    Stop(usize),
    /// It starts, and registers.
    Start(usize),
}

/// Where a step leads.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The step.
    pub step: Step,
    /// The state after it.
    pub state: State,
    /// What is wrong with it.
    pub violation: Option<Violation>,
    /// Whether a produce with acks=all was acknowledged in it.
    pub acknowledges: bool,
}

/// Steps from one state.
#[derive(Debug)]
pub struct Steps<'a> {
    world: &'a mut World,
    from: State,
    found: Vec<Successor>,
}

impl World {
    /// All steps from a state. Steps that change nothing are none, and none leads out of the scope.
    pub fn successors(&mut self, from: &State, found: Vec<Successor>) -> Vec<Successor> {
        let mut steps = Steps { world: self, from: *from, found };
        steps.found.clear();
        for broker in 0..BROKERS {
            steps.of_broker(broker);
        }
        for follower in 0..BROKERS {
            for leader in (0..BROKERS).filter(|leader| *leader != follower) {
                steps.deliver(follower, leader);
            }
        }
        steps.elect();
        steps.found
    }

    /// The machine of a broker that runs.
    pub fn replica(&self, state: &State, broker: usize) -> Option<&Replica> {
        self.brokers.get(state.brokers[broker]).replica()
    }
}

impl Steps<'_> {
    fn of_broker(&mut self, broker: usize) {
        let held = self.world.brokers.get(self.from.brokers[broker]);
        let is_up = matches!(held.life, Life::Up { .. });
        let is_leader = held.leading().is_some();
        if is_up {
            if is_leader {
                self.append(broker);
                self.late(broker);
            }
            self.learn(broker);
            self.call(broker);
            self.end(broker);
        } else {
            self.start(broker);
        }
        self.judge_given_up(broker);
        self.fence_and_serve(broker, is_up);
    }

    /// The state after a broker's event, with what it sends to the controller; `None` when nothing came of it.
    fn react(&mut self, state: &State, broker: usize, cause: Cause) -> Option<Reacted> {
        let before = state.brokers[broker];
        let effect = self.world.effect(before, cause);
        if effect.broker == before && effect.message.is_none() {
            return None;
        }
        let mut next = *state;
        next.brokers[broker] = effect.broker;
        if effect.outdates {
            self.world.outdate(&mut next, broker);
        }
        self.propose(&mut next, broker);
        Some(Reacted { state: next, message: effect.message, acknowledged: effect.acknowledged })
    }

    /// Sends what is to be proposed, if there is room on the connection.
    fn propose(&mut self, state: &mut State, broker: usize) {
        let has_pending = self.world.replica(state, broker).is_some_and(Replica::has_pending_isr);
        let room = usize::from(self.world.scope.messages);
        if !has_pending || self.world.calls.get(state.calls[broker]).line.len() >= room {
            return;
        }
        let effect = self.world.effect(state.brokers[broker], Cause::Propose);
        let Some(proposal) = effect.proposal else { return };
        state.brokers[broker] = effect.broker;
        let mut calls = self.world.calls.get(state.calls[broker]).clone();
        calls.line.push(Call::Proposed(self.world.proposals.get(proposal).clone()));
        state.calls[broker] = self.world.calls.id(calls);
    }

    /// A step after which a broker is to be looked at.
    fn found_at(&mut self, step: Step, broker: usize, reacted: Reacted) {
        let mut state = reacted.state;
        let acknowledged = &reacted.acknowledged;
        let checked =
            check::after_event(self.world, &self.from, &mut state, broker, acknowledged).and_then(|()| {
                match step {
                    Step::Append(_, acks) => check::appended(self.world, &state, broker, acks),
                    _ => Ok(()),
                }
            });
        self.world.normalise(&mut state);
        let acknowledges = acknowledged.iter().any(|waiting| waiting.acks == Acks::All);
        self.found.push(Successor { step, state, violation: checked.err(), acknowledges });
    }

    /// A step after which the controller's state is to be looked at.
    fn found_decided(&mut self, step: Step, mut state: State) {
        let violation = check::candidates(self.world, &state).err();
        self.world.normalise(&mut state);
        self.found.push(Successor { step, state, violation, acknowledges: false });
    }

    /// A step by which nothing changes that could be wrong.
    fn found_plain(&mut self, step: Step, mut state: State) {
        self.world.normalise(&mut state);
        self.found.push(Successor { step, state, violation: None, acknowledges: false });
    }

    fn append(&mut self, broker: usize) {
        if self.from.records >= self.world.scope.records {
            return;
        }
        let value = self.from.records + 1;
        for acks in [Acks::All, Acks::Leader] {
            if acks == Acks::Leader && !self.world.scope.has_acks_leader {
                continue;
            }
            let state = State { records: value, ..self.from };
            if let Some(reacted) = self.react(&state, broker, Cause::Append(value, acks)) {
                self.found_at(Step::Append(broker, acks), broker, reacted);
            }
        }
    }

    /// Nobody waits for what the scope does not hold.
    fn late(&mut self, leader: usize) {
        let limit = i32::from(self.world.scope.registrations);
        if self.world.replica(&self.from, leader).is_some_and(|replica| replica.partition_epoch().0 >= limit)
        {
            return;
        }
        let others = 7 & !(1 << leader);
        for followers in (1..8).filter(|followers| followers & !others == 0) {
            let state = self.from;
            if let Some(reacted) = self.react(&state, leader, Cause::Late(followers)) {
                self.found_at(Step::Late(leader, followers), leader, reacted);
            }
        }
    }

    fn deliver(&mut self, follower: usize, leader: usize) {
        let channel = pair(follower, leader);
        let mut index = 0;
        while let Some(message) = self.world.channels.get(self.from.channels[channel]).get(index).copied() {
            index += 1;
            let is_fetch = matches!(self.world.messages.get(message), Message::Fetch(_));
            self.drop_outdated(follower, leader, message);
            let mut state = self.from;
            state.channels[channel] = self.world.without(state.channels[channel], message);
            let to = if is_fetch { leader } else { follower };
            let step = Step::Deliver(follower, leader, message);
            let from = BrokerId(follower as i32 + 1);
            let cause = if is_fetch { Cause::Fetch(message, from) } else { Cause::Response(message) };
            let Some(mut reacted) = self.react(&state, to, cause) else {
                self.found_plain(step, state);
                continue;
            };
            if let Some(response) = reacted.message.filter(|response| self.awaits(follower, *response)) {
                let channels = &mut reacted.state.channels;
                channels[channel] = self.world.with(channels[channel], response);
            }
            self.found_at(step, to, reacted);
        }
    }

    /// A connection may break under a fetch that was sent before the follower learned better.
    fn drop_outdated(&mut self, follower: usize, leader: usize, message: u32) {
        let Message::Fetch(fetch) = self.world.messages.get(message) else { return };
        let held = self.world.brokers.get(self.from.brokers[follower]);
        let would_send = held.process == fetch.broker_epoch.0 as u8
            && held.replica().is_some_and(|replica| {
                replica.leader_epoch() == fetch.current_leader_epoch && replica.followed().is_some()
            });
        if !would_send {
            let channel = pair(follower, leader);
            let mut state = self.from;
            state.channels[channel] = self.world.without(state.channels[channel], message);
            self.found_plain(Step::Drop(follower, leader, message), state);
        }
    }

    /// Whether the process runs that a response is for.
    fn awaits(&self, follower: usize, response: u32) -> bool {
        let Message::Response { process, .. } = self.world.messages.get(response) else { return false };
        let follower = self.world.brokers.get(self.from.brokers[follower]);
        follower.process == *process && follower.replica().is_some()
    }

    fn learn(&mut self, broker: usize) {
        for lag in 0..self.from.lags[broker] {
            let history = self.world.histories.get(self.from.history);
            let metadata = history[history.len() - 1 - usize::from(lag)];
            let mut state = self.from;
            state.lags[broker] = lag;
            self.world.forget_seen(&mut state);
            let step = Step::Metadata(broker, lag);
            match self.react(&state, broker, Cause::Metadata(metadata)) {
                Some(reacted) => self.found_at(step, broker, reacted),
                None => self.found_plain(step, state),
            }
        }
    }

    /// The controller's state becomes another one, if the scope holds it.
    fn adopt(&mut self, state: &mut State, metadata: u32) -> bool {
        if metadata == self.world.present(state) {
            return true;
        }
        let decided = self.world.metadata.get(metadata);
        let scope = &self.world.scope;
        if decided.leader_epoch >= i32::from(scope.leader_epochs)
            || decided.partition_epoch > i32::from(scope.registrations)
        {
            return false;
        }
        let (isr, registered) = (decided.isr, decided.brokers);
        let mut history = self.world.histories.get(state.history).clone();
        history.push(metadata);
        state.history = self.world.histories.id(history);
        for (broker, registered) in registered.iter().enumerate() {
            let held = self.world.brokers.get(state.brokers[broker]);
            let is_up = held.replica().is_some();
            if is_up {
                state.lags[broker] += 1;
            }
            let is_present = is_up && held.process == registered.process;
            let loss = &mut state.losses[broker];
            if is_present && isr & 1 << broker != 0 && !loss.is_unreported() {
                loss.heal();
            }
        }
        self.world.forget_seen(state);
        true
    }

    /// A proposal on a connection that is gone, whatever became of the broker.
    fn judge_given_up(&mut self, broker: usize) {
        let calls = self.world.calls.get(self.from.calls[broker]);
        let Some(given_up) = calls.given_up.clone() else { return };
        let mut left = calls.clone();
        left.given_up = None;
        let mut state = self.from;
        state.calls[broker] = self.world.calls.id(left);
        let proposal = self.world.proposals.id(given_up);
        self.judge(Step::JudgeGivenUp(broker), state, broker, proposal, None);
    }

    fn call(&mut self, broker: usize) {
        let id = self.from.calls[broker];
        let calls = self.world.calls.get(id);
        let first_proposal = calls.line.iter().position(|call| matches!(call, Call::Proposed(_)));
        if let Some(place) = first_proposal
            && let Call::Proposed(proposal) = calls.line[place].clone()
        {
            let proposal = self.world.proposals.id(proposal);
            self.judge(Step::Judge(broker), self.from, broker, proposal, Some(place));
        }
        let calls = self.world.calls.get(id);
        if matches!(calls.line.first(), Some(Call::Answered(_))) {
            let mut left = calls.clone();
            left.line.remove(0);
            let mut state = self.from;
            state.calls[broker] = self.world.calls.id(left);
            self.hear(Step::Answer(broker), state, broker, Cause::Answered(id));
        }
        let calls = self.world.calls.get(id);
        if !calls.line.is_empty() && self.may_fail(Faults::BREAK) {
            let mut left = calls.clone();
            left.give_up();
            let mut state = State { faults: self.from.faults + 1, ..self.from };
            state.calls[broker] = self.world.calls.id(left);
            self.hear(Step::Break(broker), state, broker, Cause::Broken(id));
        }
    }

    fn hear(&mut self, step: Step, mut state: State, broker: usize, cause: Cause) {
        match self.react(&state, broker, cause) {
            Some(reacted) => self.found_at(step, broker, reacted),
            None => {
                self.propose(&mut state, broker);
                self.found_plain(step, state);
            }
        }
    }

    fn judge(&mut self, step: Step, from: State, broker: usize, proposal: u32, place: Option<usize>) {
        let present = self.world.present(&from);
        for (metadata, answer) in self.world.decide(present, Asked::Alter(broker as u8, proposal)) {
            let mut state = from;
            if let (Some(place), Some(answer)) = (place, answer) {
                let mut calls = self.world.calls.get(state.calls[broker]).clone();
                if answer.ticket == Ticket(0) {
                    calls.line.remove(place);
                } else {
                    calls.line[place] = Call::Answered(answer);
                }
                state.calls[broker] = self.world.calls.id(calls);
            }
            if self.adopt(&mut state, metadata) {
                self.found_decided(step, state);
            }
        }
    }

    fn may_fail(&self, fault: Faults) -> bool {
        let scope = &self.world.scope;
        self.from.faults < scope.faults && scope.kinds.include(fault)
    }

    fn fence_and_serve(&mut self, broker: usize, is_up: bool) {
        let present = self.world.present(&self.from);
        let registered = self.world.metadata.get(present).brokers[broker];
        let held = self.world.brokers.get(self.from.brokers[broker]);
        let has_caught_up = held.replica().is_some_and(|replica| replica.partition_epoch().0 >= 0);
        let is_same = held.process == registered.process;
        let number = broker as u8;
        if registered.is_fenced {
            if is_up && is_same && has_caught_up {
                self.decide(Step::Serve(broker), self.from, Asked::Serve(number));
            }
        } else if !is_up {
            self.decide(Step::Fence(broker), self.from, Asked::Fence(number));
        } else if self.may_fail(Faults::FENCE) {
            let state = State { faults: self.from.faults + 1, ..self.from };
            self.decide(Step::Fence(broker), state, Asked::Fence(number));
        }
    }

    fn decide(&mut self, step: Step, from: State, asked: Asked) {
        let present = self.world.present(&from);
        for (metadata, _) in self.world.decide(present, asked) {
            let mut state = from;
            if metadata != present && self.adopt(&mut state, metadata) {
                self.found_decided(step, state);
            }
        }
    }

    fn elect(&mut self) {
        if self.may_fail(Faults::ELECT) {
            let state = State { faults: self.from.faults + 1, ..self.from };
            self.decide(Step::Elect, state, Asked::Elect);
        }
    }

    /// A process ends, one way or the other.
    fn end(&mut self, broker: usize) {
        let held = self.world.brokers.get(self.from.brokers[broker]);
        let records = held.log.entries.len() as u8;
        let high_watermark = held.replica().map_or(Offset::ZERO, Replica::high_watermark).0 as u8;
        for kept in 0..=records {
            let loses = kept < records;
            if !self.may_crash(broker, loses) {
                continue;
            }
            let checkpoint = high_watermark.min(kept);
            for checkpoint in [0, checkpoint].into_iter().take(if checkpoint > 0 { 2 } else { 1 }) {
                let mut state = State { faults: self.from.faults + 1, ..self.from };
                state.losses[broker].crash(loses);
                self.die(&mut state, broker);
                let cause = Cause::Crash(kept, checkpoint);
                if let Some(reacted) = self.react(&state, broker, cause) {
                    self.found_at(Step::Crash(broker, kept, checkpoint), broker, reacted);
                }
            }
        }
        if self.may_fail(Faults::STOP) {
            self.stop(broker);
        }
    }

    /// How much may fail at once: with `min.insync.replicas` m, what is acknowledged survives the loss of m - 1 page
    /// caches until their brokers are in sync again.
    fn may_crash(&self, broker: usize, loses: bool) -> bool {
        let scope = &self.world.scope;
        let others = || (0..BROKERS).filter(|other| *other != broker).map(|other| self.from.losses[other]);
        let unclean = others().filter(|loss| loss.is_unclean()).count();
        let is_within = unclean + 1 < scope.min_insync_replicas;
        let has_lossy = others().any(|loss| loss.is_lossy()) || self.from.losses[broker].is_lossy();
        if loses {
            self.may_fail(Faults::LOSSY) && is_within
        } else {
            self.may_fail(Faults::LOSSY.and(Faults::KILL)) && (is_within || !has_lossy)
        }
    }

    /// What a process held ends with it. What it had asked others may still arrive; what they asked it does not.
    fn die(&mut self, state: &mut State, broker: usize) {
        state.lags[broker] = 0;
        self.world.forget_seen(state);
        let mut calls = self.world.calls.get(state.calls[broker]).clone();
        calls.give_up();
        state.calls[broker] = self.world.calls.id(calls);
        for other in (0..BROKERS).filter(|other| *other != broker) {
            self.keep(state, pair(broker, other), true);
            self.keep(state, pair(other, broker), false);
        }
    }

    fn keep(&mut self, state: &mut State, channel: usize, fetches: bool) {
        let messages = self.world.channels.get(state.channels[channel]);
        if messages.is_empty() {
            return;
        }
        let is_kept =
            |message: &u32| matches!(self.world.messages.get(*message), Message::Fetch(_)) == fetches;
        let kept: Vec<u32> = messages.iter().copied().filter(is_kept).collect();
        state.channels[channel] = self.world.channels.id(kept);
    }

    fn stop(&mut self, broker: usize) {
        let present = self.world.present(&self.from);
        for (metadata, _) in self.world.decide(present, Asked::Stop(broker as u8)) {
            let mut state = State { faults: self.from.faults + 1, ..self.from };
            if !self.adopt(&mut state, metadata) {
                continue;
            }
            self.die(&mut state, broker);
            if let Some(reacted) = self.react(&state, broker, Cause::Stop) {
                self.found_at(Step::Stop(broker), broker, reacted);
            }
        }
    }

    fn start(&mut self, broker: usize) {
        let held = self.world.brokers.get(self.from.brokers[broker]);
        let Life::Down { is_clean, .. } = held.life else { return };
        let present = self.world.present(&self.from);
        for (metadata, _) in self.world.decide(present, Asked::Register(broker as u8, is_clean)) {
            let mut state = self.from;
            state.losses[broker].report();
            let Some(reacted) = self.react(&state, broker, Cause::Start) else { continue };
            let mut state = reacted.state;
            if self.adopt(&mut state, metadata) {
                self.found_decided(Step::Start(broker), state);
            }
        }
    }
}

/// A state after a broker's event.
#[derive(Debug)]
struct Reacted {
    state: State,
    message: Option<u32>,
    acknowledged: Vec<Waiting>,
}
