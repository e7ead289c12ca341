use std::io::IoSlice;

use super::plan::Plan;
use super::{Assembly, Context, Loaded, STEP_BYTES};
use crate::env::{Disk, File, OpenMode};
use crate::ids::{LeaderEpoch, Offset};
use crate::log::contents::Contents;
use crate::log::error::{LogError, OnDisk};
use crate::log::file_name::Kind;
use crate::log::segment::Written;
use crate::log::sites;
use crate::record::batch::{BatchHeader, CRC_START, HEADER_LEN};

/// The reading of one segment from end to end.
pub(super) struct Verification<F> {
    file: F,
    len: u64,
    contents: Contents,
    /// The next segment's base: nothing of this one may reach beyond it.
    next_base: Option<Offset>,
    /// A batch whose body is still being read.
    partial: Option<Partial>,
    buffer: Vec<u8>,
}

struct Partial {
    header: BatchHeader,
    digest: crc_fast::Digest,
    read: u64,
}

/// How a segment turned out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is more to read.
    More,
    /// All of it is whole.
    Whole,
    /// What follows lies where the next segment has newer batches: a cut that was lost.
    Superseded,
    /// What follows is no batch, or not the next one.
    Torn,
}

/// Reads on. `None` when all segments are through.
pub(super) fn step<D: Disk>(
    context: &Context<D>,
    plan: &mut Plan,
    assembly: &mut Assembly,
    verification: Option<Verification<D::File>>,
) -> Result<Option<Verification<D::File>>, LogError> {
    let mut verification = match verification {
        Some(verification) => verification,
        None if plan.verify_from < plan.found.len() => Verification::begin(context, plan)?,
        None => return Ok(None),
    };
    let path = Kind::Log.path(&context.directory.path, verification.contents.base_offset);
    let end = verification.read(context, assembly).on(sites::RECOVERY_READ, &path)?;
    if end == End::More {
        return Ok(Some(verification));
    }
    let log_end = verification.contents.end_offset;
    let found = plan.found[plan.verify_from];
    plan.verify_from += 1;
    let written = match context.settings.rebuilds_indexes() {
        true => Written::default(),
        false => found.written(),
    };
    let surplus = verification.len - verification.contents.size;
    let superseded = end == End::Superseded;
    let contents = verification.contents;
    assembly.segments.push(Loaded { contents, written, verified: true, surplus, superseded });
    let follows = plan.found.get(plan.verify_from).is_none_or(|next| next.base_offset == log_end);
    if end == End::Torn || !follows {
        // What comes later does not follow; `Repair` removes it.
        plan.verify_from = plan.found.len();
    }
    Ok(match plan.verify_from < plan.found.len() {
        true => Some(Verification::begin(context, plan)?),
        false => None,
    })
}

impl<F: File> Verification<F> {
    fn begin<D: Disk<File = F>>(context: &Context<D>, plan: &Plan) -> Result<Self, LogError> {
        let found = &plan.found[plan.verify_from];
        let path = Kind::Log.path(&context.directory.path, found.base_offset);
        let opened = context.directory.disk.open(sites::RECOVERY_OPEN, &path, OpenMode::Write);
        Ok(Self {
            file: opened.on(sites::RECOVERY_OPEN, &path)?,
            len: found.len,
            contents: Contents::empty(found.base_offset, context.now),
            next_base: plan.found.get(plan.verify_from + 1).map(|next| next.base_offset),
            partial: None,
            buffer: Vec::new(),
        })
    }

