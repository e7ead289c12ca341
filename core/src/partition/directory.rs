//! What the partitions of one log directory share: its health, and the queue of those that wait for a flush.

use std::collections::BTreeSet;
use std::io;

use tokio::sync::Notify;

use crate::env::Env;
use crate::fact::Fact;
use crate::ids::TopicPartition;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Mutex};

use super::locked;
use super::parked::Parked;

/// A log directory failed: a write or a sync did not succeed, so that nobody knows what its files hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log directory is offline since {cause}: mend the disk and restart the broker")]
pub struct StorageError {
    /// What failed, and how.
    pub cause: String,
}

/// A log directory while the broker runs.
pub struct Directory {
    parked: Arc<Parked>,
    offline: AtomicBool,
    cause: Mutex<Option<String>>,
    failed: Notify,
    dirty: Mutex<BTreeSet<TopicPartition>>,
    flush_wanted: Notify,
}

impl Directory {
    /// A healthy directory.
    pub fn new(parked: Arc<Parked>) -> Self {
        Self {
            parked,
            offline: AtomicBool::new(false),
            cause: Mutex::new(None),
            failed: Notify::new(),
            dirty: Mutex::new(BTreeSet::new()),
            flush_wanted: Notify::new(),
        }
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
        if !self.offline.load(Ordering::SeqCst) {
            return Ok(());
        }
        let cause = locked(&self.cause).clone().unwrap_or_default();
        Err(StorageError { cause })
    }

    /// Takes it offline for good: after a failed write or sync the state of the pages is unknown, and a later
    /// success would hide the loss (KAFKA-10778). Nothing in it is ever tried again.
    pub fn fail<E: Env>(&self, env: &E, what: &str, error: &io::Error) -> StorageError {
        let mut cause = locked(&self.cause);
        let first = cause.is_none();
        let cause = cause.get_or_insert_with(|| format!("{what}: {error}")).clone();
        self.offline.store(true, Ordering::SeqCst);
        if first {
            tracing::error!(%cause, "the log directory goes offline");
            env.observe(&Fact::DirectoryOffline);
            env.reached("partition.directory_offline");
        }
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

    /// Asks for a flush of a partition; the flusher collects all who ask.
    pub(super) fn want_flush(&self, partition: TopicPartition) {
        locked(&self.dirty).insert(partition);
        self.flush_wanted.notify_one();
    }

    /// Takes all who ask for a flush, or waits for the first.
    pub(super) async fn flush_wanted(&self) -> BTreeSet<TopicPartition> {
        loop {
            let dirty = std::mem::take(&mut *locked(&self.dirty));
            if !dirty.is_empty() || self.offline.load(Ordering::SeqCst) {
                return dirty;
            }
            self.flush_wanted.notified().await;
        }
    }
}
