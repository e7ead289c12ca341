use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jangbu_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::node::{Crash, Node};
use super::{ExitHook, FactHook, SimEnv, World, lock};
use crate::trace::{Event, Kind};

/// A machine of the simulated world: a broker, or one that clients run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How an incarnation of a node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Its boot future returned.
    Finished,
    /// Its boot future returned an error, which is what it could not survive.
    Failed(String),
    /// One of its tasks panicked.
    Panicked(String),
    /// It was crashed.
    Crashed(Crash),
    /// The run is over.
    WorldEnded,
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which one.
    pub check: String,
    /// When, in nanoseconds of simulated time.
    pub at_ns: u64,
    /// On which node, where that has a meaning.
    pub node: Option<NodeId>,
    /// What was seen and what should have been.
    pub message: String,
}

/// Nodes.
impl World {
    /// Adds a node, which is down until it is started. Its name is its host name, so that `<name>:9092` is an address. `boot` is called at each
    /// start; when its future returns, the incarnation ends and all its tasks with it.
    pub fn add_node<F>(
        self: &Arc<Self>,
        name: impl Into<String>,
        boot: impl Fn(SimEnv) -> F + Send + Sync + 'static,
    ) -> NodeId
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let boot = move |env: SimEnv| -> super::node::BootFuture { Box::pin(boot(env)) };
        let mut nodes = lock(&self.nodes);
        let id = NodeId(nodes.len() as u32);
        nodes.push(Arc::new(Node::new(id, name.into(), Arc::new(boot), self.settings.disk.clone())));
        id
    }

    /// All nodes, in the order of their addition.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.all_nodes().iter().map(|node| node.id).collect()
    }

    /// The host name of a node.
    pub fn name(&self, node: NodeId) -> String {
        self.node(node).name.clone()
    }

    /// Starts a node that is down: a new incarnation on the same disk. Returns whether it was down.
    pub fn start(self: &Arc<Self>, node: NodeId) -> bool {
        self.start_incarnation(&self.node(node))
    }

    /// Ends the incarnation of a node at once. Returns whether there was one.
    pub fn crash(&self, node: NodeId, crash: Crash) -> bool {
        self.end_incarnation(&self.node(node), Exit::Crashed(crash))
    }

    /// Crashes a node if it is up, and starts it.
    pub fn restart(self: &Arc<Self>, node: NodeId, crash: Crash) {
        self.crash(node, crash);
        self.start(node);
    }

    /// Asks a node to shut down in good order, as SIGTERM does: [`SimEnv::shutdown_requested`] returns on it.
    pub fn request_shutdown(&self, node: NodeId) {
        self.note(Kind::Node, u64::from(node.0), 3, || format!("{} is asked to shut down", self.name(node)));
        if let Some(incarnation) = self.node(node).current() {
            incarnation.request_shutdown();
        }
    }

    /// Freezes all tasks of a node, as a stop signal or a long collection of garbage would. The network goes on.
    pub fn pause(&self, node: NodeId) {
        let node = self.node(node);
        if !node.paused.swap(true, Ordering::Relaxed) {
            self.note(Kind::Fault, u64::from(node.id.0), 1, || format!("{} is paused", node.name));
        }
    }

    /// Lets a paused node go on.
    pub fn resume(&self, node: NodeId) {
        let node = self.node(node);
        if node.paused.swap(false, Ordering::Relaxed) {
            self.note(Kind::Fault, u64::from(node.id.0), 2, || format!("{} goes on", node.name));
            if let Some(incarnation) = node.current() {
                incarnation.wake_deferred();
            }
        }
    }

    /// Whether an incarnation of the node runs.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.node(node).current().is_some()
    }

    /// Whether the node is paused.
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.node(node).paused.load(Ordering::Relaxed)
    }

    /// How often the node was started.
    pub fn starts(&self, node: NodeId) -> u32 {
        lock(&self.node(node).state).starts
    }

    /// How the node's last incarnation ended, unless one runs or none ever did.
    pub fn last_exit(&self, node: NodeId) -> Option<Exit> {
        lock(&self.node(node).state).exit.clone()
    }

    /// Sets how far a node's wall clock is from the true time, in milliseconds. It jumps at once.
    pub fn set_wall_offset(&self, node: NodeId, offset_ms: i64) {
        let node = self.node(node);
        node.wall_offset_ms.store(offset_ms, Ordering::Relaxed);
        self.note(Kind::Fault, u64::from(node.id.0), offset_ms as u64, || {
            format!("the wall clock of {} is off by {offset_ms} ms", node.name)
        });
    }

    pub(super) fn node(&self, id: NodeId) -> Arc<Node> {
        lock(&self.nodes).get(id.0 as usize).expect("node ids are made by add_node").clone()
    }
}

/// Observation.
impl World {
    /// Has every fact that a living node tells shown to `hook`. It may call [`World::violate`], but must not cause facts.
    pub fn on_fact(&self, hook: FactHook) {
        lock(&self.fact_hooks).push(hook);
    }

    /// Has every end of an incarnation shown to `hook`, which only takes a note: it may be called in the middle of a poll.
    pub fn on_exit(&self, hook: ExitHook) {
        lock(&self.exit_hooks).push(hook);
    }

    /// Reports that an invariant does not hold.
    pub fn violate(&self, check: impl Into<String>, node: Option<NodeId>, message: impl Into<String>) {
        let violation = Violation { check: check.into(), at_ns: self.now().0, node, message: message.into() };
        let text = format!("{}: {}", violation.check, violation.message);
        let first = {
            let mut violations = lock(&self.violations);
            violations.push(violation);
            violations.len() == 1
        };
        self.note_text(Kind::Violation, text);
        if first && self.settings.stop_at_violation {
            self.stop();
        }
    }

    /// The violations so far.
    pub fn violations(&self) -> Vec<Violation> {
        lock(&self.violations).clone()
    }

    /// The hash over everything that has happened so far.
    pub fn trace_hash(&self) -> u64 {
        lock(&self.trace).hash()
    }

    /// How many events the trace has.
    pub fn events(&self) -> u64 {
        lock(&self.trace).events()
    }

    /// The hash after each [`crate::trace::CHECKPOINT_EVERY`] events.
    pub fn checkpoints(&self) -> Vec<u64> {
        lock(&self.trace).checkpoints().to_vec()
    }

    /// Takes out the events kept for people.
    pub fn take_kept(&self) -> Vec<Event> {
        lock(&self.trace).take_kept()
    }
}

/// An incarnation that was started now.
pub(super) fn log_start(world: &World, node: &Node, number: u32, at: Instant) {
    world.note(Kind::Node, u64::from(node.id.0), u64::from(number) << 8, || {
        format!("{} starts, incarnation {number}, at {} ns", node.name, at.0)
    });
}
