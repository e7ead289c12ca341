//! Drives the purgatory: requests that wait hold a waker and nothing else, and one timer task serves them all.
//!
//! Progress on a partition nobody waits for costs one atomic load. A request counts itself on each of its
//! partitions before it looks at their progress once more, and a partition publishes its progress before it looks
//! at the count, so that one of the two always sees the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::env::{Clock, Env};
use crate::ids::{Offset, TopicPartition};
use crate::purgatory::{Condition, Mark, Purgatory, Reached, Ticket, Wakeup};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use crate::time::Instant;

use super::locked;

/// What a request can wait for: a partition's published progress.
pub trait Watched: Send + Sync {
    /// Which partition.
    fn id(&self) -> TopicPartition;
    /// How far it has come.
    fn reached(&self) -> Reached;
    /// Rises when the role changes, the log is cut, goes offline or away.
    fn changes(&self) -> u64;
    /// How many requests wait for it.
    fn waiting(&self) -> &AtomicUsize;
}

/// A mark of a partition that a produce waits for.
#[derive(Clone)]
pub struct OffsetNeed {
    /// The partition.
    pub watched: Arc<dyn Watched>,
    /// [`Watched::changes`] at the moment at which the mark had not come so far.
    pub changes: u64,
    /// Which mark.
    pub mark: Mark,
    /// What it must reach.
    pub offset: Offset,
}

/// A partition whose new bytes a fetch waits for.
#[derive(Clone)]
pub struct BytesNeed {
    /// The partition.
    pub watched: Arc<dyn Watched>,
    /// [`Watched::changes`] when the fetch read.
    pub changes: u64,
    /// [`Reached::readable_bytes`] when the fetch read.
    pub readable_bytes: u64,
}

#[derive(Default)]
struct Slot {
    waker: Option<Waker>,
    wakeup: Option<Wakeup>,
}

#[derive(Default)]
struct State {
    purgatory: Purgatory,
    slots: BTreeMap<Ticket, Slot>,
    /// When the timer task will look again; a later deadline need not disturb it.
    timer_at: Option<Instant>,
}

impl State {
    /// Takes the wakers of all who are to be woken; they are called outside the lock.
    fn wakers(&mut self) -> Vec<Waker> {
        let mut wakers = Vec::new();
        while let Some((ticket, wakeup)) = self.purgatory.poll_output() {
            if let Some(slot) = self.slots.get_mut(&ticket) {
                slot.wakeup = Some(wakeup);
                wakers.extend(slot.waker.take());
            }
        }
        wakers
    }
}

/// All requests of a broker that wait for a partition.
#[derive(Default)]
pub struct Parked {
    state: Mutex<State>,
    timer: Notify,
}

impl Parked {
    /// Waits until every mark has reached its offset, a partition changed, or the deadline has passed.
    pub fn wait_for_offsets(self: &Arc<Self>, needs: &[OffsetNeed], deadline: Instant) -> Waiting {
        let offsets = needs.iter().map(|need| (need.watched.id(), need.mark, need.offset)).collect();
        let watched = needs.iter().map(|need| (Arc::clone(&need.watched), need.changes)).collect();
        self.park(Condition::Offsets(offsets), watched, deadline)
    }

    /// Waits until the partitions together have gained `missing` bytes, one changed, or the deadline has passed.
    pub fn wait_for_bytes(self: &Arc<Self>, needs: &[BytesNeed], missing: u64, deadline: Instant) -> Waiting {
        let seen = needs.iter().map(|need| (need.watched.id(), need.readable_bytes)).collect();
        let watched = needs.iter().map(|need| (Arc::clone(&need.watched), need.changes)).collect();
        self.park(Condition::Bytes { seen, missing }, watched, deadline)
    }

