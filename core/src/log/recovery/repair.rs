use std::path::PathBuf;

use super::plan::Plan;
use super::{Assembly, Context, Loaded, Lost, Recovered};
use crate::env::{Disk, File, OpenMode, Site};
use crate::ids::Offset;
use crate::log::contents::Contents;
use crate::log::error::{LogError, OnDisk};
use crate::log::file::{read_file, remove_if_there};
use crate::log::file_name::Kind;
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::log::log::{Active, Durability, Log};
use crate::log::segment::{Segment, Written};
use crate::log::{roll, sites};
use crate::sync::Arc;

/// Brings the files in line with what was found good: one change per step, so that a crash in between leaves
/// something that the next recovery understands.
pub(super) struct Repair {
    assembly: Assembly,
    snapshots: Vec<Offset>,
    changes: Vec<Change>,
    /// Segments whose end is cut off.
    cut: Vec<PathBuf>,
    cut_bytes: u64,
    log_start: Offset,
    log_end_found: Offset,
}

/// In the reverse of the order in which they are done.
enum Change {
    Remove(PathBuf),
    Cut(PathBuf, u64),
}

impl Repair {
    pub(super) fn new<D: Disk>(context: &Context<D>, plan: Plan, mut assembly: Assembly) -> Self {
        let directory = &context.directory.path;
        let mut dropped: Vec<(Offset, u64)> = plan.found[assembly.segments.len()..]
            .iter()
            .map(|found| (found.base_offset, found.len))
            .collect();
        let log_end_found = assembly.segments.last().map_or(Offset::ZERO, |last| last.contents.end_offset);
        let mut snapshots = plan.snapshots;
        let mut orphans = plan.orphans;
        // DeleteRecords had moved the start beyond what is left: nothing of it may be read again, and no offset
        // may be given twice.
        if log_end_found < plan.log_start {
            let all = assembly
                .segments
                .drain(..)
                .map(|segment| (segment.contents.base_offset, segment.contents.size + segment.surplus));
            dropped.splice(..0, all);
            orphans.extend(snapshots.drain(..).map(|offset| (Kind::Snapshot, offset)));
            (assembly.epochs, assembly.producers) = Default::default();
            assembly.snapshot = Offset::ZERO;
        }
        let cut_bytes = dropped.iter().map(|(_, len)| len).sum::<u64>()
            + assembly.segments.iter().map(|segment| segment.surplus).sum::<u64>();

        let mut changes = Vec::new();
        // Newest first: a crash in between leaves a shorter log without a gap.
        for &(base, _) in dropped.iter().rev() {
            changes.extend(segment_files(directory, base));
        }
        for found in &plan.obsolete {
            changes.extend(segment_files(directory, found.base_offset));
            changes.push(Change::Remove(Kind::Snapshot.path(directory, found.base_offset)));
        }
        changes.extend(plan.set_aside.iter().map(|name| Change::Remove(directory.join(name))));
        changes.extend(orphans.iter().map(|(kind, offset)| Change::Remove(kind.path(directory, *offset))));
        snapshots.retain(|offset| plan.obsolete.iter().all(|found| found.base_offset != *offset));
        for segment in assembly.segments.iter().filter(|segment| segment.verified) {
            let base = segment.contents.base_offset;
            if segment.surplus > 0 {
                changes.push(Change::Cut(Kind::Log.path(directory, base), segment.contents.size));
            }
            if context.settings.rebuilds_indexes() {
                let indexes = [Kind::OffsetIndex, Kind::TimeIndex];
                changes.extend(indexes.map(|kind| Change::Remove(kind.path(directory, base))));
            }
        }
        changes.reverse();
        let cut = |change: &Change| match change {
            Change::Cut(path, _) => Some(path.clone()),
            Change::Remove(_) => None,
        };
        let cut = changes.iter().filter_map(cut).collect();
        Self { assembly, snapshots, changes, cut, cut_bytes, log_start: plan.log_start, log_end_found }
    }

    /// Does the next change. Returns whether there may be another.
    pub(super) fn next<D: Disk>(&mut self, context: &Context<D>) -> Result<bool, LogError> {
        let disk = &context.directory.disk;
        match self.changes.pop() {
            None => return Ok(false),
            Some(Change::Remove(path)) => remove_if_there(disk, sites::RECOVERY_REMOVE, &path)?,
            Some(Change::Cut(path, len)) => {
                let opened = disk.open(sites::RECOVERY_OPEN, &path, OpenMode::Write);
                let cut = opened.and_then(|file| file.truncate(sites::RECOVERY_CUT, len));
                cut.on(sites::RECOVERY_CUT, &path)?;
            }
        }
        Ok(true)
    }

