//! What the parts of a run tell each other: the checks, the phase, and how far each client is.

use std::sync::Mutex;

use jangbu_core::ids::TopicId;

use crate::case::Case;
use crate::check::Checks;
use crate::model::{ClientEvent, Seen, Slot};
use crate::trace::Kind;
use crate::world::{NodeId, World, lock};

/// What clients are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Load goes on, faults strike.
    Load,
    /// The faults are over: finish what is under way, get one more batch acknowledged for each partition.
    Settle,
    /// Nothing more is sent: readers read to the end.
    ReadOut,
}

/// Shared by the director, the hooks and the clients of a run.
pub struct Board {
    state: Mutex<State>,
}

struct State {
    checks: Checks,
    phase: Phase,
    acked_batches: u64,
    skipped: u64,
    resolved: Vec<Option<u64>>,
    topic_ids: Vec<Option<TopicId>>,
    /// By producer, and behind them those who create and delete topics: whether it has settled.
    settled: Vec<bool>,
    /// By partition, topic after topic: where its log ended when all producers had settled.
    ends: Vec<(Slot, Option<i64>)>,
    /// By reader: what it has not read yet.
    behind: Vec<Option<String>>,
}

impl Board {
    /// A board for a run.
    pub fn new(checks: Checks, case: &Case) -> Self {
        let slots = case.topics.iter().enumerate().flat_map(|(topic, settings)| {
            (0..settings.partitions as i32).map(move |partition| ((topic, partition), None))
        });
        Self {
            state: Mutex::new(State {
                checks,
                phase: Phase::Load,
                acked_batches: 0,
                skipped: 0,
                resolved: Vec::new(),
                topic_ids: vec![None; case.topics.len()],
                settled: vec![false; case.producers.len() + case.churners.len()],
                ends: slots.collect(),
                behind: vec![Some("it has not begun".to_owned()); case.consumers.len()],
            }),
        }
    }

    /// Shows an event to the checks, and reports what does not hold.
    pub fn see(&self, world: &World, node: Option<NodeId>, seen: &Seen<'_>) {
        let broken = {
            let mut state = lock(&self.state);
            match seen {
                Seen::Client(ClientEvent::Acked { .. }) => state.acked_batches += 1,
                Seen::Client(ClientEvent::TopicCreated { topic, topic_id }) => {
                    if let Some(id) = state.topic_ids.get_mut(*topic) {
                        *id = Some(*topic_id);
                    }
                }
                _ => {}
            }
            state.checks.see(seen)
        };
        for (check, message) in broken {
            world.violate(check, node, message);
        }
    }

    /// Tells what a client did or learnt.
    pub fn tell(&self, world: &World, event: &ClientEvent) {
        let (first, second) = event.words();
        world.note(Kind::Note, first, second, || format!("{event:?}"));
        self.see(world, None, &Seen::Client(event));
    }

    /// How many losses of power there have been: what is asked for now belongs to this era.
    pub fn era(&self) -> u64 {
        lock(&self.state).checks.ledger().era()
    }

    /// What clients are to do now.
    pub fn phase(&self) -> Phase {
        lock(&self.state).phase
    }

    /// Begins another phase.
    pub fn set_phase(&self, phase: Phase) {
        lock(&self.state).phase = phase;
    }

    /// A producer has nothing under way, and got a last batch acknowledged for each partition.
    pub fn settled(&self, producer: usize) {
        if let Some(settled) = lock(&self.state).settled.get_mut(producer) {
            *settled = true;
        }
    }

    /// The first producer that has not settled.
    pub fn unsettled(&self) -> Option<usize> {
        lock(&self.state).settled.iter().position(|settled| !settled)
    }

    /// A reader has read a partition to the end that all producers left.
    pub fn read_out(&self, slot: Slot, end: i64) {
        let mut state = lock(&self.state);
        if let Some((_, known)) = state.ends.iter_mut().find(|(of, _)| *of == slot) {
            *known = Some(end);
        }
    }

    /// The first partition that nobody has read out.
    pub fn not_read_out(&self) -> Option<Slot> {
        lock(&self.state).ends.iter().find(|(_, end)| end.is_none()).map(|(slot, _)| *slot)
    }

    /// Where a partition ends, once it was read out.
    pub fn end(&self, slot: Slot) -> Option<i64> {
        lock(&self.state).ends.iter().find(|(of, _)| *of == slot).and_then(|(_, end)| *end)
    }

    /// Says what a reader has not read yet.
    pub fn set_behind(&self, reader: usize, behind: Option<String>) {
        if let Some(known) = lock(&self.state).behind.get_mut(reader) {
            *known = behind;
        }
    }

    /// The first reader that has not caught up, and with what.
    pub fn behind(&self) -> Option<String> {
        let state = lock(&self.state);
        let (reader, what) =
            state.behind.iter().enumerate().find_map(|(reader, what)| Some((reader, what.as_ref()?)))?;
        Some(format!("reader {} has not caught up: {what}", reader + 1))
    }

    /// A fault struck the broker with this id, or was skipped.
    pub fn struck(&self, resolved: Option<u64>) {
        let mut state = lock(&self.state);
        state.skipped += u64::from(resolved.is_none());
        state.resolved.push(resolved);
    }

    /// The ids of the topics, once all are known.
    pub fn topic_ids(&self) -> Option<Vec<TopicId>> {
        lock(&self.state).topic_ids.iter().copied().collect()
    }

    pub(super) fn acked_batches(&self) -> u64 {
        lock(&self.state).acked_batches
    }

    pub(super) fn skipped(&self) -> u64 {
        lock(&self.state).skipped
    }

    pub(super) fn resolved(&self) -> Vec<Option<u64>> {
        lock(&self.state).resolved.clone()
    }
}
