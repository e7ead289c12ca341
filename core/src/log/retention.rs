use std::io::ErrorKind;
use std::path::PathBuf;

use super::error::{DiskError, LogError, OnDisk};
use super::file::remove_if_there;
use super::file_name::{self, Kind};
use super::log::{Durability, Log};
use super::segment::Segment;
use super::sites;
use crate::env::{Disk, Step, Stepper};
use crate::ids::Offset;
use crate::sync::Arc;
use crate::time::Timestamp;

/// What a round of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// How many segments were removed.
    pub segments_removed: usize,
    /// Where the log begins now.
    pub log_start: Offset,
}

/// A segment that has left the log, but whose files are still there.
pub(super) struct Doomed<D: Disk> {
    segment: Arc<Segment<D>>,
    /// The changes that must be durable first: the new start is in the epoch checkpoint, the segments behind it in
    /// the directory.
    names: u64,
    epochs: u64,
}

/// Removes the files of segments that have left the log, one per step.
pub struct SegmentRemoval<D: Disk> {
    disk: D,
    /// In the reverse of the order in which they go.
    paths: Vec<PathBuf>,
}

impl<D: Disk> Stepper for SegmentRemoval<D> {
    type Output = Result<(), DiskError>;

    fn step(&mut self) -> Step<Self::Output> {
        let Some(path) = self.paths.pop() else { return Step::Done(Ok(())) };
        match remove_if_there(&self.disk, sites::RETENTION_REMOVE, &path) {
            Ok(()) => Step::More,
            Err(error) => Step::Done(Err(error)),
        }
    }
}

impl<D: Disk> Doomed<D> {
    fn is_safe(&self, durability: &Durability) -> bool {
        durability.names.synced >= self.names && durability.epochs.synced >= self.epochs
    }
}

impl<D: Disk> Log<D> {
    /// Moves the log's start to `offset`, as DeleteRecords and a leader's fetch response ask; never back. The caller
    /// keeps `offset` at or below the high watermark. Files go in the next round of retention. Returns whether the
    /// start moved.
    ///
    /// # Panics
    /// When `offset` is behind the log's end.
    pub fn advance_log_start(&mut self, offset: Offset) -> bool {
        assert!(offset <= self.log_end, "the high watermark is never behind the log's end");
        if offset <= self.log_start {
            return false;
        }
        self.log_start = offset;
        if self.epochs.truncate_from_start(offset) {
            self.durability.epochs.changed += 1;
        }
        self.publish();
        true
    }

    /// Takes the oldest segments out of the log as long as they are below its start, too old, or too much; only
    /// whole ones below the high watermark. Their files go in a later round, when a flush has made the new start
    /// durable: a loss of power in between must not bring back some of them without the others. Then
    /// [`Log::take_removal`] has the work of removing them, which is long.
    ///
    /// # Errors
    /// When a disk call fails; then the log takes no more writes.
    pub fn delete_old_segments(
        &mut self,
        now: Timestamp,
        high_watermark: Offset,
    ) -> Result<Retained, LogError> {
        self.set_aside_doomed(Doomed::is_safe)?;
        let due = self.segments_due(now, high_watermark);
        if due == self.segments.len() {
            self.roll(now)?;
        }
        let due = due.min(self.segments.len() - 1);
        let doomed: Vec<Arc<Segment<D>>> = self.segments.drain(..due).collect();
        if due > 0 && !self.advance_log_start(self.segments[0].base_offset) {
            self.publish();
        }
        let (names, epochs) = (self.durability.names.changed, self.durability.epochs.changed);
        // What is about to go needs no sync: should it come back torn, it lies below the start.
        let begins = self.segments[0].base_offset;
        self.durability.unsynced.retain(|base| *base >= begins);
        self.doomed.extend(doomed.into_iter().map(|segment| Doomed { segment, names, epochs }));
        Ok(Retained { segments_removed: due, log_start: self.log_start })
    }

    /// Renames files of segments that have left the log. Oldest first, so that a crash in between leaves a log
    /// without a gap.
    pub(super) fn set_aside_doomed(
        &mut self,
        is_due: impl Fn(&Doomed<D>, &Durability) -> bool,
    ) -> Result<(), DiskError> {
        while self.doomed.first().is_some_and(|doomed| is_due(doomed, &self.durability)) {
            let Doomed { segment, .. } = self.doomed.remove(0);
            let gone = self.set_aside(&segment);
            self.failed(gone)?;
        }
        Ok(())
    }

    /// Gives the segment's files names that no recovery reads. To remove a large file takes milliseconds, in which
    /// an append would wait for the lock that is held here; to rename it takes none.
    fn set_aside(&mut self, segment: &Arc<Segment<D>>) -> Result<(), DiskError> {
        segment.mark_removed();
        let disk = &self.directory.disk;
        for kind in [Kind::Log, Kind::OffsetIndex, Kind::TimeIndex, Kind::Snapshot] {
            let path = segment.path(kind);
            let aside = file_name::deleted_of(&path);
            match disk.rename(sites::RETENTION_RENAME, &path, &aside) {
                Err(error) if error.kind() == ErrorKind::NotFound && kind != Kind::Log => {}
                renamed => {
                    renamed.on(sites::RETENTION_RENAME, &path)?;
                    self.removed.push(aside);
                }
            }
        }
        self.snapshots.retain(|offset| *offset != segment.base_offset);
        self.durability.snapshots_unsynced.retain(|offset| *offset != segment.base_offset);
        self.durability.names.changed += 1;
        Ok(())
    }

    /// The work of removing the files that have been set aside, if there are any. To be run outside of any lock; what
    /// is left when it is not run, or fails half-way, goes at the next recovery.
    pub fn take_removal(&mut self) -> Option<SegmentRemoval<D>> {
        let mut paths = std::mem::take(&mut self.removed);
        paths.reverse();
        (!paths.is_empty()).then(|| SegmentRemoval { disk: self.directory.disk.clone(), paths })
    }

    /// How many segments, from the oldest on, may go. The active one may too, when it holds anything.
    fn segments_due(&self, now: Timestamp, high_watermark: Offset) -> usize {
        let mut excess = match self.settings.retention_bytes {
            limit if limit < 0 => 0,
            limit => self.size_bytes().saturating_sub(limit as u64),
        };
        let mut due = 0;
        for segment in &self.segments {
            let size = segment.size();
            if size == 0 || segment.end_offset() > high_watermark {
                break;
            }
            let is_excess = excess >= size;
            if !is_excess && !self.is_old(segment, now) && segment.end_offset() > self.log_start {
                break;
            }
            excess = excess.saturating_sub(size);
            due += 1;
        }
        due
    }

    fn is_old(&self, segment: &Segment<D>, now: Timestamp) -> bool {
        let latest = match segment.largest().timestamp {
            Timestamp::NONE => segment.created(),
            timestamp => timestamp,
        };
        self.settings.retention_ms >= 0 && now.0.saturating_sub(latest.0) > self.settings.retention_ms
    }
}
