//! How a task of a node is polled: traced, frozen while its node is paused or its lane is stalled, and gone when
//! its incarnation is over.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use jangbu_core::env::{Lane, TaskHandle};
use jangbu_core::time::Instant;

use super::control::Exit;
use super::node::{Incarnation, Node};
use super::timers::TimerKey;
use super::{World, env::SimTask};
use crate::trace::Kind;

/// What the world and the handles know of a task.
pub(crate) struct TaskCell {
    pub(super) id: u64,
    name: &'static str,
    waker: OnceLock<Waker>,
    aborted: AtomicBool,
    finished: AtomicBool,
    /// It was woken while its node was paused.
    deferred: AtomicBool,
}

impl TaskCell {
    pub(super) fn wake(&self) {
        // A task without a waker has not been polled yet, so it is still in the queue of its first poll.
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    pub(super) fn wake_if_deferred(&self) {
        if self.deferred.swap(false, Ordering::Relaxed) {
            self.wake();
        }
    }
}

impl TaskHandle for SimTask {
    fn abort(&self) {
        if !self.0.aborted.swap(true, Ordering::Relaxed) && !self.is_finished() {
            self.0.wake();
        }
    }

    fn is_finished(&self) -> bool {
        self.0.finished.load(Ordering::Relaxed)
    }
}

impl World {
    /// Starts a task of an incarnation, on a lane or, for its first task and for steppers, on a thread of its own.
    pub(super) fn spawn_task(
        self: &Arc<Self>,
        node: Arc<Node>,
        incarnation: Arc<Incarnation>,
        lane: Option<Lane>,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> SimTask {
        let cell = Arc::new(TaskCell {
            id: self.tasks_spawned.fetch_add(1, Ordering::Relaxed),
            name,
            waker: OnceLock::new(),
            aborted: AtomicBool::new(false),
            finished: AtomicBool::new(false),
            deferred: AtomicBool::new(false),
        });
        let stalled_until_ns = match lane {
            Some(lane) => incarnation.lanes[lane as usize].clone(),
            None => Arc::default(),
        };
        incarnation.add_task(cell.clone());
        self.executor.spawn(Supervised {
            world: self.clone(),
            node,
            incarnation,
            cell: cell.clone(),
            stalled_until_ns,
            stall_timer: None,
            future: Some(Box::pin(future)),
        });
        SimTask(cell)
    }
}

/// A task's future, and all that decides whether it may be polled.
struct Supervised<F: Future<Output = ()>> {
    world: Arc<World>,
    node: Arc<Node>,
    incarnation: Arc<Incarnation>,
    cell: Arc<TaskCell>,
    stalled_until_ns: Arc<AtomicU64>,
    stall_timer: Option<TimerKey>,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = ()>> Supervised<F> {
    fn must_end(&self) -> bool {
        self.incarnation.is_over() || self.cell.aborted.load(Ordering::Relaxed)
    }

    /// Whether the node or the lane stands still; if so, what will wake the task is arranged.
    fn stands_still(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        if self.node.paused.load(Ordering::Relaxed) {
            self.cell.deferred.store(true, Ordering::Relaxed);
            return true;
        }
        let until = self.stalled_until_ns.load(Ordering::Relaxed);
        if now.0 < until {
            if self.stall_timer.is_none_or(|key| !key.is_at(until)) {
                self.stall_timer = Some(self.world.arm(Instant(until), context.waker().clone()));
            }
            return true;
        }
        self.stall_timer = None;
        false
    }

    fn end(&mut self) -> Poll<()> {
        if let Some(future) = self.future.take() {
            self.contain(|| drop(future));
            self.cell.finished.store(true, Ordering::Relaxed);
            self.incarnation.remove_task(self.cell.id);
            self.world.tasks_ended.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(())
    }

    /// Runs the node's code: a panic ends the node, not the world.
    fn contain<T>(&self, code: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(code)) {
            Ok(value) => Some(value),
            Err(panic) => {
                self.panicked(&*panic);
                None
            }
        }
    }

    #[cold]
    fn panicked(&self, panic: &(dyn Any + Send)) {
        // Code that meets the errors of its own crash may well panic: the process is gone, nobody will know.
        if self.incarnation.is_over() {
            return;
        }
        let message = format!("task {} panicked: {}", self.cell.name, crate::run::panic_text(panic));
        self.world.violate("no_panic", Some(self.node.id), message.clone());
        self.world.end_incarnation(&self.node, Exit::Panicked(message));
    }
}

impl<F: Future<Output = ()>> Future for Supervised<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.cell.waker.get_or_init(|| context.waker().clone());
        if this.must_end() {
            return this.end();
        }
        let now = this.world.now();
        if this.stands_still(now, context) {
            return Poll::Pending;
        }
        let Some(mut future) = this.future.take() else { return Poll::Ready(()) };
        let (id, name) = (this.cell.id, this.cell.name);
        let draws = this.world.draws_digest() ^ this.incarnation.draws_digest().rotate_left(42);
        this.world.note(Kind::Poll, id ^ u64::from(this.node.id.0) << 48, draws, || {
            format!("{}: task {id} {name}", this.node.name)
        });
        let polled = this.contain(|| future.as_mut().poll(context));
        this.future = Some(future);
        let debt = this.incarnation.take_debt_ns();
        if debt != 0 {
            this.stalled_until_ns.store(now.0 + debt, Ordering::Relaxed);
        }
        match polled {
            Some(Poll::Pending) if !this.must_end() => Poll::Pending,
            _ => this.end(),
        }
    }
}

impl<F: Future<Output = ()>> Drop for Supervised<F> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