    /// Reads at most [`STEP_BYTES`] and takes what batches end in them.
    ///
    /// What was not flushed before is written again as it is, and its end set again. The life before may have ended because a sync failed:
    /// then these pages count as clean although the disk never got them, a sync of this life would succeed without
    /// writing them, and a loss of power would take records that count as flushed.
    fn read<D: Disk>(&mut self, context: &Context<D>, assembly: &mut Assembly) -> std::io::Result<End> {
        let position = self.contents.size + self.partial.as_ref().map_or(0, |partial| partial.read);
        let wanted = (self.len - position.min(self.len)).min(STEP_BYTES as u64) as usize;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(wanted, 0);
        let there = self.file.read_at(sites::RECOVERY_READ, &mut buffer, position)?;
        let at_end = there < wanted || position + there as u64 == self.len;
        let end = self.take(&buffer[..there], at_end, context, assembly);
        let unflushed = self.contents.end_offset > context.checkpointed.recovery_point;
        if there > 0 && (unflushed || self.partial.is_some()) {
            self.file.write_at(sites::RECOVERY_REWRITE, &[IoSlice::new(&buffer[..there])], position)?;
        }
        if unflushed && matches!(end, End::Whole) {
            // Its length too: the life before may have cut a torn tail off, and lost the cut with its sync. Behind a
            // segment that others follow the tail would take all of them along.
            self.file.truncate(sites::RECOVERY_REWRITE, self.len)?;
        }
        self.buffer = buffer;
        Ok(end)
    }

    fn take<D: Disk>(
        &mut self,
        mut bytes: &[u8],
        at_end: bool,
        context: &Context<D>,
        assembly: &mut Assembly,
    ) -> End {
        loop {
            let mut partial = match self.partial.take() {
                Some(partial) => partial,
                None if bytes.is_empty() => return if at_end { End::Whole } else { End::More },
                None if bytes.len() < HEADER_LEN => return if at_end { End::Torn } else { End::More },
                None => match self.begin_batch(&mut bytes, assembly) {
                    Ok(partial) => partial,
                    Err(end) => return end,
                },
            };
            let missing = partial.header.size_bytes() as u64 - partial.read;
            let here = missing.min(bytes.len() as u64) as usize;
            partial.digest.update(&bytes[..here]);
            partial.read += here as u64;
            bytes = &bytes[here..];
            if (here as u64) < missing {
                self.partial = Some(partial);
                return if at_end { End::Torn } else { End::More };
            }
            let crc = partial.digest.finalize() as u32;
            if crc != partial.header.crc && context.settings.checks_crc_in_recovery() {
                return End::Torn;
            }
            self.take_batch(&partial.header, context, assembly);
        }
    }

    /// Whether the header at the start of `bytes` can be that of the next batch.
    fn begin_batch(&self, bytes: &mut &[u8], assembly: &Assembly) -> Result<Partial, End> {
        let header = BatchHeader::parse(bytes).map_err(|_| End::Torn)?;
        let size = header.size_bytes();
        let (Some(last), Some(next)) = (header.last_offset(), header.next_offset()) else {
            return Err(End::Torn);
        };
        // A cut makes a new segment, so an older epoch at the start of one is what a cut left that was lost. Inside a
        // segment it is no sign of damage: the CRC says that somebody wrote it there.
        let is_left_over = self.contents.size == 0 && falls(assembly, &header);
        let follows = header.base_offset >= self.contents.end_offset && last >= header.base_offset;
        if !follows
            || is_left_over
            || size as u64 > self.len - self.contents.size
            || !self.contents.takes(last, size)
        {
            return Err(End::Torn);
        }
        if self.next_base.is_some_and(|next_base| next > next_base) {
            return Err(End::Superseded);
        }
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        digest.update(&bytes[CRC_START..HEADER_LEN]);
        *bytes = &bytes[HEADER_LEN..];
        Ok(Partial { header, digest, read: HEADER_LEN as u64 })
    }

    fn take_batch<D: Disk>(&mut self, header: &BatchHeader, context: &Context<D>, assembly: &mut Assembly) {
        self.contents.push(header, context.settings.index_interval_bytes);
        match falls(assembly, header) {
            // To note it would remove what is known of the later ones.
            true => {
                tracing::warn!(directory = %context.directory.path.display(), offset = %header.base_offset,
                leader_epoch = %header.leader_epoch, "a batch has an older leader epoch than the one before it")
            }
            false => drop(assembly.epochs.assign(header.leader_epoch, header.base_offset)),
        }
        if header.base_offset >= assembly.snapshot {
            assembly.producers.apply(header);
        }
    }
}

/// Whether a batch has an older leader epoch than those before it.
fn falls(assembly: &Assembly, header: &BatchHeader) -> bool {
    let before = assembly.epochs.latest().map_or(LeaderEpoch::NONE, |latest| latest.epoch);
    (LeaderEpoch(0)..before).contains(&header.leader_epoch)
}
