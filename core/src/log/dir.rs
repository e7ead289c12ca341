//! A log directory: whose it is, what it promises, and whether it can still be trusted.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::checkpoint::{self, Offsets};
use super::error::{DiskError, LogError, OnDisk};
use super::file::remove_if_there;
use super::meta_properties::MetaProperties;
use super::recovery::Checkpointed;
use super::{Log, Settings, file_name, sites};
use crate::env::{Disk, Step, Stepper};
use crate::ids::{BrokerEpoch, Offset, TopicPartition};
use crate::museum::{Switch, Switches};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::time::Timestamp;

const META_PROPERTIES: &str = "meta.properties";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const METADATA_LOG: &str = "__cluster_metadata-0";
const DELETED: &str = "-delete";
const STRAY: &str = "-stray";

/// Why a log directory was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works in it. Stop it, or name another directory in `log.dirs`.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// `meta.properties` is there but cannot be understood. Nothing is touched: it may be another program's.
    #[error("{} is damaged or of a later version", .0.display())]
    MetaProperties(PathBuf),
    /// The path is relative: whose working directory it lies in is not known here, so its name could not be made
    /// durable.
    #[error("{} is a relative path: name the log directory from the root on", .0.display())]
    Relative(PathBuf),
    /// A disk call failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A log directory that this process has taken.
pub struct LogDir<D: Disk> {
    disk: D,
    path: PathBuf,
    switches: Switches,
    offline: AtomicBool,
    /// What the checkpoint of the recovery points says.
    recovery_points: Mutex<Offsets>,
    _lock: D::Lock,
}

/// What was found in a log directory.
pub struct Opened<D: Disk> {
    /// The directory.
    pub dir: LogDir<D>,
    /// Whose it is; `None` when it was never formatted.
    pub meta: Option<MetaProperties>,
    /// Whether the last process closed everything and left its marker. It is gone now.
    pub clean: bool,
    /// The broker epoch of the process that left the marker (KIP-966).
    pub clean_broker_epoch: Option<BrokerEpoch>,
    /// The partitions that have a directory.
    pub partitions: Vec<TopicPartition>,
    /// Directories whose deletion was not finished: [`LogDir::removal`] finishes it.
    pub deleted: Vec<PathBuf>,
    /// What the checkpoints say.
    pub checkpoints: Checkpoints,
}

/// The checkpoints of a log directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// Up to where each log was flushed.
    pub recovery_points: Offsets,
    /// Where each log begins.
    pub log_starts: Offsets,
    /// Up to where each log was committed.
    pub high_watermarks: Offsets,
}

impl Checkpoints {
    /// The partitions of which they say anything, in order.
    pub fn partitions(&self) -> BTreeSet<TopicPartition> {
        let offsets = [&self.recovery_points, &self.log_starts, &self.high_watermarks];
        offsets.into_iter().flat_map(|offsets| offsets.keys().copied()).collect()
    }

    /// What they say of one partition.
    pub fn of(&self, partition: TopicPartition) -> Checkpointed {
        let at = |offsets: &Offsets| offsets.get(&partition).copied().unwrap_or(Offset::ZERO);
        Checkpointed {
            recovery_point: at(&self.recovery_points),
            log_start: at(&self.log_starts),
            high_watermark: at(&self.high_watermarks),
        }
    }
}

/// C1: the marker of a clean shutdown is gone for good before the first log is loaded. Otherwise a crash during the
/// loading leaves it, and the next start trusts torn logs (KAFKA-10471).
fn removes_marker_before_loading(switches: Switches) -> bool {
    !switches.off(Switch::MarkerDeleteLate)
}

/// What hides C1: the loading ends before the node serves anybody, so that at a crash during the loading the logs are
/// still those of the clean stop. Taken away, it ends with the first checkpoint of the recovery points.
fn loads_before_serving(switches: Switches) -> bool {
    !switches.off(Switch::ServeWhileLoading)
}

/// C4: one failed call takes the directory offline. (C5 plants a failure of the index that was survived.)
fn goes_offline(switches: Switches, error: &DiskError) -> bool {
    if error.changed_nothing() {
        return false;
    }
    let is_index = [sites::INDEX_OPEN, sites::INDEX_CREATE, sites::INDEX_WRITE].contains(&error.site);
    let survives_index = is_index && switches.off(Switch::LogEndAfterIndex);
    !(survives_index || switches.off(Switch::IgnoreIoError))
}

