//! A world of one node and one thread: for the tests of the shell. Time passes when nothing else can happen.
//!
//! It is no simulator: no network and one order of events. Faults are those of the disk it is given.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};

use super::{Clock, Disk, Env, FileSlice, Lane, Listener, Net, Step, Stepper, Stream, StreamReader};
use super::{StreamWriter, Task, TaskHandle};
use crate::fact::Fact;
use crate::time::{Instant, Timestamp};

type BoxedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct Inner {
    now: u64,
    /// What the wall clock shows when the monotonic clock shows zero, in milliseconds.
    wall_start: i64,
    timers: BTreeMap<(u64, u64), Waker>,
    sequence: u64,
    tasks: BTreeMap<u64, (Arc<Handle>, Option<BoxedFuture>)>,
    ready: VecDeque<u64>,
    random: u64,
    facts: Vec<Fact>,
    observes: bool,
}

/// The world's state. Its locks are std's even under shuttle: they are never held across a call into the core.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<Inner>>);

impl World {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("a test panicked")
    }
}

/// The environment of one node, on a disk that the caller brings (and may keep for the next incarnation).
#[derive(Clone)]
pub struct OneNode<D> {
    world: World,
    disk: D,
    net: NoNet<D>,
}

impl<D: Disk> OneNode<D> {
    /// A node whose clocks show 0 and 1,000,000 ms.
    pub fn new(disk: D) -> Self {
        let world = World::default();
        world.lock().wall_start = 1_000_000;
        Self { world, disk, net: NoNet(std::marker::PhantomData) }
    }

    /// Draws other random numbers from now on than a world of another seed.
    pub fn seed(&self, seed: u64) {
        self.world.lock().random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    /// Another node of the same world, on a disk of its own.
    pub fn beside(&self, disk: D) -> Self {
        Self { world: self.world.clone(), disk, net: NoNet(std::marker::PhantomData) }
    }

    /// Keeps facts from now on.
    pub fn keep_facts(&self) {
        self.world.lock().observes = true;
    }

    /// The facts since the last call.
    pub fn take_facts(&self) -> Vec<Fact> {
        std::mem::take(&mut self.world.lock().facts)
    }

    /// Lets time pass, for tests without tasks.
    pub fn advance(&self, wait: std::time::Duration) {
        let mut world = self.world.lock();
        world.now += u64::try_from(wait.as_nanos()).expect("a test waits less than centuries");
    }

    /// Runs a future and all tasks until the future ends.
    ///
    /// # Panics
    /// When nothing can ever happen again.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut future = pin!(future);
        loop {
            if woken.0.swap(false, Ordering::SeqCst)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            if self.poll_one_task() || woken.0.load(Ordering::SeqCst) {
                continue;
            }
            let mut world = self.world.lock();
            let ((at, _), waker) = world.timers.pop_first().expect("everything waits and no timer runs");
            world.now = world.now.max(at);
            drop(world);
            waker.wake();
        }
    }

    fn poll_one_task(&self) -> bool {
        let mut world = self.world.lock();
        let Some(id) = world.ready.pop_front() else { return false };
        let Some((handle, slot)) = world.tasks.get_mut(&id) else { return true };
        let handle = Arc::clone(handle);
        let Some(mut task) = slot.take() else { return true };
        drop(world);
        let waker = Waker::from(Arc::clone(&handle));
        let aborted = handle.aborted.load(Ordering::SeqCst);
        let ended = aborted || task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        // A task's destructors may call into the world: not under its lock.
        let kept = if ended {
            drop(task);
            None
        } else {
            Some(task)
        };
        handle.finished.store(ended, Ordering::SeqCst);
        let mut world = self.world.lock();
        match kept {
            Some(task) => {
                if let Some((_, slot)) = world.tasks.get_mut(&id) {
                    *slot = Some(task);
                }
            }
            None => drop(world.tasks.remove(&id)),
        }
        true
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Handle {
    id: u64,
    world: World,
    aborted: AtomicBool,
    finished: AtomicBool,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.world.lock().ready.push_back(self.id);
    }
}

struct Running(Arc<Handle>);

impl TaskHandle for Running {
    fn abort(&self) {
        self.0.aborted.store(true, Ordering::SeqCst);
        Arc::clone(&self.0).wake();
    }

    fn is_finished(&self) -> bool {
        self.0.finished.load(Ordering::SeqCst)
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        Instant(self.lock().now)
    }

