use std::collections::BTreeMap;

use super::trust::{Fit, Trust};
use super::{Assembly, Context, Loaded};
use crate::env::{Disk, File, OpenMode};
use crate::epochs::{EpochStart, Epochs};
use crate::ids::{LeaderEpoch, Offset};
use crate::log::error::{DiskError, LogError, OnDisk};
use crate::log::file::read_file;
use crate::log::file_name::{self, Kind};
use crate::log::index::{Entry, OffsetEntry, TimeEntry};
use crate::log::segment::Written;
use crate::log::{checkpoint, sites};
use crate::record::batch::{BatchHeader, HEADER_LEN};
use crate::replica::producers::Producers;

/// What is in the directory, and from which segment on it must be verified.
pub(super) struct Plan {
    pub(super) found: Vec<Found>,
    /// Segments below are trusted.
    pub(super) verify_from: usize,
    /// Segments that were looked at so far, of those to trust.
    trusted: Vec<Loaded>,
    /// The one that is being looked at.
    looked_at: Option<Trust>,
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
    pub(super) epochs: Option<Epochs>,
    /// Where the epochs in the file begin, used or not.
    pub(super) start_of_epochs: Option<Offset>,
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
    pub(super) fn has_plausible_indexes(&self) -> bool {
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
            looked_at: None,
            snapshots: Vec::new(),
            orphans: Vec::new(),
            set_aside: entries
                .iter()
                .filter(|entry| !entry.is_dir && file_name::is_deleted(&entry.name))
                .map(|entry| entry.name.clone())
                .collect(),
            obsolete: Vec::new(),
            log_start: context.checkpointed.log_start.max(Offset::ZERO),
            epochs: read_epochs(context)?,
            start_of_epochs: None,
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
        let next_base = self.found.get(at + 1).map(|next| next.base_offset);
        let begun = match (self.looked_at.take(), next_base) {
            (Some(trust), _) => Some(trust),
            (None, Some(next_base)) => Trust::sealed(context, &found, next_base)?,
            (None, None) => Trust::active(context, &found)?,
        };
        let Some(mut trust) = begun else {
            self.verify_from = at;
            return Ok(true);
        };
        match trust.read_on(context, &found)? {
            Fit::Unknown => self.looked_at = Some(trust),
            Fit::Good => self.trusted.push(trust.into_loaded()),
            Fit::Bad => self.verify_from = at,
        }
        Ok(true)
    }

    /// Loads epochs and producers as of the first segment to verify; when they are missing or damaged, more must be
    /// verified.
    pub(super) fn assemble<D: Disk>(&mut self, context: &Context<D>) -> Result<Assembly, LogError> {
        let mut epochs = self.epochs.clone().unwrap_or_else(|| {
            self.verify_from = 0;
            Epochs::default()
        });
        let (snapshot, producers) = self.choose_snapshot(context)?;
        epochs.truncate_from_end(self.trusted_end());
        self.trusted.truncate(self.verify_from);
        let segments = std::mem::take(&mut self.trusted);
        Ok(Assembly { segments, epochs, producers, snapshot })
    }

    /// The epoch checkpoint is written by each flush and begins where the log began then, so it knows of a move of
    /// the start that the directory's checkpoint may have missed. An empty one knows nothing of batches that are
    /// there, and is not used, and neither is one that begins with an epoch older than that of the batches before it.
    /// Unless the first batches have no epoch at all: then it says nothing of them.
    fn use_start_of_epochs<D: Disk>(&mut self, context: &Context<D>) -> Result<(), DiskError> {
        let Some(epochs) = &self.epochs else { return Ok(()) };
        let first = epochs.entries().first().copied();
        self.start_of_epochs = first.map(|first| first.start);
        let Some(found) = self.found.first() else {
            // No segment is left, but no offset may be given twice.
            self.log_start = first.map_or(self.log_start, |first| self.log_start.max(first.start));
            return Ok(());
        };
        if first.is_some_and(|first| first.start <= found.base_offset) {
            return Ok(());
        }
        let batch = first_header(context, found)?;
        if batch.is_some_and(|batch| batch.leader_epoch < LeaderEpoch(0)) {
            return Ok(());
        }
        let contradicts = |first: EpochStart, batch: BatchHeader| {
            batch.base_offset < first.start && batch.leader_epoch > first.epoch
        };
        match first {
            Some(first) if batch.is_some_and(|batch| contradicts(first, batch)) => {
                tracing::warn!(directory = %context.directory.path.display(), start = %first.start,
                    "the epochs contradict the batches and are gathered again");
                self.epochs = None;
            }
            Some(first) => self.log_start = self.log_start.max(first.start),
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

    /// The snapshot from which the producers are folded. Where batches behind it are to be verified, it lies at or
    /// before the first of them, so that it cannot speak of one that turns out to be damaged.
    fn choose_snapshot<D: Disk>(&mut self, context: &Context<D>) -> Result<(Offset, Producers), LogError> {
        let mut not_behind = self.trusted_end();
        loop {
            let (snapshot, producers) = self.newest_snapshot(context, not_behind)?;
            if snapshot < self.trusted_end() {
                let behind = self.found.partition_point(|found| found.base_offset <= snapshot);
                self.verify_from = self.verify_from.min(behind.saturating_sub(1));
            }
            if snapshot <= self.trusted_end() {
                return Ok((snapshot, producers));
            }
            not_behind = self.trusted_end();
        }
    }

    fn newest_snapshot<D: Disk>(
        &mut self,
        context: &Context<D>,
        not_behind: Offset,
    ) -> Result<(Offset, Producers), LogError> {
        let mut usable = None;
        // One from before the first segment does not know of the batches in between, which are gone: a producer that
        // it does know would be refused for a gap.
        let first = self.found.first().map_or(Offset::ZERO, |found| found.base_offset);
        let in_reach = |offset: &&Offset| (first..=not_behind).contains(*offset);
        for &offset in self.snapshots.iter().rev().filter(in_reach) {
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

/// The header of a segment's first batch; `None` when it does not begin with one.
fn first_header<D: Disk>(context: &Context<D>, found: &Found) -> Result<Option<BatchHeader>, DiskError> {
    let path = Kind::Log.path(&context.directory.path, found.base_offset);
    let opened = context.directory.disk.open(sites::RECOVERY_OPEN, &path, OpenMode::Read);
    let file = opened.on(sites::RECOVERY_OPEN, &path)?;
    let mut bytes = [0; HEADER_LEN];
    let read = file.read_at(sites::RECOVERY_READ, &mut bytes, 0).on(sites::RECOVERY_READ, &path)?;
    Ok(BatchHeader::parse(&bytes[..read]).ok())
}