impl<D: Disk> LogDir<D> {
    /// Takes a directory, which is created if it is missing, and removes the marker of a clean shutdown durably.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(disk: D, path: PathBuf, switches: Switches) -> Result<Opened<D>, OpenError> {
        if !path.has_root() {
            return Err(OpenError::Relative(path));
        }
        create_with_parents(&disk, &path)?;
        sync_name(&disk, &path).await?;
        let lock = match disk.lock(sites::DIR_LOCK, &path) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(OpenError::InUse(path)),
            locked => locked.on(sites::DIR_LOCK, &path)?,
        };
        // What a process saw in the page cache may still be lost with the power; what this one saw may not.
        disk.sync_dir(sites::DIR_SYNC, &path).await.on(sites::DIR_SYNC, &path)?;
        let (offline, recovery_points) = (AtomicBool::new(false), Mutex::default());
        let dir = Self { disk, path, switches, offline, recovery_points, _lock: lock };
        let meta = dir.read_meta()?;
        let marker = checkpoint::read(&dir.disk, &dir.path.join(CLEAN_SHUTDOWN))?;
        if marker.is_some() && removes_marker_before_loading(switches) {
            dir.remove_marker().await?;
        }
        let (partitions, deleted) = dir.list()?;
        let checkpoints = Checkpoints {
            recovery_points: dir.read_offsets(RECOVERY_POINTS)?,
            log_starts: dir.read_offsets(LOG_STARTS)?,
            high_watermarks: dir.read_offsets(HIGH_WATERMARKS)?,
        };
        dir.recovery_points().clone_from(&checkpoints.recovery_points);
        let clean_broker_epoch = marker.as_deref().and_then(broker_epoch_of);
        Ok(Opened {
            dir,
            meta,
            clean: marker.is_some(),
            clean_broker_epoch,
            partitions,
            deleted,
            checkpoints,
        })
    }

    /// To be called when all logs are loaded.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn finish_loading(&self) -> Result<(), DiskError> {
        match removes_marker_before_loading(self.switches) || !loads_before_serving(self.switches) {
            true => Ok(()),
            false => self.remove_marker().await,
        }
    }

    async fn remove_marker(&self) -> Result<(), DiskError> {
        remove_if_there(&self.disk, sites::DIR_MARKER_REMOVE, &self.path.join(CLEAN_SHUTDOWN))?;
        self.disk.sync_dir(sites::DIR_SYNC, &self.path).await.on(sites::DIR_SYNC, &self.path)
    }

    /// Says that everything is on the disk: every log was closed and flushed, and the checkpoints were written.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn mark_clean(&self, broker_epoch: BrokerEpoch) -> Result<(), DiskError> {
        let text = format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}");
        self.replace(CLEAN_SHUTDOWN, text.as_bytes()).await
    }

    /// Makes the directory a node's own. C3 spares this file: a node that does not know who it is refuses to start,
    /// which would hide what the loss of the other checkpoints does.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn format(&self, meta: &MetaProperties) -> Result<(), DiskError> {
        let path = self.path.join(META_PROPERTIES);
        checkpoint::replace(&self.disk, &path, meta.to_string().as_bytes(), Switches::default()).await
    }

    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        checkpoint::replace(&self.disk, &self.path.join(name), bytes, self.switches).await
    }

    fn read_meta(&self) -> Result<Option<MetaProperties>, OpenError> {
        let path = self.path.join(META_PROPERTIES);
        let Some(bytes) = checkpoint::read(&self.disk, &path)? else { return Ok(None) };
        let meta = std::str::from_utf8(&bytes).ok().and_then(MetaProperties::parse);
        meta.map(Some).ok_or(OpenError::MetaProperties(path))
    }

    /// A damaged checkpoint counts as an old one: more is verified than needed.
    fn read_offsets(&self, name: &str) -> Result<Offsets, DiskError> {
        let path = self.path.join(name);
        let Some(bytes) = checkpoint::read(&self.disk, &path)? else { return Ok(Offsets::new()) };
        Ok(checkpoint::decode_offsets(&bytes).unwrap_or_else(|| {
            tracing::warn!(path = %path.display(), "the checkpoint is damaged and is not used");
            Offsets::new()
        }))
    }

    fn list(&self) -> Result<(Vec<TopicPartition>, Vec<PathBuf>), DiskError> {
        let entries = self.disk.list(sites::DIR_LIST, &self.path).on(sites::DIR_LIST, &self.path)?;
        let (mut partitions, mut deleted) = (Vec::new(), Vec::new());
        for entry in entries.into_iter().filter(|entry| entry.is_dir) {
            if entry.name.ends_with(DELETED) {
                deleted.push(self.path.join(&entry.name));
            } else if entry.name == METADATA_LOG {
                partitions.push(TopicPartition::METADATA);
            } else if let Ok(partition) = entry.name.parse() {
                partitions.push(partition);
            }
        }
        Ok((partitions, deleted))
    }

    /// Writes the recovery points of all logs in the directory, each from `Log::recovery_point`.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn write_recovery_points(&self, offsets: &Offsets) -> Result<(), DiskError> {
        self.replace(RECOVERY_POINTS, &checkpoint::encode_offsets(offsets)).await?;
        self.recovery_points().clone_from(offsets);
        if !removes_marker_before_loading(self.switches) && !loads_before_serving(self.switches) {
            self.remove_marker().await?;
        }
        Ok(())
    }

    /// Makes sure that the checkpoint does not say more of one log than `recovery_point`. To be called after a
    /// recovery before anything is appended, and before a cut below the point
    /// ([`Log::end_of_cut`](super::Log::end_of_cut)): the next recovery does not verify what lies below it. Not at the same time as [`LogDir::write_recovery_points`].
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn lower_recovery_point(
        &self,
        partition: TopicPartition,
        recovery_point: Offset,
    ) -> Result<(), DiskError> {
        let mut offsets = self.recovery_points().clone();
        match offsets.get_mut(&partition) {
            Some(offset) if *offset > recovery_point => *offset = recovery_point,
            _ => return Ok(()),
        }
        self.write_recovery_points(&offsets).await
    }

    fn recovery_points(&self) -> MutexGuard<'_, Offsets> {
        self.recovery_points.lock().expect("a panic under this lock ends the process")
    }

    /// Writes where the logs in the directory begin.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn write_log_starts(&self, offsets: &Offsets) -> Result<(), DiskError> {
        self.replace(LOG_STARTS, &checkpoint::encode_offsets(offsets)).await
    }

    /// Writes the high watermarks of all partitions in the directory.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn write_high_watermarks(&self, offsets: &Offsets) -> Result<(), DiskError> {
        self.replace(HIGH_WATERMARKS, &checkpoint::encode_offsets(offsets)).await
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The disk it is on.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Where a partition's files are.
    pub fn partition_path(&self, partition: TopicPartition) -> PathBuf {
        match partition == TopicPartition::METADATA {
            true => self.path.join(METADATA_LOG),
            false => self.path.join(partition.to_string()),
        }
    }

    /// Creates an empty log for a partition, beginning at `start`, with its `partition.metadata`.
    ///
    /// # Errors
    /// When a disk call fails.
    pub fn create_log(
        &self,
        partition: TopicPartition,
        settings: Settings,
        start: Offset,
        now: Timestamp,
    ) -> Result<Log<D>, LogError> {
        let path = self.partition_path(partition);
        let log = Log::create(self.disk.clone(), path.clone(), settings, start, now)?;
        file_name::write_partition_metadata(&self.disk, &path, partition.topic_id)?;
        Ok(log)
    }

    /// Takes a partition's directory out of service, at once and whole; the files go step by step.
    ///
    /// # Errors
    /// When a disk call fails.
    pub fn delete_log(&self, partition: TopicPartition) -> Result<Removal<D>, DiskError> {
        let path = self.partition_path(partition);
        let mut name = path.clone().into_os_string();
        name.push(DELETED);
        let deleted = PathBuf::from(name);
        self.disk.rename(sites::DIR_DELETE_RENAME, &path, &deleted).on(sites::DIR_DELETE_RENAME, &path)?;
        Ok(self.removal(deleted))
    }

    /// Takes the directory of a partition that the metadata does not know out of service, as Kafka does (KAFKA-14616,
    /// KIP-858). It is never removed: perhaps the metadata is an old copy, and not the log. Returns where it is now.
    ///
    /// # Errors
    /// When a disk call fails.
    pub fn set_stray_log_aside(&self, partition: TopicPartition) -> Result<PathBuf, DiskError> {
        let path = self.partition_path(partition);
        let taken = self.disk.list(sites::DIR_LIST, &self.path).on(sites::DIR_LIST, &self.path)?;
        let mut name = format!("{partition}{STRAY}");
        let mut number = 1;
        while taken.iter().any(|entry| entry.name == name) {
            number += 1;
            name = format!("{partition}.{number}{STRAY}");
        }
        let stray = self.path.join(name);
        self.disk.rename(sites::DIR_STRAY_RENAME, &path, &stray).on(sites::DIR_STRAY_RENAME, &path)?;
        Ok(stray)
    }

    /// Removes a directory of [`Opened::deleted`].
    pub fn removal(&self, path: PathBuf) -> Removal<D> {
        Removal { disk: self.disk.clone(), path, names: None }
    }

    /// Notes that a disk call in this directory failed. The directory is offline from then on: no call is tried
    /// again, no log in it takes writes. Unless there was no free descriptor, which says nothing of the disk. Returns
    /// whether it is offline.
    pub fn fail(&self, error: &DiskError) -> bool {
        if error.changed_nothing() {
            tracing::warn!(directory = %self.path.display(), %error, "raise the limit of open files");
        }
        if goes_offline(self.switches, error) {
            if !self.offline.swap(true, Ordering::SeqCst) {
                tracing::error!(directory = %self.path.display(), %error, "the log directory goes offline");
            }
            return true;
        }
        self.is_offline()
    }

    /// Whether a disk call in this directory failed.
    pub fn is_offline(&self) -> bool {
        self.offline.load(Ordering::SeqCst)
    }
}