    fn wall(&self) -> Timestamp {
        let world = self.lock();
        Timestamp(world.wall_start + (world.now / 1_000_000) as i64)
    }

    async fn sleep_until(&self, deadline: Instant) {
        let mut timer = Timer { world: self, key: None };
        std::future::poll_fn(|context| timer.poll(deadline, context.waker())).await;
    }
}

/// One sleeper's place among the timers, which it leaves when it has slept or is dropped: a task that sleeps again and
/// again would otherwise be woken for all the times before.
struct Timer<'a> {
    world: &'a World,
    key: Option<(u64, u64)>,
}

impl Timer<'_> {
    fn poll(&mut self, deadline: Instant, waker: &Waker) -> Poll<()> {
        let mut world = self.world.lock();
        if world.now >= deadline.0 {
            return Poll::Ready(());
        }
        let key = *self.key.get_or_insert_with(|| {
            world.sequence += 1;
            (deadline.0, world.sequence)
        });
        world.timers.insert(key, waker.clone());
        Poll::Pending
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.world.lock().timers.remove(&key);
        }
    }
}

impl<D: Disk> Env for OneNode<D> {
    type Clock = World;
    type Disk = D;
    type Net = NoNet<D>;

    fn clock(&self) -> &World {
        &self.world
    }

    fn disk(&self) -> &D {
        &self.disk
    }

    fn net(&self) -> &NoNet<D> {
        &self.net
    }

    fn spawn(&self, _: Lane, _: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Task {
        let mut world = self.world.lock();
        world.sequence += 1;
        let id = world.sequence;
        let handle = Arc::new(Handle {
            id,
            world: self.world.clone(),
            aborted: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        });
        world.tasks.insert(id, (Arc::clone(&handle), Some(Box::pin(future))));
        world.ready.push_back(id);
        Task::new(Running(handle))
    }

    async fn run<S: Stepper>(&self, _: &'static str, mut stepper: S) -> S::Output {
        loop {
            match stepper.step() {
                Step::Done(output) => return output,
                Step::More => self.checkpoint().await,
            }
        }
    }

    fn random_u64(&self) -> u64 {
        let mut world = self.world.lock();
        world.random =
            world.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        world.random ^ (world.random >> 33)
    }

    /// Lets every other task run once.
    async fn checkpoint(&self) {
        let mut first = true;
        std::future::poll_fn(|context| {
            if std::mem::take(&mut first) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }

    fn observe(&self, fact: &Fact) {
        let mut world = self.world.lock();
        if world.observes {
            world.facts.push(fact.clone());
        }
    }

    fn observes(&self) -> bool {
        self.world.lock().observes
    }

    fn reached(&self, _: &'static str) {}
}

/// A network to which nothing is connected.
pub struct NoNet<D>(std::marker::PhantomData<fn() -> D>);

impl<D> Clone for NoNet<D> {
    fn clone(&self) -> Self {
        Self(std::marker::PhantomData)
    }
}

/// What never exists, because nothing connects.
pub struct Never<D>(std::convert::Infallible, std::marker::PhantomData<fn() -> D>);

fn no_network<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this world has no network"))
}

impl<D: Disk> Net for NoNet<D> {
    type File = D::File;
    type Listener = Never<D>;
    type Stream = Never<D>;

    async fn listen(&self, _: &str) -> io::Result<Never<D>> {
        no_network()
    }

    async fn connect(&self, _: &str) -> io::Result<Never<D>> {
        no_network()
    }
}

impl<D: Disk> Listener for Never<D> {
    type Stream = Never<D>;

    fn local_port(&self) -> u16 {
        match self.0 {}
    }

    async fn accept(&mut self) -> io::Result<(Never<D>, String)> {
        match self.0 {}
    }
}

impl<D: Disk> Stream for Never<D> {
    type File = D::File;
    type Reader = Never<D>;
    type Writer = Never<D>;

    fn split(self) -> (Never<D>, Never<D>) {
        match self.0 {}
    }
}

impl<D: Disk> StreamReader for Never<D> {
    async fn read(&mut self, _: &mut BytesMut) -> io::Result<usize> {
        match self.0 {}
    }
}

impl<D: Disk> StreamWriter for Never<D> {
    type File = D::File;

    async fn write(&mut self, _: Bytes, _: bool) -> io::Result<()> {
        match self.0 {}
    }

    async fn send_file(&mut self, _: &FileSlice<D::File>, _: bool) -> io::Result<()> {
        match self.0 {}
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}
