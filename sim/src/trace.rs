//! The trace of a run: a hash over everything that happened, checkpoints of it, and events for people to read.
//!
//! Two runs of one seed are the same run if and only if their hashes are equal. When they differ, the checkpoints
//! say in which window of 1,024 events they parted, and a third and fourth run with that window recorded show how.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use jangbu_core::time::Instant;
use serde::Serialize;

/// After how many events the hash is noted.
pub const CHECKPOINT_EVERY: u64 = 1024;

/// What kind of thing an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// A task was polled.
    Poll = 1,
    /// Bytes or the end of a stream were sent.
    Send,
    /// Bytes were read from a connection.
    Deliver,
    /// A disk call.
    Disk,
    /// A node drew random bits.
    Draw,
    /// A node started, stopped or crashed.
    Node,
    /// A fault was injected or healed.
    Fault,
    /// A fact told to the checkers.
    Fact,
    /// A rare state was reached.
    Mark,
    /// An invariant was violated.
    Violation,
    /// Whatever a workload or a scenario notes.
    Note,
}

/// One event as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number in the run, from 0.
    pub number: u64,
    /// When, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// What kind.
    pub kind: Kind,
    /// What happened.
    pub text: String,
}

/// Which events are kept for people. None by default: texts cost more than the simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// None.
    #[default]
    Off,
    /// The last so many of every kind but polls, draws and bytes.
    Last(usize),
    /// Every single one whose number is in the range.
    Window(Range<u64>),
}

/// The trace of one run.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    events: u64,
    checkpoints: Vec<u64>,
    recording: Recording,
    kept: VecDeque<Event>,
}

impl Trace {
    /// An empty trace.
    pub fn new(recording: Recording) -> Self {
        Self {
            hash: 0x243f_6a88_85a3_08d3,
            events: 0,
            checkpoints: Vec::new(),
            recording,
            kept: VecDeque::new(),
        }
    }

    /// Adds an event: its kind, when, and two numbers that say what exactly happened (the second is often a hash
    /// of bytes). `text` is called only when the event is kept for people.
    #[inline]
    pub fn add(&mut self, kind: Kind, at: Instant, first: u64, second: u64, text: impl FnOnce() -> String) {
        let mut hash = self.hash;
        for word in [at.0 ^ (kind as u64) << 56, first, second] {
            hash = (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
        }
        self.hash = hash ^ (hash >> 29);
        let number = self.events;
        self.events += 1;
        if self.events.is_multiple_of(CHECKPOINT_EVERY) {
            self.checkpoints.push(self.hash);
        }
        if self.recording != Recording::Off {
            self.keep(kind, at, number, text);
        }
    }

    #[cold]
    fn keep(&mut self, kind: Kind, at: Instant, number: u64, text: impl FnOnce() -> String) {
        let busy = matches!(kind, Kind::Poll | Kind::Send | Kind::Deliver | Kind::Draw);
        let wanted = match &self.recording {
            Recording::Off => false,
            Recording::Last(_) => !busy,
            Recording::Window(window) => window.contains(&number),
        };
        if !wanted {
            return;
        }
        if let Recording::Last(limit) = self.recording
            && self.kept.len() >= limit
        {
            self.kept.pop_front();
        }
        self.kept.push_back(Event { number, at_ns: at.0, kind, text: text() });
    }

    /// Adds to the event before what is known only afterwards: the result of a call.
    #[inline]
    pub fn mix(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER);
    }

    /// The hash over all events so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The hash after each [`CHECKPOINT_EVERY`] events.
    pub fn checkpoints(&self) -> &[u64] {
        &self.checkpoints
    }

    /// Takes out what was kept for people.
    pub fn take_kept(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.kept).into()
    }
}

