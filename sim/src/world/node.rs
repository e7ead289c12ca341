//! Nodes and their incarnations: what outlives a crash, and what does not.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use serde::{Deserialize, Serialize};

use super::control::{Exit, NodeId};
use super::disk::{DiskSettings, Drive, PowerLoss};
use super::task::TaskCell;
use super::{SimEnv, World, lock};
use crate::rng::Rng;
use crate::trace::Kind;

/// How a node is brought down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Crash {
    /// `kill -9`: the page cache stays, and the kernel closes the connections.
    Process,
    /// The power goes: of what was not synced, what the given rule says; peers hear nothing.
    Power(PowerLoss),
}

pub(super) type BootFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Boot = Arc<dyn Fn(SimEnv) -> BootFuture + Send + Sync>;

/// A machine: its disk and its name outlive the incarnations of the process that runs on it.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    pub(crate) drive: Arc<Drive>,
    boot: Boot,
    pub(super) state: Mutex<NodeState>,
    pub(super) paused: AtomicBool,
    pub(super) wall_offset_ms: AtomicI64,
}

#[derive(Default)]
pub(super) struct NodeState {
    current: Option<Arc<Incarnation>>,
    pub(super) starts: u32,
    pub(super) exit: Option<Exit>,
}

impl Node {
    pub(super) fn new(id: NodeId, name: String, boot: Boot, disk: DiskSettings) -> Self {
        Self {
            id,
            name,
            drive: Arc::new(Drive::new(disk)),
            boot,
            state: Mutex::default(),
            paused: AtomicBool::new(false),
            wall_offset_ms: AtomicI64::new(0),
        }
    }

    pub(crate) fn current(&self) -> Option<Arc<Incarnation>> {
        lock(&self.state).current.clone()
    }
}

/// One life of a node's process. Once it is over, nothing it does reaches the world any more.
pub(crate) struct Incarnation {
    pub(crate) number: u32,
    over: AtomicBool,
    /// What the disk calls of the poll in progress have cost beyond the ordinary, in nanoseconds.
    debt_ns: AtomicU64,
    /// Until when each lane is not polled, in nanoseconds.
    pub(super) lanes: [Arc<AtomicU64>; 2],
    /// Where this process's monotonic clock starts.
    pub(super) clock_offset_ns: u64,
    tasks: Mutex<BTreeMap<u64, Arc<TaskCell>>>,
    draws: Mutex<Rng>,
    shutdown: Mutex<Shutdown>,
}

#[derive(Default)]
struct Shutdown {
    requested: bool,
    wakers: Vec<Waker>,
}

impl Incarnation {
    fn new(seed: u64, node: NodeId, number: u32) -> Self {
        let mut draws = Rng::stream(seed, &format!("node {node} incarnation {number}"));
        Self {
            number,
            over: AtomicBool::new(false),
            debt_ns: AtomicU64::new(0),
            lanes: Default::default(),
            clock_offset_ns: draws.below(3_600_000_000_000),
            tasks: Mutex::default(),
            draws: Mutex::new(draws),
            shutdown: Mutex::default(),
        }
    }

    /// Whether it has crashed or exited.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Adds to the time that the poll in progress will have taken.
    pub(crate) fn charge(&self, cost_ns: u64) {
        self.debt_ns.fetch_add(cost_ns, Ordering::Relaxed);
    }

    /// What the poll in progress will have taken so far.
    pub(crate) fn debt_ns(&self) -> u64 {
        self.debt_ns.load(Ordering::Relaxed)
    }

    /// Ends the count of a poll.
    pub(super) fn take_debt_ns(&self) -> u64 {
        self.debt_ns.swap(0, Ordering::Relaxed)
    }

    pub(super) fn draw(&self) -> u64 {
        lock(&self.draws).next_u64()
    }

    /// Where the process's own stream stands.
    pub(super) fn draws_digest(&self) -> u64 {
        lock(&self.draws).digest()
    }

