//! What the parts of a run tell each other: the checks, the phase, and how far each client is.

use std::collections::BTreeSet;
use std::sync::Mutex;

use jangbu_core::ids::TopicId;

use crate::case::Case;
use crate::check::Checks;
use crate::model::{ClientEvent, Seen, Slot};
use crate::outcome::Struck;
use crate::trace::{Kind, hash_of};
use crate::world::{FaultId, NodeId, World, lock};

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
    struck: Vec<(Struck, FaultId)>,
    /// Partitions of which a client was handed damaged bytes.
    corrupt: BTreeSet<Slot>,
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
                struck: Vec::new(),
                corrupt: BTreeSet::new(),
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
                Seen::Client(ClientEvent::Corrupt { slot, .. }) => drop(state.corrupt.insert(*slot)),
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
        world.note(Kind::Note, hash_of(event), 0, || format!("{event:?}"));
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

    /// Whether bits of a partition's log were turned over.
    pub fn is_rotten(&self, slot: Slot) -> bool {
        lock(&self.state).checks.ledger().rot(slot).is_some()
    }

    /// Whether bits of a partition's log were turned over that no checksum covers: offsets, lengths and epochs. Nobody
    /// can tell what they say from the truth; a broker that believes an epoch, say, must refuse to lead.
    pub fn is_rotten_unseen(&self, slot: Slot) -> bool {
        lock(&self.state).checks.ledger().rot(slot).is_some_and(|rot| rot.unseen)
    }

    /// Whether a client was handed damaged bytes of a partition.
    pub fn is_corrupt(&self, slot: Slot) -> bool {
        lock(&self.state).corrupt.contains(&slot)
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

    /// What came of the next fault of the plan, and under which number it is armed.
    pub fn struck(&self, struck: Struck, id: FaultId) {
        lock(&self.state).struck.push((struck, id));
    }

    /// The ids of the topics, once all are known.
    pub fn topic_ids(&self) -> Option<Vec<TopicId>> {
        lock(&self.state).topic_ids.iter().copied().collect()
    }

    pub(super) fn acked_batches(&self) -> u64 {
        lock(&self.state).acked_batches
    }

    /// What came of the faults of the plan, with whether they were met.
    pub(super) fn all_struck(&self, met: impl Fn(FaultId) -> bool) -> Vec<Struck> {
        let state = lock(&self.state);
        state.struck.iter().map(|(struck, id)| Struck { met: met(*id), ..*struck }).collect()
    }
}
