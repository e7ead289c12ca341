use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::armed::DiskFault;
use super::drive::{DriveState, Operation, Strike, input_output_error, no_space};
use super::names::Names;
use crate::trace::Kind;
use crate::world::control::NodeId;
use crate::world::node::Crash;
use crate::world::{FaultId, World, lock};

/// An input/output error that waits for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskError {
    /// What the call returns.
    pub failure: Failure,
    /// For which kind of call; `None` for any.
    pub operation: Option<Operation>,
    /// How many such calls succeed before.
    pub calls_before: u64,
    /// Whether it comes each time until the disk is healed, or once.
    pub sticky: bool,
    /// Only for paths below this one.
    pub below: Option<PathBuf>,
}

/// What a call that fails returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// EIO.
    InputOutput,
    /// ENOSPC, which no call returns that only reads.
    NoSpace,
}

impl DiskError {
    /// One that comes at the next call of a kind.
    pub fn next(operation: Operation) -> Self {
        let failure = Failure::InputOutput;
        Self { failure, operation: Some(operation), calls_before: 0, sticky: false, below: None }
    }

    pub(super) fn hits(&self, operation: Operation, path: &Path) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
            && (self.failure == Failure::InputOutput || operation != Operation::Read)
            && self.below.as_ref().is_none_or(|below| path.starts_with(below))
    }
}

impl Failure {
    pub(super) fn error(self) -> std::io::Error {
        match self {
            Self::InputOutput => input_output_error(),
            Self::NoSpace => no_space(),
        }
    }
}

/// What a disk does that says yes to every sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncLie {
    /// Nothing is made durable.
    Never,
    /// It is made durable so much later.
    Later {
        /// Nanoseconds after the sync was answered.
        delay_ns: u64,
    },
}

/// Faults of disks.
impl World {
    /// Arms a fault on a node's disk. It counts as met when a call meets it, and ends with [`World::end_disk_fault`].
    pub fn arm_disk(&self, node: NodeId, id: FaultId, fault: DiskFault) {
        self.fault_disk(node, &format!("fault {}: {fault:?}", id.0), |state| {
            state.armed.push(id, fault.clone())
        });
    }

    /// Takes back what is left of one fault, and of no other.
    pub fn end_disk_fault(&self, node: NodeId, id: FaultId) {
        self.fault_disk(node, &format!("fault {} is over", id.0), |state| {
            state.armed.end(|other, _| other == id);
        });
    }

    /// Whether pages of failed syncs were forgotten when a process of the node ended, since this was asked last.
    pub fn take_evicted(&self, node: NodeId) -> bool {
        self.node(node).drive.take_evicted()
    }

    /// Whose crash brought the node down last, if one that was armed did, and nobody has asked.
    pub fn take_struck_by(&self, node: NodeId) -> Option<FaultId> {
        lock(&self.node(node).drive.state).armed.take_struck_by()
    }

    /// Crashes a node at its `nth` disk call from now, counted from 1, in this life or a later one.
    pub fn crash_at_disk_call(&self, node: NodeId, nth: u64, strike: Strike, crash: Crash) {
        let calls_before = nth.saturating_sub(1);
        self.arm_disk(node, FaultId::NONE, DiskFault::Crash { site: None, calls_before, strike, crash });
    }

    /// As [`World::crash_at_disk_call`], but only calls of one site count.
    pub fn crash_at_site(&self, node: NodeId, site: &str, nth: u64, strike: Strike, crash: Crash) {
        let (site, calls_before) = (Some(site.to_owned()), nth.saturating_sub(1));
        self.arm_disk(node, FaultId::NONE, DiskFault::Crash { site, calls_before, strike, crash });
    }

    /// How many disk calls the node has made in all its lives.
    pub fn disk_calls(&self, node: NodeId) -> u64 {
        lock(&self.node(node).drive.state).calls
    }

    /// Has calls fail. A sync that fails loses the pages, and the next one succeeds.
    pub fn add_disk_error(&self, node: NodeId, error: DiskError) {
        self.arm_disk(node, FaultId::NONE, DiskFault::Error(error));
    }

    /// Adds to each call, and to each sync.
    pub fn slow_disk(&self, node: NodeId, call: Duration, sync: Duration) {
        let (call_ns, sync_ns) = (call.as_nanos() as u64, sync.as_nanos() as u64);
        self.arm_disk(node, FaultId::NONE, DiskFault::Slow { call_ns, sync_ns });
    }

