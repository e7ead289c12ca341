//! One file of batches with its two sparse indexes.
//!
//! Its owner, the log, appends; readers hold it through a [`View`](super::View) and share nothing with the appender
//! but the short lock on what is published here. The active segment keeps its indexes in memory and its file open.
//! A sealed one keeps its file open until it was synced, and nothing from then on: a read opens what it needs, and
//! whoever sends the slice has a handle of his own. So readers cannot use up the descriptors of the process with the
//! segments of a long log, and a partition at rest costs one.

use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};

use super::contents::{Contents, TimestampOffset};
use super::error::{DiskError, LogError, OnDisk, ReadError};
use super::file::read_file;
use super::file_name::Kind;
use super::index::{self, Entry, OffsetEntry, TimeEntry};
use super::scan::{HeaderScan, ScanError};
use super::sites;
use crate::env::{Disk, File, OpenMode};
use crate::ids::Offset;
use crate::record::batch::{BatchError, BatchHeader};
use crate::sync::{Arc, Mutex, MutexGuard};
use crate::time::Timestamp;

/// How much is read at once to find a batch behind an index entry: about one index interval.
const LOCATE_BYTES: usize = 4096;
/// Index entries of the active segment that wait in memory before they go to disk; a crash makes them again.
const ENTRIES_PENDING_MAX: usize = 256;

/// Where a partition's files are.
pub(super) struct Directory<D> {
    pub(super) disk: D,
    pub(super) path: PathBuf,
}

pub(super) struct Segment<D: Disk> {
    pub(super) base_offset: Offset,
    directory: Arc<Directory<D>>,
    state: Mutex<State<D::File>>,
}

/// What readers may see. While a segment is sealed, its index entries are on disk alone.
struct State<F> {
    contents: Contents,
    sealed: bool,
    /// Its files are gone, or will be.
    removed: bool,
    offsets_written: usize,
    times_written: usize,
    /// Of the active segment, or of one that is to be synced: a failure of the write-back is told to those who had the
    /// file open when it happened, and perhaps to nobody else.
    file: Option<F>,
    /// Bytes that were accepted but not written: always empty, but for the simulator's switch `user-buffer`.
    buffered: Vec<u8>,
}

/// How much of a segment's indexes is on disk already.
#[derive(Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) offsets: usize,
    pub(super) times: usize,
}

/// A batch found in a segment.
#[derive(Clone, Copy)]
pub(super) struct Located {
    pub(super) position: u64,
    pub(super) header: BatchHeader,
}

/// A consistent look at a segment: its file and how much of it counts.
pub(super) struct Extent<F> {
    pub(super) file: F,
    pub(super) size: u64,
    pub(super) end_offset: Offset,
}

impl<D: Disk> Segment<D> {
    /// A segment whose contents are in memory: a new one, or one that recovery went through.
    pub(super) fn active(
        directory: Arc<Directory<D>>,
        contents: Contents,
        written: Written,
        file: Option<D::File>,
    ) -> Arc<Self> {
        Self::new(directory, contents, written, file, false)
    }

    /// A sealed segment whose indexes are on disk; the entries in `contents` are dropped.
    pub(super) fn sealed(
        directory: Arc<Directory<D>>,
        mut contents: Contents,
        written: Written,
    ) -> Arc<Self> {
        contents.offsets = Vec::new();
        contents.times = Vec::new();
        Self::new(directory, contents, written, None, true)
    }

