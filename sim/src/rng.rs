//! Random streams, one for each purpose, all derived from the seed of a run.
//!
//! A stream that belongs to one purpose alone keeps the others still: a fault that is taken out of a plan draws
//! nothing, and neither the latencies nor the workload of the rest of the run move because of it.

use std::ops::Range;

/// A stream of random numbers: xoshiro256++ by Blackman and Vigna, seeded through SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng {
    state: [u64; 4],
}

impl Rng {
    /// The stream of a run's seed that belongs to `purpose`.
    pub fn stream(seed: u64, purpose: &str) -> Self {
        Self::from_seed(mix(seed ^ crate::trace::hash_bytes(0x6a09_e667_f3bc_c908, purpose.as_bytes())))
    }

    /// A stream from a bare number.
    pub fn from_seed(seed: u64) -> Self {
        let mut state = seed;
        Self {
            state: std::array::from_fn(|_| {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                mix(state)
            }),
        }
    }

    /// Tells two states of a stream apart: whether as much was drawn from it.
    pub fn digest(&self) -> u64 {
        self.state[0]
            ^ self.state[1].rotate_left(13)
            ^ self.state[2].rotate_left(29)
            ^ self.state[3].rotate_left(43)
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let state = &mut self.state;
        let result = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of a multiplication is 2^-64 times the bound: no experiment here would ever notice.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number of the range; its start when the range is empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// A number from 0 up to but without 1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the given probability. Draws nothing when the answer is certain.
    pub fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && (probability >= 1.0 || self.unit() < probability)
    }

    /// Any of the items, or `None` when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len() as u64) as usize) }
    }

    /// Fills a buffer with random bytes.
    pub fn fill(&mut self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// SplitMix64's finalizer: neighbouring numbers become unrelated ones.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_one_seed_are_unrelated_and_repeatable() {
        let draw = |seed, purpose| {
            let mut rng = Rng::stream(seed, purpose);
            [rng.next_u64(), rng.next_u64(), rng.next_u64()]
        };
        assert_eq!(draw(7, "disk"), draw(7, "disk"));
        assert_ne!(draw(7, "disk"), draw(7, "network"));
        assert_ne!(draw(7, "disk"), draw(8, "disk"));
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut rng = Rng::from_seed(1);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.within(5..5), 5);
        for _ in 0..1000 {
            assert!((3..7).contains(&rng.within(3..7)));
            assert!(rng.unit() < 1.0);
        }
        assert!(!rng.chance(0.0) && rng.chance(1.0));
    }

    #[test]
    fn a_buffer_of_any_length_is_filled() {
        let mut rng = Rng::from_seed(2);
        for len in 0..20 {
            let mut buffer = vec![0; len];
            rng.fill(&mut buffer);
            assert_eq!(buffer.len(), len);
        }
    }
}
