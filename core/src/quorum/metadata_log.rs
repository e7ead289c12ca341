//! The metadata log of one replica as files: the log, the snapshots that stand for its head (KIP-630), and where the
//! two meet. It does what the raft machine's outputs ask of files, and shows the machine what it may know of them.
//!
//! Each change is made so that a crash in the middle leaves what [`MetadataLog::open`] can tell from any other state:
//! a snapshot is durable before the log gives way to it, and a log gives way whole before it begins anew.

mod open;
pub mod staged;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;

pub use self::open::OpenError;
use self::staged::Staged;
use super::snapshots;
use crate::env::{Clock, Disk, Env, File, OpenMode, Site};
use crate::epochs::{Epochs, LogView, MetadataLogView, SnapshotId};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::dir::LogDir;
use crate::log::recovery::Checkpointed;
use crate::log::{
    AppendError, Appended, DiskError, Flush, FlushScope, Log, LogError, ReadError, Slice, checkpoint,
};
use crate::museum::Switches;
use crate::raft::messages::SnapshotChunk;
use crate::record::batch::{Batch, BatchError};
use crate::record::builder::BatchBuilder;
use crate::sync::Arc;

/// A snapshot is opened for a replica that fetches it.
pub const SNAPSHOT_OPEN: Site = Site::new("quorum.snapshot.open");
/// A piece of a snapshot is read.
pub const SNAPSHOT_READ: Site = Site::new("quorum.snapshot.read");

/// Every place from which this part of the quorum calls the disk; the log has its own list.
pub const SITES: &[Site] = &[
    SNAPSHOT_OPEN,
    SNAPSHOT_READ,
    staged::CREATE,
    staged::WRITE,
    staged::SYNC,
    staged::RENAME,
    staged::SYNC_NAME,
];

