//! Brings a log back after a stop, whatever the stop left.
//!
//! What lies below the recovery point was flushed, and is trusted when its indexes look whole. Everything else is
//! read from end to end: each batch must follow the one before it in offset and match its CRC; the first that does not
//! ends the log. Indexes, epochs and producers of that part are folded again from its batches. So is
//! whatever else is missing: the indexes, the epoch checkpoint and the snapshots are all derived from the segments.
//!
//! After a clean shutdown nothing but the last few batches is looked at.

mod plan;
mod repair;
mod trust;
mod verify;

use std::path::PathBuf;

use self::plan::Plan;
use self::repair::Repair;
use self::verify::Verification;
use super::Settings;
use super::contents::Contents;
use super::error::{DiskError, LogError, OnDisk};
use super::log::Log;
use super::segment::{Directory, Written};
use super::sites;
use crate::env::{Disk, File, OpenMode, Step, Stepper};
use crate::epochs::Epochs;
use crate::ids::Offset;
use crate::replica::producers::Producers;
use crate::sync::Arc;
use crate::time::Timestamp;

/// The most that one step reads.
const STEP_BYTES: usize = 1 << 20;

/// What the directory's checkpoints say of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpointed {
    /// Everything below was flushed.
    pub recovery_point: Offset,
    /// The first readable offset.
    pub log_start: Offset,
    /// Everything below was committed.
    pub high_watermark: Offset,
}

/// A log that was brought back.
///
/// Before anything is appended, [`Recovered::settle`] is called, and [`LogDir::lower_recovery_point`](super::dir::LogDir::lower_recovery_point) is told the
/// log's recovery point.
pub struct Recovered<D: Disk> {
    /// The log.
    pub log: Log<D>,
    /// Whether the last stop left its marker and the files bear it out, so that they were trusted.
    pub clean: bool,
    /// Bytes of segments that were cut off: no whole batches, or not following what is before them.
    pub cut_bytes: u64,
    /// Set when the log ends before what had been flushed or committed, be it that it was torn off or that a batch
    /// was damaged. Then this replica must count as unclean: what it lost is to be fetched from others, and it must
    /// not lead by an election that takes it for complete (`crc-fail-truncates-and-stays-eligible`).
    pub lost: Option<Lost>,
    /// Segments whose end was cut off.
    cut: Vec<PathBuf>,
}

impl<D: Disk> Recovered<D> {
    /// Makes the cuts durable. A batch may have been cut off although it is whole, because it lay where a segment
    /// begins that did not follow either. If the power took that cut together with what was appended behind it, the
    /// batch would be back in the place of what was written there since.
    ///
    /// # Errors
    /// When a disk call fails.
    pub async fn settle(&self) -> Result<(), DiskError> {
        for path in &self.cut {
            let opened = self.log.directory.disk.open(sites::RECOVERY_OPEN, path, OpenMode::Write);
            let file = opened.on(sites::RECOVERY_OPEN, path)?;
            file.sync(sites::RECOVERY_SYNC).await.on(sites::RECOVERY_SYNC, path)?;
        }
        Ok(())
    }
}

/// What a recovery found missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where the log ends.
    pub log_end: Offset,
    /// Where it should have ended at least.
    pub expected: Offset,
}

/// The recovery of one log. A step reads at most 1 MiB of batches, or whole what is derived from them and small, or
/// makes one change, or seals one segment.
pub struct Recovery<D: Disk> {
    context: Context<D>,
    phase: Phase<D>,
}

/// What all phases need.
struct Context<D: Disk> {
    directory: Arc<Directory<D>>,
    settings: Settings,
    checkpointed: Checkpointed,
    clean: bool,
    now: Timestamp,
}

/// A segment that recovery has gone through.
#[derive(Clone)]
struct Loaded {
    contents: Contents,
    /// What of the indexes on disk is good; the rest is written again.
    written: Written,
    /// Whether the batches were read. Then nothing of the segment counts as synced.
    verified: bool,
    /// Bytes of the file, where whole batches end before it does.
    surplus: u64,
    /// Whether those bytes are batches of a cut that was lost: the next segment begins before they end.
    superseded: bool,
}

/// The log as it comes together.
struct Assembly {
    segments: Vec<Loaded>,
    epochs: Epochs,
    producers: Producers,
    /// Up to where the snapshot goes from which the producers were folded.
    snapshot: Offset,
}

#[allow(clippy::large_enum_variant)] // there is one per recovery
enum Phase<D: Disk> {
    List,
    Trust(Plan),
    Verify(Plan, Assembly, Option<Verification<D::File>>),
    Repair(Repair<D>),
    Done,
}

impl<D: Disk> Recovery<D> {
    /// The recovery of the log in `path`. `clean` is what the directory's marker said; `now` is the wall clock.
    pub fn new(
        disk: D,
        path: PathBuf,
        settings: Settings,
        checkpointed: Checkpointed,
        clean: bool,
        now: Timestamp,
    ) -> Self {
        let directory = Arc::new(Directory { disk, path });
        Self { context: Context { directory, settings, checkpointed, clean, now }, phase: Phase::List }
    }

    fn advance(&mut self) -> Result<Option<Recovered<D>>, LogError> {
        let context = &self.context;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Done) {
            Phase::List => Phase::Trust(Plan::list(context)?),
            Phase::Trust(mut plan) => match plan.trust_next(context)? {
                true => Phase::Trust(plan),
                false => {
                    let assembly = plan.assemble(context)?;
                    Phase::Verify(plan, assembly, None)
                }
            },
            Phase::Verify(mut plan, mut assembly, verification) => {
                match verify::step(context, &mut plan, &mut assembly, verification)? {
                    Some(verification) => Phase::Verify(plan, assembly, Some(verification)),
                    None => Phase::Repair(Repair::new(context, plan, assembly)),
                }
            }
            Phase::Repair(mut repair) => match repair.next(context)? {
                true => Phase::Repair(repair),
                false => return Ok(Some(repair.open(context)?)),
            },
            Phase::Done => unreachable!("a stepper is not stepped again after it is done"),
        };
        Ok(None)
    }
}

impl<D: Disk> Stepper for Recovery<D> {
    type Output = Result<Recovered<D>, LogError>;

    fn step(&mut self) -> Step<Self::Output> {
        match self.advance() {
            Ok(None) => Step::More,
            Ok(Some(recovered)) => Step::Done(Ok(recovered)),
            Err(error) => Step::Done(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests;
