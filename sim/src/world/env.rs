use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use jangbu_core::env::{Clock, Env, Lane, Step, Stepper, Task};
use jangbu_core::fact::Fact;
use jangbu_core::time::{Instant, Timestamp};
use tokio::sync::oneshot;

use super::disk::SimDisk;
use super::net::SimNet;
use super::node::{Incarnation, Node};
use super::task::TaskCell;
use super::timers::Sleep;
use super::{NodeId, World, lock};
use crate::trace::{Kind, hash_of};

/// 2026-01-01 00:00:00 UTC, when every simulated world begins.
const WALL_START_MS: i64 = 1_767_225_600_000;

/// The world as one incarnation of a node sees it.
#[derive(Clone)]
pub struct SimEnv(Arc<Inner>);

struct Inner {
    world: Arc<World>,
    node: Arc<Node>,
    incarnation: Arc<Incarnation>,
    clock: SimClock,
    disk: SimDisk,
    net: SimNet,
}

impl SimEnv {
    pub(super) fn new(world: Arc<World>, node: Arc<Node>, incarnation: Arc<Incarnation>) -> Self {
        Self(Arc::new(Inner {
            clock: SimClock { world: world.clone(), node: node.clone(), incarnation: incarnation.clone() },
            disk: SimDisk::new(world.clone(), node.clone(), incarnation.clone()),
            net: SimNet::new(world.clone(), node.clone(), incarnation.clone()),
            world,
            node,
            incarnation,
        }))
    }

    /// The node this is.
    pub fn node(&self) -> NodeId {
        self.0.node.id
    }

    /// Which life of the node this is, from 1.
    pub fn incarnation(&self) -> u32 {
        self.0.incarnation.number
    }

    /// The world, for workloads. The code under test never sees it.
    pub fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    /// Returns when [`World::request_shutdown`] was called for this incarnation.
    pub fn shutdown_requested(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.incarnation.clone().shutdown_requested()
    }
}

impl Env for SimEnv {
    type Clock = SimClock;
    type Disk = SimDisk;
    type Net = SimNet;

    fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    fn disk(&self) -> &SimDisk {
        &self.0.disk
    }

    fn net(&self) -> &SimNet {
        &self.0.net
    }

    fn spawn(
        &self,
        lane: Lane,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        let inner = &self.0;
        Task::new(inner.world.spawn_task(
            inner.node.clone(),
            inner.incarnation.clone(),
            Some(lane),
            name,
            future,
        ))
    }

    async fn run<S: Stepper>(&self, name: &'static str, mut stepper: S) -> S::Output {
        let (sender, receiver) = oneshot::channel();
        let inner = self.0.clone();
        let work = async move {
            loop {
                match stepper.step() {
                    Step::Done(output) => {
                        let _ = sender.send(output);
                        return;
                    }
                    // Long work takes time, so that everything else happens meanwhile.
                    Step::More => {
                        let wait_ns = lock(&inner.world.disk_draws).within(10_000..300_000);
                        inner.world.sleep(Duration::from_nanos(wait_ns)).await;
                    }
                }
            }
        };
        let inner = &self.0;
        let task = inner.world.spawn_task(inner.node.clone(), inner.incarnation.clone(), None, name, work);
        let _ends_with_the_caller = Task::new(task);
        match receiver.await {
            Ok(output) => output,
            // The work was taken down with the whole incarnation, and so will be whoever waits for it.
            Err(_) => std::future::pending().await,
        }
    }

    fn random_u64(&self) -> u64 {
        let bits = self.0.incarnation.draw();
        if !self.0.incarnation.is_over() {
            self.0.world.note(Kind::Draw, u64::from(self.node().0), bits, || {
                format!("{} drew {bits}", self.0.node.name)
            });
        }
        bits
    }

    async fn checkpoint(&self) {
        // Half of them, so that running on is explored as well as being overtaken.
        let mut go_on = self.0.incarnation.draw() & 1 == 0;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut go_on, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn observe(&self, fact: &Fact) {
        let Inner { world, node, incarnation, .. } = &*self.0;
        if incarnation.is_over() {
            return;
        }
        lock(&world.tally).facts += 1;
        world.note(Kind::Fact, u64::from(node.id.0), hash_of(fact), || {
            format!("{}: {}", node.name, describe(fact))
        });
        let now = world.now();
        for hook in lock(&world.fact_hooks).iter_mut() {
            hook(node.id, now, fact);
        }
    }

    fn observes(&self) -> bool {
        !self.0.incarnation.is_over() && !lock(&self.0.world.fact_hooks).is_empty()
    }

    fn reached(&self, mark: &'static str) {
        let Inner { world, node, incarnation, .. } = &*self.0;
        if !incarnation.is_over() {
            world.count_mark(mark);
            let hash = crate::trace::hash_bytes(0, mark.as_bytes());
            world.note(Kind::Mark, u64::from(node.id.0), hash, || format!("{} reached {mark}", node.name));
        }
    }
}

/// A fact without its bytes.
fn describe(fact: &Fact) -> String {
    match fact {
        Fact::Appended { partition, base_offset, log_end, leader_epoch, batches } => format!(
            "Appended {partition} {base_offset:?}..{log_end:?} {leader_epoch:?}, {} bytes",
            batches.len()
        ),
        other => format!("{other:?}"),
    }
}

/// The clocks of one incarnation.
#[derive(Clone)]
pub struct SimClock {
    world: Arc<World>,
    node: Arc<Node>,
    incarnation: Arc<Incarnation>,
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        // Whatever the poll in progress was held up by has happened before it looks at its watch.
        Instant(self.world.now().0 + self.incarnation.debt_ns() + self.incarnation.clock_offset_ns)
    }

    fn wall(&self) -> Timestamp {
        let true_ms = WALL_START_MS + ((self.world.now().0 + self.incarnation.debt_ns()) / 1_000_000) as i64;
        Timestamp(true_ms.saturating_add(self.node.wall_offset_ms.load(Ordering::Relaxed)))
    }

    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()> + Send {
        Sleep::new(self.world.clone(), Instant(deadline.0.saturating_sub(self.incarnation.clock_offset_ns)))
    }
}

/// A running task, as its owner holds it.
pub struct SimTask(pub(super) Arc<TaskCell>);
