//! Fetch: bytes of the log below the bound that holds for the reader, from one published moment and without the
//! partition's lock.

use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset};
use crate::log;

use super::directory::StorageError;
use super::leadership::{self, LeadershipError};
use super::parked::BytesNeed;
use super::partition::Partition;
use super::progress::Snapshot;

/// What a consumer may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything committed: below the high watermark.
    #[default]
    ReadUncommitted,
    /// Of it, what no open transaction follows: below the last stable offset.
    ReadCommitted,
}

/// What a reader asks for.
#[derive(Clone, Copy, Debug)]
pub struct ReadRequest {
    /// The first offset wanted; the first batch may begin before it.
    pub from: Offset,
    /// Bytes wanted at most; 0 only looks.
    pub bytes_max: u32,
    /// Whether one batch is handed out even when it is larger than `bytes_max`, so that a consumer gets past it
    /// (KIP-74). For the first non-empty partition of a response.
    pub at_least_one_batch: bool,
    /// What the reader may see.
    pub isolation: Isolation,
    /// The epoch in which the client believes this broker to lead, or [`LeaderEpoch::NONE`].
    pub current_leader_epoch: LeaderEpoch,
}

/// What it gets.
pub struct ReadOutcome<D: Disk> {
    /// Whole batches, possibly none.
    pub slice: log::Slice<D::File>,
    /// One past the last committed record.
    pub high_watermark: Offset,
    /// One past the last record that no open transaction precedes. Without transactions the high watermark.
    pub last_stable: Offset,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// The epoch this broker leads in.
    pub leader_epoch: LeaderEpoch,
    /// Wakes this reader when there is more.
    pub need: BytesNeed,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// This broker does not lead the partition, or not in the client's epoch.
    #[error(transparent)]
    Leadership(#[from] LeadershipError),
    /// No such offset, any more or yet: the client begins anew, as its reset policy says (OFFSET_OUT_OF_RANGE).
    #[error("offset {from} is not between {log_start} and {log_end}")]
    OutOfRange {
        /// The offset asked for.
        from: Offset,
        /// The first that can be read.
        log_start: Offset,
        /// One past the last record.
        log_end: Offset,
        /// One past the last committed record.
        high_watermark: Offset,
    },
    /// The log directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl<E: Env> Partition<E> {
    /// Reads whole batches. Nothing is copied: the slice is a range of a file.
    ///
    /// # Errors
    /// See [`ReadError`]. A read that the disk refuses fails this request alone, because it changed nothing.
    pub fn read(&self, env: &E, request: ReadRequest) -> Result<ReadOutcome<E::Disk>, ReadError> {
        let mut is_again = false;
        loop {
            let snapshot = self.look::<ReadError>(request.current_leader_epoch)?;
            let (log_start, high_watermark) = (snapshot.log_start, snapshot.high_watermark);
            return match self.read_at(env, request, snapshot) {
                // A cut or retention came between; what was published since knows of it.
                Err(log::ReadError::CutMeanwhile) if !is_again => {
                    is_again = true;
                    continue;
                }
                Err(log::ReadError::OutOfRange { from, log_end, .. }) => {
                    Err(ReadError::OutOfRange { from, log_start, log_end, high_watermark })
                }
                read => read.map_err(|error| self.unreadable(&error).into()),
            };
        }
    }

    /// Reads as of one published moment.
    fn read_at(
        &self,
        env: &E,
        request: ReadRequest,
        snapshot: Snapshot<E::Disk>,
    ) -> Result<ReadOutcome<E::Disk>, log::ReadError> {
        let leader_epoch = snapshot.leader_epoch();
        let Snapshot { log_start, high_watermark, log_end, .. } = snapshot;
        let from = request.from;
        if from < log_start || from > log_end {
            return Err(log::ReadError::OutOfRange { from, log_start, log_end });
        }
        let bound = snapshot.bound(request.isolation);
        let slice = snapshot.view.read(from, bound, request.bytes_max, request.at_least_one_batch)?;
        if !slice.is_empty() {
            env.observe(&Fact::Fetched { partition: self.id(), from, bound });
        }
        let need = BytesNeed {
            watched: self.progress().clone(),
            changes: snapshot.changes,
            readable_bytes: snapshot.readable_bytes,
        };
        let last_stable = high_watermark;
        Ok(ReadOutcome { slice, high_watermark, last_stable, log_start, leader_epoch, need })
    }

    /// One published moment of a partition that this broker leads, in the client's epoch.
    pub(super) fn look<Error>(&self, current_leader_epoch: LeaderEpoch) -> Result<Snapshot<E::Disk>, Error>
    where
        Error: From<StorageError> + From<LeadershipError>,
    {
        self.directory().check()?;
        let snapshot = self.progress().snapshot();
        leadership::check(snapshot.role, current_leader_epoch)?;
        Ok(snapshot)
    }

    pub(super) fn unreadable(&self, error: &dyn std::fmt::Display) -> StorageError {
        let cause = format!("reading {}: {error}", self.id());
        tracing::error!(%cause, "a read failed");
        StorageError { cause }
    }
}