    /// Puts the log together.
    pub(super) fn open<D: Disk>(mut self, context: &Context<D>) -> Result<Recovered<D>, LogError> {
        let checkpointed = &context.checkpointed;
        let expected = checkpointed.recovery_point.max(checkpointed.high_watermark).max(self.log_start);
        let lost = (self.log_end_found < expected).then_some(Lost { log_end: self.log_end_found, expected });
        let verified = self.assembly.segments.iter().any(|segment| segment.verified);
        let trusted = context.clean && !verified && lost.is_none();
        let flushed = self.flushed(context);
        let mut log = self.open_log(context, trusted)?;
        let log_end = log.log_end();
        let begins = log.segments[0].base_offset;
        log.log_start = self.log_start.max(begins).min(log_end);
        log.epochs = std::mem::take(&mut self.assembly.epochs);
        let from_end = log.epochs.truncate_from_end(log_end);
        if log.epochs.truncate_from_start(log.log_start) || from_end {
            log.durability.epochs.changed += 1;
        }
        log.producers = std::mem::take(&mut self.assembly.producers);
        log.snapshots = std::mem::take(&mut self.snapshots);
        log.durability.flushed = match trusted {
            true => log_end,
            false => flushed.clamp(begins.min(log_end), log_end),
        };
        if log_end < self.assembly.snapshot {
            // Batches that the snapshot knows were damaged although they had been flushed.
            log.restore_producers()?;
        }
        log.publish();
        Ok(Recovered { log, clean: trusted, cut_bytes: self.cut_bytes, lost, cut: self.cut })
    }

    /// Never more than was really flushed, whatever is in the page cache (KAFKA-10101); less where an index below was
    /// made again.
    fn flushed<D: Disk>(&self, context: &Context<D>) -> Offset {
        let recovery_point = context.checkpointed.recovery_point;
        let rebuilt = self
            .assembly
            .segments
            .iter()
            .find(|segment| segment.verified && segment.contents.end_offset < recovery_point);
        rebuilt.map_or(recovery_point, |segment| segment.contents.base_offset)
    }

    fn open_log<D: Disk>(&mut self, context: &Context<D>, trusted: bool) -> Result<Log<D>, LogError> {
        let directory = &context.directory;
        let mut loaded = std::mem::take(&mut self.assembly.segments);
        let unsynced = loaded.iter().filter(|one| one.verified).map(|one| one.contents.base_offset).collect();
        let mut durability = Durability { unsynced, directory_synced: trusted, ..Durability::default() };
        if !trusted {
            (durability.names.changed, durability.epochs.changed) = (1, 1);
        }
        let last = loaded.pop();
        let mut segments = Vec::with_capacity(loaded.len() + 1);
        for segment in loaded {
            segments.push(seal(context, segment)?);
        }
        let (file, mut last) = match last {
            Some(last) => {
                durability.unsynced.retain(|base| *base != last.contents.base_offset);
                let path = Kind::Log.path(&directory.path, last.contents.base_offset);
                let opened = directory.disk.open(sites::SEGMENT_OPEN, &path, OpenMode::Write);
                (opened.on(sites::SEGMENT_OPEN, &path)?, last)
            }
            None => {
                let start = self.log_start;
                let contents = Contents::empty(start, context.now);
                let file = roll::create_segment(directory, start)?;
                (file, Loaded { contents, written: Written::default(), verified: true, surplus: 0 })
            }
        };
        if last.verified && !context.settings.rebuilds_indexes() {
            trust_index_files(context, &mut last)?;
        }
        let active = Active { file: file.clone(), position: last.contents.size, allocated: 0 };
        segments.push(Segment::active(directory.clone(), last.contents, last.written, Some(file)));
        let start = self.log_start;
        Ok(Log::assemble(directory.clone(), context.settings, segments, active, start, durability))
    }
}

fn segment_files(directory: &std::path::Path, base: Offset) -> [Change; 3] {
    [Kind::Log, Kind::OffsetIndex, Kind::TimeIndex].map(|kind| Change::Remove(kind.path(directory, base)))
}

/// A segment behind which another follows: its indexes go to disk, unless they are there and trusted.
fn seal<D: Disk>(context: &Context<D>, loaded: Loaded) -> Result<Arc<Segment<D>>, LogError> {
    let directory = context.directory.clone();
    if !loaded.verified || !context.settings.rebuilds_indexes() {
        return Ok(Segment::sealed(directory, loaded.contents, loaded.written));
    }
    let segment = Segment::active(directory, loaded.contents, Written::default(), None);
    segment.seal()?;
    Ok(segment)
}

/// The simulator's switch `trust-index`: entries are taken from the disk as they are.
fn trust_index_files<D: Disk>(context: &Context<D>, loaded: &mut Loaded) -> Result<(), LogError> {
    fn entries<D: Disk, T: Entry>(
        context: &Context<D>,
        kind: Kind,
        base: Offset,
    ) -> Result<Vec<T>, LogError> {
        let path = kind.path(&context.directory.path, base);
        let (open, read): (Site, Site) = (sites::INDEX_OPEN_READ, sites::INDEX_READ);
        let bytes = read_file(&context.directory.disk, open, read, &path)?.unwrap_or_default();
        Ok(bytes.chunks_exact(T::LEN).map(T::take).collect())
    }
    let base = loaded.contents.base_offset;
    loaded.contents.offsets = entries::<D, OffsetEntry>(context, Kind::OffsetIndex, base)?;
    loaded.contents.times = entries::<D, TimeEntry>(context, Kind::TimeIndex, base)?;
    loaded.written = Written { offsets: loaded.contents.offsets.len(), times: loaded.contents.times.len() };
    Ok(())
}
