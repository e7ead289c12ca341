use std::collections::BTreeMap;

use super::{Assembly, Context, Loaded};
use crate::env::{Disk, File, OpenMode};
use crate::epochs::Epochs;
use crate::ids::{LeaderEpoch, Offset};
use crate::log::contents::{Contents, TimestampOffset};
use crate::log::error::{DiskError, LogError, OnDisk};
use crate::log::file::read_file;
use crate::log::file_name::{self, Kind};
use crate::log::index::{self, Entry, OffsetEntry, TimeEntry};
use crate::log::scan::{HeaderScan, ScanError};
use crate::log::segment::Written;
use crate::log::{checkpoint, sites};
use crate::record::batch::{BatchHeader, HEADER_LEN};
use crate::replica::producers::Producers;

/// How much is read at once behind the last index entry of an active segment.
const TAIL_BYTES: usize = 16 << 10;

/// What is in the directory, and from which segment on it must be verified.
pub(super) struct Plan {
    pub(super) found: Vec<Found>,
    /// Segments below are trusted.
    pub(super) verify_from: usize,
    /// Segments that were looked at so far, of those to trust.
    trusted: Vec<Loaded>,
    pub(super) snapshots: Vec<Offset>,
    /// Files that belong to no segment, or to one that is gone.
    pub(super) orphans: Vec<(Kind, Offset)>,
    /// Names of files that had been set aside and not yet removed.
    pub(super) set_aside: Vec<String>,
    /// Segments which the log's start has passed.
    pub(super) obsolete: Vec<Found>,
    /// Where the log begins, as far as is known without looking at it.
    pub(super) log_start: Offset,
    /// The epoch checkpoint; `None` when it is missing or damaged.
    epochs: Option<Epochs>,
}

/// The files of one segment.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) base_offset: Offset,
    pub(super) len: u64,
    offset_index_len: Option<u64>,
    time_index_len: Option<u64>,
}

impl Found {
    /// How many whole entries the index files have.
    pub(super) fn written(&self) -> Written {
        let entries = |len: Option<u64>, entry_len: usize| len.unwrap_or(0) as usize / entry_len;
        Written {
            offsets: entries(self.offset_index_len, OffsetEntry::LEN),
            times: entries(self.time_index_len, TimeEntry::LEN),
        }
    }

    /// Whether index files of these lengths could belong to the segment: whole entries, and no more than batches.
    fn has_plausible_indexes(&self) -> bool {
        let plausible = |len: Option<u64>, entry_len: usize| {
            len.is_some_and(|len| {
                len.is_multiple_of(entry_len as u64) && len / entry_len as u64 <= self.len / HEADER_LEN as u64
            })
        };
        plausible(self.offset_index_len, OffsetEntry::LEN) && plausible(self.time_index_len, TimeEntry::LEN)
    }
}

impl Plan {
    pub(super) fn list<D: Disk>(context: &Context<D>) -> Result<Self, LogError> {
        let path = &context.directory.path;
        let entries =
            context.directory.disk.list(sites::RECOVERY_LIST, path).on(sites::RECOVERY_LIST, path)?;
        let files: BTreeMap<(Offset, Kind), u64> = entries
            .iter()
            .filter(|entry| !entry.is_dir)
            .filter_map(|entry| Kind::parse(&entry.name).map(|(kind, offset)| ((offset, kind), entry.len)))
            .collect();
        let mut plan = Self {
            found: Vec::new(),
            verify_from: 0,
            trusted: Vec::new(),
            snapshots: Vec::new(),
            orphans: Vec::new(),
            set_aside: entries
                .iter()
                .filter(|entry| !entry.is_dir && file_name::is_deleted(&entry.name))
                .map(|entry| entry.name.clone())
                .collect(),
            obsolete: Vec::new(),
            log_start: context.checkpointed.log_start,
            epochs: read_epochs(context)?,
        };
        for (&(offset, kind), &len) in &files {
            match kind {
                Kind::Log => plan.found.push(Found {
                    base_offset: offset,
                    len,
                    offset_index_len: files.get(&(offset, Kind::OffsetIndex)).copied(),
                    time_index_len: files.get(&(offset, Kind::TimeIndex)).copied(),
                }),
                Kind::Snapshot => plan.snapshots.push(offset),
                _ if files.contains_key(&(offset, Kind::Log)) => {}
                _ => plan.orphans.push((kind, offset)),
            }
        }
        plan.drop_obsolete();
        plan.use_start_of_epochs(context)?;
        plan.drop_obsolete();
        plan.verify_from = plan.first_to_verify(context);
        Ok(plan)
    }

