//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential backoff with jitter (KIP-580): from `min`, doubled with each failure up to `max`, and a fifth more
/// or less by chance, so that clients that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// `retry.backoff.ms`
    pub min: Duration,
    /// `retry.backoff.max.ms`
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, at least one.
    pub fn after(&self, failures: u32, random_bits: u64) -> Duration {
        let doubled = self.min.saturating_mul(1 << failures.saturating_sub(1).min(20));
        // 800 to 1,200 thousandths.
        let jitter = 800 + (random_bits % 401) as u32;
        doubled.min(self.max) * jitter / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum_within_a_fifth() {
        let backoff = Backoff { min: Duration::from_millis(100), max: Duration::from_millis(1000) };
        for (failures, expected_ms) in [(0, 100), (1, 100), (2, 200), (4, 800), (5, 1000), (u32::MAX, 1000)] {
            for bits in [0, 400, u64::MAX] {
                let wait = backoff.after(failures, bits).as_millis();
                assert!((expected_ms * 8 / 10..=expected_ms * 12 / 10).contains(&wait), "{failures}: {wait}");
            }
        }
    }
}
