//! The simulated world: nodes with clocks and disks, the network between them, and everything that can go wrong
//! with any of it, all drawn from one seed.
//!
//! There is one [`World`] per seed. Scenarios steer it from outside: [`World::add_node`], [`World::start`],
//! [`World::crash`], [`World::cut`] and so on. The nodes see it as [`SimEnv`], an `Env` like the one that production
//! builds on sockets and files.
//!
//! What is simulated where: [`disk`] files, page cache and loss of power; [`net`] connections, latency and cuts;
//! `task` polls, pauses, stalls and the end of an incarnation; `timers` virtual time; `executor` the seam to madsim.

mod control;
pub mod disk;
mod env;
mod executor;
pub mod net;
mod node;
pub mod plant;
mod tally;
mod task;
mod timers;

pub use control::{Exit, NodeId, Violation};
pub use env::{SimClock, SimEnv, SimTask};
pub use node::Crash;
pub use plant::Plant;
pub use tally::{ArmedFault, FaultId, SiteCount, Tally};

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use jangbu_core::fact::Fact;
use jangbu_core::time::Instant;

use crate::rng::Rng;
use crate::trace::{Kind, Recording, Trace};
use executor::Executor;
use node::Node;
use timers::{Sleep, Timers};

/// What is drawn or chosen once for a whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The disks.
    pub disk: disk::DiskSettings,
    /// The network.
    pub net: net::NetSettings,
    /// Which events are kept for people.
    pub recording: Recording,
    /// Ends the run at its first violation.
    pub stop_at_violation: bool,
    /// Ends the run after so many events, as a violation of `event_budget`; 0 sets no bound.
    pub events_max: u64,
}

/// Sees every fact: which node, when, what.
pub type FactHook = Box<dyn FnMut(NodeId, Instant, &Fact) + Send>;
/// Sees every end of an incarnation.
pub type ExitHook = Box<dyn FnMut(NodeId, Instant, &Exit) + Send>;

/// A simulated world. Always behind an [`Arc`].
pub struct World {
    seed: u64,
    settings: Settings,
    executor: Executor,
    timers: Mutex<Timers>,
    trace: Mutex<Trace>,
    nodes: Mutex<Vec<Arc<Node>>>,
    network: net::Network,
    /// Chance for disks: what survives a loss of power, how long a sync takes.
    disk_draws: Mutex<Rng>,
    tally: Mutex<Tally>,
    fact_hooks: Mutex<Vec<FactHook>>,
    exit_hooks: Mutex<Vec<ExitHook>>,
    violations: Mutex<Vec<Violation>>,
    stop: Mutex<Stop>,
    tasks_spawned: AtomicU64,
    tasks_ended: AtomicU64,
}

#[derive(Default)]
struct Stop {
    asked: bool,
    waker: Option<Waker>,
}

impl World {
    /// Makes a world on the runtime that this thread has entered, and starts its timers.
    pub fn new(seed: u64, settings: Settings) -> Arc<Self> {
        let world = Arc::new(Self {
            seed,
            executor: Executor::current(),
            timers: Mutex::default(),
            trace: Mutex::new(Trace::new(settings.recording.clone())),
            nodes: Mutex::default(),
            network: net::Network::new(seed, settings.net.clone()),
            disk_draws: Mutex::new(Rng::stream(seed, "disk")),
            tally: Mutex::default(),
            fact_hooks: Mutex::default(),
            exit_hooks: Mutex::default(),
            violations: Mutex::default(),
            stop: Mutex::default(),
            tasks_spawned: AtomicU64::new(0),
            tasks_ended: AtomicU64::new(0),
            settings,
        });
        world.executor.spawn(timers::Driver { world: world.clone(), due: Vec::new() });
        world
    }

    /// The seed that everything is drawn from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Simulated time since the world began. Nodes have clocks of their own with other starts.
    pub fn now(&self) -> Instant {
        self.executor.now()
    }

    /// Waits until the world's time has reached `deadline`.
    pub fn sleep_until(self: &Arc<Self>, deadline: Instant) -> impl Future<Output = ()> + Send + use<> {
        Sleep::new(self.clone(), deadline)
    }

    /// Waits for a while.
    pub fn sleep(self: &Arc<Self>, wait: Duration) -> impl Future<Output = ()> + Send + use<> {
        Sleep::new(self.clone(), self.now() + wait)
    }

    /// A random stream of this run for a purpose of the caller's; the same each time it is asked for.
    pub fn stream(&self, purpose: &str) -> Rng {
        Rng::stream(self.seed, purpose)
    }

    /// Adds something to the trace. `text` is called only when the event is kept for people.
    pub fn note(&self, kind: Kind, first: u64, second: u64, text: impl FnOnce() -> String) {
        let events = {
            let mut trace = lock(&self.trace);
            trace.add(kind, self.now(), first, second, text);
            trace.events()
        };
        if self.settings.events_max != 0 && events == self.settings.events_max {
            self.violate("event_budget", None, format!("the run had {events} events and did not end"));
            self.stop();
        }
    }

    /// Adds to the event before what came of it.
    pub(crate) fn mix(&self, word: u64) {
        lock(&self.trace).mix(word);
    }

    /// Where the streams of disks and network stand: a draw that two runs do not share shows in their next event.
    pub(crate) fn draws_digest(&self) -> u64 {
        lock(&self.disk_draws).digest() ^ self.network.draws_digest().rotate_left(21)
    }

    /// Adds an event that is described by its text alone; the text is always made.
    pub(crate) fn note_text(&self, kind: Kind, text: String) {
        self.note(kind, crate::trace::hash_bytes(0, text.as_bytes()), 0, || text);
    }

    /// Waits until the run is to end before its time: see [`World::stop`].
    pub fn stopped(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let world = self.clone();
        std::future::poll_fn(move |context| {
            let mut stop = lock(&world.stop);
            if stop.asked {
                return std::task::Poll::Ready(());
            }
            stop.waker = Some(context.waker().clone());
            std::task::Poll::Pending
        })
    }

    /// Asks the run to end now.
    pub fn stop(&self) {
        let waker = {
            let mut stop = lock(&self.stop);
            stop.asked = true;
            stop.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends all incarnations and takes the world apart, so that its memory is given back. The run is over.
    pub async fn close(self: &Arc<Self>) {
        lock(&self.fact_hooks).clear();
        lock(&self.exit_hooks).clear();
        for node in self.all_nodes() {
            self.end_incarnation(&node, Exit::WorldEnded);
        }
        // Tasks are dropped when they are polled next; their destructors may wake others.
        for _ in 0..1000 {
            if self.tasks_alive() == 0 {
                break;
            }
            self.sleep(Duration::from_millis(1)).await;
        }
        self.close_timers();
        let nodes = std::mem::take(&mut *lock(&self.nodes));
        drop(nodes);
        self.network.close();
    }

    /// How many tasks of nodes have not ended.
    pub fn tasks_alive(&self) -> u64 {
        self.tasks_spawned.load(Ordering::Relaxed) - self.tasks_ended.load(Ordering::Relaxed)
    }

    pub(crate) fn all_nodes(&self) -> Vec<Arc<Node>> {
        lock(&self.nodes).clone()
    }
}

/// Locks a mutex of the world. A panic of a node cannot leave the world's own state half done (nodes' code never
/// runs under these locks), so poison is of no interest.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
