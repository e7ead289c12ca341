//! The next step, drawn.

use crate::rng::Rng;

use super::action::{Action, SORTS};
use super::budget::{may_kill, may_lose_directory, may_lose_tail};
use super::profile::Budget;
use super::world::World;

/// Draws by weight.
pub struct Generator {
    rng: Rng,
    total: u64,
    weights: [u16; SORTS],
}

impl Generator {
    /// For an episode.
    pub fn new(rng: Rng, weights: [u16; SORTS]) -> Self {
        Self { rng, total: weights.iter().map(|weight| u64::from(*weight)).sum(), weights }
    }

    fn sort(&mut self) -> usize {
        let mut at = self.rng.below(self.total);
        for (sort, weight) in self.weights.iter().enumerate() {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return sort,
            }
        }
        0
    }

    /// A step that makes sense.
    pub fn next(&mut self, world: &World) -> Action {
        loop {
            let sort = self.sort();
            if let Some(action) = self.draw(sort, world) {
                return action;
            }
        }
    }

    fn draw(&mut self, sort: usize, world: &World) -> Option<Action> {
        let brokers = u64::from(world.profile.brokers);
        let broker = 1 + self.rng.below(brokers) as u8;
        let host = world.broker(broker);
        let newest = world.controller.views.len() - 1;
        let clients = world.clients.len() as u64;
        Some(match sort {
            0 => self.message(world, false)?,
            1 => self.message(world, true)?,
            2 => Action::Tick { ms: [1, 20, 120, 700, 2_500, 9_500][self.rng.below(6) as usize] },
            3 => Action::Timers { broker },
            4 if host.runs() && host.replica.followed().is_some() => Action::Fetch { broker },
            5 if host.runs() && host.looked_at < newest => {
                let attention = world.profile.attention[usize::from(broker) - 1];
                if self.rng.below(256) >= u64::from(attention) {
                    return None;
                }
                Action::Metadata { broker, states: [1, 1, 2, 2, 4, 255][self.rng.below(6) as usize] }
            }
            6 if host.runs() => Action::Flush { broker },
            7 if clients > 0 => {
                let fails = self.rng.below(40) == 0;
                Action::Produce { client: self.rng.below(clients) as u8, via: broker, fails }
            }
            8 if clients > 0 => Action::Retry { client: self.rng.below(clients) as u8, via: broker },
            9 if host.runs() => Action::Consume { broker, from: self.rng.below(4) as u8 },
            10 if host.is_up => self.crash(broker, world)?,
            11 if !host.is_up && may_lose_directory(world, broker) => Action::LoseDirectory { broker },
            12 if !host.is_up => Action::Restart { broker },
            13 if host.runs() => Action::Pause { broker },
            14 if host.is_paused && host.is_up => Action::Resume { broker },
            15 if host.runs() => Action::Drain { broker },
            16 => Action::Sessions,
            17 => Action::Elect { unclean: self.rng.below(2) == 0 },
            18 => Action::Reassign { brokers: self.rng.below(1 << brokers) as u8 },
            19 if host.runs() && host.replica.is_leader() => {
                Action::Retain { broker, count: 1 + self.rng.below(3) as u8 }
            }
            20 => Action::MinInsync { value: 1 + self.rng.below(3) as u8 },
            21 => Action::Zombie { broker, back: 1 + self.rng.below(4) as u8 },
            22 => Action::Prefer { broker },
            23 if host.runs() && host.replica.followed().is_some() => Action::Exchange { broker },
            24 if clients > 0 => Action::Write { client: self.rng.below(clients) as u8, via: broker },
            _ => return None,
        })
    }

    fn crash(&mut self, broker: u8, world: &World) -> Option<Action> {
        let wants_loss = self.rng.chance(0.9);
        let may_lose = may_lose_tail(world, broker);
        let log = &world.broker(broker).log;
        let would_lose = may_lose && log.flushed < log.end();
        if world.profile.budget != Budget::KillsOnly && wants_loss && !would_lose && self.rng.chance(0.85) {
            // What may be lost is rather kept for a broker that has something to lose.
            return None;
        }
        let lost = if wants_loss && may_lose { [1, 2, 4, 200][self.rng.below(4) as usize] } else { 0 };
        (lost > 0 || may_kill(world, broker)).then_some(Action::Crash { broker, lost })
    }

    fn message(&mut self, world: &World, is_drop: bool) -> Option<Action> {
        let index = self.rng.below(world.bag.len() as u64) as usize;
        let message = world.bag.get(index)?;
        let (from, to, kind) = (message.from, message.to, message.body.kind());
        if !is_drop && self.rng.below(256) >= u64::from(world.profile.readiness[kind as usize]) {
            return None;
        }
        let same = world.bag[..index].iter();
        let nth = same
            .filter(|other| other.from == from && other.to == to && other.body.kind() == kind)
            .count() as u8;
        Some(match is_drop {
            true => Action::Drop { from, to, kind, nth },
            false => Action::Deliver { from, to, kind, nth },
        })
    }
}
