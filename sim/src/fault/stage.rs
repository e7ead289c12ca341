//! Where faults happen: brings nodes down and up again, and undoes in time what is to be undone.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use jangbu_core::time::Instant;

use super::{Skipped, Target};
use crate::outcome::Struck;
use crate::plan::Entry;
use crate::rng::Rng;
use crate::trace::{Kind as TraceKind, hash_bytes};
use crate::world::disk::{DiskError, DiskFault, Keep, Lost, PowerLoss, Strike, SyncLie};
use crate::world::{Crash, Exit, FaultId, NodeId, World, lock};

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The process alone; the page cache survives.
    Process,
    /// The machine.
    Power(PowerLoss),
}

impl Blow {
    /// A loss of power, by the name of what it leaves.
    pub fn power(mode: &str) -> Self {
        let (keep, lost) = match mode {
            "nothing" => (Keep::Nothing, Lost::Zeros),
            "prefix" => (Keep::Prefix, Lost::Zeros),
            "subset" => (Keep::Sectors, Lost::Zeros),
            "zeros" => (Keep::Length, Lost::Zeros),
            _ => (Keep::Any, Lost::Garbage),
        };
        Self::Power(PowerLoss { keep, lost })
    }

    /// `process`, or what a loss of power leaves.
    pub fn from_text(mode: &str) -> Self {
        if mode == "process" { Self::Process } else { Self::power(mode) }
    }

    fn crash(self) -> Crash {
        match self {
            Self::Process => Crash::Process,
            Self::Power(loss) => Crash::Power(loss),
        }
    }
}

/// What follows a fault some time later. Nodes are given by their index on the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// The node is started.
    Start(usize),
    /// A node that was told to stop and has not is killed; the number is the life that was told so.
    Kill(usize, u32),
    /// A paused node goes on.
    Resume(usize),
    /// What is left of a fault of the disk ends.
    EndDiskFault(usize, FaultId),
}

/// What checks must know of that which was done to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It was asked to stop in good order.
    ToldToStop(NodeId),
    /// A bit in this byte of a file was turned over.
    Rotted(NodeId, PathBuf, u64),
}

/// A broker on the stage.
struct Actor {
    node: NodeId,
    /// Whether a start is planned.
    start_planned: bool,
    /// It was told to stop, and is to be started when it has.
    start_when_stopped: bool,
    stopping: bool,
    /// When something was done to it last that may hold up a stop.
    held_up: Option<Instant>,
    /// The first are to be cut short first.
    interrupts: VecDeque<Interrupts>,
}

/// Starts that are to be cut short.
#[derive(Clone)]
struct Interrupts {
    fault: FaultId,
    rng: Rng,
    left: u64,
    calls: u64,
    blow: Blow,
}

/// Ends of nodes that nobody has looked at yet, and who wants to look.
#[derive(Default)]
struct Bell {
    rung: Vec<(NodeId, Exit)>,
    waker: Option<Waker>,
}

/// Brokers, what was done to them, and what is still to be done.
pub struct Stage {
    world: Arc<World>,
    actors: Vec<Actor>,
    follow_ups: BTreeMap<(Instant, u64), FollowUp>,
    order: u64,
    /// The fault that strikes now, and its own chance.
    fault: FaultId,
    rng: Rng,
    /// How long a node stays down that a fault brought down which was armed.
    downs: BTreeMap<FaultId, Duration>,
    bell: Arc<Mutex<Bell>>,
    restart_delay: Duration,
    notices: Vec<Notice>,
}

/// How long a node may take to stop in good order, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// How long a fault that holds a node up may have begun before it was told to stop, and still hold it up then.
const HELD_UP_FOR: Duration = Duration::from_secs(15);

