//! A state: a handful of numbers, each of which names an interned part.

use super::permutation::{IMAGES, PERMUTATIONS, Permutation};
use super::{BROKERS, fingerprint};

/// Ordered pairs of brokers.
pub const PAIRS: usize = BROKERS * (BROKERS - 1);

/// Everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The brokers.
    pub brokers: [u32; BROKERS],
    /// What is between a follower and a leader, by [`pair`].
    pub channels: [u32; PAIRS],
    /// What is between each broker and the controller.
    pub calls: [u32; BROKERS],
    /// The controller's states that somebody has yet to see, the present one last.
    pub history: u32,
    /// What is committed.
    pub truth: u32,
    /// How many of the controller's states each broker has yet to see.
    pub lags: [u8; BROKERS],
    /// What the brokers lost.
    pub losses: [Loss; BROKERS],
    /// How many faults there were.
    pub faults: u8,
    /// How many records were written.
    pub records: u8,
}

/// What became of a broker, until it is in sync again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss(u8);

impl Loss {
    /// It lacks records, and the controller has not heard of its crash.
    const UNREPORTED: u8 = 1;
    /// It crashed.
    const UNCLEAN: u8 = 2;
    /// It crashed and lost records.
    const LOSSY: u8 = 4;

    /// It crashes.
    pub fn crash(&mut self, loses: bool) {
        self.0 |= Self::UNCLEAN | if loses { Self::UNREPORTED | Self::LOSSY } else { 0 };
    }

    /// The controller hears of it.
    pub fn report(&mut self) {
        self.0 &= !Self::UNREPORTED;
    }

    /// It is in sync.
    pub fn heal(&mut self) {
        self.0 = 0;
    }

    /// Whether records are gone of whose loss the controller has not heard.
    pub fn is_unreported(self) -> bool {
        self.0 & Self::UNREPORTED != 0
    }

    /// Whether it crashed.
    pub fn is_unclean(self) -> bool {
        self.0 & Self::UNCLEAN != 0
    }

    /// Whether it crashed and lost records.
    pub fn is_lossy(self) -> bool {
        self.0 & Self::LOSSY != 0
    }
}

/// The place of the channel of a follower and a leader.
pub const fn pair(follower: usize, leader: usize) -> usize {
    follower * (BROKERS - 1) + if leader > follower { leader - 1 } else { leader }
}

/// Where each channel lies under other names.
const CHANNELS: [[u8; PAIRS]; PERMUTATIONS] = {
    let mut images = [[0; PAIRS]; PERMUTATIONS];
    let mut number = 0;
    while number < PERMUTATIONS {
        let mut place = 0;
        while place < BROKERS * BROKERS {
            let (follower, leader) = (place / BROKERS, place % BROKERS);
            if follower != leader {
                let names = IMAGES[number];
                images[number][pair(follower, leader)] =
                    pair(names[follower] as usize, names[leader] as usize) as u8;
            }
            place += 1;
        }
        number += 1;
    }
    images
};

impl State {
    /// 64 bits of it.
    #[inline]
    pub fn fingerprint(&self) -> u64 {
        let two = |a: u32, b: u32| u64::from(a) << 32 | u64::from(b);
        let bytes: u64 = (0..BROKERS)
            .map(|index| (u64::from(self.lags[index]) << 3 | u64::from(self.losses[index].0)) << (index * 8))
            .sum();
        fingerprint::of_words(&[
            two(self.brokers[0], self.brokers[1]),
            two(self.brokers[2], self.history),
            two(self.channels[0], self.channels[1]),
            two(self.channels[2], self.channels[3]),
            two(self.channels[4], self.channels[5]),
            two(self.calls[0], self.calls[1]),
            two(self.calls[2], self.truth),
            bytes << 16 | u64::from(self.faults) << 8 | u64::from(self.records),
        ])
    }

    /// What belongs to no broker stays; `brokers`, `calls` and `history` are those with the new names, in the old
    /// places.
    #[must_use]
    #[inline]
    pub fn renamed(&self, permutation: Permutation) -> Self {
        let mut channels = self.channels;
        for (from, to) in CHANNELS[permutation.number()].iter().enumerate() {
            channels[usize::from(*to)] = self.channels[from];
        }
        Self {
            brokers: permutation.array(self.brokers),
            channels,
            calls: permutation.array(self.calls),
            lags: permutation.array(self.lags),
            losses: permutation.array(self.losses),
            ..*self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ordered_pair_has_its_own_place() {
        let pairs = (0..BROKERS).flat_map(|a| (0..BROKERS).filter(move |b| *b != a).map(move |b| pair(a, b)));
        assert!(pairs.eq(0..PAIRS));
    }
}
