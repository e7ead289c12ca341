//! The parts of all states, and what was computed before: each reaction of a broker and each decision of the controller
//! is made once.

use hashbrown::HashMap;

use jangbu_core::ids::{BrokerId, Offset};
use jangbu_core::replica::Acks;

use super::BROKERS;
use super::broker::{Broker, Event, Waiting};
use super::fingerprint::FixedState;
use super::intern::Interned;
use super::log::Entry;
use super::message::{Answer, Call, Calls, Message, Proposal};
use super::metadata::{Metadata, Request};
use super::permutation::Permutation;
use super::scope::Scope;
use super::state::{Loss, PAIRS, State};

/// What is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Truth {
    /// The records.
    pub entries: Vec<Entry>,
    /// Those that were acknowledged with acks=all, a bit for each value.
    pub acknowledged: u8,
}

/// What happens to a broker, by the numbers of interned parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It learns of a state of the controller.
    Metadata(u32),
    /// A client produces.
    Append(u8, Acks),
    /// A response arrives.
    Response(u32),
    /// A fetch of this broker arrives.
    Fetch(u32, BrokerId),
    /// The first of these calls, an answer, arrives.
    Answered(u32),
    /// The connection with these calls breaks.
    Broken(u32),
    /// Followers trail for too long: a set.
    Late(u8),
    /// It sends a proposal.
    Propose,
    /// It fetches.
    Ask,
    /// It dies with so many records and this checkpoint left.
    Crash(u8, u8),
    /// It stops.
    Stop,
    /// It starts.
    Start,
}

/// What comes of it.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The broker.
    pub broker: u32,
    /// A message that it sends.
    pub message: Option<u32>,
    /// A proposal that it sends.
    pub proposal: Option<u32>,
    /// Whether what it had proposed before is proposed no more.
    pub outdates: bool,
    /// Whom it acknowledged.
    pub acknowledged: Vec<Waiting>,
}

/// What the controller was asked, by the numbers of interned parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// A process starts.
    Register(u8, bool),
    /// A session is over.
    Fence(u8),
    /// A broker wants to serve.
    Serve(u8),
    /// A broker wants to stop.
    Stop(u8),
    /// Another leader is wanted.
    Elect,
    /// A leader proposes.
    Alter(u8, u32),
}

/// What it decided: its state, and the answer to a proposal.
pub type Decided = (u32, Option<Answer>);

/// All parts.
#[derive(Debug)]
pub struct World {
    /// How large it is.
    pub scope: Scope,
    /// The states of brokers.
    pub brokers: Interned<Broker>,
    /// The states of the controller.
    pub metadata: Interned<Metadata>,
    /// Lists of states of the controller.
    pub histories: Interned<Vec<u32>>,
    /// Messages between brokers.
    pub messages: Interned<Message>,
    /// Sets of messages, as rising lists.
    pub channels: Interned<Vec<u32>>,
    /// Connections to the controller.
    pub calls: Interned<Calls>,
    /// Proposals.
    pub proposals: Interned<Proposal>,
    /// Committed logs.
    pub truths: Interned<Truth>,
    effects: HashMap<(u32, Cause), Effect, FixedState>,
    decisions: HashMap<(u32, Asked), Vec<Decided>, FixedState>,
}