/// Creates a directory with those above it that are missing. Their names are made durable by [`sync_name`].
fn create_with_parents<D: Disk>(disk: &D, path: &Path) -> Result<(), DiskError> {
    let mut missing = vec![path];
    while let Some(path) = missing.pop() {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        match (disk.create_dir(sites::DIR_CREATE, path), parent) {
            (Err(error), _) if error.kind() == ErrorKind::AlreadyExists => {}
            (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound => {
                missing.extend([path, parent]);
            }
            (created, _) => created.on(sites::DIR_CREATE, path)?,
        }
    }
    Ok(())
}

/// Makes the directory's own name durable, and those of its ancestors: whatever is promised for a file in it hangs on
/// them, and a process that created them may have been stopped before it came to this. An ancestor that this user
/// may not open was not made by it, and one on a file system that syncs no directories cannot be made any more durable.
async fn sync_name<D: Disk>(disk: &D, path: &Path) -> Result<(), DiskError> {
    for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("")) {
        match disk.sync_dir(sites::DIR_SYNC, parent).await {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {}
            synced => synced.on(sites::DIR_SYNC, parent)?,
        }
    }
    Ok(())
}

fn broker_epoch_of(marker: &[u8]) -> Option<BrokerEpoch> {
    let (_, rest) = std::str::from_utf8(marker).ok()?.split_once("\"brokerEpoch\":")?;
    let digits = rest.trim_start().split(|symbol: char| symbol != '-' && !symbol.is_ascii_digit()).next()?;
    digits.parse().ok().map(BrokerEpoch)
}

