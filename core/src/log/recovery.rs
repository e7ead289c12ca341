//! Brings a log back after a stop, whatever the stop left.

use std::path::PathBuf;

use super::Settings;
use super::error::LogError;
use super::log::Log;
use crate::env::{Disk, Step, Stepper};
use crate::ids::Offset;
use crate::time::Timestamp;

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
pub struct Recovered<D: Disk> {
    /// The log.
    pub log: Log<D>,
    /// Whether the last stop left its marker, so that the files were trusted and not scanned.
    pub clean: bool,
    /// Bytes that were cut off because they are no whole batches, or do not follow what is before them.
    pub cut_bytes: u64,
    /// Batches are missing or damaged that had been flushed or committed, so this replica must count as unclean:
    /// what it lost is to be fetched from others, and it must not lead an election.
    pub lost: Option<Lost>,
}

/// What a recovery found missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The end of what is there.
    pub log_end: Offset,
    /// What should have been there at least.
    pub expected: Offset,
}

/// The recovery of one log, at most 1 MiB of reading or one change of a name per step.
pub struct Recovery<D: Disk> {
    disk: D,
    path: PathBuf,
    settings: Settings,
    checkpointed: Checkpointed,
    clean: bool,
    now: Timestamp,
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
        Self { disk, path, settings, checkpointed, clean, now }
    }
}

impl<D: Disk> Stepper for Recovery<D> {
    type Output = Result<Recovered<D>, LogError>;

    fn step(&mut self) -> Step<Self::Output> {
        let _ = (&self.disk, &self.path, self.settings, self.checkpointed, self.clean, self.now);
        Step::More
    }
}