impl World {
    /// Nothing has happened.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            brokers: Interned::new(),
            metadata: Interned::new(),
            histories: Interned::new(),
            messages: Interned::new(),
            channels: Interned::new(),
            calls: Interned::new(),
            proposals: Interned::new(),
            truths: Interned::new(),
            effects: HashMap::default(),
            decisions: HashMap::default(),
        }
    }

    /// All brokers serve and know it; nothing is written.
    pub fn first(&mut self) -> State {
        let metadata = self.metadata.id(Metadata::first());
        let broker = |index: usize| {
            let mut broker = Broker::new(BrokerId(index as i32 + 1));
            broker.handle(&Event::Start, &self.scope);
            broker.handle(&Event::Metadata(&Metadata::first()), &self.scope);
            broker.canonical(Permutation::all().next().expect("there are six"))
        };
        let brokers: [Broker; BROKERS] = std::array::from_fn(broker);
        let mut state = State {
            brokers: brokers.map(|broker| self.brokers.id(broker)),
            channels: [self.channels.id(Vec::new()); PAIRS],
            calls: [self.calls.id(Calls::default()); BROKERS],
            history: self.histories.id(vec![metadata]),
            truth: self.truths.id(Truth::default()),
            lags: [0; BROKERS],
            losses: [Loss::default(); BROKERS],
            faults: 0,
            records: 0,
        };
        self.normalise(&mut state);
        state
    }

    /// The controller's state.
    pub fn present(&self, state: &State) -> u32 {
        *self.histories.get(state.history).last().expect("the present state is always there")
    }

    /// What comes of a cause, and whether anything does.
    pub fn effect(&mut self, broker: u32, cause: Cause) -> Effect {
        if let Some(effect) = self.effects.get(&(broker, cause)) {
            return effect.clone();
        }
        let mut changed = self.brokers.get(broker).clone();
        let held = changed.pending_ticket();
        let mut reaction = super::broker::Reaction::default();
        for event in events(cause, &self.metadata, &self.messages, &self.calls) {
            let next = changed.handle(&event, &self.scope);
            reaction.message = next.message.or(reaction.message);
            reaction.proposal = next.proposal.or(reaction.proposal);
            reaction.acknowledged.extend(next.acknowledged);
        }
        let identity = Permutation::all().next().expect("there are six");
        let effect = Effect {
            broker: self.brokers.id(changed.canonical(identity)),
            message: reaction.message.map(|message| self.messages.id(message)),
            proposal: reaction.proposal.map(|proposal| self.proposals.id(proposal.canonical())),
            outdates: held.is_some() && changed.pending_ticket() != held,
            acknowledged: reaction.acknowledged,
        };
        self.effects.insert((broker, cause), effect.clone());
        effect
    }

    /// What the controller may decide.
    pub fn decide(&mut self, metadata: u32, asked: Asked) -> Vec<Decided> {
        if let Some(decided) = self.decisions.get(&(metadata, asked)) {
            return decided.clone();
        }
        let request = match asked {
            Asked::Register(index, is_clean) => Request::Register { index: index.into(), is_clean },
            Asked::Fence(index) => Request::Fence(index.into()),
            Asked::Serve(index) => Request::Serve(index.into()),
            Asked::Stop(index) => Request::Stop(index.into()),
            Asked::Elect => Request::Elect,
            Asked::Alter(index, proposal) => Request::Alter(index.into(), self.proposals.get(proposal)),
        };
        let decided = self.metadata.get(metadata).decide(request, &self.scope);
        let decided: Vec<Decided> =
            decided.into_iter().map(|(next, answer)| (self.metadata.id(next), answer)).collect();
        self.decisions.insert((metadata, asked), decided.clone());
        decided
    }

    /// The smallest fingerprint of the state under any names of the brokers: that of all states which differ in names
    /// alone.
    pub fn fingerprint(&mut self, state: &State) -> u64 {
        let mut smallest = u64::MAX;
        for permutation in Permutation::all() {
            let mut renamed = *state;
            if permutation.number() != 0 {
                renamed.brokers = state.brokers.map(|id| self.renamed_broker(id, permutation));
                renamed.calls = state.calls.map(|id| self.renamed_calls(id, permutation));
                renamed.history = self.renamed_history(state.history, permutation);
                renamed = renamed.renamed(permutation);
            }
            smallest = smallest.min(renamed.fingerprint());
        }
        smallest
    }

    fn renamed_broker(&mut self, id: u32, permutation: Permutation) -> u32 {
        self.brokers.renamed(id, permutation).unwrap_or_else(|| {
            let renamed = self.brokers.get(id).canonical(permutation);
            let renamed = self.brokers.id(renamed);
            self.brokers.set_renamed(id, permutation, renamed);
            renamed
        })
    }

    fn renamed_calls(&mut self, id: u32, permutation: Permutation) -> u32 {
        self.calls.renamed(id, permutation).unwrap_or_else(|| {
            let renamed = self.calls.get(id).renamed(permutation);
            let renamed = self.calls.id(renamed);
            self.calls.set_renamed(id, permutation, renamed);
            renamed
        })
    }

    fn renamed_history(&mut self, id: u32, permutation: Permutation) -> u32 {
        if let Some(renamed) = self.histories.renamed(id, permutation) {
            return renamed;
        }
        let history = self.histories.get(id).clone();
        let rename = |metadata: u32| self.metadata.id(self.metadata.get(metadata).renamed(permutation));
        let renamed: Vec<u32> = history.into_iter().map(rename).collect();
        let renamed = self.histories.id(renamed);
        self.histories.set_renamed(id, permutation, renamed);
        renamed
    }
}

fn events<'a>(
    cause: Cause,
    metadata: &'a Interned<Metadata>,
    messages: &'a Interned<Message>,
    calls: &'a Interned<Calls>,
) -> Vec<Event<'a>> {
    let event = match cause {
        Cause::Metadata(id) => Event::Metadata(metadata.get(id)),
        Cause::Append(value, acks) => Event::Append { value, acks },
        Cause::Response(id) => Event::Message(messages.get(id), BrokerId::NONE),
        Cause::Fetch(id, from) => Event::Message(messages.get(id), from),
        Cause::Answered(id) => match calls.get(id).line.first() {
            Some(Call::Answered(answer)) => Event::Answered(answer),
            _ => return Vec::new(),
        },
        Cause::Broken(id) => return calls.get(id).line.iter().map(Event::Unanswered).collect(),
        Cause::Late(followers) => Event::Late(followers),
        Cause::Propose => Event::Propose,
        Cause::Ask => Event::Ask,
        Cause::Crash(kept, checkpoint) => {
            Event::Crash { kept: kept.into(), checkpoint: Offset(checkpoint.into()) }
        }
        Cause::Stop => Event::Stop,
        Cause::Start => Event::Start,
    };
    vec![event]
}