/// The window of events in which two different runs parted, by their checkpoints. When all checkpoints that both have
/// agree, they parted behind the last of these, and the window starts there.
pub fn first_divergence(left: &[u64], right: &[u64]) -> Range<u64> {
    let same = left.iter().zip(right).take_while(|(left, right)| left == right).count() as u64;
    same * CHECKPOINT_EVERY..(same + 1) * CHECKPOINT_EVERY
}

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// A fast hash of bytes that is the same on every machine and in every process. Not for hash tables that meet
/// hostile keys: it only compares runs.
#[inline]
pub fn hash_bytes(seed: u64, bytes: &[u8]) -> u64 {
    // Two lanes, so that the multiplications overlap; whole segments pass through here.
    let (mut even, mut odd) = (seed ^ MULTIPLIER, seed.rotate_left(32) ^ bytes.len() as u64);
    let mut pairs = bytes.chunks_exact(16);
    for pair in &mut pairs {
        let (left, right) = pair.split_at(8);
        even = (even.rotate_left(5) ^ word(left)).wrapping_mul(MULTIPLIER);
        odd = (odd.rotate_left(5) ^ word(right)).wrapping_mul(MULTIPLIER);
    }
    for rest in pairs.remainder().chunks(8) {
        even = (even.rotate_left(5) ^ word(rest)).wrapping_mul(MULTIPLIER);
    }
    crate::rng::mix(even ^ odd.rotate_left(17))
}

/// A hash over every field of a value, as [`hash_bytes`].
pub fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = Fields(0);
    value.hash(&mut hasher);
    hasher.0
}

struct Fields(u64);

impl Hasher for Fields {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_bytes(self.0, bytes);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace_of(numbers: impl IntoIterator<Item = u64>, recording: Recording) -> Trace {
        let mut trace = Trace::new(recording);
        for number in numbers {
            trace.add(Kind::Note, Instant(number), number, 0, || format!("number {number}"));
        }
        trace
    }

    #[test]
    fn every_part_of_an_event_counts() {
        let hash = |kind, at, first, second| {
            let mut trace = Trace::new(Recording::Off);
            trace.add(kind, Instant(at), first, second, String::new);
            trace.hash()
        };
        let base = hash(Kind::Poll, 1, 2, 3);
        assert_eq!(base, hash(Kind::Poll, 1, 2, 3));
        for other in [
            hash(Kind::Disk, 1, 2, 3),
            hash(Kind::Poll, 2, 2, 3),
            hash(Kind::Poll, 1, 3, 3),
            hash(Kind::Poll, 1, 2, 2),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(trace_of([1, 2], Recording::Off).hash(), trace_of([2, 1], Recording::Off).hash());
    }

    #[test]
    fn checkpoints_locate_the_first_difference() {
        let left = trace_of(0..5000, Recording::Off);
        let right = trace_of((0..5000).map(|number| if number == 2500 { 0 } else { number }), Recording::Off);
        assert_eq!(first_divergence(left.checkpoints(), right.checkpoints()), 2048..3072);
    }

    #[test]
    fn a_window_keeps_what_happened_in_it_and_a_ring_the_last_events() {
        let mut window = trace_of(0..100, Recording::Window(10..12));
        let texts: Vec<_> = window.take_kept().into_iter().map(|event| event.text).collect();
        assert_eq!(texts, ["number 10", "number 11"]);
        let mut ring = trace_of(0..100, Recording::Last(2));
        assert_eq!(ring.take_kept().first().map(|event| event.number), Some(98));
        assert_eq!(window.hash(), ring.hash(), "recording changes nothing");
    }

    #[test]
    fn the_result_of_a_call_counts() {
        let hash = |result| {
            let mut trace = trace_of([1], Recording::Off);
            trace.mix(result);
            trace.hash()
        };
        assert_ne!(hash(0), hash(1));
        assert_ne!(hash(0), trace_of([1], Recording::Off).hash());
    }

    #[test]
    fn the_hash_of_a_value_sees_every_field_and_the_kind() {
        let hashes = [
            hash_of(&(Some(1u64), vec![1u64, 2])),
            hash_of(&(Some(2u64), vec![1u64, 2])),
            hash_of(&(None::<u64>, vec![1u64, 2])),
            hash_of(&(Some(1u64), vec![2u64, 1])),
            hash_of(&(Some(1u64), vec![1u64])),
        ];
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash), "{index}");
        }
    }

    #[test]
    fn the_hash_of_bytes_sees_length_and_order() {
        let bytes = [1u8; 40];
        for len in 1..40 {
            assert_ne!(hash_bytes(0, &bytes[..len]), hash_bytes(0, &bytes[..len - 1]), "{len}");
        }
        assert_ne!(hash_bytes(0, b"0123456789abcdefghij"), hash_bytes(0, b"89abcdef01234567ghij"));
        assert_ne!(hash_bytes(0, &[0; 8]), hash_bytes(0, &[0; 16]));
    }
}
