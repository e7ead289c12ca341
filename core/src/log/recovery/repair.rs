use std::path::{Path, PathBuf};

use super::plan::Plan;
use super::{Assembly, Context, Loaded, Lost, Recovered};
use crate::env::{Disk, File, OpenMode, Site};
use crate::epochs::Epochs;
use crate::ids::Offset;
use crate::log::contents::Contents;
use crate::log::error::{LogError, OnDisk};
use crate::log::file::{read_file, remove_if_there};
use crate::log::file_name::Kind;
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::log::log::{Active, Durability, Log};
use crate::log::segment::{Segment, Written};
use crate::log::{roll, sites};
use crate::replica::producers::Producers;
use crate::sync::Arc;

/// Brings the files in line with what was found good: one change per step, so that a crash in between leaves
/// something that the next recovery understands.
pub(super) struct Repair<D: Disk> {
    /// Segments that wait to be sealed; the last one becomes the active one.
    loaded: std::vec::IntoIter<Loaded>,
    segments: Vec<Arc<Segment<D>>>,
    epochs: Epochs,
    producers: Producers,
    snapshots: Vec<Offset>,
    changes: Vec<Change>,
    /// Segments that stay and whose end is cut off.
    cut: Vec<PathBuf>,
    cut_bytes: u64,
    log_start: Offset,
    log_end_found: Offset,
    /// Never more than was really flushed, whatever is in the page cache (KAFKA-10101); less where an index below
    /// was made again.
    flushed: Offset,
    /// Segments whose batches were read, oldest first.
    verified: Vec<Offset>,
}

/// In the reverse of the order in which they are done.
enum Change {
    Remove(PathBuf),
    Cut(PathBuf, u64),
}

impl<D: Disk> Repair<D> {
    pub(super) fn new(context: &Context<D>, mut plan: Plan, mut assembly: Assembly) -> Self {
        // When no batch is left, nothing speaks against the epochs any more: the next recovery would believe them.
        if let Some(start) = plan.start_of_epochs
            && assembly.segments.iter().all(|segment| segment.contents.size == 0)
        {
            plan.log_start = plan.log_start.max(start);
        }
        let directory = &context.directory.path;
        let mut dropped: Vec<(Offset, u64)> = plan.found[assembly.segments.len()..]
            .iter()
            .map(|found| (found.base_offset, found.len))
            .collect();
        let log_end_found = assembly.segments.last().map_or(Offset::ZERO, |last| last.contents.end_offset);
        let mut snapshots = plan.snapshots;
        let mut orphans = plan.orphans;
        // What a newer segment supersedes goes while that segment is there to say so, and segments below the log's
        // start while one behind them is: otherwise a crash in between would bring old batches back.
        let superseded = assembly.segments.iter().filter(|segment| segment.superseded);
        let superseded: Vec<Change> = superseded.map(|segment| cut(directory, segment)).collect();
        // DeleteRecords had moved the start beyond what is left: nothing of it may be read again, and no offset
        // may be given twice.
        if log_end_found < plan.log_start {
            let all = assembly
                .segments
                .drain(..)
                .map(|segment| (segment.contents.base_offset, segment.contents.size + segment.surplus));
            dropped.splice(..0, all);
            orphans.extend(snapshots.drain(..).map(|offset| (Kind::Snapshot, offset)));
            // The checkpoint is what the next recovery will have of them, if this process dies before it flushes.
            assembly.epochs = plan.epochs.unwrap_or_default();
            assembly.producers = Producers::default();
        }
        let cut_bytes = dropped.iter().map(|(_, len)| len).sum::<u64>()
            + assembly.segments.iter().map(|segment| segment.surplus).sum::<u64>();

        // First of all what was not believed, while that is there for which it was not: whoever comes after
        // this process would else find a whole log beside it, and believe it.
        let mut changes: Vec<Change> =
            orphans.iter().map(|(kind, offset)| Change::Remove(kind.path(directory, *offset))).collect();
        changes.extend(superseded);
        for found in &plan.obsolete {
            changes.extend(segment_files(directory, found.base_offset));
            changes.push(Change::Remove(Kind::Snapshot.path(directory, found.base_offset)));
        }
        changes.extend(plan.set_aside.iter().map(|name| Change::Remove(directory.join(name))));
        // Newest first: a crash in between leaves a shorter log without a gap.
        for &(base, _) in dropped.iter().rev() {
            changes.extend(segment_files(directory, base));
        }
        snapshots.retain(|offset| plan.obsolete.iter().all(|found| found.base_offset != *offset));
        for segment in assembly.segments.iter().filter(|segment| segment.verified) {
            let base = segment.contents.base_offset;
            if segment.surplus > 0 && !segment.superseded {
                changes.push(cut(directory, segment));
            }
            if context.settings.rebuilds_indexes() {
                let indexes = [Kind::OffsetIndex, Kind::TimeIndex];
                changes.extend(indexes.map(|kind| Change::Remove(kind.path(directory, base))));
            }
        }
        changes.reverse();
        let Assembly { segments, epochs, producers, .. } = assembly;
        let cut = segments.iter().filter(|segment| segment.surplus > 0);
        let cut = cut.map(|segment| Kind::Log.path(directory, segment.contents.base_offset)).collect();
        let verified = segments.iter().filter(|segment| segment.verified);
        Self {
            flushed: flushed(context, &segments),
            verified: verified.map(|segment| segment.contents.base_offset).collect(),
            loaded: segments.into_iter(),
            segments: Vec::new(),
            epochs,
            producers,
            snapshots,
            changes,
            cut,
            cut_bytes,
            log_start: plan.log_start,
            log_end_found,
        }
    }

