//! The log's other end: DeleteRecords and retention.

use std::time::Duration;

use crate::env::Env;
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset};
use crate::log::{DiskError, FlushScope, SegmentRemoval};
use crate::sync::MutexGuard;
use crate::time::Timestamp;

use super::directory::StorageError;
use super::leadership::{self, LeadershipError};
use super::partition::{Core, Partition};

/// Why no records were deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRecordsError {
    /// This broker does not lead the partition.
    #[error(transparent)]
    Leadership(#[from] LeadershipError),
    /// Only what is committed can be deleted (OFFSET_OUT_OF_RANGE).
    #[error("offset {offset} is above the high watermark {high_watermark}, or negative")]
    OutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// One past the last committed record.
        high_watermark: Offset,
    },
    /// The log directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl<E: Env> Partition<E> {
    /// Deletes the records before `offset`, or all that are committed when it is -1 (KIP-107). Returns the first
    /// offset that remains. The move outlives a crash once the directory's log starts are checkpointed:
    /// [`super::Directory::checkpoint_log_starts`].
    ///
    /// # Errors
    /// See [`DeleteRecordsError`].
    pub fn delete_records(&self, env: &E, offset: Offset) -> Result<Offset, DeleteRecordsError> {
        let mut core = self.enter()?;
        leadership::check(core.role, LeaderEpoch::NONE)?;
        let high_watermark = core.high_watermark;
        let target = if offset == Offset::UNKNOWN { high_watermark } else { offset };
        if target < Offset::ZERO || target > high_watermark {
            return Err(DeleteRecordsError::OutOfRange { offset, high_watermark });
        }
        let before = core.log.log_start();
        if target <= before {
            return Ok(before);
        }
        core.log.advance_log_start(target);
        Ok(self.start_moved(env, core, before))
    }

    /// Takes the segments that retention does not keep out of the log, all of them if need be: then the active one
    /// is rolled first. Returns the work of removing the files of those taken out before, to be run outside the lock.
    ///
    /// # Errors
    /// `StorageError` when the directory is offline, or goes offline now.
    pub fn retain(&self, env: &E, now: Timestamp) -> Result<Option<SegmentRemoval<E::Disk>>, StorageError> {
        let Some(mut core) = self.enter_background() else { return self.directory().check().map(|()| None) };
        let before = core.log.log_start();
        let high_watermark = core.high_watermark;
        let retained = match core.log.delete_old_segments(now, high_watermark) {
            Ok(retained) => retained,
            Err(error) => return Err(self.fail_log(env, core, error)),
        };
        let removal = core.log.take_removal();
        // Their files may go once the new start is durable.
        let wants_flush = retained.segments_removed > 0 && core.ask_for_flush(FlushScope::Names);
        self.start_moved(env, core, before);
        if wants_flush {
            self.directory().want_flush(self.id());
        }
        Ok(removal)
    }

    /// A removal failed. Of a partition that is gone meanwhile, with its directory, that says nothing of the disk.
    pub(super) fn removal_failed(&self, env: &E, error: &DiskError) {
        if let Some(core) = self.enter_background() {
            self.fail(env, core, error);
        }
    }

    /// Forgets producers that wrote nothing for so long: a repeat of theirs would count as new.
    pub(super) fn expire_producers(&self, now: Timestamp, expiration: Duration) {
        let expiration_ms = i64::try_from(expiration.as_millis()).unwrap_or(i64::MAX);
        if let Some(mut core) = self.enter_background() {
            core.log.expire_producers(now, expiration_ms);
        }
    }

    fn start_moved(&self, env: &E, mut core: MutexGuard<'_, Core<E::Disk>>, before: Offset) -> Offset {
        let log_start = core.log.log_start();
        if log_start == before {
            return log_start;
        }
        // Readers below the new start must hear it.
        core.changes += 1;
        let high_watermark = core.high_watermark;
        env.observe(&Fact::LogStartMoved { partition: self.id(), log_start, high_watermark });
        self.publish(env, &mut core);
        drop(core);
        self.directory().parked().changed(&**self.progress());
        log_start
    }
}