    pub(super) fn add_task(&self, cell: Arc<TaskCell>) {
        lock(&self.tasks).insert(cell.id, cell);
    }

    pub(super) fn remove_task(&self, id: u64) {
        lock(&self.tasks).remove(&id);
    }

    /// Wakes the tasks that were not polled because the node was paused.
    pub(super) fn wake_deferred(&self) {
        for cell in lock(&self.tasks).values() {
            cell.wake_if_deferred();
        }
    }

    fn wake_all(&self) {
        for cell in lock(&self.tasks).values() {
            cell.wake();
        }
    }

    pub(super) fn request_shutdown(&self) {
        let wakers = {
            let mut shutdown = lock(&self.shutdown);
            shutdown.requested = true;
            std::mem::take(&mut shutdown.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) async fn shutdown_requested(self: Arc<Self>) {
        std::future::poll_fn(|context| {
            let mut shutdown = lock(&self.shutdown);
            if shutdown.requested {
                return Poll::Ready(());
            }
            if !shutdown.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                shutdown.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}

impl World {
    pub(super) fn start_incarnation(self: &Arc<Self>, node: &Arc<Node>) -> bool {
        let incarnation = {
            let mut state = lock(&node.state);
            if state.current.is_some() {
                return false;
            }
            state.starts += 1;
            state.exit = None;
            let incarnation = Arc::new(Incarnation::new(self.seed, node.id, state.starts));
            state.current = Some(incarnation.clone());
            incarnation
        };
        super::control::log_start(self, node, incarnation.number, self.now());
        self.network_node_up(node.id);
        node.drive.begin_life();
        let env = SimEnv::new(self.clone(), node.clone(), incarnation.clone());
        let (world, boot, machine, life) =
            (self.clone(), node.boot.clone(), node.clone(), incarnation.clone());
        self.spawn_task(node.clone(), incarnation, None, "boot", async move {
            let exit = boot(env).await.map_or_else(Exit::Failed, |()| Exit::Finished);
            if !life.is_over() {
                world.end_incarnation(&machine, exit);
            }
        });
        true
    }

    /// Ends the incarnation that runs on the node. Its tasks are dropped when they are polled next; the poll in
    /// progress, if any, goes on to its end without any effect on the world. A machine on which nothing runs can still
    /// lose its power. Returns whether anything ended.
    pub(super) fn end_incarnation(&self, node: &Node, exit: Exit) -> bool {
        let power = match exit {
            Exit::Crashed(Crash::Power(loss)) => Some(loss),
            _ => None,
        };
        let incarnation = {
            let mut state = lock(&node.state);
            let incarnation = state.current.take();
            if incarnation.is_none() && power.is_none() {
                return false;
            }
            state.exit = Some(exit.clone());
            incarnation
        };
        if let Some(incarnation) = &incarnation {
            incarnation.over.store(true, Ordering::Relaxed);
        }
        node.paused.store(false, Ordering::Relaxed);
        let number = incarnation.as_ref().map_or(0, |incarnation| incarnation.number);
        self.note_text(Kind::Node, format!("{} incarnation {number}: {exit:?}", node.name));
        // What is on its way out of a file has left with the bytes that the file has now.
        self.network_node_down(node.id, power.is_some());
        if let Some(loss) = power {
            let losses = node.drive.lose_power(self.now(), loss, &mut lock(&self.disk_draws));
            self.note_text(Kind::Node, format!("{} lost {losses}", node.name));
        } else {
            let evicted = node.drive.evict(&mut lock(&self.disk_draws));
            if evicted > 0 {
                self.note_text(Kind::Node, format!("{} forgot {evicted} pages of failed syncs", node.name));
            }
        }
        for hook in lock(&self.exit_hooks).iter_mut() {
            hook(node.id, self.now(), &exit);
        }
        if let Some(incarnation) = incarnation {
            incarnation.wake_all();
        }
        true
    }
}
