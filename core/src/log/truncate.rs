use super::error::{DiskError, LogError, OnDisk};
use super::file::{read_file, remove_if_there};
use super::file_name::Kind;
use super::log::Log;
use super::roll::create_segment;
use super::scan::HeaderScan;
use super::segment::Segment;
use super::sites;
use crate::env::Disk;
use crate::epochs::Epochs;
use crate::ids::Offset;
use crate::replica::producers::Producers;
use crate::sync::Arc;
use crate::time::Timestamp;

/// How much is read at once to fold producers again.
const FOLD_BYTES: usize = 64 << 10;

/// Where a log is cut.
struct Cut {
    /// The log's new end.
    log_end: Offset,
    /// How many segments stay.
    kept: usize,
    /// Where the last of them is cut, if it is.
    position: Option<u64>,
}

impl<D: Disk> Log<D> {
    /// Where [`Log::truncate_to`] would end the log; `None` when nothing would be cut.
    ///
    /// Where that is below [`Log::recovery_point`], [`LogDir::lower_recovery_point`](super::dir::LogDir::lower_recovery_point)
    /// must be told so before the cut: a recovery does not verify what lies below the point, and a loss of power may
    /// leave any part of a cut, such as that of an index without that of the batches it is of. No flush may begin, and
    /// no checkpoint be written, between this and the cut: they would raise the point again.
    ///
    /// # Errors
    /// When a disk call fails, or when what is left cannot be read; then the log takes no more writes.
    pub fn end_of_cut(&mut self, offset: Offset) -> Result<Option<Offset>, LogError> {
        if offset >= self.log_end {
            return Ok(None);
        }
        let written = self.active_segment().write_buffered().map_err(LogError::from);
        let cut = written.and_then(|()| self.find_cut(offset.max(Offset::ZERO)));
        Ok(Some(self.failing(cut)?.log_end))
    }

    /// Cuts the log's end to `offset`, or before it when that lies inside a batch or behind a gap, and returns where the
    /// log ends. Later appends go to a new file, so that bytes which were handed to a reader are never overwritten. A
    /// cut below the log's start empties the log, which then begins at `offset`. See [`Log::end_of_cut`] for what must
    /// come before.
    ///
    /// # Errors
    /// When a disk call fails, or when what is left cannot be read; then the log takes no more writes.
    pub fn truncate_to(&mut self, offset: Offset, now: Timestamp) -> Result<Offset, LogError> {
        self.cut_epochs(offset);
        if offset >= self.log_end {
            return Ok(self.log_end);
        }
        self.durability.generation += 1;
        let cut = self.cut(offset.max(Offset::ZERO), now);
        self.failing(cut)?;
        self.durability.flushed = self.durability.flushed.min(self.log_end);
        Ok(self.log_end)
    }

    /// Begins an empty log anew at `offset`, behind its end: what lies before that is in a snapshot (KIP-630), or gone
    /// from the leader too (Kafka's `truncateFullyAndStartAt`). Nothing is known of producers then.
    ///
    /// A log that is not empty is cut to its start first, and that cut flushed: a loss of power may bring back what is
    /// not durably gone, and it would pass for the beginning of what is appended here.
    ///
    /// # Errors
    /// When a disk call fails; then the log takes no more writes.
    ///
    /// # Panics
    /// When the log is not empty, or its emptiness not durable.
    pub fn begin_anew_at(&mut self, offset: Offset, now: Timestamp) -> Result<(), LogError> {
        assert!(self.log_start == self.log_end && !self.wants_flush(), "the cut to nothing is durable");
        if offset <= self.log_end {
            return Ok(());
        }
        self.durability.generation += 1;
        let begun = self.remove_snapshots().map_err(LogError::from).and_then(|()| {
            let cut = Cut { log_end: offset, kept: 0, position: None };
            self.cut_at(cut, now)
        });
        self.failing(begun)
    }

    fn remove_snapshots(&mut self) -> Result<(), DiskError> {
        while let Some(offset) = self.snapshots.pop() {
            self.durability.snapshots_unsynced.retain(|unsynced| *unsynced != offset);
            let path = Kind::Snapshot.path(&self.directory.path, offset);
            remove_if_there(&self.directory.disk, sites::SNAPSHOT_REMOVE, &path)?;
        }
        Ok(())
    }

    /// Nobody knows what the log is when a cut fails in between.
    fn failing<T>(&mut self, cut: Result<T, LogError>) -> Result<T, LogError> {
        if cut.is_err() && self.settings.stops_at_io_error() {
            self.failed = true;
        }
        cut
    }

    fn cut(&mut self, offset: Offset, now: Timestamp) -> Result<(), LogError> {
        self.active_segment().write_buffered()?;
        let cut = self.find_cut(offset)?;
        self.cut_at(cut, now)
    }