    fn park(
        self: &Arc<Self>,
        condition: Condition,
        watched: Vec<(Arc<dyn Watched>, u64)>,
        deadline: Instant,
    ) -> Waiting {
        for (partition, _) in &watched {
            partition.waiting().fetch_add(1, Ordering::SeqCst);
        }
        let mut state = locked(&self.state);
        let ticket = state.purgatory.handle_wait(condition, deadline);
        state.slots.insert(ticket, Slot::default());
        // What happened between the caller's look and the count above.
        for (partition, changes) in &watched {
            if partition.changes() == *changes {
                state.purgatory.handle_progress(partition.id(), partition.reached());
            } else {
                state.purgatory.handle_change(partition.id());
            }
        }
        let wakers = state.wakers();
        let earlier = state.slots[&ticket].wakeup.is_none() && state.timer_at.is_none_or(|at| deadline < at);
        drop(state);
        wake(wakers);
        if earlier {
            self.timer.notify_one();
        }
        Waiting { parked: Arc::clone(self), ticket, watched }
    }

    /// Tells those who wait for this partition how far it has come. Called after the progress was published.
    pub fn progressed(&self, partition: &dyn Watched) {
        if partition.waiting().load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut state = locked(&self.state);
        // Read under this lock, so that two reporters cannot swap an older state behind a newer one.
        state.purgatory.handle_progress(partition.id(), partition.reached());
        let wakers = state.wakers();
        drop(state);
        wake(wakers);
    }