    /// Retention may have been interrupted, in any order when the power failed: what lies below the log's start
    /// and is not the last segment goes without being read.
    fn drop_obsolete(&mut self) {
        let log_start = self.log_start;
        let next_bases = self.found.iter().skip(1);
        let obsolete = next_bases.take_while(|next| next.base_offset <= log_start).count();
        self.obsolete.extend(self.found.drain(..obsolete));
    }

    fn first_to_verify<D: Disk>(&self, context: &Context<D>) -> usize {
        if context.clean {
            return self.found.len();
        }
        // A segment that ends just there may have been sealed after the flush: then its indexes were not in it.
        let flushed = context.checkpointed.recovery_point;
        let next_bases = self.found.iter().skip(1);
        next_bases.take_while(|next| next.base_offset < flushed).count()
    }

    /// Looks at the next segment that is to be trusted. Returns whether there may be another.
    pub(super) fn trust_next<D: Disk>(&mut self, context: &Context<D>) -> Result<bool, LogError> {
        let at = self.trusted.len();
        if at >= self.verify_from {
            return Ok(false);
        }
        let found = self.found[at];
        let loaded = match self.found.get(at + 1) {
            Some(next) => trust_sealed(context, &found, next.base_offset)?,
            None => trust_active(context, &found)?,
        };
        match loaded {
            Some(loaded) => self.trusted.push(loaded),
            None => self.verify_from = at,
        }
        Ok(true)
    }

    /// Loads epochs and producers as of the first segment to verify; when they are missing or damaged, more must be
    /// verified.
    pub(super) fn assemble<D: Disk>(&mut self, context: &Context<D>) -> Result<Assembly, LogError> {
        let mut epochs = self.epochs.take().unwrap_or_else(|| {
            self.verify_from = 0;
            Epochs::default()
        });
        let (snapshot, producers) = self.newest_snapshot(context, self.trusted_end())?;
        if snapshot < self.trusted_end() {
            let behind = self.found.partition_point(|found| found.base_offset <= snapshot);
            self.verify_from = self.verify_from.min(behind.saturating_sub(1));
        }
        epochs.truncate_from_end(self.trusted_end());
        self.trusted.truncate(self.verify_from);
        let segments = std::mem::take(&mut self.trusted);
        Ok(Assembly { segments, epochs, producers, snapshot })
    }

    /// The epoch checkpoint is written by each flush and begins where the log began then, so it knows of a move of
    /// the start that the directory's checkpoint may have missed. An empty one knows nothing of batches that are
    /// there, and is not used. Unless the first batches have no epoch at all: then it says nothing of them.
    fn use_start_of_epochs<D: Disk>(&mut self, context: &Context<D>) -> Result<(), DiskError> {
        let (Some(epochs), Some(found)) = (&self.epochs, self.found.first()) else { return Ok(()) };
        let start = epochs.entries().first().map(|first| first.start);
        if start.is_some_and(|start| start <= found.base_offset) || !has_epoch(context, found)? {
            return Ok(());
        }
        match start {
            Some(start) => self.log_start = self.log_start.max(start),
            None if found.len > 0 => self.epochs = None,
            None => {}
        }
        Ok(())
    }

    /// The offset behind the last segment that is trusted.
    fn trusted_end(&self) -> Offset {
        match self.verify_from.checked_sub(1) {
            Some(last) => self.trusted[last].contents.end_offset,
            None => self.found.first().map_or(Offset::ZERO, |found| found.base_offset),
        }
    }

    fn newest_snapshot<D: Disk>(
        &mut self,
        context: &Context<D>,
        not_behind: Offset,
    ) -> Result<(Offset, Producers), LogError> {
        let mut usable = None;
        for &offset in self.snapshots.iter().rev().filter(|offset| **offset <= not_behind) {
            let path = Kind::Snapshot.path(&context.directory.path, offset);
            let bytes =
                read_file(&context.directory.disk, sites::SNAPSHOT_OPEN, sites::SNAPSHOT_READ, &path)?;
            if let Some(producers) = bytes.and_then(|bytes| Producers::decode(&bytes).ok()) {
                usable = Some((offset, producers));
                break;
            }
        }
        // Newer ones are damaged, or speak of batches that may be gone.
        let newest = usable.as_ref().map(|(offset, _)| *offset);
        let (kept, stale) = self.snapshots.iter().partition(|offset| Some(**offset) <= newest);
        self.snapshots = kept;
        let stale: Vec<Offset> = stale;
        self.orphans.extend(stale.into_iter().map(|offset| (Kind::Snapshot, offset)));
        Ok(usable.unwrap_or_default())
    }
}

fn read_epochs<D: Disk>(context: &Context<D>) -> Result<Option<Epochs>, DiskError> {
    let path = context.directory.path.join(file_name::EPOCHS);
    let bytes = checkpoint::read(&context.directory.disk, &path)?;
    Ok(bytes.as_deref().and_then(checkpoint::decode_epochs))
}

