//! From what a stop left to a log and snapshots that fit each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{MetadataLog, MetadataLogError, staged};
use crate::env::{Clock, Disk, Env};
use crate::epochs::SnapshotId;
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::dir::LogDir;
use crate::log::recovery::Checkpointed;
use crate::log::{DiskError, Log, LogError, Recovery, Settings};
use crate::quorum::snapshots;
use crate::sync::Arc;

/// Why the metadata log cannot be opened. What is committed elsewhere is not lost by it, but this replica may have
/// promised what it cannot show: it must not vote again under the same directory id.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A disk call failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log could not be recovered.
    #[error("the metadata log cannot be opened: {0}")]
    Log(#[from] LogError),
    /// The log could not be brought to where its snapshot ends.
    #[error(transparent)]
    Repair(#[from] MetadataLogError),
    /// What was flushed is missing or damaged.
    #[error(
        "the metadata log ends at {log_end}, but was flushed up to {expected}: what this replica acknowledged is lost; \
         restore the directory {} from a copy, or remove this voter from the quorum and let it join with a new \
         directory", .path.display()
    )]
    Lost {
        /// The log.
        path: PathBuf,
        /// Where it ends.
        log_end: Offset,
        /// Where it must end at least.
        expected: Offset,
    },
    /// The log begins behind where the newest snapshot ends.
    #[error(
        "the metadata log begins at {log_start}, but the newest snapshot ends at {snapshot_end}; restore the snapshot"
    )]
    Gap {
        /// Where the log begins.
        log_start: Offset,
        /// Where the snapshot ends.
        snapshot_end: Offset,
    },
}

impl<E: Env> MetadataLog<E> {
    /// Opens the metadata log of a directory, or begins one. Everything in it is durable then.
    ///
    /// A log that ends before the newest snapshot, or went another way than the snapshot, was about to give way to it,
    /// or has lost a tail that the snapshot holds: it begins anew where the snapshot ends.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        env: E,
        log_dir: Arc<LogDir<E::Disk>>,
        (checkpointed, clean): (Checkpointed, bool),
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let path = log_dir.partition_path(TopicPartition::METADATA);
        // What is committed elsewhere need not be here, and a cut takes back the recovery point alone.
        let checkpointed = Checkpointed { high_watermark: Offset::ZERO, ..checkpointed };
        let (found, snapshots) = list(env.disk(), &path)?;
        let snapshot_end = snapshots.last_key_value().map_or(Offset::ZERO, |(id, _)| id.end);
        let (log, expected) = if found {
            recover(&env, &log_dir, (checkpointed, clean), settings).await?
        } else {
            let (expected, now) = (checkpointed.recovery_point, env.clock().wall());
            (log_dir.create_log(TopicPartition::METADATA, settings, Offset::ZERO, now)?, expected)
        };
        if log.log_end() < expected && snapshot_end < expected {
            return Err(OpenError::Lost { path, log_end: log.log_end(), expected });
        }
        log_dir.lower_recovery_point(TopicPartition::METADATA, log.recovery_point()).await?;
        let epoch_before_start = LeaderEpoch(0);
        let mut opened = Self { env, log_dir, log, snapshots, epoch_before_start, staged: None };
        // What a dead process wrote and did not sync counts from here on: the power must not take it back.
        opened.flush().await?;
        opened.meet_snapshot().await?;
        Ok(opened)
    }

    /// Brings the log to where it follows on the newest snapshot.
    async fn meet_snapshot(&mut self) -> Result<(), OpenError> {
        let log_start = self.log.log_start();
        let newest = self.snapshots.last_key_value().map(|(id, _)| *id);
        let snapshot_end = newest.map_or(Offset::ZERO, |id| id.end);
        if log_start > snapshot_end {
            return Err(OpenError::Gap { log_start, snapshot_end });
        }
        let Some(newest) = newest else { return Ok(()) };
        if !self.leads_to(newest) {
            return Ok(self.replace_log_by(newest).await?);
        }
        let at_start = self.snapshots.keys().find(|id| id.end == log_start);
        match at_start {
            Some(id) => self.epoch_before_start = id.epoch,
            None if log_start == Offset::ZERO => {}
            // Nobody knows the epoch before this start any more.
            None => self.trim_to(newest).await?,
        }
        Ok(())
    }

    /// Whether the log has the record before the snapshot's end, or begins just behind it.
    fn leads_to(&self, id: SnapshotId) -> bool {
        let (log_start, log_end) = (self.log.log_start(), self.log.log_end());
        let has_last = || self.log.epochs().at(Offset(id.end.0 - 1)) == Some(id.epoch);
        id.end == log_start || (id.end <= log_end && has_last())
    }
}

/// Whether there is a log, and the snapshots beside it. Pieces of those that were not whole go.
fn list<D: Disk>(disk: &D, path: &std::path::Path) -> Result<(bool, BTreeMap<SnapshotId, u64>), DiskError> {
    let entries = match disk.list(snapshots::LIST, path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((false, BTreeMap::new())),
        listed => snapshots::on_disk(listed, snapshots::LIST, path)?,
    };
    for staged in entries.iter().filter(|entry| entry.name.ends_with(staged::SUFFIX)) {
        snapshots::remove(disk, &path.join(&staged.name))?;
    }
    let snapshots = entries.iter().filter_map(|entry| Some((SnapshotId::parse(&entry.name)?, entry.len)));
    Ok((true, snapshots.collect()))
}

/// Recovers a log; returns where it should have ended at least, too.
async fn recover<E: Env>(
    env: &E,
    log_dir: &LogDir<E::Disk>,
    (checkpointed, clean): (Checkpointed, bool),
    settings: Settings,
) -> Result<(Log<E::Disk>, Offset), OpenError> {
    let path = log_dir.partition_path(TopicPartition::METADATA);
    let now = env.clock().wall();
    let recovery = Recovery::new(env.disk().clone(), path, settings, checkpointed, clean, now);
    let recovered = env.run("recover-metadata", recovery).await?;
    recovered.settle().await?;
    let (clean, partition) = (recovered.clean, TopicPartition::METADATA);
    let (log_start, log_end) = (recovered.log.log_start(), recovered.log.log_end());
    env.observe(&Fact::Recovered { partition, clean, log_start, log_end });
    let expected = recovered.lost.map_or(log_end, |lost| lost.expected);
    Ok((recovered.log, expected))
}