    /// Does the next change, or seals the next segment. Returns whether there may be another.
    pub(super) fn next(&mut self, context: &Context<D>) -> Result<bool, LogError> {
        let disk = &context.directory.disk;
        match self.changes.pop() {
            None if self.loaded.len() <= 1 => return Ok(false),
            None => self.segments.extend(self.loaded.next().map(|one| seal(context, one)).transpose()?),
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
    pub(super) fn open(mut self, context: &Context<D>) -> Result<Recovered<D>, LogError> {
        let checkpointed = &context.checkpointed;
        let expected = checkpointed.recovery_point.max(checkpointed.high_watermark).max(self.log_start);
        let lost = (self.log_end_found < expected).then_some(Lost { log_end: self.log_end_found, expected });
        let trusted = context.clean && self.verified.is_empty() && lost.is_none();
        let mut log = self.open_log(context, trusted)?;
        let log_end = log.log_end();
        let begins = log.segments[0].base_offset;
        log.log_start = self.log_start.max(begins).min(log_end);
        log.epochs = self.epochs;
        let from_end = log.epochs.truncate_from_end(log_end);
        if log.epochs.truncate_from_start(log.log_start) || from_end {
            log.durability.epochs.changed += 1;
        }
        log.producers = self.producers;
        log.snapshots = self.snapshots;
        log.durability.flushed = match trusted {
            true => log_end,
            false => self.flushed.clamp(begins.min(log_end), log_end),
        };
        log.publish();
        Ok(Recovered { log, clean: trusted, cut_bytes: self.cut_bytes, lost, cut: self.cut })
    }

    fn open_log(&mut self, context: &Context<D>, trusted: bool) -> Result<Log<D>, LogError> {
        let directory = &context.directory;
        let unsynced = std::mem::take(&mut self.verified);
        let mut durability = Durability { unsynced, directory_synced: trusted, ..Durability::default() };
        if !trusted {
            (durability.names.changed, durability.epochs.changed) = (1, 1);
        }
        let last = self.loaded.next();
        let mut segments = std::mem::take(&mut self.segments);
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
                (
                    file,
                    Loaded {
                        contents,
                        written: Written::default(),
                        verified: true,
                        surplus: 0,
                        superseded: false,
                    },
                )
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

fn cut(directory: &Path, segment: &Loaded) -> Change {
    Change::Cut(Kind::Log.path(directory, segment.contents.base_offset), segment.contents.size)
}

fn flushed<D: Disk>(context: &Context<D>, segments: &[Loaded]) -> Offset {
    let recovery_point = context.checkpointed.recovery_point;
    let is_rebuilt = |segment: &&Loaded| segment.verified && segment.contents.end_offset < recovery_point;
    let rebuilt = segments.iter().find(is_rebuilt);
    rebuilt.map_or(recovery_point, |segment| segment.contents.base_offset)
}

fn segment_files(directory: &Path, base: Offset) -> [Change; 3] {
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
