//! What each seed draws before it begins: its cluster, its faults and how often each, its order of messages.
//! Weights that differ from seed to seed reach states that any one mixture hides (swarm testing, Groce and others).

use crate::rng::Rng;

use super::cluster::{Cluster, Shape};

/// What may be chosen, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is documented where it is a `Choice`")]
pub enum Act {
    Deliver,
    Effect,
    Flush,
    Tick,
    Propose,
    Drop,
    Duplicate,
    Advance,
    Expire,
    Crash,
    CrashAll,
    Snapshot,
    Trim,
    Cut,
    Isolate,
    Heal,
    AddVoter,
    RemoveVoter,
    UpdateVoter,
    Resign,
    LoseDisk,
    RollBack,
}

/// Each with its usual weight, and whether a seed may do without it.
const ACTS: &[(Act, u64, bool)] = &[
    (Act::Deliver, 900, false),
    (Act::Effect, 60, false),
    (Act::Flush, 36, false),
    (Act::Tick, 24, false),
    (Act::Propose, 110, false),
    (Act::Drop, 30, true),
    (Act::Duplicate, 30, true),
    (Act::Advance, 12, true),
    (Act::Expire, 12, true),
    (Act::Crash, 48, true),
    (Act::CrashAll, 3, true),
    (Act::Snapshot, 24, true),
    (Act::Trim, 24, true),
    (Act::Cut, 6, true),
    (Act::Isolate, 6, true),
    (Act::Heal, 14, false),
    (Act::AddVoter, 30, true),
    (Act::RemoveVoter, 20, true),
    (Act::UpdateVoter, 3, true),
    (Act::Resign, 4, true),
    (Act::LoseDisk, 4, true),
];

/// Of so many seeds one has a disk that forgets what it called durable.
const ROLL_BACK_SEEDS: u64 = 16;

/// Places in a table from which a step is drawn.
pub const PLACES: usize = 512;

/// One seed's draw.
pub struct Swarm {
    /// The cluster.
    pub shape: Shape,
    /// How many steps.
    pub steps: u32,
    /// The most entries in a response.
    pub batch_entries: usize,
    /// How often, of 256, the oldest message arrives first.
    pub in_order: u8,
    /// Whether a change of the voters or an election invites the worst that could follow it at once.
    pub strikes: bool,
    /// So many places, each with what is done when it is drawn.
    pub acts: [Act; PLACES],
}

impl Swarm {
    /// The draw of a stream.
    pub fn draw(rng: &mut Rng) -> Self {
        // Sets of voters that change are drawn from even sizes too: there two majorities can miss each other.
        let is_changing = rng.below(2) == 0;
        let is_static = !is_changing && rng.below(3) == 0;
        let voters = match is_changing {
            true => [2, 2, 4, 4, 4, 3, 1][rng.below(7) as usize],
            false => [3, 3, 3, 3, 5, 5, 2, 1][rng.below(8) as usize],
        };
        let controllers = match is_static {
            true => 0,
            false => usize::from(is_changing) + rng.below(2) as usize,
        };
        let brokers = usize::from(rng.below(4) == 0);
        let shape = Shape { voters, controllers, brokers, is_static };
        let steps = 60 + rng.below(420) as u32;
        let in_order = [0, 128, 220, 250, 255][rng.below(5) as usize];
        let batch_entries = [1, 1, 2, 4][rng.below(4) as usize];
        let strikes = is_changing && rng.below(4) != 0;
        Self { shape, steps, batch_entries, in_order, strikes, acts: acts(rng, is_static, is_changing) }
    }

    /// Begins an episode, or a repetition of one.
    pub fn begin(&self, cluster: &mut Cluster, seed: u64) {
        cluster.batch_entries = self.batch_entries;
        cluster.reset(self.shape, seed);
    }
}

fn acts(rng: &mut Rng, is_static: bool, is_changing: bool) -> [Act; PLACES] {
    let mut weights = [0; ACTS.len() + 1];
    for (weight, (act, usual, may_lack)) in weights.iter_mut().zip(ACTS) {
        let factor = [0, 1, 4, 4, 8, 16][rng.below(6) as usize];
        let factor = match act {
            Act::Deliver => 8,
            _ if *may_lack => factor,
            _ => factor.max(2),
        };
        let is_out =
            is_static && matches!(act, Act::AddVoter | Act::RemoveVoter | Act::UpdateVoter | Act::LoseDisk);
        let factor = match act {
            Act::AddVoter | Act::RemoveVoter if is_changing => factor * 2 + 16,
            Act::Isolate | Act::Resign if is_changing => factor + 8,
            Act::LoseDisk if is_changing => factor / 4,
            _ => factor,
        };
        *weight = if is_out { 0 } else { usual * factor };
    }
    if rng.below(ROLL_BACK_SEEDS) == 0 {
        weights[ACTS.len()] = total_weight(&weights) / 64;
    }
    let total = total_weight(&weights);
    let mut acts = [Act::Deliver; PLACES];
    let mut place = 0;
    // The rare ones first, and one place at least for each: rounding must not take a fault out.
    for (index, weight) in weights.iter().enumerate().rev() {
        let act = ACTS.get(index).map_or(Act::RollBack, |(act, _, _)| *act);
        let places = (weight * PLACES as u64 / total.max(1)).max(u64::from(*weight > 0)) as usize;
        let end = (place + places).min(PLACES);
        acts[place..end].fill(act);
        place = end;
    }
    acts
}

fn total_weight(weights: &[u64]) -> u64 {
    weights.iter().sum()
}
