//! Breadth first, so that the trace to what is found is the shortest.

use std::hash::BuildHasherDefault;
use std::time::{Duration, Instant};

use hashbrown::HashSet;

use super::check::Violation;
use super::fingerprint::Identity;
use super::scope::Scope;
use super::state::State;
use super::step::{Step, Successor};
use super::words;
use super::world::World;
use crate::progress::Progress;

/// After so many states somebody is told.
const STATES_BETWEEN_LOOKS: u32 = 1 << 12;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There are no more states.
    Exhausted,
    /// There are more than were asked for. All those at smaller depth than the last were seen.
    Bound,
    /// An invariant is violated.
    Violated {
        /// Which and how.
        violation: Violation,
        /// How it comes to that, a line for each step.
        trace: Vec<String>,
    },
}

/// How often something that makes a search count lay on the way to a new state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// acks=all was answered with success.
    pub acknowledged: u64,
    /// A leader was elected.
    pub elections: u64,
    /// One from outside the ISR that was eligible.
    pub eligible_elections: u64,
    /// A follower cut its log.
    pub truncations: u64,
    /// A crash took records with it.
    pub lost_tails: u64,
    /// The ISR became smaller by a proposal.
    pub shrinks: u64,
    /// The ISR became larger.
    pub expansions: u64,
}

/// What a search saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// The scope.
    pub scope: Scope,
    /// States that differ in more than the brokers' names.
    pub states: u64,
    /// Steps that were taken.
    pub transitions: u64,
    /// The largest number of steps that a state needs.
    pub depth: u32,
    /// How long it took.
    pub took: Duration,
    /// States of single brokers that were met, names told apart.
    pub broker_states: usize,
    /// States of the controller.
    pub controller_states: usize,
    /// What lay on the way.
    pub counts: Counts,
    /// How it ended.
    pub ending: Ending,
}

/// How a state was reached first: from which, by which of the steps there.
#[derive(Debug, Default)]
struct Parents {
    states: Vec<u32>,
    steps: Vec<u16>,
}

/// Explores a scope, to its end or to so many states. `progress` is told of each state that is gone through.
pub fn explore(scope: &Scope, states_max: u64, progress: Option<&Progress>) -> Report {
    let began = Instant::now();
    let mut search = Search {
        world: World::new(*scope),
        visited: HashSet::default(),
        parents: Parents::default(),
        transitions: 0,
        depth: 0,
        counts: Counts::default(),
    };
    let ending = search.run(states_max, progress);
    Report {
        scope: *scope,
        states: search.visited.len() as u64,
        transitions: search.transitions,
        depth: search.depth,
        took: began.elapsed(),
        broker_states: search.world.brokers.count(),
        controller_states: search.world.metadata.count(),
        counts: search.counts,
        ending,
    }
}

struct Search {
    world: World,
    visited: HashSet<u64, BuildHasherDefault<Identity>>,
    parents: Parents,
    transitions: u64,
    depth: u32,
    counts: Counts,
}

impl Search {
    fn run(&mut self, states_max: u64, progress: Option<&Progress>) -> Ending {
        let first = self.world.first();
        self.visit(&first, 0, 0);
        let (mut frontier, mut next) = (vec![first], Vec::new());
        let mut begin: u32 = 0;
        let mut successors: Vec<Successor> = Vec::new();
        while !frontier.is_empty() {
            for (state, number) in frontier.drain(..).zip(begin..) {
                if let Some(progress) = progress.filter(|_| number % STATES_BETWEEN_LOOKS == 0) {
                    progress.advance(STATES_BETWEEN_LOOKS.into());
                }
                successors = self.world.successors(&state, successors);
                for (place, successor) in successors.iter().enumerate() {
                    self.transitions += 1;
                    if !self.visit(&successor.state, number, place) {
                        continue;
                    }
                    self.counts.note(&self.world, &state, successor);
                    if let Some(violation) = successor.violation.clone() {
                        self.depth += 1;
                        let trace = self.trace(number, successor);
                        return Ending::Violated { violation, trace };
                    }
                    next.push(successor.state);
                }
                if self.visited.len() as u64 >= states_max {
                    return Ending::Bound;
                }
            }
            begin = (self.visited.len() - next.len()) as u32;
            self.depth += u32::from(!next.is_empty());
            std::mem::swap(&mut frontier, &mut next);
        }
        Ending::Exhausted
    }

    /// Whether nobody was here before, under whatever names.
    fn visit(&mut self, state: &State, from: u32, place: usize) -> bool {
        let fingerprint = self.world.fingerprint(state);
        let is_new = self.visited.insert(fingerprint);
        if is_new {
            self.parents.states.push(from);
            self.parents.steps.push(u16::try_from(place).expect("a state has few successors"));
        }
        is_new
    }

    /// The way to a successor of a state, in words.
    fn trace(&mut self, state: u32, last: &Successor) -> Vec<String> {
        let mut places = Vec::new();
        let mut number = state;
        while number != 0 {
            places.push(self.parents.steps[number as usize]);
            number = self.parents.states[number as usize];
        }
        let mut state = self.world.first();
        let mut lines = Vec::new();
        let mut say = |world: &World, from: &State, step: Step, to: &State| {
            lines.push(words::line(world, from, step, to));
        };
        for place in places.into_iter().rev() {
            let successors = self.world.successors(&state, Vec::new());
            let successor = &successors[usize::from(place)];
            say(&self.world, &state, successor.step, &successor.state);
            state = successor.state;
        }
        say(&self.world, &state, last.step, &last.state);
        lines
    }
}

impl Counts {
    fn note(&mut self, world: &World, from: &State, successor: &Successor) {
        let to = &successor.state;
        self.acknowledged += u64::from(successor.acknowledges);
        match successor.step {
            Step::Crash(broker, kept, _) => {
                let had = world.brokers.get(from.brokers[broker]).log.entries.len();
                self.lost_tails += u64::from(usize::from(kept) < had);
            }
            Step::Deliver(follower, ..) => {
                let had = world.brokers.get(from.brokers[follower]).log.entries.len();
                let has = world.brokers.get(to.brokers[follower]).log.entries.len();
                self.truncations += u64::from(has < had);
            }
            _ => {}
        }
        let (before, after) = (world.present(from), world.present(to));
        if before == after {
            return;
        }
        let (before, after) = (world.metadata.get(before), world.metadata.get(after));
        if after.leader_epoch > before.leader_epoch && after.leader.0 > 0 {
            self.elections += 1;
            self.eligible_elections += u64::from(before.elr & 1 << (after.leader.0 - 1) != 0);
        } else if matches!(successor.step, Step::Judge(_) | Step::JudgeGivenUp(_)) {
            self.shrinks += u64::from(after.isr.count_ones() < before.isr.count_ones());
            self.expansions += u64::from(after.isr.count_ones() > before.isr.count_ones());
        }
    }
}