/// Why the log cannot do what it was told. The replica cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// A disk call failed. What is on the disk is unknown.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log took no append.
    #[error("the metadata log took no append: {0}")]
    Append(#[from] AppendError),
    /// The log could not be cut or trimmed.
    #[error("the metadata log failed: {0}")]
    Log(#[from] LogError),
    /// A batch is damaged. Who hands in batches has looked at them: a defect.
    #[error("a batch that was handed to the metadata log is damaged: {0}")]
    Batch(#[from] BatchError),
    /// Logs that are one up to an offset have a batch that ends there: a defect, here or at the leader.
    #[error("told to cut the metadata log at {to}, inside a batch that begins at {batch_start}")]
    CutInsideBatch {
        /// Where to.
        to: Offset,
        /// Where the batch begins.
        batch_start: Offset,
    },
    /// A snapshot was damaged on its way, or at the leader. The log is as it was; a new start fetches it again.
    #[error("the snapshot up to {} that was fetched is damaged: {cause}", .snapshot.end)]
    Damaged {
        /// Which one.
        snapshot: SnapshotId,
        /// What is wrong.
        cause: staged::Damage,
    },
    /// A piece of a snapshot is not the one that comes next: a defect.
    #[error("byte {position} of the snapshot up to {} does not come next", .snapshot.end)]
    NotNext {
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// Where the piece begins.
        position: u64,
    },
}

type FileOf<E> = <<E as Env>::Disk as Disk>::File;

/// The files of one replica of the metadata log.
pub struct MetadataLog<E: Env> {
    env: E,
    log_dir: Arc<LogDir<E::Disk>>,
    log: Log<E::Disk>,
    /// The snapshots that are there, and their sizes in bytes.
    snapshots: BTreeMap<SnapshotId, u64>,
    epoch_before_start: LeaderEpoch,
    staged: Option<Staged<FileOf<E>>>,
}

impl<E: Env> MetadataLog<E> {
    /// Appends a batch in an epoch that this replica leads.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub fn append(
        &mut self,
        builder: &mut BatchBuilder,
        epoch: LeaderEpoch,
    ) -> Result<Appended, MetadataLogError> {
        let mut bytes = builder.build();
        let batch = Batch::split_from(&mut bytes)?;
        let appended = self.log.append(&batch, epoch, self.env.clock().wall())?;
        self.observe_appended(&appended, &batch);
        Ok(appended)
    }

    /// Appends what a leader sent: whole batches that continue the log.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub fn append_fetched(&mut self, mut records: Bytes) -> Result<(), MetadataLogError> {
        while !records.is_empty() {
            let batch = Batch::split_from(&mut records)?;
            let appended = self.log.append_as_follower(&batch, self.env.clock().wall())?;
            self.observe_appended(&appended, &batch);
        }
        Ok(())
    }

    fn observe_appended(&self, appended: &Appended, batch: &Batch) {
        if self.env.observes() {
            self.env.observe(&Fact::Appended {
                partition: TopicPartition::METADATA,
                base_offset: appended.base_offset,
                log_end: appended.log_end,
                leader_epoch: appended.leader_epoch,
                batches: appended.on_disk(batch),
            });
        }
    }

    /// Cuts the log's end to `to`. When it returns, the cut is done, but not durable before the next flush.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub async fn truncate(&mut self, to: Offset) -> Result<(), MetadataLogError> {
        let Some(end) = self.log.end_of_cut(to)? else { return Ok(()) };
        if end != to {
            return Err(MetadataLogError::CutInsideBatch { to, batch_start: end });
        }
        self.log_dir.lower_recovery_point(TopicPartition::METADATA, to).await?;
        self.log.truncate_to(to, self.env.clock().wall())?;
        self.env.observe(&Fact::Truncated { partition: TopicPartition::METADATA, log_end: to });
        Ok(())
    }

    /// What a flush of everything that was appended so far must sync. Its [`Flush::sync`] needs nobody's attention.
    pub fn begin_flush(&self) -> Flush<E::Disk> {
        self.log.begin_flush(FlushScope::Everything)
    }

    /// Takes a flush that was synced, and returns how far the log is durable. `None` when the end was cut meanwhile, so
    /// that the flush says nothing of what is there now.
    pub fn end_flush(&mut self, flush: Flush<E::Disk>) -> Option<Offset> {
        let flushed = self.log.end_flush(flush)?;
        self.env.observe(&Fact::Flushed { partition: TopicPartition::METADATA, flushed });
        Some(flushed)
    }

    async fn flush(&mut self) -> Result<(), MetadataLogError> {
        let flush = self.begin_flush();
        flush.sync().await?;
        self.end_flush(flush);
        Ok(())
    }

    /// The log's directory, in which the election state is kept, too.
    pub fn path(&self) -> &std::path::Path {
        self.log.path()
    }

    /// The size of a snapshot in bytes; 0 when there is none.
    pub fn size_of(&self, id: SnapshotId) -> u64 {
        self.snapshots.get(&id).copied().unwrap_or(0)
    }

    /// How far the log is durable.
    pub fn flushed(&self) -> Offset {
        self.log.flushed()
    }

    /// Closes the log, so that a clean start trusts it; returns what its checkpoints may say.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub async fn close(&mut self, high_watermark: Offset) -> Result<Checkpointed, MetadataLogError> {
        self.log.close()?;
        self.flush().await?;
        let (recovery_point, log_start) = (self.log.recovery_point(), self.log.log_start());
        Ok(Checkpointed { recovery_point, log_start, high_watermark: high_watermark.min(recovery_point) })
    }

    /// Takes the directory offline, after a failure in it.
    pub fn fail(&self, error: &DiskError) {
        self.log_dir.fail(error);
    }

    /// Whole batches from `from` on, below `up_to`: at most `bytes_max`, but one whatever its size.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, from: Offset, up_to: Offset, bytes_max: u32) -> Result<Slice<FileOf<E>>, ReadError> {
        self.log.view().read(from, up_to, bytes_max, true)
    }

    /// Writes a snapshot of everything before `id`, which the machine named, durably.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn write_snapshot(&mut self, id: SnapshotId, bytes: &[u8]) -> Result<(), MetadataLogError> {
        let path = self.snapshot_path(id);
        checkpoint::replace(self.env.disk(), &path, bytes, Switches::default()).await?;
        self.snapshots.insert(id, bytes.len() as u64);
        Ok(())
    }

    /// The bytes of a piece of a snapshot that [`MetadataLogView::snapshot_size`] knows.
    ///
    /// # Errors
    /// When a disk call fails.
    pub fn read_snapshot(&self, chunk: &SnapshotChunk) -> Result<Bytes, MetadataLogError> {
        let path = self.snapshot_path(chunk.snapshot);
        let opened = self.env.disk().open(SNAPSHOT_OPEN, &path, OpenMode::Read);
        let file = snapshots::on_disk(opened, SNAPSHOT_OPEN, &path)?;
        let mut bytes = vec![0; usize::try_from(chunk.length).unwrap_or(usize::MAX)];
        let read = file.read_at(SNAPSHOT_READ, &mut bytes, chunk.position);
        bytes.truncate(snapshots::on_disk(read, SNAPSHOT_READ, &path)?);
        Ok(bytes.into())
    }

    /// Lets the log begin where a snapshot that is there ends, and forgets the older ones.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub async fn trim_to(&mut self, id: SnapshotId) -> Result<(), MetadataLogError> {
        let now = self.env.clock().wall();
        // The new segment's name must be durable before the old ones go: a log without any segment is a lost log.
        self.log.roll(now)?;
        self.flush().await?;
        if self.log.advance_log_start(id.end) {
            self.epoch_before_start = id.epoch;
            let (partition, high_watermark) = (TopicPartition::METADATA, self.log.log_end());
            self.env.observe(&Fact::LogStartMoved { partition, log_start: id.end, high_watermark });
        }
        // Only a start that is durable needs no older snapshot: it tells the epoch before it.
        self.flush().await?;
        self.log.delete_old_segments(now, id.end)?;
        if let Some(removal) = self.log.take_removal() {
            self.env.run("quorum.remove_segments", removal).await?;
        }
        self.forget_snapshots_before(id)
    }

    fn forget_snapshots_before(&mut self, id: SnapshotId) -> Result<(), MetadataLogError> {
        while let Some((&older, _)) = self.snapshots.first_key_value().filter(|(older, _)| **older < id) {
            snapshots::remove(self.env.disk(), &self.snapshot_path(older))?;
            self.snapshots.remove(&older);
        }
        Ok(())
    }

    /// Puts a snapshot that is durable in the place of the whole log.
    async fn replace_log_by(&mut self, id: SnapshotId) -> Result<(), MetadataLogError> {
        let (start, now) = (self.log.log_start(), self.env.clock().wall());
        self.log_dir.lower_recovery_point(TopicPartition::METADATA, start.min(id.end)).await?;
        self.log.truncate_to(start, now)?;
        self.flush().await?;
        self.log.begin_anew_at(id.end, now)?;
        self.flush().await?;
        if let Some(removal) = self.log.take_removal() {
            self.env.run("quorum.remove_segments", removal).await?;
        }
        self.epoch_before_start = id.epoch;
        let (partition, log_start) = (TopicPartition::METADATA, id.end);
        self.env.observe(&Fact::Truncated { partition, log_end: start });
        self.env.observe(&Fact::LogStartMoved { partition, log_start, high_watermark: log_start });
        self.forget_snapshots_before(id)
    }

    fn snapshot_path(&self, id: SnapshotId) -> PathBuf {
        self.log.path().join(id.file_name())
    }
}

impl<E: Env> LogView for MetadataLog<E> {
    fn log_start(&self) -> Offset {
        self.log.log_start()
    }

    fn log_end(&self) -> Offset {
        self.log.log_end()
    }

    fn epochs(&self) -> &Epochs {
        self.log.epochs()
    }
}

impl<E: Env> MetadataLogView for MetadataLog<E> {
    fn epoch_before_start(&self) -> LeaderEpoch {
        self.epoch_before_start
    }

    fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshots.last_key_value().map(|(id, _)| *id)
    }

    fn snapshot_size(&self, id: SnapshotId) -> Option<u64> {
        self.snapshots.get(&id).copied()
    }
}