impl Stage {
    /// A stage with these brokers, which are up.
    pub fn new(world: &Arc<World>, brokers: &[NodeId], restart_delay: Duration) -> Self {
        let bell: Arc<Mutex<Bell>> = Arc::default();
        let hook_bell = bell.clone();
        let watched = brokers.to_vec();
        world.on_exit(Box::new(move |node, _, exit| {
            if watched.contains(&node) {
                let mut bell = lock(&hook_bell);
                bell.rung.push((node, exit.clone()));
                if let Some(waker) = bell.waker.take() {
                    waker.wake();
                }
            }
        }));
        let actor = |&node| Actor {
            node,
            start_planned: false,
            start_when_stopped: false,
            stopping: false,
            held_up: None,
            interrupts: VecDeque::new(),
        };
        Self {
            world: world.clone(),
            actors: brokers.iter().map(actor).collect(),
            follow_ups: BTreeMap::new(),
            order: 0,
            fault: FaultId::NONE,
            rng: world.stream("stage"),
            downs: BTreeMap::new(),
            bell,
            restart_delay,
            notices: Vec::new(),
        }
    }

    /// Lets a fault strike: says what came of it, and under which number it is armed.
    pub fn strike(&mut self, entry: &Entry) -> (Struck, FaultId) {
        let seed = self.world.seed();
        let id = match entry.target {
            // From a stream of its own: a target that is given must leave the rest alone.
            Target::Any => {
                1 + Rng::stream(seed, &format!("target of fault {}", entry.salt))
                    .below(self.actors.len() as u64)
            }
            Target::Node(id) => id,
        };
        let mut struck = Struck { of: entry.of, node: Some(id), skipped: true, met: false };
        let index = (id as usize).wrapping_sub(1);
        if entry.skipped || index >= self.actors.len() {
            self.note_skip(entry, id);
            return (struck, FaultId::NONE);
        }
        self.rng = Rng::stream(seed, &format!("fault {}", entry.salt));
        self.fault = self.world.arm_fault(entry.kind.name);
        match (entry.kind.strike)(self, index, &entry.parameters) {
            Ok(()) => {
                struck.skipped = false;
                (struck, self.fault)
            }
            Err(Skipped(_)) => {
                self.world.skip_fault(self.fault);
                self.note_skip(entry, id);
                (struck, FaultId::NONE)
            }
        }
    }

    /// Without the reason: one that is skipped because a plan says so is the same event.
    fn note_skip(&self, entry: &Entry, id: u64) {
        let kind = entry.kind.name;
        self.world.note(TraceKind::Fault, hash_bytes(id, kind.as_bytes()), 1, || {
            format!("{kind} on node {id} is skipped")
        });
    }

    /// The fault that strikes now has taken effect.
    pub fn met(&self) {
        self.world.fault_met(self.fault);
    }