/// Whether a segment begins with anything but a batch without a leader's epoch.
fn has_epoch<D: Disk>(context: &Context<D>, found: &Found) -> Result<bool, DiskError> {
    let path = Kind::Log.path(&context.directory.path, found.base_offset);
    let opened = context.directory.disk.open(sites::RECOVERY_OPEN, &path, OpenMode::Read);
    let file = opened.on(sites::RECOVERY_OPEN, &path)?;
    let mut bytes = [0; HEADER_LEN];
    let read = file.read_at(sites::RECOVERY_READ, &mut bytes, 0).on(sites::RECOVERY_READ, &path)?;
    Ok(!BatchHeader::parse(&bytes[..read]).is_ok_and(|header| header.leader_epoch < LeaderEpoch(0)))
}

/// A sealed segment whose indexes are plausible and whose last batch ends where the next segment begins, so that
/// neither a cut nor the bytes behind one were lost; `None` when it must be verified.
fn trust_sealed<D: Disk>(
    context: &Context<D>,
    found: &Found,
    next_base: Offset,
) -> Result<Option<Loaded>, DiskError> {
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
    let fits = read_tail(context, found, &mut contents)? && contents.end_offset == next_base;
    Ok(fits.then_some(Loaded { contents, written, verified: false, surplus: 0 }))
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

/// The active segment after a clean shutdown: its indexes, and the batches behind their last entry.
fn trust_active<D: Disk>(context: &Context<D>, found: &Found) -> Result<Option<Loaded>, DiskError> {
    if !found.has_plausible_indexes() {
        return Ok(None);
    }
    let offsets = read_index::<D, OffsetEntry>(context, Kind::OffsetIndex, found)?;
    let times = read_index::<D, TimeEntry>(context, Kind::TimeIndex, found)?;
    let (Some(offsets), Some(times)) = (offsets, times) else { return Ok(None) };
    let written = Written { offsets: offsets.len(), times: times.len() };
    let mut contents = Contents { offsets, times, ..Contents::empty(found.base_offset, context.now) };
    let fits = read_tail(context, found, &mut contents)?;
    Ok(fits.then_some(Loaded { contents, written, verified: false, surplus: 0 }))
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

/// Fills in what the indexes do not say, from the batches behind their last entries. Returns whether the two fit
/// together.
fn read_tail<D: Disk>(
    context: &Context<D>,
    found: &Found,
    contents: &mut Contents,
) -> Result<bool, DiskError> {
    let path = Kind::Log.path(&context.directory.path, found.base_offset);
    let opened = context.directory.disk.open(sites::RECOVERY_OPEN, &path, OpenMode::Read);
    let file = opened.on(sites::RECOVERY_OPEN, &path)?;
    match fold_tail(&file, contents, found.len) {
        Ok(fits) => Ok(fits),
        Err(ScanError::Batch(..)) => Ok(false),
        Err(ScanError::Io(error)) => Err(DiskError::new(sites::RECOVERY_READ, &path, error)),
    }
}

fn fold_tail<F: File>(file: &F, contents: &mut Contents, len: u64) -> Result<bool, ScanError> {
    let base = contents.base_offset;
    let mut first = HeaderScan::new(file, sites::RECOVERY_READ, 0, len, HEADER_LEN);
    contents.first_timestamp = first.next()?.map(|(_, header)| header.max_timestamp);
    if let Some(entry) = contents.times.last() {
        let offset = Offset(base.0.saturating_add(entry.relative_offset.into()));
        contents.largest = TimestampOffset { timestamp: entry.timestamp, offset };
    }
    let from = contents.offsets.last().map_or(0, |entry| u64::from(entry.position));
    if from > len || (from == len && len > 0) || len > i32::MAX as u64 {
        return Ok(false);
    }
    let mut scan = HeaderScan::new(file, sites::RECOVERY_READ, from, len, TAIL_BYTES);
    while let Some((_, header)) = scan.next()? {
        let (Some(last), Some(next)) = (header.last_offset(), header.next_offset()) else { return Ok(false) };
        if header.base_offset < contents.end_offset || last < header.base_offset {
            return Ok(false);
        }
        if header.max_timestamp > contents.largest.timestamp {
            contents.largest = TimestampOffset { timestamp: header.max_timestamp, offset: last };
        }
        contents.end_offset = next;
    }
    contents.size = len;
    contents.bytes_since_entry = len - from;
    let span = contents.end_offset.0 - base.0;
    Ok(span - 1 <= i64::from(i32::MAX)
        && contents.times.last().is_none_or(|entry| i64::from(entry.relative_offset) < span))
}
