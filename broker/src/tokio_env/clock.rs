//! The machine's clocks.

use std::time::{Duration, SystemTime};

use jangbu_core::env::Clock;
use jangbu_core::time::{Instant, Timestamp};

/// The monotonic clock since the process started, and the machine's wall clock.
#[derive(Clone, Debug)]
pub struct TokioClock {
    start: std::time::Instant,
}

impl TokioClock {
    pub(super) fn start() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant::default() + self.start.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, deadline: Instant) {
        // Tokio's timers tick in milliseconds, and rounding may wake a task a little early.
        loop {
            let wait = deadline.saturating_since(self.now());
            if wait == Duration::ZERO {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }
}