    /// Wakes all who wait for this partition: its role changed, it was cut, went offline or away.
    pub fn changed(&self, partition: &dyn Watched) {
        if partition.waiting().load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut state = locked(&self.state);
        state.purgatory.handle_change(partition.id());
        let wakers = state.wakers();
        drop(state);
        wake(wakers);
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        locked(&self.state).purgatory.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Wakes those whose deadline has passed, for ever. One task of a broker runs it.
    pub async fn run<E: Env>(self: Arc<Self>, env: E) {
        loop {
            let next = {
                let mut state = locked(&self.state);
                state.timer_at = state.purgatory.next_deadline();
                state.timer_at
            };
            let Some(deadline) = next else {
                self.timer.notified().await;
                continue;
            };
            tokio::select! {
                biased;
                () = self.timer.notified() => {}
                () = env.clock().sleep_until(deadline) => self.expire(env.clock().now()),
            }
        }
    }

    fn expire(&self, now: Instant) {
        let mut state = locked(&self.state);
        state.purgatory.handle_time(now);
        let wakers = state.wakers();
        drop(state);
        wake(wakers);
    }
}

fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

/// A request that waits from its creation on. Dropping it ends the wait.
#[must_use = "dropping it ends the wait"]
pub struct Waiting {
    parked: Arc<Parked>,
    ticket: Ticket,
    watched: Vec<(Arc<dyn Watched>, u64)>,
}

impl Future for Waiting {
    type Output = Wakeup;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Wakeup> {
        let mut state = locked(&self.parked.state);
        let slot = state.slots.get_mut(&self.ticket).expect("the slot lives as long as the request");
        match slot.wakeup {
            Some(wakeup) => Poll::Ready(wakeup),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for (partition, _) in &self.watched {
            partition.waiting().fetch_sub(1, Ordering::SeqCst);
        }
        // A panic elsewhere may be unwinding through here: a second one would end the process without a word.
        let mut state = self.parked.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.purgatory.handle_leave(self.ticket);
        state.slots.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::env::Lane;
    use crate::env::memory::MemoryDisk;
    use crate::env::one_node::OneNode;
    use crate::ids::Uuid;

    #[derive(Default)]
    struct Partition {
        reached: Mutex<Reached>,
        changes: AtomicUsize,
        waiting: AtomicUsize,
    }

    impl Watched for Partition {
        fn id(&self) -> TopicPartition {
            TopicPartition::new(Uuid([1; 16]), 0)
        }

        fn reached(&self) -> Reached {
            *locked(&self.reached)
        }

        fn changes(&self) -> u64 {
            self.changes.load(Ordering::SeqCst) as u64
        }

        fn waiting(&self) -> &AtomicUsize {
            &self.waiting
        }
    }

    impl Partition {
        fn commit(&self, parked: &Parked, high_watermark: i64, readable_bytes: u64) {
            *locked(&self.reached) =
                Reached { high_watermark: Offset(high_watermark), flushed: Offset(0), readable_bytes };
            parked.progressed(self);
        }
    }

    struct Scene {
        env: OneNode<MemoryDisk>,
        parked: Arc<Parked>,
        partition: Arc<Partition>,
        _timer: crate::env::Task,
    }

    fn scene() -> Scene {
        let env = OneNode::new(MemoryDisk::new(1));
        let parked = Arc::new(Parked::default());
        let timer = env.spawn(Lane::Data, "parked", Arc::clone(&parked).run(env.clone()));
        Scene { env, parked, partition: Arc::new(Partition::default()), _timer: timer }
    }

    impl Scene {
        fn wait_for_offset(&self, offset: i64, milliseconds: u64) -> Waiting {
            let need = OffsetNeed {
                watched: self.partition.clone(),
                changes: 0,
                mark: Mark::HighWatermark,
                offset: Offset(offset),
            };
            self.parked.wait_for_offsets(&[need], self.at(milliseconds))
        }

        fn wait_for_bytes(&self, missing: u64, milliseconds: u64) -> Waiting {
            let need = BytesNeed { watched: self.partition.clone(), changes: 0, readable_bytes: 0 };
            self.parked.wait_for_bytes(&[need], missing, self.at(milliseconds))
        }

        fn at(&self, milliseconds: u64) -> Instant {
            self.env.clock().now() + Duration::from_millis(milliseconds)
        }
    }

    #[test]
    fn progress_between_the_look_and_the_wait_is_not_missed() {
        let scene = scene();
        scene.partition.commit(&scene.parked, 5, 100);
        assert_eq!(scene.env.block_on(scene.wait_for_offset(5, 1_000)), Wakeup::Satisfied);
        assert_eq!(scene.env.block_on(scene.wait_for_bytes(100, 1_000)), Wakeup::Satisfied);
        assert_eq!(scene.env.clock().now(), Instant(0), "nobody had to wait");
    }

    #[test]
    fn a_change_between_the_look_and_the_wait_is_not_missed() {
        let scene = scene();
        scene.partition.changes.store(1, Ordering::SeqCst);
        scene.partition.commit(&scene.parked, 5, 100);
        assert_eq!(scene.env.block_on(scene.wait_for_offset(5, 1_000)), Wakeup::Changed);
    }

    #[test]
    fn progress_wakes_a_task() {
        let scene = scene();
        let waiting = scene.wait_for_bytes(100, 1_000);
        let (env, parked, partition) =
            (scene.env.clone(), Arc::clone(&scene.parked), Arc::clone(&scene.partition));
        let writer = async move {
            for bytes in [40, 99, 100] {
                env.clock().sleep_until(env.clock().now() + Duration::from_millis(10)).await;
                partition.commit(&parked, bytes as i64, bytes);
            }
        };
        let _writer = scene.env.spawn(Lane::Data, "writer", writer);
        assert_eq!(scene.env.block_on(waiting), Wakeup::Satisfied);
        assert_eq!(scene.env.clock().now(), Instant(30_000_000));
        assert!(scene.parked.is_empty());
    }

    #[test]
    fn one_timer_serves_all_deadlines_in_any_order() {
        let scene = scene();
        let late = scene.wait_for_bytes(1, 50);
        let soon = scene.wait_for_bytes(1, 20);
        assert_eq!(scene.env.block_on(soon), Wakeup::Expired);
        assert_eq!(scene.env.clock().now(), Instant(20_000_000));
        assert_eq!(scene.env.block_on(late), Wakeup::Expired);
        assert_eq!(scene.env.clock().now(), Instant(50_000_000));
        assert_eq!(scene.partition.waiting.load(Ordering::SeqCst), 0, "nobody is counted any more");
    }

    #[test]
    fn a_dropped_wait_leaves_nothing_behind() {
        let scene = scene();
        drop(scene.wait_for_bytes(1, 50));
        assert!(scene.parked.is_empty());
        assert_eq!(scene.partition.waiting.load(Ordering::SeqCst), 0);
        scene.partition.commit(&scene.parked, 5, 100);
    }
}
