//! Produce: a batch enters the log, and when its producer may be told so.

use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset};
use crate::log;
use crate::purgatory::Mark;
use crate::record::batch::Batch;
use crate::replica::producers::{Admission, ProducerError};
use crate::sync::MutexGuard;
use crate::time::Timestamp;

use super::directory::StorageError;
use super::leadership::{self, LeadershipError};
use super::parked::OffsetNeed;
use super::partition::{Core, Partition};
use super::progress::{Role, Snapshot};
use super::settings::{Settings, TimestampBounds};

/// Where a batch is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// One past its last record: what the high watermark must reach before acks=all is answered.
    pub end: Offset,
    /// The time it was stamped with, or [`Timestamp::NONE`] when its timestamps are the producer's.
    pub log_append_time: Timestamp,
    /// Whether it had been there before: its producer did not hear the answer. It is acknowledged by the same rule
    /// as the original (else a retry would be told more than the truth).
    pub duplicate: bool,
    /// The first offset that can be read.
    pub log_start: Offset,
    /// The epoch of the leadership that holds it.
    pub leader_epoch: LeaderEpoch,
}

/// Why a batch did not enter the log. None of it did, but for `Storage`, whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// This broker does not lead the partition, or not in the epoch expected.
    #[error(transparent)]
    Leadership(#[from] LeadershipError),
    /// Too few replicas are in sync for acks=all (NOT_ENOUGH_REPLICAS).
    #[error(
        "{in_sync} replica(s) are in sync but min.insync.replicas is {in_sync_min}: wait for more or lower it"
    )]
    NotEnoughReplicas {
        /// How many are in sync.
        in_sync: usize,
        /// How many the topic asks for.
        in_sync_min: usize,
    },
    /// The batch is in the log, but meanwhile too few replicas are in sync to promise that it stays
    /// (NOT_ENOUGH_REPLICAS_AFTER_APPEND): the outcome is unknown.
    #[error(
        "the batch is written, but fewer replicas than min.insync.replicas are in sync: it may yet be lost"
    )]
    NotEnoughReplicasAfterAppend,
    /// A timestamp that the topic does not allow (INVALID_TIMESTAMP).
    #[error(
        "timestamp {timestamp} is not between {before_max_ms} ms before and {after_max_ms} ms after the broker's \
         clock at {now}: mend the producer's clock, or alter message.timestamp.before.max.ms and \
         message.timestamp.after.max.ms"
    )]
    Timestamp {
        /// Of the batch's first record, or the largest.
        timestamp: Timestamp,
        /// The broker's clock.
        now: Timestamp,
        /// `message.timestamp.before.max.ms`.
        before_max_ms: i64,
        /// `message.timestamp.after.max.ms`.
        after_max_ms: i64,
    },
    /// Larger than the topic allows (MESSAGE_TOO_LARGE).
    #[error(
        "the batch has {bytes} bytes but max.message.bytes is {bytes_max}: make smaller batches or raise it"
    )]
    TooLarge {
        /// Of the batch.
        bytes: usize,
        /// What the topic allows.
        bytes_max: usize,
    },
    /// Larger than a segment may be (RECORD_LIST_TOO_LARGE).
    #[error(
        "the batch has {bytes} bytes but segment.bytes is {segment_bytes}: make smaller batches or raise it"
    )]
    LargerThanSegment {
        /// Of the batch.
        bytes: usize,
        /// Of a segment.
        segment_bytes: u32,
    },
    /// Its offset deltas cannot be, or the partition's offsets are used up (INVALID_RECORD).
    #[error("{cause}")]
    Offsets {
        /// What is wrong with them.
        cause: String,
    },
    /// It does not follow what its producer wrote before.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The log directory failed, now or before.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whose copy a producer wants to be sure of. Without any (acks=0) there is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// The leader's: acks=1.
    Leader,
    /// That of every in-sync replica: acks=all.
    All,
}

/// Whether a producer may be told that its batch is in the log.
pub enum Acknowledgement {
    /// Yes.
    Given,
    /// When this has happened; then ask again.
    Awaits(OffsetNeed),
    /// Never by this leadership. The batch may be committed all the same: the outcome is unknown.
    Lost(AppendError),
}

