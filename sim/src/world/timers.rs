//! The timers of a world: cancellable, exact to the nanosecond, in the order of their deadlines.
//!
//! madsim's own timers can neither be cancelled nor be shorter than a millisecond, and every request brings a
//! timeout which almost never fires. So the world keeps its own queue and asks the executor for one wake-up per
//! earliest deadline.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use jangbu_core::time::Instant;

use super::World;

/// Names a timer that was armed: its deadline and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey(u64, u64);

impl TimerKey {
    /// Whether this timer's deadline is `deadline_ns`.
    pub(super) fn is_at(self, deadline_ns: u64) -> bool {
        self.0 == deadline_ns
    }
}

#[derive(Default)]
pub(crate) struct Timers {
    queue: BTreeMap<TimerKey, Waker>,
    armed_count: u64,
    /// The deadlines for which the executor will wake the driver; the earliest is at or before the earliest timer.
    wakes: BinaryHeap<Reverse<u64>>,
    driver: Option<Waker>,
    closed: bool,
}

impl World {
    /// Wakes `waker` at `deadline`, unless the timer is cancelled before.
    pub(crate) fn arm(&self, deadline: Instant, waker: Waker) -> TimerKey {
        let mut timers = super::lock(&self.timers);
        timers.armed_count += 1;
        let key = TimerKey(deadline.0, timers.armed_count);
        timers.queue.insert(key, waker);
        self.ask_for_wake(&mut timers);
        key
    }

    /// Takes a timer back. Nothing happens when it has fired.
    pub(crate) fn disarm(&self, key: TimerKey) {
        // Dropped outside the lock: a waker may own a task, whose destructors may have timers.
        let waker = super::lock(&self.timers).queue.remove(&key);
        drop(waker);
    }

    fn ask_for_wake(&self, timers: &mut Timers) {
        let (Some((&TimerKey(earliest, _), _)), Some(driver)) =
            (timers.queue.first_key_value(), &timers.driver)
        else {
            return;
        };
        if timers.wakes.peek().is_none_or(|&Reverse(wake)| earliest < wake) {
            self.executor.wake_at(Instant(earliest), driver);
            timers.wakes.push(Reverse(earliest));
        }
    }

    /// Ends the driver.
    pub(super) fn close_timers(&self) {
        let (driver, queue) = {
            let mut timers = super::lock(&self.timers);
            timers.closed = true;
            (timers.driver.take(), std::mem::take(&mut timers.queue))
        };
        drop(queue);
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

/// The task that fires the timers of a world.
pub(super) struct Driver {
    pub(super) world: Arc<World>,
    /// Kept between polls so that its memory is.
    pub(super) due: Vec<Waker>,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let now = this.world.now();
        {
            let mut timers = super::lock(&this.world.timers);
            if timers.closed {
                return Poll::Ready(());
            }
            if timers.driver.is_none() {
                timers.driver = Some(context.waker().clone());
            }
            while timers.wakes.peek().is_some_and(|&Reverse(wake)| wake <= now.0) {
                timers.wakes.pop();
            }
            while let Some(entry) = timers.queue.first_entry()
                && entry.key().0 <= now.0
            {
                this.due.push(entry.remove());
            }
            this.world.ask_for_wake(&mut timers);
        }
        for waker in this.due.drain(..) {
            waker.wake();
        }
        Poll::Pending
    }
}

/// Waits until a deadline; the timer goes when this is dropped.
pub(crate) struct Sleep {
    world: Arc<World>,
    deadline: Instant,
    armed: Option<(TimerKey, Waker)>,
}

impl Sleep {
    pub(crate) fn new(world: Arc<World>, deadline: Instant) -> Self {
        Self { world, deadline, armed: None }
    }

    fn disarm(&mut self) {
        if let Some((key, _)) = self.armed.take() {
            self.world.disarm(key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.world.now() >= self.deadline {
            self.disarm();
            return Poll::Ready(());
        }
        if self.armed.as_ref().is_none_or(|(_, waker)| !waker.will_wake(context.waker())) {
            self.disarm();
            let waker = context.waker().clone();
            let key = self.world.arm(self.deadline, waker.clone());
            self.armed = Some((key, waker));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.disarm();
    }
}
