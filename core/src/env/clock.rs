use crate::time::{Instant, Timestamp};

/// The two clocks of a node.
pub trait Clock: Clone + Send + Sync + 'static {
    /// The monotonic clock. Never goes back; its start is arbitrary.
    fn now(&self) -> Instant;

    /// The wall clock, which may jump either way.
    fn wall(&self) -> Timestamp;

    /// Returns when [`Clock::now`] has reached `deadline`, at once when it already has. Cancellation is harmless.
    /// Timers of one node fire in the order of their deadlines.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send;
}
