//! What the partitions of one log directory share: its health, and the queue of those that wait for a flush.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{Notify, oneshot};

use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::TopicPartition;
use crate::log::DiskError;
use crate::log::dir::LogDir;
use crate::log::recovery::Checkpointed;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};

use super::locked;
use super::parked::Parked;

/// A disk call failed, so that nobody knows what the directory's files hold (KAFKA_STORAGE_ERROR).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}: look after the disk, then restart the broker")]
pub struct StorageError {
    /// What failed, and how.
    pub cause: String,
}

/// A log directory while the broker runs.
pub struct Directory<D: Disk> {
    log_dir: Arc<LogDir<D>>,
    parked: Arc<Parked>,
    cause: Mutex<Option<String>>,
    failed: Notify,
    dirty: Mutex<BTreeSet<TopicPartition>>,
    flush_wanted: Notify,
    noted: Mutex<BTreeMap<TopicPartition, Checkpointed>>,
    checkpoint_requests: Mutex<Vec<oneshot::Sender<()>>>,
    checkpoint_wanted: Notify,
    is_stopping: AtomicBool,
    stopping: Notify,
    has_abandoned_sync: AtomicBool,
}

impl<D: Disk> Directory<D> {
    /// The directory; `parked` are the requests that wait for partitions of any directory.
    pub fn new(log_dir: Arc<LogDir<D>>, parked: Arc<Parked>) -> Self {
        Self {
            log_dir,
            parked,
            cause: Mutex::new(None),
            failed: Notify::new(),
            dirty: Mutex::new(BTreeSet::new()),
            flush_wanted: Notify::new(),
            noted: Mutex::new(BTreeMap::new()),
            checkpoint_requests: Mutex::new(Vec::new()),
            checkpoint_wanted: Notify::new(),
            is_stopping: AtomicBool::new(false),
            stopping: Notify::new(),
            has_abandoned_sync: AtomicBool::new(false),
        }
    }

    /// The directory on disk.
    pub fn log_dir(&self) -> &Arc<LogDir<D>> {
        &self.log_dir
    }

    /// The requests that wait for partitions.
    pub fn parked(&self) -> &Arc<Parked> {
        &self.parked
    }

    /// Whether it works.
    ///
    /// # Errors
    /// `StorageError` from the first failure on, for ever.
    pub fn check(&self) -> Result<(), StorageError> {
        if !self.log_dir.is_offline() {
            return Ok(());
        }
        let cause = locked(&self.cause).clone();
        Err(StorageError { cause: cause.unwrap_or_else(|| "the log directory is offline".into()) })
    }

    /// Notes a failed disk call. The directory goes offline for good: after a failed write or sync the state of the
    /// pages is unknown, and a later success would hide the loss (KAFKA-10778).
    pub fn fail<E: Env>(&self, env: &E, error: &DiskError) -> StorageError {
        let failure = StorageError { cause: error.to_string() };
        if !self.log_dir.fail(error) {
            return failure;
        }
        let mut cause = locked(&self.cause);
        if cause.is_none() {
            env.observe(&Fact::DirectoryOffline);
            env.reached("partition.directory_offline");
        }
        let cause = cause.get_or_insert(failure.cause).clone();
        self.failed.notify_waiters();
        self.flush_wanted.notify_one();
        StorageError { cause }
    }

    /// Returns when the directory has failed.
    pub async fn failed(&self) -> StorageError {
        loop {
            let failed = self.failed.notified();
            if let Err(error) = self.check() {
                return error;
            }
            failed.await;
        }
    }

    /// Notes what the checkpoints shall say of a log that is not in the table: the metadata log, or one that could
    /// not be opened. Checkpoint files are written whole, for all logs of a directory.
    pub fn note(&self, partition: TopicPartition, offsets: Checkpointed) {
        locked(&self.noted).insert(partition, offsets);
    }

    /// The log is gone: the checkpoints say nothing of it any more.
    pub(super) fn forget(&self, partition: TopicPartition) {
        locked(&self.noted).remove(&partition);
    }

    pub(super) fn noted(&self) -> BTreeMap<TopicPartition, Checkpointed> {
        locked(&self.noted).clone()
    }

    /// Makes the log starts durable, so that records which DeleteRecords removed do not come back after a crash. Those
    /// who ask at the same time share one checkpoint, which the directory's flusher writes.
    ///
    /// # Errors
    /// `StorageError` when the directory has failed, or the flusher has ended.
    pub async fn checkpoint_log_starts(&self) -> Result<(), StorageError> {
        let (done, wait) = oneshot::channel();
        locked(&self.checkpoint_requests).push(done);
        self.checkpoint_wanted.notify_one();
        tokio::select! {
            biased;
            error = self.failed() => Err(error),
            outcome = wait => {
                outcome.map_err(|_| StorageError { cause: "the checkpoint was not written".into() })
            }
        }
    }

    /// All who ask for a checkpoint of the log starts, once there are any.
    pub(super) async fn checkpoint_wanted(&self) -> Vec<oneshot::Sender<()>> {
        self.checkpoint_wanted.notified().await;
        std::mem::take(&mut *locked(&self.checkpoint_requests))
    }

    /// Asks for a flush of a partition; the flusher collects all who ask.
    pub(super) fn want_flush(&self, partition: TopicPartition) {
        locked(&self.dirty).insert(partition);
        self.flush_wanted.notify_one();
    }

    /// All who ask for a flush, once there are any; `None` once the directory has failed or is to stop.
    pub(super) async fn flush_wanted(&self) -> Option<BTreeSet<TopicPartition>> {
        while !self.log_dir.is_offline() && !self.is_stopping() {
            let dirty = std::mem::take(&mut *locked(&self.dirty));
            if !dirty.is_empty() {
                return Some(dirty);
            }
            self.flush_wanted.notified().await;
        }
        None
    }

    /// Asks the flusher's tasks to end. They do so between two pieces of work, never within a sync: the outcome of one
    /// that is dropped is unknown for ever.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        self.stopping.notify_waiters();
        self.flush_wanted.notify_one();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// Returns when the flusher's tasks are to end.
    pub(super) async fn stopped(&self) {
        let stopping = self.stopping.notified();
        if !self.is_stopping() {
            stopping.await;
        }
    }

    /// Notes that nobody waits any more for a sync that has begun. It goes on, and may fail unseen.
    pub(super) fn abandon_sync(&self) {
        self.has_abandoned_sync.store(true, Ordering::SeqCst);
    }

    /// Whether what is on the disk can be known: no sync was abandoned.
    ///
    /// # Errors
    /// `StorageError` otherwise. The directory must not be called clean then.
    pub(super) fn check_syncs(&self) -> Result<(), StorageError> {
        match self.has_abandoned_sync.load(Ordering::SeqCst) {
            true => Err(StorageError { cause: "a sync was abandoned, so nobody knows how it ended".into() }),
            false => Ok(()),
        }
    }
}
