//! What happens at once, because nothing that may happen before it makes a difference: it takes away states, never
//! behaviour.

use jangbu_core::museum::Switch;
use jangbu_core::replica::{Replica, Ticket};

use super::BROKERS;
use super::message::{Call, Message};
use super::state::{State, pair};
use super::world::{Cause, World};

impl World {
    /// Does all of it.
    pub fn normalise(&mut self, state: &mut State) {
        for broker in 0..BROKERS {
            self.learn_what_says_nothing(state, broker);
        }
        self.forget_seen(state);
        for follower in 0..BROKERS {
            for leader in (0..BROKERS).filter(|leader| *leader != follower) {
                self.clear_channel(state, follower, leader);
            }
            self.fetch(state, follower);
        }
    }

    /// A broker learns of a state of the controller that changes nothing for it.
    fn learn_what_says_nothing(&mut self, state: &mut State, broker: usize) {
        while state.lags[broker] > 0 {
            let history = self.histories.get(state.history);
            let metadata = history[history.len() - usize::from(state.lags[broker])];
            let effect = self.effect(state.brokers[broker], Cause::Metadata(metadata));
            if effect.broker != state.brokers[broker] {
                return;
            }
            state.lags[broker] -= 1;
        }
    }

    /// States of the controller that nobody has yet to see are forgotten.
    pub fn forget_seen(&mut self, state: &mut State) {
        let needed = usize::from(state.lags.into_iter().max().unwrap_or(0)).max(1);
        let history = self.histories.get(state.history);
        if history.len() > needed {
            let history = history[history.len() - needed..].to_vec();
            state.history = self.histories.id(history);
        }
    }

    /// What will be refused whenever it arrives, and what arrives without any effect, is gone.
    fn clear_channel(&mut self, state: &mut State, follower: usize, leader: usize) {
        let channel = pair(follower, leader);
        let mut index = 0;
        while let Some(message) = self.channels.get(state.channels[channel]).get(index).copied() {
            let says_nothing = match self.messages.get(message) {
                Message::Fetch(fetch) => {
                    let asked = fetch.current_leader_epoch;
                    let switches = self.scope.switches;
                    let is_fenced =
                        !switches.off(Switch::UnfencedFetch) && !switches.off(Switch::UnfencedTruncation);
                    let leader = self.replica(state, leader);
                    is_fenced && leader.is_some_and(|leader| leader.leader_epoch() > asked)
                }
                Message::Response { .. } => {
                    let broker = state.brokers[follower];
                    !self.scope.switches.off(Switch::LateTruncation)
                        && self.effect(broker, Cause::Response(message)).broker == broker
                }
            };
            if says_nothing {
                state.channels[channel] = self.without(state.channels[channel], message);
            } else {
                index += 1;
            }
        }
    }

    /// A follower that may fetch has a fetch under way. It would be the same later, unless the follower learns better:
    /// then the old one may be dropped.
    fn fetch(&mut self, state: &mut State, follower: usize) {
        let broker = self.brokers.get(state.brokers[follower]);
        let Some(leader) = broker.replica().and_then(Replica::followed) else { return };
        let leader = (leader.0 - 1) as usize;
        if self.replica(state, leader).is_none() {
            return;
        }
        let (process, epoch) = (broker.process, broker.replica().map(Replica::leader_epoch));
        let channel = pair(follower, leader);
        let under_way = self.channels.get(state.channels[channel]);
        let is_present = |message: &u32| match self.messages.get(*message) {
            Message::Fetch(fetch) => {
                fetch.broker_epoch.0 == i64::from(process) && Some(fetch.current_leader_epoch) == epoch
            }
            Message::Response { process: to, response, .. } => {
                *to == process && Some(response.leader_epoch) == epoch
            }
        };
        if under_way.len() >= usize::from(self.scope.messages) || under_way.iter().any(is_present) {
            return;
        }
        if let Some(message) = self.effect(state.brokers[follower], Cause::Ask).message {
            state.channels[channel] = self.with(state.channels[channel], message);
        }
    }

    /// What a broker has proposed before it proposes no more: the answers tell it nothing.
    pub fn outdate(&mut self, state: &mut State, broker: usize) {
        if self.calls.get(state.calls[broker]).line.is_empty() {
            return;
        }
        let mut calls = self.calls.get(state.calls[broker]).clone();
        calls.line.retain(|call| matches!(call, Call::Proposed(_)));
        for call in &mut calls.line {
            if let Call::Proposed(proposal) = call {
                proposal.asked.ticket = Ticket(0);
            }
        }
        state.calls[broker] = self.calls.id(calls);
    }

    /// A set of messages with one more.
    pub fn with(&mut self, channel: u32, message: u32) -> u32 {
        let mut messages = self.channels.get(channel).clone();
        messages.push(message);
        messages.sort_unstable();
        self.channels.id(messages)
    }

    /// A set of messages with one less.
    pub fn without(&mut self, channel: u32, message: u32) -> u32 {
        let mut messages = self.channels.get(channel).clone();
        messages.retain(|other| *other != message);
        self.channels.id(messages)
    }
}
