use super::error::{DiskError, LogError};
use super::file::remove_if_there;
use super::file_name::Kind;
use super::log::{Durability, Log};
use super::segment::Segment;
use super::sites;
use crate::env::Disk;
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
    /// durable: a loss of power in between must not bring back some of them without the others. Closes what reads
    /// have left open.
    ///
    /// # Errors
    /// When a disk call fails; then the log takes no more writes.
    pub fn delete_old_segments(
        &mut self,
        now: Timestamp,
        high_watermark: Offset,
    ) -> Result<Retained, LogError> {
        self.remove_doomed(Doomed::is_safe)?;
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
        self.doomed.extend(doomed.into_iter().map(|segment| Doomed { segment, names, epochs }));
        self.view.close_idle();
        Ok(Retained { segments_removed: due, log_start: self.log_start })
    }

    /// Removes files of segments that have left the log. Oldest first, so that a crash in between leaves a log
    /// without a gap.
    pub(super) fn remove_doomed(
        &mut self,
        is_due: impl Fn(&Doomed<D>, &Durability) -> bool,
    ) -> Result<(), DiskError> {
        while self.doomed.first().is_some_and(|doomed| is_due(doomed, &self.durability)) {
            let Doomed { segment, .. } = self.doomed.remove(0);
            let gone = self.remove_with_snapshot(&segment);
            self.failed(gone)?;
        }
        Ok(())
    }

    fn remove_with_snapshot(&mut self, segment: &Arc<Segment<D>>) -> Result<(), DiskError> {
        self.remove_segment(segment, sites::RETENTION_REMOVE, sites::RETENTION_REMOVE_INDEX)?;
        self.snapshots.retain(|offset| *offset != segment.base_offset);
        self.durability.snapshots_unsynced.retain(|offset| *offset != segment.base_offset);
        let path = segment.path(Kind::Snapshot);
        remove_if_there(&self.directory.disk, sites::RETENTION_REMOVE_INDEX, &path)
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
