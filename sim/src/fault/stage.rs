//! Where faults happen: brings nodes down and up again, and undoes in time what is to be undone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use jangbu_core::time::Instant;

use super::Skipped;
use crate::rng::Rng;
use crate::trace::{Kind as TraceKind, hash_bytes};
use crate::world::disk::{DiskError, Keep, Lost, PowerLoss, Strike, SyncLie};
use crate::world::{Crash, Exit, NodeId, World, lock};

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
    /// Syncs take their usual time again.
    QuickDisk(usize),
    /// Errors go away.
    HealDisk(usize),
    /// There is space again.
    FreeDisk(usize),
    /// Syncs are true again.
    HonestDisk(usize),
}

/// A broker on the stage.
struct Actor {
    node: NodeId,
    /// How long it stays down when it goes down by a crash that was armed, or by itself.
    down: Duration,
    /// Whether a start is planned.
    start_planned: bool,
    /// It was told to stop, and is to be started when it has.
    start_when_stopped: bool,
    stopping: bool,
    interrupts: Option<Interrupts>,
}

/// Starts that are to be cut short.
#[derive(Clone, Copy)]
struct Interrupts {
    left: u64,
    calls: u64,
    blow: Blow,
    down: Duration,
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
    rng: Rng,
    bell: Arc<Mutex<Bell>>,
    disk_bytes: Option<u64>,
    restart_delay: Duration,
}

/// How long a node may take to stop in good order, before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(20);

