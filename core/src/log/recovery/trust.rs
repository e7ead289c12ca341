//! Segments that are believed: their indexes, and the batches behind the last entries, which must fit together.

use super::plan::Found;
use super::{Context, Loaded, STEP_BYTES};
use crate::env::{Disk, File, OpenMode};
use crate::ids::Offset;
use crate::log::contents::{Contents, TimestampOffset};
use crate::log::error::{DiskError, OnDisk};
use crate::log::file::read_file;
use crate::log::file_name::Kind;
use crate::log::index::{self, Entry, OffsetEntry, TimeEntry};
use crate::log::scan::{HeaderScan, ScanError};
use crate::log::segment::Written;
use crate::log::sites;
use crate::record::batch::HEADER_LEN;

/// How much is read at once behind the last index entry.
const TAIL_BYTES: usize = 16 << 10;

/// A segment that is being looked at.
pub(super) struct Trust {
    /// Of the entries on disk and of the batches so far.
    contents: Contents,
    written: Written,
    /// Where a sealed segment must end.
    next_base: Option<Offset>,
    /// Where the batches behind the last index entry begin.
    from: u64,
}

/// Whether indexes and batches fit together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// There is more to read.
    Unknown,
    /// They do.
    Good,
    /// They do not: the segment must be verified.
    Bad,
}

impl Trust {
    /// A sealed segment whose indexes are plausible. It must end where the next segment begins, so that neither a
    /// cut nor the bytes behind one were lost. `None` when it must be verified.
    pub(super) fn sealed<D: Disk>(
        context: &Context<D>,
        found: &Found,
        next_base: Offset,
    ) -> Result<Option<Self>, DiskError> {
        if found.len == 0 || !found.has_plausible_indexes() {
            return Ok(None);
        }
        let written = found.written();
        let span = next_base.0 - found.base_offset.0;
        let last_offset = last_entry::<D, OffsetEntry>(context, Kind::OffsetIndex, found, written.offsets)?;
        let last_time = last_entry::<D, TimeEntry>(context, Kind::TimeIndex, found, written.times)?;
        if last_offset.is_some_and(|entry| i64::from(entry.relative_offset) >= span)
            || last_time.is_some_and(|entry| i64::from(entry.relative_offset) >= span)
        {
            return Ok(None);
        }
        let mut contents = Contents::empty(found.base_offset, context.now);
        contents.offsets.extend(last_offset);
        contents.times.extend(last_time);
        Self::begin(context, found, contents, written, Some(next_base))
    }

    /// The active segment after a clean shutdown.
    pub(super) fn active<D: Disk>(context: &Context<D>, found: &Found) -> Result<Option<Self>, DiskError> {
        if !found.has_plausible_indexes() {
            return Ok(None);
        }
        let offsets = read_index::<D, OffsetEntry>(context, Kind::OffsetIndex, found)?;
        let times = read_index::<D, TimeEntry>(context, Kind::TimeIndex, found)?;
        let (Some(offsets), Some(times)) = (offsets, times) else { return Ok(None) };
        let written = Written { offsets: offsets.len(), times: times.len() };
        let contents = Contents { offsets, times, ..Contents::empty(found.base_offset, context.now) };
        Self::begin(context, found, contents, written, None)
    }

    fn begin<D: Disk>(
        context: &Context<D>,
        found: &Found,
        mut contents: Contents,
        written: Written,
        next_base: Option<Offset>,
    ) -> Result<Option<Self>, DiskError> {
        if let Some(entry) = contents.times.last() {
            let offset = Offset(found.base_offset.0.saturating_add(entry.relative_offset.into()));
            contents.largest = TimestampOffset { timestamp: entry.timestamp, offset };
        }
        let from = contents.offsets.last().map_or(0, |entry| u64::from(entry.position));
        if from > found.len || (from == found.len && found.len > 0) || found.len > i32::MAX as u64 {
            return Ok(None);
        }
        let file = open::<D>(context, found)?;
        let mut first = HeaderScan::new(&file, sites::RECOVERY_READ, 0, found.len, HEADER_LEN);
        contents.first_timestamp = match first.next() {
            Ok(first) => first.map(|(_, header)| header.max_timestamp),
            Err(ScanError::Batch(..)) => return Ok(None),
            Err(ScanError::Io(error)) => return Err(read_error(context, found, error)),
        };
        contents.size = from;
        Ok(Some(Self { contents, written, next_base, from }))
    }

