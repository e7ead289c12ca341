//! The records of one decision while it grows.

use super::response::Rejection;
use crate::metadata::records::Record;

/// The most records that one command may cause, as in Kafka: beyond it a request is refused rather than stall the
/// cluster. A registration is no command of a client, and not bound by it.
pub const RECORDS_MAX: usize = 10_000;

/// Records, as many as one command may cause. What would be too many is not built: who has some asks for room first.
#[derive(Debug, Default)]
pub(super) struct Records {
    records: Vec<Record>,
    /// How many there would have been, when there was no room.
    too_many: Option<usize>,
}

impl Records {
    /// Whether there is room for `count` more records.
    ///
    /// # Errors
    /// When that would be too many. The whole command is then to be refused ([`Records::check`]), as in Kafka, whose
    /// bounded list fails at the first record too many.
    pub(super) fn room_for(&mut self, count: usize) -> Result<(), Rejection> {
        let wanted = self.records.len().saturating_add(count);
        if wanted > RECORDS_MAX {
            self.too_many = Some(wanted);
        }
        self.check()
    }

    /// Whether there has been room for everything.
    ///
    /// # Errors
    /// The refusal of the whole command.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        let Some(wanted) = self.too_many else { return Ok(()) };
        Err(Rejection::PolicyViolation(format!(
            "the request would change {wanted} things at once or more, and {RECORDS_MAX} are the most: split it"
        )))
    }

    /// Adds a record for which there is room.
    pub(super) fn push(&mut self, record: impl Into<Record>) {
        assert!(self.records.len() < RECORDS_MAX, "nobody makes a record before there is room for it");
        self.records.push(record.into());
    }

    /// The records.
    pub(super) fn into_vec(self) -> Vec<Record> {
        self.records
    }
}
