use std::io::ErrorKind;

use super::checkpoint;
use super::error::{DiskError, OnDisk};
use super::file_name::{self, Kind};
use super::log::Log;
use super::segment::{Directory, Segment};
use super::sites;
use crate::env::{Disk, File, OpenMode, Site};
use crate::ids::Offset;
use crate::museum::Switches;
use crate::sync::Arc;

/// How much of a log a flush makes durable. Each scope holds the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlushScope {
    /// Names and epochs: what the removal of old segments waits for.
    Names,
    /// The sealed segments too: what the recovery point waits for, whatever the topic's policy says.
    Sealed,
    /// Every batch appended so far.
    Everything,
}

/// Everything that must be synced so that the log is durable up to an offset. Synced outside of any lock.
pub struct Flush<D: Disk> {
    directory: Arc<Directory<D>>,
    switches: Switches,
    generation: u64,
    /// Where what it makes durable ends; `None` when it moves no watermark.
    up_to: Option<Offset>,
    /// The active segment's file, if it is to be synced.
    active: Option<D::File>,
    active_segment: Arc<Segment<D>>,
    sealed: Vec<Offset>,
    snapshots: Vec<Offset>,
    epochs: Option<Vec<u8>>,
    epochs_changed: u64,
    names: bool,
    names_changed: u64,
    parent: bool,
}

impl<D: Disk> Log<D> {
    /// Notes what a flush of this scope must sync.
    pub fn begin_flush(&self, scope: FlushScope) -> Flush<D> {
        let durability = &self.durability;
        let is_data = scope >= FlushScope::Sealed;
        let up_to = match scope {
            FlushScope::Names => None,
            FlushScope::Sealed => Some(self.active_segment().base_offset),
            FlushScope::Everything => Some(self.log_end),
        };
        Flush {
            directory: self.directory.clone(),
            switches: self.settings.switches,
            generation: durability.generation,
            up_to,
            active: (scope == FlushScope::Everything).then(|| self.active.file.clone()),
            active_segment: self.active_segment().clone(),
            sealed: if is_data { durability.unsynced.clone() } else { Vec::new() },
            snapshots: if is_data { durability.snapshots_unsynced.clone() } else { Vec::new() },
            epochs: durability.epochs.is_pending().then(|| checkpoint::encode_epochs(&self.epochs)),
            epochs_changed: durability.epochs.changed,
            names: durability.names.is_pending(),
            names_changed: durability.names.changed,
            parent: !durability.directory_synced,
        }
    }

    /// Takes a flush that was synced, and returns the offset below which everything is durable now. `None` when the
    /// end was cut meanwhile: what has been written at those offsets since was perhaps not synced
    /// (the museum's "flush result applied after a truncation").
    pub fn end_flush(&mut self, flush: Flush<D>) -> Option<Offset> {
        let durability = &mut self.durability;
        durability.names.synced = durability.names.synced.max(flush.names_changed);
        durability.epochs.synced = durability.epochs.synced.max(flush.epochs_changed);
        durability.directory_synced = true;
        if durability.generation != flush.generation {
            return None;
        }
        durability.unsynced.retain(|base| !flush.sealed.contains(base));
        durability.snapshots_unsynced.retain(|offset| !flush.snapshots.contains(offset));
        durability.flushed = flush.up_to.map_or(durability.flushed, |up_to| durability.flushed.max(up_to));
        Some(durability.flushed)
    }

    /// Everything below is on the disk itself.
    pub fn flushed(&self) -> Offset {
        self.durability.flushed
    }

    /// Records that wait for a flush.
    pub fn unflushed_records(&self) -> i64 {
        self.log_end.0 - self.durability.flushed.0
    }

    /// Whether a sealed segment, a name or an epoch waits for a flush, whatever the topic's policy says: without it
    /// the recovery point cannot pass the segment.
    pub fn wants_flush(&self) -> bool {
        !self.durability.unsynced.is_empty()
            || self.durability.names.is_pending()
            || self.durability.epochs.is_pending()
    }

    /// What the recovery-point checkpoint may say of this log: a recovery verifies everything from there on.
    pub fn recovery_point(&self) -> Offset {
        match self.settings.recovery_point_waits_for_flush() {
            true => self.durability.flushed,
            false => self.log_end,
        }
    }
}

impl<D: Disk> Flush<D> {
    /// Syncs: batches, then what is derived from them, then names.
    ///
    /// # Errors
    /// When a sync fails. The pages' state is unknown then: the directory goes offline, and nothing is synced again.
    pub async fn sync(&self) -> Result<(), DiskError> {
        if self.active.is_some() {
            self.active_segment.write_buffered()?;
        }
        for &base in &self.sealed {
            self.sync_file(Kind::Log, base, sites::FLUSH_SYNC_SEGMENT).await?;
        }
        if let Some(active) = &self.active {
            let synced = active.sync(sites::FLUSH_SYNC_ACTIVE).await;
            synced.on(sites::FLUSH_SYNC_ACTIVE, &self.active_segment.path(Kind::Log))?;
        }
        for &base in &self.sealed {
            self.sync_file(Kind::OffsetIndex, base, sites::FLUSH_SYNC_INDEX).await?;
            self.sync_file(Kind::TimeIndex, base, sites::FLUSH_SYNC_INDEX).await?;
        }
        for &offset in self.snapshots.iter().filter(|_| checkpoint::is_synced(self.switches)) {
            self.sync_file(Kind::Snapshot, offset, sites::FLUSH_SYNC_INDEX).await?;
        }
        if let Some(epochs) = &self.epochs {
            let path = self.directory.path.join(file_name::EPOCHS);
            checkpoint::replace(&self.directory.disk, &path, epochs, self.switches).await?;
        }
        self.sync_names().await
    }

    async fn sync_names(&self) -> Result<(), DiskError> {
        let Directory { disk, path } = &*self.directory;
        if self.names {
            let synced = disk.sync_dir(sites::FLUSH_SYNC_DIRECTORY, path).await;
            synced.on(sites::FLUSH_SYNC_DIRECTORY, path)?;
        }
        if self.parent
            && let Some(parent) = path.parent()
        {
            let synced = disk.sync_dir(sites::FLUSH_SYNC_PARENT, parent).await;
            synced.on(sites::FLUSH_SYNC_PARENT, parent)?;
        }
        Ok(())
    }

    /// A file that is gone was removed by retention or a cut: what is not there needs no sync.
    async fn sync_file(&self, kind: Kind, offset: Offset, site: Site) -> Result<(), DiskError> {
        let path = kind.path(&self.directory.path, offset);
        let file = match self.directory.disk.open(sites::FLUSH_OPEN, &path, OpenMode::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.on(sites::FLUSH_OPEN, &path)?,
        };
        file.sync(site).await.on(site, &path)
    }
}
