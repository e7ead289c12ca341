use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use jangbu_core::time::Instant;
use madsim::time::TimeHandle;

/// The whole of what the world needs of an executor: virtual time, one kind of wake-up, and tasks that are polled
/// in an order drawn from the seed. madsim stands behind it, and nothing else of the simulator names madsim but the
/// runner, so that it stays replaceable.
pub(crate) struct Executor {
    time: TimeHandle,
    start: madsim::time::Instant,
}

impl Executor {
    /// The executor of the runtime that is entered on this thread.
    pub(crate) fn current() -> Self {
        let time = TimeHandle::current();
        let start = time.now_instant();
        Self { time, start }
    }

    /// Simulated time since this was made.
    pub(crate) fn now(&self) -> Instant {
        Instant(
            u64::try_from(self.time.now_instant().duration_since(self.start).as_nanos()).unwrap_or(u64::MAX),
        )
    }

    /// Wakes `waker` once `deadline` is reached. The waker runs under madsim's timer lock: it may only schedule a
    /// task. Cannot be undone, which is why [`super::timers`] asks for few of these.
    pub(crate) fn wake_at(&self, deadline: Instant, waker: &Waker) {
        let at = self.start + Duration::from_nanos(deadline.0);
        let mut sleep = pin!(self.time.sleep_until(at));
        // Setting the deadline again removes the floor of one millisecond which `sleep_until` put under it. The
        // timer that the poll registers outlives the future.
        sleep.as_mut().reset(at);
        if sleep.poll(&mut Context::from_waker(waker)).is_ready() {
            waker.wake_by_ref();
        }
    }

    /// Starts a task, which is polled until it ends.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(madsim::task::spawn(future));
    }
}