/// Removes a deleted partition's directory, one name per step.
pub struct Removal<D: Disk> {
    disk: D,
    path: PathBuf,
    names: Option<Vec<String>>,
}

impl<D: Disk> Stepper for Removal<D> {
    type Output = Result<(), DiskError>;

    fn step(&mut self) -> Step<Self::Output> {
        match self.remove_next() {
            Ok(true) => Step::More,
            Ok(false) => Step::Done(Ok(())),
            Err(error) => Step::Done(Err(error)),
        }
    }
}

impl<D: Disk> Removal<D> {
    fn remove_next(&mut self) -> Result<bool, DiskError> {
        let Some(names) = &mut self.names else {
            let listed = self.disk.list(sites::DIR_DELETE_LIST, &self.path);
            let entries = listed.on(sites::DIR_DELETE_LIST, &self.path)?;
            self.names = Some(entries.into_iter().map(|entry| entry.name).collect());
            return Ok(true);
        };
        if let Some(name) = names.pop() {
            remove_if_there(&self.disk, sites::DIR_DELETE_REMOVE, &self.path.join(name))?;
            return Ok(true);
        }
        let removed = self.disk.remove_dir(sites::DIR_DELETE_REMOVE_DIR, &self.path);
        removed.on(sites::DIR_DELETE_REMOVE_DIR, &self.path)?;
        Ok(false)
    }
}
