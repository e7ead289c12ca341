use std::path::{Path, PathBuf};
use std::time::Duration;

use jangbu_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::drive::{DriveState, Operation, Planned, Strike, input_output_error, no_space};
use super::names::Names;
use crate::trace::Kind;
use crate::world::control::NodeId;
use crate::world::node::Crash;
use crate::world::{World, lock};

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
    /// Crashes a node at its `nth` disk call from now, counted from 1, in this life or a later one.
    pub fn crash_at_disk_call(&self, node: NodeId, nth: u64, strike: Strike, crash: Crash) {
        let planned = Planned { site: None, calls_before: nth.saturating_sub(1), strike, crash };
        self.fault_disk(
            node,
            &format!("will crash {strike:?} disk call {nth} from now: {crash:?}"),
            |state| state.plan(planned),
        );
    }

    /// As [`World::crash_at_disk_call`], but only calls of one site count. Crashes at several sites can wait at a time.
    pub fn crash_at_site(&self, node: NodeId, site: &str, nth: u64, strike: Strike, crash: Crash) {
        let planned =
            Planned { site: Some(site.to_owned()), calls_before: nth.saturating_sub(1), strike, crash };
        self.fault_disk(
            node,
            &format!("will crash {strike:?} call {nth} of {site} from now: {crash:?}"),
            |state| state.plan(planned),
        );
    }

    /// Takes back the crashes at disk calls that have not come.
    pub fn cancel_crash_at_disk_call(&self, node: NodeId) {
        self.fault_disk(node, "will not crash at a disk call", |state| state.planned.clear());
    }

    /// How many disk calls the node has made in all its lives.
    pub fn disk_calls(&self, node: NodeId) -> u64 {
        lock(&self.node(node).drive.state).calls
    }

    /// Has calls fail. A sync that fails loses the pages, and the next one succeeds.
    pub fn add_disk_error(&self, node: NodeId, error: DiskError) {
        self.fault_disk(node, &format!("{error:?}"), |state| state.errors.push(error.clone()));
    }

    /// Adds to each call, and to each sync.
    pub fn slow_disk(&self, node: NodeId, call: Duration, sync: Duration) {
        self.fault_disk(node, &format!("calls take {call:?} more, syncs {sync:?}"), |state| {
            state.call_delay_ns = call.as_nanos() as u64;
            state.sync_delay_ns = sync.as_nanos() as u64;
        });
    }

    /// No call returns for a while.
    pub fn stall_disk(&self, node: NodeId, stall: Duration) {
        let until = self.now() + stall;
        self.fault_disk(node, &format!("stalls for {stall:?}"), |state| {
            state.stalled_until = state.stalled_until.max(until);
        });
    }

    /// Bounds the bytes on the disk; `None` takes the bound away.
    pub fn set_disk_capacity(&self, node: NodeId, capacity_bytes: Option<u64>) {
        self.fault_disk(node, &format!("holds {capacity_bytes:?} bytes"), |state| {
            state.capacity_bytes = capacity_bytes;
            state.recount();
        });
    }

    /// Has the disk lie about syncs.
    pub fn set_sync_lie(&self, node: NodeId, lie: Option<SyncLie>) {
        self.fault_disk(node, &format!("lies about syncs: {lie:?}"), |state| state.lie = lie);
    }

    /// Takes away every fault of a disk, also a crash that was to come. What has been lost stays lost.
    pub fn heal_disk(&self, node: NodeId) {
        self.fault_disk(node, "is healthy", |state| {
            state.planned.clear();
            state.errors.clear();
            state.call_delay_ns = 0;
            state.sync_delay_ns = 0;
            state.stalled_until = Instant::default();
            state.capacity_bytes = None;
            state.lie = None;
        });
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
