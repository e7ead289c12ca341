//! From the disk to the newest metadata: the snapshot, then the log behind it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::driver::{Driver, flush};
use super::{Publication, Quorum, snapshots};
use crate::controller::{self, Controller};
use crate::env::{Clock, Disk, Env, File, Site};
use crate::fact::Fact;
use crate::ids::{BrokerId, LeaderEpoch, Offset, TopicId, TopicPartition, Uuid};
use crate::log::dir::LogDir;
use crate::log::recovery::Checkpointed;
use crate::log::{self, DiskError, Log, LogError, ReadError, Recovery};
use crate::metadata::records::{Record, RecordError};
use crate::metadata::snapshot::{self, SnapshotError, SnapshotId};
use crate::metadata::{ImageError, MetadataDelta, MetadataImage};
use crate::record::batch::{Batch, BatchError};
use crate::record::records::iterate;
use crate::sync::Arc;

/// The metadata log is read to be replayed.
pub const REPLAY_READ: Site = Site::new("quorum.replay.read");

/// Every place from which the quorum itself calls the disk; the log has its own list.
pub const SITES: &[Site] = &[REPLAY_READ, snapshots::LIST, snapshots::REMOVE];

/// The metadata log is replayed in pieces of about this many bytes.
const REPLAY_BYTES: u32 = 1 << 20;

/// What the quorum needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node, the only voter.
    pub node_id: BrokerId,
    /// The directory that holds the metadata log.
    pub directory_id: Uuid,
    /// The cluster.
    pub cluster_id: String,
    /// What the controller needs.
    pub controller: controller::Settings,
    /// The metadata log's settings.
    pub log: log::Settings,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub bytes_between_snapshots: u64,
}

/// Why the metadata cannot be loaded. Nothing has been changed then.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A disk call failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The metadata log could not be opened.
    #[error("the metadata log cannot be opened: {0}")]
    Log(#[from] LogError),
    /// The metadata log could not be read.
    #[error("the metadata log cannot be read: {0}")]
    Read(#[from] ReadError),
    /// What was committed is missing or damaged.
    #[error(
        "the metadata log ends at {log_end}, but was flushed up to {expected}: committed metadata is lost; restore \
         the directory {} from a copy", .path.display()
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
    /// The newest snapshot is damaged.
    #[error("{}: {cause}; restore it from a copy", .path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: SnapshotError,
    },
    /// A batch of the log is damaged.
    #[error("the metadata log is damaged at {offset}: {cause}; restore it from a copy")]
    Batch {
        /// Where.
        offset: Offset,
        /// What is wrong.
        cause: BatchError,
    },
    /// The records of a batch are damaged.
    #[error("the metadata log is damaged at {offset}: {cause}; restore it from a copy")]
    Records {
        /// Where.
        offset: Offset,
        /// What is wrong.
        cause: crate::record::records::RecordError,
    },
    /// A record is not understood.
    #[error("at {offset} of the metadata log: {cause}")]
    Record {
        /// Where.
        offset: Offset,
        /// What is wrong.
        cause: RecordError,
    },
    /// A record does not fit those before it.
    #[error("at {offset} of the metadata log: {cause}")]
    Image {
        /// Where.
        offset: Offset,
        /// What is wrong.
        cause: ImageError,
    },
}

/// A quorum whose state is loaded; it works once its driver runs.
pub struct Loaded<E: Env> {
    /// The handle.
    pub quorum: Quorum,
    /// To be run on the control lane.
    pub driver: Driver<E>,
    /// The steps of the metadata from now on.
    pub publications: mpsc::UnboundedReceiver<Publication>,
    /// Topics that records behind the snapshot removed.
    pub removed_topics: BTreeSet<TopicId>,
}

/// Loads the metadata of a directory, or begins it when there is none. The new leader epoch of the metadata log is
/// durable with the first command.
///
/// # Errors
/// See [`LoadError`]: what is not understood or lost is not passed over.
pub async fn load<E: Env>(
    env: E,
    log_dir: Arc<LogDir<E::Disk>>,
    (checkpointed, clean): (Checkpointed, bool),
    settings: Settings,
) -> Result<Loaded<E>, LoadError> {
    let path = log_dir.partition_path(TopicPartition::METADATA);
    let empty = MetadataImage::empty(settings.cluster_id.clone(), settings.node_id);
    let mut image = load_snapshot(env.disk(), &path, empty)?;
    let snapshot_end = SnapshotId::of(&image).end;
    let mut log = open_log(&env, &log_dir, (checkpointed, clean), &settings, snapshot_end).await?;
    if log.log_start() > snapshot_end {
        return Err(LoadError::Gap { log_start: log.log_start(), snapshot_end });
    }
    if log.log_end() < snapshot_end {
        return Err(LoadError::Lost { path, log_end: log.log_end(), expected: snapshot_end });
    }
    // What a dead process wrote and did not sync counts from here on, and the power must not take it back: a log would
    // be gone whose removal never was.
    if log.unflushed_records() > 0 {
        flush(&env, &mut log).await?;
    }
    let mut delta = MetadataDelta::default();
    let replayed_bytes = replay(&env, &log, (&mut image, &mut delta)).await?;
    let removed_topics = delta.removed_topics.into_keys().collect();
    let epoch = LeaderEpoch(log.latest_epoch().map_or(-1, |latest| latest.epoch.0).max(image.epoch.0) + 1);
    let controller = Controller::new(settings.controller, image.clone());
    let (quorum, commands) = Quorum::new(settings.node_id, image);
    let (publish, publications) = mpsc::unbounded_channel();
    let driver = Driver::new(
        env,
        (log_dir, log),
        (controller, epoch),
        (Arc::clone(&quorum.shared), commands, publish),
        (settings, replayed_bytes),
    );
    Ok(Loaded { quorum, driver, publications, removed_topics })
}

