//! The invariants. One file each; they draw no randomness, cost O(1) per event (a restart: what was recovered), and
//! see facts, client histories and disks, never what a broker says about itself when asked.

mod acked_is_durable;
mod epoch_cache;
mod index_matches_log;
mod no_duplicate;
mod no_gap;
mod no_panic;
mod offsets_unique;
mod producer_fold;
mod recovery_equals_scan;
mod topics_as_acked;

use crate::model::{Ledger, Seen};
use crate::scenario::Promise;

/// Every check that a scenario can name. `liveness` is the runner's own: it needs a clock.
pub const NAMES: &[&str] = &[
    "acked_is_durable",
    "offsets_unique",
    "no_gap",
    "no_duplicate",
    "recovery_equals_scan",
    "index_matches_log",
    "producer_fold",
    "epoch_cache",
    "topics_as_acked",
    "no_panic",
    "liveness",
];

/// One invariant.
pub trait Check: Send {
    /// Looks at an event; `ledger` is the state before it.
    ///
    /// # Errors
    /// What was seen and what should have been.
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String>;
}

/// All invariants of a run, and the ledger they look at.
pub struct Checks {
    ledger: Ledger,
    checks: Vec<(&'static str, Box<dyn Check>)>,
}

impl Checks {
    /// The checks of these names.
    pub fn new(names: &[&'static str], promise: Promise, idempotent: Vec<bool>, ledger: Ledger) -> Self {
        let make = |name: &&'static str| -> Option<(&'static str, Box<dyn Check>)> {
            let check: Box<dyn Check> = match *name {
                "acked_is_durable" => Box::new(acked_is_durable::AckedIsDurable::new(promise)),
                "offsets_unique" => Box::<offsets_unique::OffsetsUnique>::default(),
                "no_gap" => Box::<no_gap::NoGap>::default(),
                "no_duplicate" => Box::new(no_duplicate::NoDuplicate::new(idempotent.clone())),
                "recovery_equals_scan" => Box::new(recovery_equals_scan::RecoveryEqualsScan),
                "index_matches_log" => Box::new(index_matches_log::IndexMatchesLog),
                "producer_fold" => Box::<producer_fold::ProducerFold>::default(),
                "epoch_cache" => Box::<epoch_cache::EpochCache>::default(),
                "topics_as_acked" => Box::<topics_as_acked::TopicsAsAcked>::default(),
                "no_panic" => Box::<no_panic::NoPanic>::default(),
                _ => return None,
            };
            Some((name, check))
        };
        Self { ledger, checks: names.iter().filter_map(make).collect() }
    }

    /// Shows an event to every check, then to the ledger. Returns what does not hold: check and message.
    pub fn see(&mut self, seen: &Seen<'_>) -> Vec<(&'static str, String)> {
        let mut broken = Vec::new();
        for (name, check) in &mut self.checks {
            if let Err(message) = check.see(seen, &self.ledger) {
                broken.push((*name, message));
            }
        }
        self.ledger.update(seen);
        broken
    }

    /// What the nodes have told.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

/// The producer that a value came from, and its number there.
pub fn value_parts(value: u64) -> (usize, u64) {
    ((value >> 40) as usize, value & 0xff_ffff_ffff)
}

/// A producer's value.
pub fn value_of(producer: usize, number: u64) -> u64 {
    (producer as u64) << 40 | number
}

/// A value for people.
pub fn value_text(value: u64) -> String {
    let (producer, number) = value_parts(value);
    format!("value {number} of producer {}", producer + 1)
}

/// A partition for people.
pub fn slot_text(slot: crate::model::Slot) -> String {
    format!("partition {} of topic {}", slot.1, slot.0 + 1)
}