    fn new(
        directory: Arc<Directory<D>>,
        contents: Contents,
        written: Written,
        file: Option<D::File>,
        sealed: bool,
    ) -> Arc<Self> {
        let state = State {
            contents,
            sealed,
            removed: false,
            offsets_written: written.offsets,
            times_written: written.times,
            file,
            buffered: Vec::new(),
        };
        Arc::new(Self { base_offset: state.contents.base_offset, directory, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State<D::File>> {
        self.state.lock().expect("a panic under this lock ends the process")
    }

    pub(super) fn path(&self, kind: Kind) -> PathBuf {
        kind.path(&self.directory.path, self.base_offset)
    }

    pub(super) fn size(&self) -> u64 {
        self.state().contents.size
    }

    pub(super) fn end_offset(&self) -> Offset {
        self.state().contents.end_offset
    }

    pub(super) fn largest(&self) -> TimestampOffset {
        self.state().contents.largest
    }

    /// From when retention counts where batches have no timestamps.
    pub(super) fn created(&self) -> Timestamp {
        self.state().contents.created
    }

    /// From when `segment.ms` counts.
    pub(super) fn first_timestamp(&self) -> Option<Timestamp> {
        self.state().contents.first_timestamp
    }

    pub(super) fn takes(&self, last_offset: Offset, size_bytes: usize) -> bool {
        self.state().contents.takes(last_offset, size_bytes)
    }

    /// Whether an index of this size has no room for another entry.
    pub(super) fn has_full_index(&self, index_bytes_max: u32) -> bool {
        self.state().contents.has_full_index(index_bytes_max)
    }

    /// Publishes a batch that was written at the end. Returns whether index entries should go to disk.
    pub(super) fn push(&self, header: &BatchHeader, index_interval_bytes: u32) -> bool {
        let mut state = self.state();
        state.contents.push(header, index_interval_bytes);
        state.contents.offsets.len() - state.offsets_written >= ENTRIES_PENDING_MAX
    }

    /// Keeps bytes that should have been written: the simulator's switch `user-buffer`.
    pub(super) fn buffer(&self, head: &[u8], body: &[u8]) {
        let mut state = self.state();
        state.buffered.extend_from_slice(head);
        state.buffered.extend_from_slice(body);
    }

    /// Writes what [`Segment::buffer`] kept.
    pub(super) fn write_buffered(&self) -> Result<(), DiskError> {
        self.state().write_buffered(&self.path(Kind::Log))
    }

    /// Writes the index entries that are not on disk yet.
    pub(super) fn write_indexes(&self) -> Result<(), DiskError> {
        let mut state = self.state();
        let State { contents, offsets_written, times_written, sealed, .. } = &mut *state;
        if !*sealed {
            self.write_index(Kind::OffsetIndex, &contents.offsets, offsets_written)?;
            self.write_index(Kind::TimeIndex, &contents.times, times_written)?;
        }
        Ok(())
    }

    fn write_index<T: Entry>(&self, kind: Kind, entries: &[T], written: &mut usize) -> Result<(), DiskError> {
        let path = self.path(kind);
        let disk = &self.directory.disk;
        let file = match disk.open(sites::INDEX_OPEN, &path, OpenMode::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                disk.create(sites::INDEX_CREATE, &path).on(sites::INDEX_CREATE, &path)?
            }
            opened => opened.on(sites::INDEX_OPEN, &path)?,
        };
        if *written < entries.len() {
            let bytes = index::encode(&entries[*written..]);
            let position = (*written * T::LEN) as u64;
            file.write_at(sites::INDEX_WRITE, &[IoSlice::new(&bytes)], position)
                .on(sites::INDEX_WRITE, &path)?;
            *written = entries.len();
        }
        Ok(())
    }

    /// Ends the appends: the indexes go to disk and leave the memory.
    pub(super) fn seal(&self) -> Result<(), DiskError> {
        self.finish()?;
        let mut state = self.state();
        state.sealed = true;
        state.contents.offsets = Vec::new();
        state.contents.times = Vec::new();
        Ok(())
    }

    /// Whether the appends have ended.
    pub(super) fn is_sealed(&self) -> bool {
        self.state().sealed
    }

    /// The file, if it is open.
    pub(super) fn open_file(&self) -> Option<D::File> {
        self.state().file.clone()
    }

    /// A sync of the sealed segment has succeeded: its file need not be open any more.
    pub(super) fn close_synced(&self) {
        let mut state = self.state();
        if state.sealed {
            state.file = None;
        }
    }

    /// Brings the disk up to date with memory, as at a clean shutdown.
    pub(super) fn finish(&self) -> Result<(), DiskError> {
        self.write_buffered()?;
        if !self.state().sealed {
            self.state().contents.seal();
        }
        self.write_indexes()
    }

    /// The file and how much of it counts.
    pub(super) fn extent(&self) -> Result<Extent<D::File>, ReadError> {
        if self.state().removed {
            return Err(ReadError::CutMeanwhile);
        }
        self.open_extent().map_err(|error| self.read_error(error))
    }

    fn open_extent(&self) -> Result<Extent<D::File>, DiskError> {
        let mut state = self.state();
        let path = self.path(Kind::Log);
        if !state.buffered.is_empty() {
            state.write_buffered(&path)?;
        }
        let file = match &state.file {
            Some(file) => file.clone(),
            None => {
                let opened = self.directory.disk.open(sites::SEGMENT_OPEN, &path, OpenMode::Read);
                opened.on(sites::SEGMENT_OPEN, &path)?
            }
        };
        Ok(Extent { file, size: state.contents.size, end_offset: state.contents.end_offset })
    }

    /// The batch that holds `target`, or the first one behind it; `None` when there is none.
    pub(super) fn locate(
        &self,
        extent: &Extent<D::File>,
        target: Offset,
    ) -> Result<Option<Located>, ReadError> {
        let wanted = relative_or_max(self.base_offset, target);
        let entry = self.floor_offset(|entry| entry.relative_offset <= wanted)?;
        self.first_batch(extent, entry, |header| header.last_offset() >= Some(target))
    }

    /// The last batch boundary at or before `limit`, by the offset of the batch that begins there; `None` when
    /// `limit` lies before the end of the first batch behind `from`.
    pub(super) fn boundary(
        &self,
        extent: &Extent<D::File>,
        from: u64,
        limit: u64,
    ) -> Result<Option<Located>, ReadError> {
        let wanted = u32::try_from(limit).unwrap_or(u32::MAX);
        let entry = self.floor_offset(|entry| entry.position <= wanted)?;
        let mut unproven = entry.filter(|entry| u64::from(entry.position) > from);
        let mut scan = self.scan(extent, unproven.map_or(from, |entry| entry.position.into()));
        let mut last = None;
        loop {
            let next = scan.next();
            if unproven.take().is_some_and(|entry| !self.bears_out(&next, &entry)) {
                scan = self.scan(extent, from);
                continue;
            }
            let Some((position, header)) = next.map_err(|error| self.scan_error(extent, error))? else {
                break;
            };
            if position > limit {
                break;
            }
            last = Some(Located { position, header });
        }
        Ok(last.filter(|located| located.position > from))
    }

    /// One past the last record before `position`, which is where a batch begins.
    pub(super) fn end_before(&self, extent: &Extent<D::File>, position: u64) -> Result<Offset, ReadError> {
        let entry = self.floor_offset(|entry| u64::from(entry.position) < position)?;
        let mut scan = self.scan(extent, entry.map_or(0, |entry| u64::from(entry.position)));
        let mut end = self.base_offset;
        while let Some((at, header)) = scan.next().map_err(|error| self.scan_error(extent, error))? {
            if at >= position {
                break;
            }
            end = header.next_offset().unwrap_or(end);
        }
        Ok(end)
    }

    /// The first batch with a timestamp of at least `target`.
    pub(super) fn locate_timestamp(
        &self,
        extent: &Extent<D::File>,
        target: Timestamp,
        not_before: Offset,
    ) -> Result<Option<Located>, ReadError> {
        let mut wanted = relative_or_max(self.base_offset, not_before);
        if let Some(entry) = self.floor_time(|entry| entry.timestamp <= target)?
            && entry.relative_offset > wanted
        {
            let offset = Offset(self.base_offset.0.saturating_add(entry.relative_offset.into()));
            let bears_out = |located: Located| {
                located.header.last_offset() == Some(offset)
                    && located.header.max_timestamp == entry.timestamp
            };
            if self.locate(extent, offset)?.is_some_and(bears_out) {
                wanted = entry.relative_offset;
            }
        }
        let entry = self.floor_offset(|entry| entry.relative_offset <= wanted)?;
        self.first_batch(extent, entry, |header| {
            header.max_timestamp >= target && header.last_offset() >= Some(not_before)
        })
    }

    /// The first batch that is wanted, from an index entry on. Index files have no checksum: an entry that the batch it
    /// names does not bear out is not believed, and the segment is read from its start.
    fn first_batch(
        &self,
        extent: &Extent<D::File>,
        entry: Option<OffsetEntry>,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<Located>, ReadError> {
        let mut unproven = entry;
        let mut scan = self.scan(extent, entry.map_or(0, |entry| entry.position.into()));
        loop {
            let next = scan.next();
            if unproven.take().is_some_and(|entry| !self.bears_out(&next, &entry)) {
                scan = self.scan(extent, 0);
                continue;
            }
            let Some((position, header)) = next.map_err(|error| self.scan_error(extent, error))? else {
                break;
            };
            if wanted(&header) {
                return Ok(Some(Located { position, header }));
            }
        }
        Ok(None)
    }

    fn bears_out(&self, found: &Result<Option<(u64, BatchHeader)>, ScanError>, entry: &OffsetEntry) -> bool {
        let offset = Offset(self.base_offset.0.saturating_add(entry.relative_offset.into()));
        matches!(found, Ok(Some((_, header))) if header.last_offset() == Some(offset))
    }

    fn scan<'a>(&self, extent: &'a Extent<D::File>, from: u64) -> HeaderScan<'a, D::File> {
        HeaderScan::new(&extent.file, sites::LOCATE_READ, from, extent.size, LOCATE_BYTES)
    }

    pub(super) fn scan_error(&self, extent: &Extent<D::File>, error: ScanError) -> ReadError {
        match error {
            ScanError::Io(error) => {
                ReadError::Disk(DiskError::new(sites::LOCATE_READ, &self.path(Kind::Log), error))
            }
            ScanError::Batch(_, BatchError::Truncated { .. }) if self.size() < extent.size => {
                ReadError::CutMeanwhile
            }
            ScanError::Batch(position, source) => {
                ReadError::Corrupt { segment: self.base_offset, position, source }
            }
        }
    }

    /// A file that retention or a cut removed is no failure of the disk.
    fn read_error(&self, error: DiskError) -> ReadError {
        match error.source.kind() == ErrorKind::NotFound && self.state().removed {
            true => ReadError::CutMeanwhile,
            false => ReadError::Disk(error),
        }
    }

    /// Tells readers that the files are going.
    pub(super) fn mark_removed(&self) {
        self.state().removed = true;
    }

    /// The last entry of the offset index for which `holds`, which is true of a prefix.
    fn floor_offset(&self, holds: impl Fn(&OffsetEntry) -> bool) -> Result<Option<OffsetEntry>, ReadError> {
        let floor = {
            let state = self.state();
            if state.removed {
                return Err(ReadError::CutMeanwhile);
            }
            if !state.sealed {
                return Ok(floor_in_memory(&state.contents.offsets, holds));
            }
            let (path, len) = (self.path(Kind::OffsetIndex), state.offsets_written);
            floor_on_disk(&self.directory.disk, &path, len, holds)
        };
        floor.map_err(|error| self.read_error(error))
    }

    fn floor_time(&self, holds: impl Fn(&TimeEntry) -> bool) -> Result<Option<TimeEntry>, ReadError> {
        let floor = {
            let state = self.state();
            if state.removed {
                return Err(ReadError::CutMeanwhile);
            }
            if !state.sealed {
                return Ok(floor_in_memory(&state.contents.times, holds));
            }
            let (path, len) = (self.path(Kind::TimeIndex), state.times_written);
            floor_on_disk(&self.directory.disk, &path, len, holds)
        };
        floor.map_err(|error| self.read_error(error))
    }

    /// Cuts the segment at `position`, which is where a batch begins, and seals it. Readers see the cut first: a
    /// slice they made before comes up short when it is sent.
    pub(super) fn cut(&self, position: u64, end_offset: Offset) -> Result<(), LogError> {
        self.write_buffered()?;
        let log_path = self.path(Kind::Log);
        let log = self
            .directory
            .disk
            .open(sites::SEGMENT_OPEN, &log_path, OpenMode::Write)
            .on(sites::SEGMENT_OPEN, &log_path)?;
        let contents = self.contents_until(&log, position, end_offset)?;
        {
            let mut state = self.state();
            state.offsets_written = state.offsets_written.min(contents.offsets.len());
            state.times_written = state.times_written.min(contents.times.len());
            state.contents = contents;
            state.sealed = false;
            state.file = Some(log.clone());
        }
        log.truncate(sites::TRUNCATE_CUT, position).on(sites::TRUNCATE_CUT, &log_path)?;
        let (offsets, times) = {
            let state = self.state();
            (state.offsets_written, state.times_written)
        };
        self.cut_index(Kind::OffsetIndex, offsets * OffsetEntry::LEN)?;
        self.cut_index(Kind::TimeIndex, times * TimeEntry::LEN)?;
        Ok(self.seal()?)
    }

    fn contents_until(&self, log: &D::File, position: u64, end_offset: Offset) -> Result<Contents, LogError> {
        let mut contents = self.state().contents.clone();
        if self.state().sealed {
            contents.offsets = self.read_index(Kind::OffsetIndex)?;
            contents.times = self.read_index(Kind::TimeIndex)?;
        }
        let kept = relative_or_max(self.base_offset, end_offset);
        contents.offsets.retain(|entry| entry.relative_offset < kept && u64::from(entry.position) < position);
        contents.times.retain(|entry| entry.relative_offset < kept);
        contents.largest = match contents.times.last() {
            Some(entry) => TimestampOffset {
                timestamp: entry.timestamp,
                offset: Offset(self.base_offset.0 + i64::from(entry.relative_offset)),
            },
            None => TimestampOffset { timestamp: Timestamp::NONE, offset: self.base_offset },
        };
        let from = contents.offsets.last().map_or(0, |entry| u64::from(entry.position));
        let extent = Extent { file: log.clone(), size: position, end_offset };
        let mut scan = self.scan(&extent, from);
        while let Some((_, header)) = scan.next().map_err(|error| self.scan_error(&extent, error))? {
            if header.max_timestamp > contents.largest.timestamp {
                let offset = header.last_offset().unwrap_or(header.base_offset);
                contents.largest = TimestampOffset { timestamp: header.max_timestamp, offset };
            }
        }
        (contents.size, contents.end_offset) = (position, end_offset);
        Ok(contents)
    }

    fn read_index<T: Entry>(&self, kind: Kind) -> Result<Vec<T>, DiskError> {
        let bytes =
            read_file(&self.directory.disk, sites::INDEX_OPEN_READ, sites::INDEX_READ, &self.path(kind))?;
        Ok(index::decode(&bytes.unwrap_or_default()).unwrap_or_default())
    }

    fn cut_index(&self, kind: Kind, len: usize) -> Result<(), DiskError> {
        let path = self.path(kind);
        match self.directory.disk.open(sites::INDEX_OPEN, &path, OpenMode::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            opened => opened
                .and_then(|file| file.truncate(sites::INDEX_TRUNCATE, len as u64))
                .on(sites::INDEX_TRUNCATE, &path),
        }
    }
}

impl<F: File> State<F> {
    fn write_buffered(&mut self, path: &Path) -> Result<(), DiskError> {
        let (Some(file), false) = (&self.file, self.buffered.is_empty()) else { return Ok(()) };
        let position = self.contents.size - self.buffered.len() as u64;
        file.write_at(sites::APPEND_WRITE, &[IoSlice::new(&self.buffered)], position)
            .on(sites::APPEND_WRITE, path)?;
        self.buffered.clear();
        Ok(())
    }
}

fn relative_or_max(base: Offset, offset: Offset) -> u32 {
    u32::try_from(offset.0.saturating_sub(base.0).max(0)).unwrap_or(u32::MAX)
}

fn floor_in_memory<T: Entry>(entries: &[T], holds: impl Fn(&T) -> bool) -> Option<T> {
    entries.partition_point(holds).checked_sub(1).map(|index| entries[index])
}

/// Binary search in an index file.
fn floor_on_disk<D: Disk, T: Entry>(
    disk: &D,
    path: &Path,
    len: usize,
    holds: impl Fn(&T) -> bool,
) -> Result<Option<T>, DiskError> {
    if len == 0 {
        return Ok(None);
    }
    let file = disk.open(sites::INDEX_OPEN_READ, path, OpenMode::Read).on(sites::INDEX_OPEN_READ, path)?;
    let (mut low, mut high, mut floor) = (0, len, None);
    let mut bytes = [0; 16];
    while low < high {
        let middle = low + (high - low) / 2;
        let position = (middle * T::LEN) as u64;
        let read = file.read_at(sites::INDEX_READ, &mut bytes[..T::LEN], position);
        if read.on(sites::INDEX_READ, path)? < T::LEN {
            high = middle;
            continue;
        }
        let entry = T::take(&bytes[..T::LEN]);
        if holds(&entry) {
            floor = Some(entry);
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(floor)
}