impl<E: Env> Partition<E> {
    /// Appends a batch that a client sent, checked by `record::validate`. `acks` is what its acknowledgement will be
    /// asked for; `now` is the wall clock's.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append_as_leader(
        &self,
        env: &E,
        batch: &Batch,
        acks: Acks,
        expected_epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        let mut core = self.enter()?;
        let leader_epoch = leadership::check(core.role, expected_epoch)?;
        check_in_sync(&core.settings, acks)?;
        let (bytes, bytes_max) = (batch.bytes().len(), core.settings.message_bytes_max);
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { bytes, bytes_max });
        }
        check_timestamps(&core.settings, batch, now)?;
        let log_start = core.log.log_start();
        if batch.header().is_idempotent()
            && let Admission::Duplicate { base_offset, last_offset, timestamp } =
                core.log.producers().check(batch.header())?
        {
            env.reached("partition.duplicate");
            let stamps = core.settings.log.timestamp_type == log::TimestampType::LogAppendTime;
            let log_append_time = if stamps { timestamp } else { Timestamp::NONE };
            let end = last_offset.next();
            return Ok(Appended {
                base_offset,
                end,
                log_append_time,
                duplicate: true,
                log_start,
                leader_epoch,
            });
        }
        let appended = match core.log.append(batch, leader_epoch, now) {
            Ok(appended) => appended,
            Err(error) => return Err(self.append_failed(env, core, error)),
        };
        core.appended_bytes += bytes as u64;
        if env.observes() {
            env.observe(&Fact::Appended {
                partition: self.id(),
                base_offset: appended.base_offset,
                log_end: appended.log_end,
                leader_epoch,
                batches: appended.on_disk(batch),
            });
        }
        let wants_flush = core.wants_flush();
        let moved = self.publish(env, &mut core);
        drop(core);
        if wants_flush {
            self.directory().want_flush(self.id());
        }
        if moved {
            self.directory().parked().progressed(&**self.progress());
        }
        Ok(Appended {
            base_offset: appended.base_offset,
            end: appended.log_end,
            log_append_time: appended.log_append_time,
            duplicate: false,
            log_start,
            leader_epoch,
        })
    }

    fn append_failed(
        &self,
        env: &E,
        core: MutexGuard<'_, Core<E::Disk>>,
        error: log::AppendError,
    ) -> AppendError {
        match error {
            log::AppendError::LargerThanSegment { size_bytes, segment_bytes } => {
                AppendError::LargerThanSegment { bytes: size_bytes, segment_bytes }
            }
            error @ (log::AppendError::Offsets { .. } | log::AppendError::NotAtEnd { .. }) => {
                AppendError::Offsets { cause: error.to_string() }
            }
            error @ log::AppendError::Offline => StorageError { cause: error.to_string() }.into(),
            log::AppendError::Disk(error) => self.fail(env, core, &error).into(),
        }
    }

    /// Whether the producer of this batch may be told. To be asked after the append and after each wait: only the
    /// leadership that appended may acknowledge, and only by what it has published.
    pub fn acknowledge(&self, appended: &Appended, acks: Acks) -> Acknowledgement {
        let look = |snapshot: &Snapshot<E::Disk>| {
            let leads = snapshot.role == Role::Leader(appended.leader_epoch);
            let is_enough = acks == Acks::Leader || snapshot.has_enough_in_sync;
            leads.then(|| (awaited(snapshot, appended, acks), snapshot.changes, is_enough))
        };
        match self.progress().look(look) {
            Some((None, _, true)) => Acknowledgement::Given,
            // As Kafka judges it: when the high watermark is there, and not before.
            Some((None, _, false)) => Acknowledgement::Lost(AppendError::NotEnoughReplicasAfterAppend),
            Some((Some(mark), changes, _)) => {
                let watched = self.progress().clone();
                Acknowledgement::Awaits(OffsetNeed { watched, changes, mark, offset: appended.end })
            }
            None => Acknowledgement::Lost(match self.directory().check() {
                Err(error) => error.into(),
                Ok(()) => LeadershipError::NotLeader.into(),
            }),
        }
    }
}

/// How many replicas are in sync: the leader alone, until there are followers.
pub(super) const IN_SYNC_COUNT: usize = 1;

/// As Kafka does before anything else is looked at, so that nothing of the batch is in the log.
fn check_in_sync(settings: &Settings, acks: Acks) -> Result<(), AppendError> {
    if acks == Acks::All && !settings.has_enough_in_sync(IN_SYNC_COUNT) {
        let in_sync_min = settings.in_sync_min;
        return Err(AppendError::NotEnoughReplicas { in_sync: IN_SYNC_COUNT, in_sync_min });
    }
    Ok(())
}

/// KIP-937, by the batch's header alone: its first timestamp and its largest. The records are not decoded, and what
/// depends on their times (retention, the time index) goes by the header too. With LogAppendTime the broker stamps.
fn check_timestamps(settings: &Settings, batch: &Batch, now: Timestamp) -> Result<(), AppendError> {
    if settings.log.timestamp_type == log::TimestampType::LogAppendTime {
        return Ok(());
    }
    let bounds = settings.timestamp_bounds;
    let header = batch.header();
    for timestamp in [header.base_timestamp, header.max_timestamp] {
        if !bounds.allow(timestamp, now) {
            let TimestampBounds { before_max_ms, after_max_ms } = bounds;
            return Err(AppendError::Timestamp { timestamp, now, before_max_ms, after_max_ms });
        }
    }
    Ok(())
}

/// The mark that has not reached the batch yet, if the acknowledgement hangs on one. With `flush.messages=1` the
/// leader's own copy counts once it is flushed, for acks=1 too.
fn awaited<D: Disk>(snapshot: &Snapshot<D>, appended: &Appended, acks: Acks) -> Option<Mark> {
    let (mark, reached) = match acks {
        Acks::All => (Mark::HighWatermark, snapshot.high_watermark),
        Acks::Leader if snapshot.flush_first => (Mark::Flushed, snapshot.flushed),
        Acks::Leader => return None,
    };
    (reached < appended.end).then_some(mark)
}