    /// Fills in what the indexes do not say, from the batches behind their last entries; at most [`STEP_BYTES`].
    pub(super) fn read_on<D: Disk>(&mut self, context: &Context<D>, found: &Found) -> Result<Fit, DiskError> {
        let file = open::<D>(context, found)?;
        match self.fold(&file, found.len) {
            Ok(fit) => Ok(fit),
            Err(ScanError::Batch(..)) => Ok(Fit::Bad),
            Err(ScanError::Io(error)) => Err(read_error(context, found, error)),
        }
    }

    fn fold<F: File>(&mut self, file: &F, len: u64) -> Result<Fit, ScanError> {
        let contents = &mut self.contents;
        let mut scan = HeaderScan::new(file, sites::RECOVERY_READ, contents.size, len, TAIL_BYTES);
        while let Some((_, header)) = scan.next()? {
            let (Some(last), Some(next)) = (header.last_offset(), header.next_offset()) else {
                return Ok(Fit::Bad);
            };
            if header.base_offset < contents.end_offset || last < header.base_offset {
                return Ok(Fit::Bad);
            }
            if header.max_timestamp > contents.largest.timestamp {
                contents.largest = TimestampOffset { timestamp: header.max_timestamp, offset: last };
            }
            contents.size += header.size_bytes() as u64;
            contents.end_offset = next;
            if scan.read_bytes() > STEP_BYTES - 2 * TAIL_BYTES {
                return Ok(Fit::Unknown);
            }
        }
        contents.bytes_since_entry = len - self.from;
        let span = contents.end_offset.0 - contents.base_offset.0;
        let fits = span - 1 <= i64::from(i32::MAX)
            && contents.times.last().is_none_or(|entry| i64::from(entry.relative_offset) < span)
            && self.next_base.is_none_or(|next_base| next_base == contents.end_offset);
        Ok(if fits { Fit::Good } else { Fit::Bad })
    }

    pub(super) fn into_loaded(self) -> Loaded {
        Loaded {
            contents: self.contents,
            written: self.written,
            verified: false,
            surplus: 0,
            superseded: false,
        }
    }
}

fn open<D: Disk>(context: &Context<D>, found: &Found) -> Result<D::File, DiskError> {
    let path = Kind::Log.path(&context.directory.path, found.base_offset);
    let opened = context.directory.disk.open(sites::RECOVERY_OPEN, &path, OpenMode::Read);
    opened.on(sites::RECOVERY_OPEN, &path)
}

fn read_error<D: Disk>(context: &Context<D>, found: &Found, error: std::io::Error) -> DiskError {
    let path = Kind::Log.path(&context.directory.path, found.base_offset);
    DiskError::new(sites::RECOVERY_READ, &path, error)
}

fn last_entry<D: Disk, T: Entry>(
    context: &Context<D>,
    kind: Kind,
    found: &Found,
    entries: usize,
) -> Result<Option<T>, DiskError> {
    let Some(last) = entries.checked_sub(1) else { return Ok(None) };
    let path = kind.path(&context.directory.path, found.base_offset);
    let opened = context.directory.disk.open(sites::INDEX_OPEN_READ, &path, OpenMode::Read);
    let file = opened.on(sites::INDEX_OPEN_READ, &path)?;
    let mut bytes = [0; 16];
    let read = file.read_at(sites::INDEX_READ, &mut bytes[..T::LEN], (last * T::LEN) as u64);
    let whole = read.on(sites::INDEX_READ, &path)? == T::LEN;
    Ok(whole.then(|| T::take(&bytes[..T::LEN])))
}

fn read_index<D: Disk, T: Entry>(
    context: &Context<D>,
    kind: Kind,
    found: &Found,
) -> Result<Option<Vec<T>>, DiskError> {
    let path = kind.path(&context.directory.path, found.base_offset);
    let bytes = read_file(&context.directory.disk, sites::INDEX_OPEN_READ, sites::INDEX_READ, &path)?;
    Ok(bytes.and_then(|bytes| index::decode(&bytes)))
}