    /// What checks must know of that which was done since this was asked last.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn hold_up(&mut self, index: usize) {
        self.actors[index].held_up = Some(self.world.now());
    }

    /// Plans something for later.
    pub fn later(&mut self, wait: Duration, follow_up: FollowUp) {
        self.order += 1;
        self.follow_ups.insert((self.world.now() + wait, self.order), follow_up);
    }

    /// Plans the start of a node that is, or will be, down.
    pub fn start_later(&mut self, index: usize, down: Duration) {
        self.actors[index].start_planned = true;
        self.later(down, FollowUp::Start(index));
    }

    /// Until when nothing is planned.
    pub fn next_follow_up(&self) -> Option<Instant> {
        self.follow_ups.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due, and plans the start of nodes that went down.
    pub fn catch_up(&mut self) {
        let rung = std::mem::take(&mut lock(&self.bell).rung);
        for (node, exit) in rung {
            self.node_ended(node, &exit);
        }
        let now = self.world.now();
        while let Some(entry) = self.follow_ups.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let follow_up = entry.remove();
            self.follow(follow_up);
        }
    }

    /// Returns when a node has ended that [`Stage::catch_up`] has not seen.
    pub fn rung(&self) -> impl Future<Output = ()> + Send + use<> {
        let bell = self.bell.clone();
        std::future::poll_fn(move |context| {
            let mut bell = lock(&bell);
            if bell.rung.is_empty() {
                bell.waker = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
    }

    fn node_ended(&mut self, node: NodeId, exit: &Exit) {
        let Some(index) = self.actors.iter().position(|actor| actor.node == node) else { return };
        if *exit == Exit::WorldEnded {
            return;
        }
        // Also where the node is to be started anyway: nobody else may be taken for its reason later.
        let struck_by = self.world.take_struck_by(node).and_then(|id| self.downs.get(&id));
        let down = struck_by.copied().unwrap_or(self.restart_delay);
        let actor = &mut self.actors[index];
        actor.stopping = false;
        if std::mem::take(&mut actor.start_when_stopped) {
            self.later(Duration::ZERO, FollowUp::Start(index));
        } else if !actor.start_planned {
            self.start_later(index, down);
        }
    }

    fn follow(&mut self, follow_up: FollowUp) {
        let world = self.world.clone();
        let node = |index: usize| self.actors[index].node;
        match follow_up {
            FollowUp::Start(index) => self.start(index),
            FollowUp::Kill(index, life) => {
                if self.actors[index].stopping && world.starts(node(index)) == life {
                    let since = self.actors[index].held_up.map(|at| world.now().saturating_since(at));
                    if since.is_none_or(|since| since > STOP_GRACE + HELD_UP_FOR) {
                        let message = format!("told to stop, the node had not stopped {STOP_GRACE:?} later");
                        world.violate("liveness", Some(node(index)), message);
                    }
                    world.crash(node(index), Crash::Process);
                }
            }
            FollowUp::Resume(index) => world.resume(node(index)),
            FollowUp::EndDiskFault(index, id) => world.end_disk_fault(node(index), id),
        }
    }

    fn start(&mut self, index: usize) {
        let actor = &mut self.actors[index];
        actor.start_planned = false;
        if self.world.is_up(actor.node) {
            actor.start_when_stopped = actor.stopping;
            return;
        }
        actor.interrupts.retain(|interrupts| interrupts.left > 0);
        if let Some(interrupts) = actor.interrupts.front_mut() {
            interrupts.left -= 1;
            let crash = DiskFault::Crash {
                site: None,
                calls_before: interrupts.calls,
                strike: any_strike(&mut interrupts.rng),
                crash: interrupts.blow.crash(),
            };
            self.world.arm_disk(actor.node, interrupts.fault, crash);
        }
        self.world.start(actor.node);
    }

    /// The safety phase is over: every fault ends, every node that is down is started, none is struck again.
    pub fn heal(&mut self) {
        self.catch_up();
        self.follow_ups.clear();
        self.downs.clear();
        for index in 0..self.actors.len() {
            let actor = &mut self.actors[index];
            actor.interrupts.clear();
            actor.start_planned = false;
            let (node, stopping) = (actor.node, actor.stopping);
            self.restart_delay = Duration::from_millis(100);
            self.world.resume(node);
            self.world.heal_disk(node);
            if !self.world.is_up(node) {
                self.start(index);
            } else if stopping {
                self.actors[index].start_when_stopped = true;
                self.later(STOP_GRACE, FollowUp::Kill(index, self.world.starts(node)));
            }
        }
    }
}

/// What faults do.
impl Stage {
    fn up(&self, index: usize) -> Result<NodeId, Skipped> {
        let node = self.actors[index].node;
        if self.world.is_up(node) { Ok(node) } else { Err(Skipped("the node is down")) }
    }

    /// Brings a node down now. The machine of a process that is gone can still lose its power.
    pub fn crash(&mut self, index: usize, blow: Blow) -> Result<(), Skipped> {
        let node = match blow {
            Blow::Process => self.up(index)?,
            Blow::Power(_) => self.actors[index].node,
        };
        self.world.crash(node, blow.crash());
        Ok(())
    }

    /// Asks a node to stop in good order.
    pub fn stop(&mut self, index: usize) -> Result<(), Skipped> {
        let node = self.up(index)?;
        if std::mem::replace(&mut self.actors[index].stopping, true) {
            return Err(Skipped("the node is stopping"));
        }
        self.world.request_shutdown(node);
        self.notices.push(Notice::ToldToStop(node));
        self.later(STOP_GRACE, FollowUp::Kill(index, self.world.starts(node)));
        Ok(())
    }

    /// Brings a node down inside a disk call, once so many more have succeeded: of one site, or of any.
    pub fn crash_at_disk_call(
        &mut self,
        index: usize,
        (site, calls_before): (Option<&str>, u64),
        (strike, blow): (Strike, Blow),
        down: Duration,
    ) -> Result<(), Skipped> {
        let node = self.up(index)?;
        self.downs.insert(self.fault, down);
        let (site, crash) = (site.map(str::to_owned), blow.crash());
        self.world.arm_disk(node, self.fault, DiskFault::Crash { site, calls_before, strike, crash });
        Ok(())
    }

    /// Brings a node down inside a disk call of its next starts.
    pub fn interrupt_starts(&mut self, index: usize, left: u64, calls: u64, blow: Blow, down: Duration) {
        let (fault, rng) = (self.fault, self.rng.clone());
        self.downs.insert(fault, down);
        self.actors[index].interrupts.push_back(Interrupts { fault, rng, left, calls, blow });
    }

    /// Stops a node's tasks.
    pub fn pause(&mut self, index: usize) -> Result<(), Skipped> {
        let node = self.up(index)?;
        if self.world.is_paused(node) {
            return Err(Skipped("the node is paused"));
        }
        self.world.pause(node);
        self.hold_up(index);
        Ok(())
    }

    /// Resets all connections of a node.
    pub fn reset_connections(&mut self, index: usize) -> Result<(), Skipped> {
        let node = self.up(index)?;
        let others = self.world.nodes().into_iter().filter(|other| *other != node);
        match others.map(|other| self.world.reset_connections(node, other)).sum::<usize>() {
            0 => Err(Skipped("it has no connections")),
            _ => Ok(()),
        }
    }

    /// Ends the fault that strikes now, as far as it is one of the disk.
    pub fn end_disk_fault_later(&mut self, index: usize, wait: Duration) {
        self.later(wait, FollowUp::EndDiskFault(index, self.fault));
    }

    fn arm_disk(&self, index: usize, fault: DiskFault) {
        self.world.arm_disk(self.actors[index].node, self.fault, fault);
    }

    /// Makes syncs slow.
    pub fn slow_disk(&mut self, index: usize, delay: Duration) {
        self.hold_up(index);
        self.arm_disk(index, DiskFault::Slow { call_ns: 0, sync_ns: delay.as_nanos() as u64 });
    }

    /// Has no disk call return for a while.
    pub fn stall_disk(&mut self, index: usize, stall: Duration) {
        self.hold_up(index);
        self.arm_disk(index, DiskFault::Stall { until: self.world.now() + stall });
    }

    /// Has disk calls fail.
    pub fn fail_disk(&mut self, index: usize, error: DiskError) {
        self.arm_disk(index, DiskFault::Error(error));
    }

    /// Leaves so many bytes free.
    pub fn fill_disk(&mut self, index: usize, free: u64) {
        let capacity_bytes = self.world.disk_used_bytes(self.actors[index].node) + free;
        self.arm_disk(index, DiskFault::Full { capacity_bytes });
    }

    /// Turns over bits in one of the files whose names end so; returns in how many bytes.
    pub fn rot(&mut self, index: usize, ending: &str, bits: u64) -> u64 {
        let node = self.actors[index].node;
        let files = self.world.files(node);
        // Of the metadata there is no second copy: a node that finds it damaged does right to refuse to start.
        let is_candidate = |path: &Path| {
            let text = path.to_string_lossy();
            text.ends_with(ending) && !text.contains("__cluster_metadata")
        };
        let candidates: Vec<_> = files.iter().filter(|(path, len)| *len > 0 && is_candidate(path)).collect();
        let Some((path, len)) = self.rng.pick(&candidates).copied() else { return 0 };
        let mut flipped = 0;
        for _ in 0..bits {
            let (position, bit) = (self.rng.below(*len), self.rng.below(8) as u8);
            // Told first: who sees the damage must be able to know of it.
            self.notices.push(Notice::Rotted(node, path.clone(), position));
            flipped += u64::from(self.world.flip_bit(node, path, position, bit));
        }
        flipped
    }

    /// Has syncs do nothing.
    pub fn lie_about_syncs(&mut self, index: usize) {
        self.arm_disk(index, DiskFault::Lie(SyncLie::Never));
    }
}

fn any_strike(rng: &mut Rng) -> Strike {
    *rng.pick(&[Strike::Before, Strike::Halfway, Strike::After]).unwrap_or(&Strike::Before)
}
