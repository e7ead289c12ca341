use std::path::{Path, PathBuf};

use super::contents::Contents;
use super::error::{DiskError, LogError, OnDisk};
use super::retention::Doomed;
use super::segment::{Directory, Segment, Written};
use super::view::View;
use super::{Settings, roll, sites};
use crate::env::Disk;
use crate::epochs::{EpochStart, Epochs, LogView};
use crate::ids::{LeaderEpoch, Offset};
use crate::replica::producers::Producers;
use crate::sync::Arc;
use crate::time::Timestamp;

/// One partition's log, for its one writer. Readers take a [`View`].
///
/// Everything but [`Flush::sync`](super::Flush::sync) is synchronous: page-cache writes and changes of names.
pub struct Log<D: Disk> {
    pub(super) directory: Arc<Directory<D>>,
    pub(super) settings: Settings,
    /// Oldest first; the last one is active. Never empty.
    pub(super) segments: Vec<Arc<Segment<D>>>,
    pub(super) active: Active<D::File>,
    pub(super) log_start: Offset,
    pub(super) log_end: Offset,
    pub(super) epochs: Epochs,
    pub(super) producers: Producers,
    pub(super) view: Arc<View<D>>,
    pub(super) durability: Durability,
    /// Offsets of the producer snapshots on disk, rising.
    pub(super) snapshots: Vec<Offset>,
    /// Segments that retention took out and whose files wait to be removed, oldest first.
    pub(super) doomed: Vec<Doomed<D>>,
    /// Files that were set aside and wait to be removed, in that order.
    pub(super) removed: Vec<PathBuf>,
    /// A write failed: see [`Settings::stops_at_io_error`].
    pub(super) failed: bool,
}

/// The writer's end of the active segment.
pub(super) struct Active<F> {
    pub(super) file: F,
    /// Where the next batch goes.
    pub(super) position: u64,
    /// How far space is reserved.
    pub(super) allocated: u64,
}

/// What is durable, and what is not yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Durability {
    /// Everything below is on the disk itself.
    pub(super) flushed: Offset,
    /// Rises with every cut of the end: a flush that began before it says nothing about what was written since.
    pub(super) generation: u64,
    /// Sealed segments whose files were not all synced since they were last written, oldest first.
    pub(super) unsynced: Vec<Offset>,
    /// Producer snapshots that were written but not synced.
    pub(super) snapshots_unsynced: Vec<Offset>,
    /// Changes of names in the directory, and how many of them are durable.
    pub(super) names: Progress,
    /// Changes of the epochs, and how many of them are in the checkpoint.
    pub(super) epochs: Progress,
    /// Whether the directory's own name is durable.
    pub(super) directory_synced: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) changed: u64,
    pub(super) synced: u64,
}

impl Progress {
    pub(super) fn is_pending(&self) -> bool {
        self.changed != self.synced
    }
}

impl<D: Disk> Log<D> {
    /// Creates the directory `path` with an empty log that begins at `start`. Nothing of it is durable before the
    /// first flush.
    ///
    /// # Errors
    /// When a disk call fails, for instance because the directory exists.
    pub fn create(
        disk: D,
        path: PathBuf,
        settings: Settings,
        start: Offset,
        now: Timestamp,
    ) -> Result<Self, LogError> {
        disk.create_dir(sites::CREATE_DIRECTORY, &path).on(sites::CREATE_DIRECTORY, &path)?;
        let directory = Arc::new(Directory { disk, path });
        let contents = Contents::empty(start, now);
        let file = roll::create_segment(&directory, start)?;
        let segment = Segment::active(directory.clone(), contents, Written::default(), Some(file.clone()));
        let durability = Durability {
            flushed: start,
            names: Progress { changed: 1, synced: 0 },
            epochs: Progress { changed: 1, synced: 0 },
            ..Durability::default()
        };
        let active = Active { file, position: 0, allocated: 0 };
        Ok(Self::assemble(directory, settings, vec![segment], active, start, durability))
    }

    /// Puts a log together from its segments, the last of which is active.
    pub(super) fn assemble(
        directory: Arc<Directory<D>>,
        settings: Settings,
        segments: Vec<Arc<Segment<D>>>,
        active: Active<D::File>,
        log_start: Offset,
        durability: Durability,
    ) -> Self {
        let log_end = segments.last().expect("a log has an active segment").end_offset();
        let view = View::new(&segments, log_start, Arc::new(Epochs::default()));
        Self {
            directory,
            settings,
            segments,
            active,
            log_start,
            log_end,
            epochs: Epochs::default(),
            producers: Producers::default(),
            view,
            durability,
            snapshots: Vec::new(),
            doomed: Vec::new(),
            removed: Vec::new(),
            failed: false,
        }
    }

    pub(super) fn active_segment(&self) -> &Arc<Segment<D>> {
        self.segments.last().expect("a log has an active segment")
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.directory.path
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes other settings, from the next append on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The producers: the fold of all batches in the log.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Forgets producers that wrote nothing for `expiration_ms`.
    pub fn expire_producers(&mut self, now: Timestamp, expiration_ms: i64) {
        self.producers.expire(now, expiration_ms);
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.size()).sum()
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Whether a write failed, so that the log takes no more.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// What readers may see. It stays the same object while only appends happen; after a roll, a cut, a move of the
    /// start or a new epoch it is another one, which is to be published before any watermark that relies on it.
    pub fn view(&self) -> Arc<View<D>> {
        self.view.clone()
    }

    pub(super) fn publish(&mut self) {
        let epochs = match *self.view.epochs() == self.epochs {
            true => self.view.shared_epochs(),
            false => Arc::new(self.epochs.clone()),
        };
        self.view = View::new(&self.segments, self.log_start, epochs);
    }

    /// Records that `epoch` begins at the log's end: what a new leader does before its first append (KAFKA-7415).
    pub fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        self.assign_epoch(epoch, self.log_end);
    }

    pub(super) fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        if self.epochs.latest().is_none_or(|latest| latest.epoch != epoch) && self.epochs.assign(epoch, start)
        {
            self.durability.epochs.changed += 1;
            self.publish();
        }
    }

    /// The current epoch and where it begins.
    pub fn latest_epoch(&self) -> Option<EpochStart> {
        self.epochs.latest()
    }

    /// Notes a failure, after which the log takes no more writes, and passes it on. One that changed nothing fails this
    /// call alone.
    pub(super) fn failed<T>(&mut self, result: Result<T, DiskError>) -> Result<T, DiskError> {
        if result.as_ref().is_err_and(|error| !error.changed_nothing()) && self.settings.stops_at_io_error() {
            self.failed = true;
        }
        result
    }

    /// Where the log begins.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// The offset of the next record.
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    /// Which epoch begins where.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}

impl<D: Disk> LogView for Log<D> {
    fn log_start(&self) -> Offset {
        self.log_start
    }

    fn log_end(&self) -> Offset {
        self.log_end
    }

    fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}
