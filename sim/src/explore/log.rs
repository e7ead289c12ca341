//! A log of numbers: of each record the epoch that it was written in, and what was written.

use std::fmt;

use jangbu_core::epochs::{Epochs, LogView};
use jangbu_core::ids::{LeaderEpoch, Offset};
use jangbu_core::museum::Switches;
use jangbu_core::replica::{may_keep_epochs, recovered_epochs};

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The epoch of the leader that wrote it.
    pub epoch: i32,
    /// The number of the record: each append writes another one.
    pub value: u8,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.value, self.epoch)
    }
}

/// A replica's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeLog {
    /// The records from offset 0 on.
    pub entries: Vec<Entry>,
    epochs: Epochs,
}

impl LogView for ScopeLog {
    fn log_start(&self) -> Offset {
        Offset::ZERO
    }
    fn log_end(&self) -> Offset {
        Offset(self.entries.len() as i64)
    }
    fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}

impl ScopeLog {
    /// The machine's own entry at an election.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        self.epochs.assign(epoch, start);
    }

    /// Appends.
    pub fn append(&mut self, entry: Entry) {
        let end = self.log_end();
        self.epochs.assign(LeaderEpoch(entry.epoch), end);
        self.entries.push(entry);
    }

    /// The record at an offset.
    pub fn entry(&self, offset: Offset) -> Option<Entry> {
        self.entries.get(usize::try_from(offset.0).ok()?).copied()
    }

    /// Cuts the end.
    pub fn truncate(&mut self, to: Offset, switches: Switches) {
        if !may_keep_epochs(to, self.log_end(), switches) {
            self.epochs.truncate_from_end(to);
        }
        self.entries.truncate(usize::try_from(to.0).unwrap_or(0));
    }

    /// The log is opened again when the process has died and `kept` records were found.
    pub fn recover(&mut self, kept: usize, switches: Switches) {
        self.entries.truncate(kept);
        let batches = self.entries.iter().zip(0..);
        let batches = batches.map(|(entry, offset)| (LeaderEpoch(entry.epoch), Offset(offset)));
        self.epochs = recovered_epochs(batches, switches);
    }

    /// Whether it begins with these records.
    pub fn begins_with(&self, records: &[Entry]) -> bool {
        self.entries.starts_with(records)
    }
}