    /// The new segment comes first: a crash in between leaves a log that it ends, whatever else is still there.
    fn cut_at(&mut self, Cut { log_end, kept, position }: Cut, now: Timestamp) -> Result<(), LogError> {
        let removed = self.segments[kept..].to_vec();
        removed.iter().for_each(|segment| segment.mark_removed());
        if kept == 0 {
            // They would be taken for the log's beginning, and their names may be needed again.
            self.set_aside_doomed(|_, _| true)?;
        }
        let file = create_segment(&self.directory, log_end)?;
        // Towards the new segment from both sides, so that a crash in between leaves no gap where it matters.
        let newer = removed.iter().rev().filter(|segment| segment.base_offset > log_end);
        let older = removed.iter().filter(|segment| segment.base_offset < log_end);
        for segment in newer.chain(older) {
            self.remove_segment(segment)?;
        }
        if let Some(last) = kept.checked_sub(1) {
            let last = self.segments[last].clone();
            match position {
                Some(position) => last.cut(position, log_end)?,
                None => last.seal()?,
            }
            self.note_unsynced(last.base_offset);
        }
        self.segments.truncate(kept);
        self.durability.unsynced.retain(|base| *base < log_end);
        self.log_end = log_end;
        if kept == 0 {
            self.log_start = log_end;
            // Of a log without records no epoch is known (Kafka's `truncateFullyAndStartAt` clears them too).
            self.epochs = Epochs::default();
            self.durability.epochs.changed += 1;
        }
        self.cut_epochs(log_end);
        self.push_segment(file, log_end, now);
        self.restore_producers()
    }

    /// Where to cut so that no batch at or behind `offset` stays. The log's start may lie inside a batch: then the
    /// log is empty rather than to begin again before it. An empty log keeps no files of what was before it.
    fn find_cut(&self, offset: Offset) -> Result<Cut, LogError> {
        let kept = self.segments.partition_point(|segment| segment.base_offset < offset);
        let Some(last) = kept.checked_sub(1).filter(|_| offset > self.log_start) else {
            return Ok(Cut { log_end: offset, kept: 0, position: None });
        };
        let segment = &self.segments[last];
        let extent = segment.extent()?;
        let located = match extent.end_offset > offset {
            true => segment.locate(&extent, offset)?,
            false => None,
        };
        let Some(located) = located else { return Ok(Cut { log_end: offset, kept, position: None }) };
        // Behind a gap the log ends with the batch before it, for the next segment must begin where this one ends.
        let log_end = segment.end_before(&extent, located.position)?;
        Ok(match located.position {
            _ if log_end <= self.log_start => Cut { log_end: self.log_start, kept: 0, position: None },
            0 => Cut { log_end, kept: last, position: None },
            position => Cut { log_end, kept, position: Some(position) },
        })
    }

    fn cut_epochs(&mut self, log_end: Offset) {
        if self.epochs.truncate_from_end(log_end) {
            self.durability.epochs.changed += 1;
            self.publish();
        }
    }

    /// Removes a segment's files; the indexes last, for they mean nothing alone.
    fn remove_segment(&mut self, segment: &Arc<Segment<D>>) -> Result<(), DiskError> {
        segment.mark_removed();
        let disk = &self.directory.disk;
        let path = segment.path(Kind::Log);
        disk.remove_file(sites::TRUNCATE_REMOVE, &path).on(sites::TRUNCATE_REMOVE, &path)?;
        for kind in [Kind::OffsetIndex, Kind::TimeIndex] {
            remove_if_there(disk, sites::TRUNCATE_REMOVE, &segment.path(kind))?;
        }
        self.durability.names.changed += 1;
        self.durability.unsynced.retain(|base| *base != segment.base_offset);
        Ok(())
    }

    /// Folds the producers again after a cut: from the newest snapshot that is left, and the batches behind it.
    pub(super) fn restore_producers(&mut self) -> Result<(), LogError> {
        let disk = self.directory.disk.clone();
        let mut from = Offset::ZERO;
        self.producers = Producers::default();
        while let Some(&offset) = self.snapshots.last() {
            let path = Kind::Snapshot.path(&self.directory.path, offset);
            if offset <= self.log_end {
                let bytes = read_file(&disk, sites::SNAPSHOT_OPEN, sites::SNAPSHOT_READ, &path)?;
                if let Some(producers) = bytes.and_then(|bytes| Producers::decode(&bytes).ok()) {
                    (self.producers, from) = (producers, offset);
                    break;
                }
            }
            self.snapshots.pop();
            self.durability.snapshots_unsynced.retain(|unsynced| *unsynced != offset);
            remove_if_there(&disk, sites::SNAPSHOT_REMOVE, &path)?;
        }
        for segment in self.segments.iter().filter(|segment| segment.end_offset() > from) {
            let extent = segment.extent()?;
            let start = segment.locate(&extent, from)?.map_or(extent.size, |located| located.position);
            let mut scan =
                HeaderScan::new(&extent.file, sites::TRUNCATE_FOLD, start, extent.size, FOLD_BYTES);
            while let Some((_, header)) = scan.next().map_err(|error| segment.scan_error(&extent, error))? {
                self.producers.apply(&header);
            }
        }
        Ok(())
    }
}
