use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use super::contents::Contents;
use super::error::{DiskError, LogError, OnDisk};
use super::file::remove_if_there;
use super::file_name::{self, Kind};
use super::log::{Active, Log};
use super::segment::{Directory, Segment, Written};
use super::sites;
use crate::env::{Disk, File};
use crate::ids::Offset;
use crate::record::batch::BatchHeader;
use crate::time::Timestamp;

/// Creates the file of a new segment. It takes the place of one that was cut away, at once and whole; who reads
/// that goes on with the old file.
pub(super) fn create_segment<D: Disk>(
    directory: &Directory<D>,
    base_offset: Offset,
) -> Result<D::File, DiskError> {
    let disk = &directory.disk;
    for kind in [Kind::OffsetIndex, Kind::TimeIndex] {
        remove_if_there(disk, sites::SEGMENT_REPLACE, &kind.path(&directory.path, base_offset))?;
    }
    let path = Kind::Log.path(&directory.path, base_offset);
    match disk.create(sites::SEGMENT_CREATE, &path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => replace_segment(disk, &path),
        created => created.on(sites::SEGMENT_CREATE, &path),
    }
}

fn replace_segment<D: Disk>(disk: &D, path: &Path) -> Result<D::File, DiskError> {
    let temporary = file_name::temporary_of(path);
    remove_if_there(disk, sites::SEGMENT_REPLACE, &temporary)?;
    let file = disk.create(sites::SEGMENT_CREATE, &temporary).on(sites::SEGMENT_CREATE, &temporary)?;
    disk.rename(sites::SEGMENT_REPLACE, &temporary, path).on(sites::SEGMENT_REPLACE, path)?;
    Ok(file)
}

impl<D: Disk> Log<D> {
    pub(super) fn roll_if_due(
        &mut self,
        header: &BatchHeader,
        size_bytes: usize,
        now: Timestamp,
    ) -> Result<(), DiskError> {
        let full = self.active.position + size_bytes as u64 > u64::from(self.settings.segment_bytes);
        let last = header.last_offset().expect("admitted");
        let segment = self.active_segment();
        // It is sealed already when a roll found no free descriptor for what comes behind.
        let has_no_room = full
            || segment.is_sealed()
            || !segment.takes(last, size_bytes)
            || segment.has_full_index(self.settings.index_bytes_max);
        if has_no_room || self.is_aged(header, now) {
            self.roll_to_next(now)?;
        }
        Ok(())
    }

    /// `segment.ms` counts by the batches' own timestamps where they have any, so that a replica which is fetched
    /// again rolls as its leader did.
    fn is_aged(&self, header: &BatchHeader, now: Timestamp) -> bool {
        if self.active.position == 0 {
            return false;
        }
        let segment = self.active_segment();
        let age_ms = match segment.first_timestamp().filter(|first| *first > Timestamp::NONE) {
            Some(first) if header.max_timestamp > Timestamp::NONE => {
                header.max_timestamp.0.saturating_sub(first.0)
            }
            _ => now.0.saturating_sub(segment.created().0),
        };
        age_ms > self.settings.segment_ms
    }

    /// Seals the active segment and begins a new one; nothing when it is empty.
    ///
    /// # Errors
    /// When a disk call fails; then the log takes no more writes.
    pub fn roll(&mut self, now: Timestamp) -> Result<(), LogError> {
        Ok(self.roll_to_next(now)?)
    }

    /// The new segment begins where the last one ends, also when the next batch begins later: recovery takes a gap
    /// between two segments for a lost one.
    fn roll_to_next(&mut self, now: Timestamp) -> Result<(), DiskError> {
        if self.active.position == 0 {
            return Ok(());
        }
        let rolled = self.seal_active().and_then(|()| self.begin_segment(self.log_end, now));
        self.failed(rolled)
    }

    fn seal_active(&mut self) -> Result<(), DiskError> {
        let segment = self.active_segment().clone();
        segment.seal()?;
        if self.active.allocated > self.active.position {
            let trimmed = self.active.file.truncate(sites::SEGMENT_TRIM, self.active.position);
            trimmed.on(sites::SEGMENT_TRIM, &segment.path(Kind::Log))?;
        }
        self.note_unsynced(segment.base_offset);
        self.write_snapshot()
    }

    /// Notes that a segment is to be synced.
    pub(super) fn note_unsynced(&mut self, base: Offset) {
        if let Err(index) = self.durability.unsynced.binary_search(&base) {
            self.durability.unsynced.insert(index, base);
        }
    }

    /// Begins a segment behind the last one, which is sealed.
    fn begin_segment(&mut self, base_offset: Offset, now: Timestamp) -> Result<(), DiskError> {
        let file = create_segment(&self.directory, base_offset)?;
        self.push_segment(file, base_offset, now);
        Ok(())
    }

    /// Makes a new file the active segment.
    pub(super) fn push_segment(&mut self, file: D::File, base_offset: Offset, now: Timestamp) {
        let contents = Contents::empty(base_offset, now);
        let opened = Some(file.clone());
        self.segments.push(Segment::active(self.directory.clone(), contents, Written::default(), opened));
        self.active = Active { file, position: 0, allocated: 0 };
        self.durability.names.changed += 1;
        self.publish();
    }

    /// Writes the producers as they are at the log's end, so that recovery need not fold what lies before.
    pub(super) fn write_snapshot(&mut self) -> Result<(), DiskError> {
        let path = Kind::Snapshot.path(&self.directory.path, self.log_end);
        let disk = &self.directory.disk;
        remove_if_there(disk, sites::SNAPSHOT_REMOVE, &path)?;
        let file = disk.create(sites::SNAPSHOT_CREATE, &path).on(sites::SNAPSHOT_CREATE, &path)?;
        let bytes = self.producers.encode();
        file.write_at(sites::SNAPSHOT_WRITE, &[IoSlice::new(&bytes)], 0).on(sites::SNAPSHOT_WRITE, &path)?;
        self.durability.names.changed += 1;
        self.durability.snapshots_unsynced.push(self.log_end);
        if self.snapshots.last() != Some(&self.log_end) {
            self.snapshots.push(self.log_end);
        }
        self.remove_stray_snapshots()
    }

    /// Removes snapshots that belong to no segment, but for the newest.
    fn remove_stray_snapshots(&mut self) -> Result<(), DiskError> {
        let newest = self.snapshots.last().copied();
        let segments = &self.segments;
        let is_base =
            |offset: Offset| segments.binary_search_by_key(&offset, |segment| segment.base_offset).is_ok();
        let (kept, strays): (Vec<Offset>, Vec<Offset>) =
            self.snapshots.iter().copied().partition(|offset| is_base(*offset) || Some(*offset) == newest);
        self.snapshots = kept;
        for stray in strays {
            self.durability.snapshots_unsynced.retain(|offset| *offset != stray);
            let path = Kind::Snapshot.path(&self.directory.path, stray);
            remove_if_there(&self.directory.disk, sites::SNAPSHOT_REMOVE, &path)?;
        }
        Ok(())
    }

    /// Brings the disk up to date with memory at the end of the log's life: after it and one more flush, a start
    /// that finds the clean-shutdown marker trusts the files and scans nothing.
    ///
    /// # Errors
    /// When a disk call fails, or has failed before: the marker must not be written.
    pub fn close(&mut self) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        let segment = self.active_segment().clone();
        let finished = segment.finish().and_then(|()| self.write_snapshot());
        self.failed(finished)?;
        self.note_unsynced(segment.base_offset);
        self.durability.names.changed += 1;
        Ok(())
    }
}
