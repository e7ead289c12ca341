//! What a partition shows to those who do not hold its lock: published whole, at the end of each critical section.
//!
//! A reader takes one snapshot and uses nothing else, so that its bound, its bytes and its epoch are of one moment
//! (two reads of a moving high watermark let consumers see uncommitted records: KAFKA-9835, KAFKA-9838).

use crate::env::Disk;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::View;
use crate::purgatory::Reached;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};

use super::locked;
use super::parked::Watched;
use super::read::Isolation;

/// What a broker is to one of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not, or no longer, its leader.
    None,
    /// Its leader in this epoch.
    Leader(LeaderEpoch),
    /// Nothing: its log directory failed.
    Offline,
    /// Nothing any more: the partition is being deleted, and its files may be gone.
    Gone,
}

/// One moment of a partition.
pub struct Snapshot<D: Disk> {
    /// What the broker is to it.
    pub role: Role,
    /// Rises when the role changes, the log is cut, goes offline or away.
    pub changes: u64,
    /// Whether records count only once they are flushed (`flush.messages=1`).
    pub flush_first: bool,
    /// Whether as many replicas are in sync as acks=all asks for (`min.insync.replicas`).
    pub has_enough_in_sync: bool,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// One past the last committed record: consumers read below it.
    pub high_watermark: Offset,
    /// The offset of the next record.
    pub log_end: Offset,
    /// One past the last record that is on the disk itself.
    pub flushed: Offset,
    /// Where the leader's epoch begins.
    pub epoch_start: Offset,
    /// Bytes that became readable since the partition was opened.
    pub readable_bytes: u64,
    /// The log as it was.
    pub view: Arc<View<D>>,
}

impl<D: Disk> Clone for Snapshot<D> {
    fn clone(&self) -> Self {
        Self { view: Arc::clone(&self.view), ..*self }
    }
}

impl<D: Disk> Snapshot<D> {
    /// The epoch this broker leads in; -1 when it does not.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        match self.role {
            Role::Leader(epoch) => epoch,
            Role::None | Role::Offline | Role::Gone => LeaderEpoch::NONE,
        }
    }

    /// One past what a reader may see. Without transactions the last stable offset is the high watermark.
    pub fn bound(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted | Isolation::ReadCommitted => self.high_watermark,
        }
    }

    /// Asserts what holds at every moment.
    pub(super) fn check(&self) {
        assert!(self.log_start <= self.high_watermark, "the log starts above its high watermark");
        assert!(self.high_watermark <= self.log_end, "the high watermark is above the log's end");
        assert!(self.flushed <= self.log_end, "more is flushed than there is");
    }
}

/// The published state of a partition.
pub struct Progress<D: Disk> {
    id: TopicPartition,
    snapshot: Mutex<Snapshot<D>>,
    waiting: AtomicUsize,
}

impl<D: Disk> Progress<D> {
    pub(super) fn new(id: TopicPartition, snapshot: Snapshot<D>) -> Self {
        Self { id, snapshot: Mutex::new(snapshot), waiting: AtomicUsize::new(0) }
    }

    /// This moment.
    pub fn snapshot(&self) -> Snapshot<D> {
        locked(&self.snapshot).clone()
    }

    /// Looks at this moment without taking it along.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Snapshot<D>) -> T) -> T {
        look(&locked(&self.snapshot))
    }

    pub(super) fn publish(&self, snapshot: Snapshot<D>) {
        snapshot.check();
        *locked(&self.snapshot) = snapshot;
    }

    /// How many requests wait for it.
    pub fn waiting_count(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

impl<D: Disk> Watched for Progress<D> {
    fn id(&self) -> TopicPartition {
        self.id
    }

    fn reached(&self) -> Reached {
        let snapshot = locked(&self.snapshot);
        Reached {
            high_watermark: snapshot.high_watermark,
            flushed: snapshot.flushed,
            readable_bytes: snapshot.readable_bytes,
        }
    }

    fn changes(&self) -> u64 {
        locked(&self.snapshot).changes
    }

    fn waiting(&self) -> &AtomicUsize {
        &self.waiting
    }
}