    /// No call returns for a while.
    pub fn stall_disk(&self, node: NodeId, stall: Duration) {
        self.arm_disk(node, FaultId::NONE, DiskFault::Stall { until: self.now() + stall });
    }

    /// Has the disk lie about syncs.
    pub fn set_sync_lie(&self, node: NodeId, lie: SyncLie) {
        self.arm_disk(node, FaultId::NONE, DiskFault::Lie(lie));
    }

    /// Sets the bytes that the disk holds when nothing is wrong with it; `None` for any number.
    pub fn set_disk_capacity(&self, node: NodeId, capacity_bytes: Option<u64>) {
        self.fault_disk(node, &format!("holds {capacity_bytes:?} bytes"), |state| {
            state.capacity_bytes = capacity_bytes;
            state.recount();
        });
    }

    /// Takes away every fault of a disk, also a crash that was to come. What has been lost stays lost.
    pub fn heal_disk(&self, node: NodeId) {
        self.fault_disk(node, "is healthy", |state| state.armed.end(|_, _| true));
    }

    /// Puts an empty disk in place of the old one. The node must be down.
    pub fn replace_disk(&self, node: NodeId) {
        assert!(!self.is_up(node), "a disk is replaced while its node is down");
        self.fault_disk(node, "is replaced by an empty one", |state| {
            state.names = Names::default();
            state.recount();
            state.holders.clear();
            state.promised.clear();
        });
    }

    /// Turns over one bit of a file, on the medium and in the page cache. Returns whether the file has that byte.
    pub fn flip_bit(&self, node: NodeId, path: &Path, position: u64, bit: u8) -> bool {
        let file = lock(&self.node(node).drive.state).names.file(path);
        let flipped = file.is_ok_and(|inode| inode.flip(position, bit));
        self.fault_disk(
            node,
            &format!("bit {bit} of byte {position} of {} is turned over", path.display()),
            |_| (),
        );
        flipped
    }

    /// Cuts a file on the medium and in the page cache.
    pub fn chop_file(&self, node: NodeId, path: &Path, len: u64) {
        if let Ok(inode) = lock(&self.node(node).drive.state).names.file(path) {
            inode.chop(len);
        }
        self.fault_disk(node, &format!("{} is cut to {len} bytes", path.display()), DriveState::recount);
    }

    fn fault_disk(&self, node: NodeId, what: &str, change: impl FnOnce(&mut DriveState)) {
        let node = self.node(node);
        change(&mut lock(&node.drive.state));
        self.note_text(Kind::Fault, format!("disk of {}: {what}", node.name));
    }
}

/// What is on the disks, for checks and for setting the stage.
impl World {
    /// The files of a node as its processes see them: path and length, by path.
    pub fn files(&self, node: NodeId) -> Vec<(PathBuf, u64)> {
        let files = lock(&self.node(node).drive.state).names.files();
        files.into_iter().map(|(path, inode)| (path, inode.len())).collect()
    }

    /// The bytes of a file as processes see them.
    pub fn read_file(&self, node: NodeId, path: &Path) -> Option<Vec<u8>> {
        let file = lock(&self.node(node).drive.state).names.file(path);
        file.ok().map(|inode| inode.to_vec())
    }

    /// The bytes of a file that are durable; its name may not be.
    pub fn read_durable_file(&self, node: NodeId, path: &Path) -> Option<Vec<u8>> {
        let file = lock(&self.node(node).drive.state).names.file(path);
        file.ok().map(|inode| inode.durable_image())
    }

    /// How many changes of a file a loss of power might take.
    pub fn changes_pending(&self, node: NodeId, path: &Path) -> usize {
        let file = lock(&self.node(node).drive.state).names.file(path);
        file.map_or(0, |inode| inode.changes_pending())
    }

    /// Makes a directory that is durable at once, for setting the stage.
    pub fn make_dir(&self, node: NodeId, path: &Path) {
        let node = self.node(node);
        let mut state = lock(&node.drive.state);
        if state.names.add_directory(path).is_ok() {
            state.names.settle_all();
        }
    }

    /// Bytes of all files of a node.
    pub fn disk_used_bytes(&self, node: NodeId) -> u64 {
        lock(&self.node(node).drive.state).names.used_bytes()
    }
}