fn load_snapshot<D: Disk>(disk: &D, path: &Path, empty: MetadataImage) -> Result<MetadataImage, LoadError> {
    let Some(id) = snapshots::list(disk, path)?.pop() else { return Ok(empty) };
    let Some(bytes) = snapshots::read(disk, path, id)? else { return Ok(empty) };
    let damaged = |cause| LoadError::Snapshot { path: path.join(id.file_name()), cause };
    snapshot::decode(bytes, id, empty).map_err(damaged)
}

async fn open_log<E: Env>(
    env: &E,
    log_dir: &LogDir<E::Disk>,
    (checkpointed, clean): (Checkpointed, bool),
    settings: &Settings,
    start: Offset,
) -> Result<Log<E::Disk>, LoadError> {
    let path = log_dir.partition_path(TopicPartition::METADATA);
    let now = env.clock().wall();
    if !exists(env.disk(), &path)? {
        let expected = checkpointed.recovery_point.max(checkpointed.high_watermark).max(start);
        if expected > Offset::ZERO {
            // Begun anew, it would give ids and epochs again that were given before.
            return Err(LoadError::Lost { path, log_end: Offset::ZERO, expected });
        }
        let log = log_dir.create_log(TopicPartition::METADATA, settings.log, start, now)?;
        observe_opened(env, &log, false);
        return Ok(log);
    }
    let recovery = Recovery::new(env.disk().clone(), path.clone(), settings.log, checkpointed, clean, now);
    let recovered = env.run("recover-metadata", recovery).await?;
    recovered.settle().await?;
    observe_opened(env, &recovered.log, recovered.clean);
    // Before the recovery point is lowered: every start must refuse what the first one refuses.
    if let Some(lost) = recovered.lost {
        return Err(LoadError::Lost { path, log_end: lost.log_end, expected: lost.expected });
    }
    log_dir.lower_recovery_point(TopicPartition::METADATA, recovered.log.recovery_point()).await?;
    Ok(recovered.log)
}

fn observe_opened<E: Env>(env: &E, log: &Log<E::Disk>, clean: bool) {
    let (partition, log_start, log_end) = (TopicPartition::METADATA, log.log_start(), log.log_end());
    env.observe(&Fact::Recovered { partition, clean, log_start, log_end });
}

fn exists<D: Disk>(disk: &D, path: &Path) -> Result<bool, LoadError> {
    match disk.list(snapshots::LIST, path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(DiskError { site: snapshots::LIST, path: path.to_owned(), source }.into()),
    }
}

/// Adds the log behind the snapshot to the image; returns how many bytes that were.
async fn replay<E: Env>(
    env: &E,
    log: &Log<E::Disk>,
    (image, delta): (&mut MetadataImage, &mut MetadataDelta),
) -> Result<u64, LoadError> {
    let view = log.view();
    let mut next = SnapshotId::of(image).end;
    let mut replayed_bytes = 0;
    loop {
        let slice = view.read(next, log.log_end(), REPLAY_BYTES, true)?;
        let Some(bytes) = slice.bytes else { return Ok(replayed_bytes) };
        let mut buffer = vec![0; bytes.len as usize];
        let read = bytes.file.read_at(REPLAY_READ, &mut buffer, bytes.position);
        let path = log.path().to_owned();
        read.map_err(|source| DiskError { site: REPLAY_READ, path, source })?;
        replayed_bytes += u64::from(bytes.len);
        replay_batches(Bytes::from(buffer), slice.first_offset, (image, delta))?;
        next = slice.next_offset;
        env.checkpoint().await;
    }
}

fn replay_batches(
    mut bytes: Bytes,
    mut offset: Offset,
    (image, delta): (&mut MetadataImage, &mut MetadataDelta),
) -> Result<(), LoadError> {
    while !bytes.is_empty() {
        let batch = Batch::split_from(&mut bytes).map_err(|cause| LoadError::Batch { offset, cause })?;
        let header = *batch.header();
        offset = header.base_offset;
        if !header.is_control() {
            // The metadata log is never compressed, so its records take no more than its bytes.
            let records = iterate(&batch, batch.bytes().len());
            for record in records.map_err(|cause| LoadError::Records { offset, cause })? {
                let record = record.map_err(|cause| LoadError::Records { offset, cause })?;
                offset = record.offset;
                if offset <= image.offset {
                    continue; // the snapshot ends inside this batch
                }
                let value = record.value.unwrap_or_default();
                let record = Record::decode(&value).map_err(|cause| LoadError::Record { offset, cause })?;
                let change = image.apply(&record).map_err(|cause| LoadError::Image { offset, cause })?;
                delta.note(change);
                image.offset = offset;
            }
        }
        if let Some(last) = header.last_offset() {
            image.offset = image.offset.max(last);
        }
        image.epoch = header.leader_epoch;
    }
    Ok(())
}