impl Stage {
    /// A stage with these brokers, which are up.
    pub fn new(
        world: &Arc<World>,
        brokers: &[NodeId],
        disk_bytes: Option<u64>,
        restart_delay: Duration,
    ) -> Self {
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
            down: restart_delay,
            start_planned: false,
            start_when_stopped: false,
            stopping: false,
            interrupts: None,
        };
        Self {
            world: world.clone(),
            actors: brokers.iter().map(actor).collect(),
            follow_ups: BTreeMap::new(),
            order: 0,
            rng: world.stream("stage"),
            bell,
            disk_bytes,
            restart_delay,
        }
    }

    /// Lets a fault strike. Returns the broker's id, as plans name it, when it did.
    pub fn strike(&mut self, entry: &crate::plan::Entry) -> Option<u64> {
        let index = match entry.target {
            super::Target::Any => self.rng.below(self.actors.len() as u64) as usize,
            super::Target::Node(id) => (id as usize).checked_sub(1)?,
        };
        let node = self.actors.get(index)?.node;
        match (entry.kind.strike)(self, index, &entry.parameters) {
            Ok(()) => {
                self.world.count_fault(entry.kind.name);
                Some(index as u64 + 1)
            }
            Err(Skipped(why)) => {
                let text = format!("{} on {} skipped: {why}", entry.kind.name, self.world.name(node));
                self.world.note(TraceKind::Fault, hash_bytes(0, text.as_bytes()), 1, || text);
                None
            }
        }
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
        let actor = &mut self.actors[index];
        actor.stopping = false;
        if std::mem::take(&mut actor.start_when_stopped) {
            self.later(Duration::ZERO, FollowUp::Start(index));
        } else if !actor.start_planned {
            let down = std::mem::replace(&mut actor.down, self.restart_delay);
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
                    world.crash(node(index), Crash::Process);
                }
            }
            FollowUp::Resume(index) => world.resume(node(index)),
            FollowUp::QuickDisk(index) => world.slow_disk(node(index), Duration::ZERO, Duration::ZERO),
            FollowUp::HealDisk(index) => {
                world.heal_disk(node(index));
                world.set_disk_capacity(node(index), self.disk_bytes);
            }
            FollowUp::FreeDisk(index) => world.set_disk_capacity(node(index), self.disk_bytes),
            FollowUp::HonestDisk(index) => world.set_sync_lie(node(index), None),
        }
    }

    fn start(&mut self, index: usize) {
        let actor = &mut self.actors[index];
        actor.start_planned = false;
        if self.world.is_up(actor.node) {
            actor.start_when_stopped = actor.stopping;
            return;
        }
        if let Some(interrupts) = &mut actor.interrupts {
            if interrupts.left == 0 {
                actor.interrupts = None;
            } else {
                interrupts.left -= 1;
                actor.down = interrupts.down;
                let strike = strike(&mut self.rng);
                self.world.crash_at_disk_call(
                    actor.node,
                    interrupts.calls + 1,
                    strike,
                    interrupts.blow.crash(),
                );
            }
        }
        self.world.start(actor.node);
    }

    /// The safety phase is over: every fault ends, every node that is down is started, none is struck again.
    pub fn heal(&mut self) {
        self.catch_up();
        self.follow_ups.clear();
        for index in 0..self.actors.len() {
            let actor = &mut self.actors[index];
            actor.interrupts = None;
            actor.start_planned = false;
            actor.down = Duration::from_millis(100);
            let (node, stopping) = (actor.node, actor.stopping);
            self.restart_delay = Duration::from_millis(100);
            self.world.resume(node);
            self.world.heal_disk(node);
            self.world.set_disk_capacity(node, self.disk_bytes);
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

    /// Brings a node down now.
    pub fn crash(&mut self, index: usize, blow: Blow) -> Result<(), Skipped> {
        // A machine that is off can lose its power as little as a process that is gone can be killed.
        let node = self.up(index)?;
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
        self.later(STOP_GRACE, FollowUp::Kill(index, self.world.starts(node)));
        Ok(())
    }

    /// Brings a node down inside a disk call, once so many more have succeeded: of one site, or of any.
    pub fn crash_at_disk_call(
        &mut self,
        index: usize,
        (site, calls): (Option<&str>, u64),
        blow: Blow,
        down: Duration,
    ) -> Result<(), Skipped> {
        let node = self.up(index)?;
        self.actors[index].down = down;
        let strike = strike(&mut self.rng);
        match site {
            Some(site) => self.world.crash_at_site(node, site, calls + 1, strike, blow.crash()),
            None => self.world.crash_at_disk_call(node, calls + 1, strike, blow.crash()),
        }
        Ok(())
    }

    /// Brings a node down inside a disk call of its next starts.
    pub fn interrupt_starts(&mut self, index: usize, times: u64, calls: u64, blow: Blow, down: Duration) {
        self.actors[index].interrupts = Some(Interrupts { left: times, calls, blow, down });
    }

    /// Stops a node's tasks.
    pub fn pause(&mut self, index: usize) -> Result<(), Skipped> {
        let node = self.up(index)?;
        if self.world.is_paused(node) {
            return Err(Skipped("the node is paused"));
        }
        self.world.pause(node);
        Ok(())
    }

    /// Resets all connections of a node.
    pub fn reset_connections(&mut self, index: usize) -> Result<(), Skipped> {
        let node = self.up(index)?;
        for other in self.world.nodes() {
            if other != node {
                self.world.reset_connections(node, other);
            }
        }
        Ok(())
    }

    /// Makes syncs slow.
    pub fn slow_disk(&mut self, index: usize, delay: Duration) {
        self.world.slow_disk(self.actors[index].node, Duration::ZERO, delay);
    }

    /// Has no disk call return for a while.
    pub fn stall_disk(&mut self, index: usize, stall: Duration) {
        self.world.stall_disk(self.actors[index].node, stall);
    }

    /// Has disk calls fail.
    pub fn fail_disk(&mut self, index: usize, error: DiskError) {
        self.world.add_disk_error(self.actors[index].node, error);
    }

    /// Leaves so many bytes free.
    pub fn fill_disk(&mut self, index: usize, free: u64) {
        let node = self.actors[index].node;
        self.world.set_disk_capacity(node, Some(self.world.disk_used_bytes(node) + free));
    }

    /// Turns over bits in one of the files whose names end so; returns in how many bytes.
    pub fn rot(&mut self, index: usize, ending: &str, bits: u64) -> u64 {
        let node = self.actors[index].node;
        let files = self.world.files(node);
        let candidates: Vec<_> =
            files.iter().filter(|(path, len)| *len > 0 && path.to_string_lossy().ends_with(ending)).collect();
        let Some((path, len)) = self.rng.pick(&candidates).copied() else { return 0 };
        let mut flipped = 0;
        for _ in 0..bits {
            let (position, bit) = (self.rng.below(*len), self.rng.below(8) as u8);
            flipped += u64::from(self.world.flip_bit(node, path, position, bit));
        }
        flipped
    }

    /// Has syncs do nothing.
    pub fn lie_about_syncs(&mut self, index: usize) {
        self.world.set_sync_lie(self.actors[index].node, Some(SyncLie::Never));
    }
}

fn strike(rng: &mut Rng) -> Strike {
    *rng.pick(&[Strike::Before, Strike::Halfway, Strike::After]).unwrap_or(&Strike::Before)
}
