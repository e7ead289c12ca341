//! ListOffsets and OffsetForLeaderEpoch: from a time or an epoch to an offset.

use crate::env::{Disk, Env, File, FileSlice, Site};
use crate::epochs::EpochEnd;
use crate::ids::{LeaderEpoch, Offset};
use crate::log::Slice;
use crate::record::batch::Batch;
use crate::record::records;
use crate::time::Timestamp;

use super::directory::StorageError;
use super::leadership::LeadershipError;
use super::partition::Partition;
use super::progress::Snapshot;
use super::read::Isolation;

/// What one decompressed batch may take while its records are searched for a timestamp.
const DECODE_BYTES_MAX: usize = 16 << 20;

/// What one lookup may read and decompress. Honest headers need one batch, or two where records were deleted.
const LOOKUP_BYTES_MAX: usize = 4 * DECODE_BYTES_MAX;

/// A batch is read to find a record by its timestamp.
pub const LOOKUP_READ: Site = Site::new("partition.lookup.read");

/// Which offset is wanted (ListOffsets).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// -1: what a reader cannot see yet.
    Latest,
    /// -2: the first that can be read.
    Earliest,
    /// -3: that of the record with the largest timestamp (KIP-734).
    MaxTimestamp,
    /// -4: the first that can be read from this broker's disk (KIP-405).
    EarliestLocal,
    /// -5: the last that is in tiered storage, which there is none of (KIP-1005).
    LatestTiered,
    /// -6: the first that waits for tiered storage, which there is none of (KIP-1023).
    EarliestPendingUpload,
    /// That of the first record with this timestamp or a later one.
    Timestamp(Timestamp),
}

impl OffsetSpec {
    /// Reads the request's field; `None` for a special value of a later protocol.
    pub fn from_wire(timestamp: i64) -> Option<Self> {
        match timestamp {
            -1 => Some(Self::Latest),
            -2 => Some(Self::Earliest),
            -3 => Some(Self::MaxTimestamp),
            -4 => Some(Self::EarliestLocal),
            -5 => Some(Self::LatestTiered),
            -6 => Some(Self::EarliestPendingUpload),
            timestamp if timestamp >= 0 => Some(Self::Timestamp(Timestamp(timestamp))),
            _ => None,
        }
    }
}

/// What the lookups of one request may still read and decompress. Clients choose what is in their batches, and so
/// what it costs to look into them.
#[derive(Debug)]
pub struct LookupBudget {
    bytes: usize,
}

impl LookupBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { bytes }
    }

    /// What is left of it.
    pub fn left(&self) -> usize {
        self.bytes
    }

    fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What was found. Nothing is all three at -1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset.
    pub offset: Offset,
    /// The record's timestamp, where one was searched for.
    pub timestamp: Timestamp,
    /// The epoch of the record there; for the latest offset, which has no record yet, the leader's.
    pub leader_epoch: LeaderEpoch,
}

impl FoundOffset {
    /// There is no such record.
    pub const NONE: Self =
        Self { offset: Offset::UNKNOWN, timestamp: Timestamp::NONE, leader_epoch: LeaderEpoch::NONE };
}

/// Why nothing was looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// This broker does not lead the partition, or not in the client's epoch.
    #[error(transparent)]
    Leadership(#[from] LeadershipError),
    /// A new leader does not know yet how far its predecessor had committed (OFFSET_NOT_AVAILABLE, KIP-207).
    #[error("the high watermark {high_watermark} has not reached this leader's first offset {epoch_start}")]
    NotAvailable {
        /// One past the last record known to be committed.
        high_watermark: Offset,
        /// Where the leader's epoch begins.
        epoch_start: Offset,
    },
    /// The log directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl<E: Env> Partition<E> {
    /// Looks an offset up, in what a reader of this isolation can see. May read index and batches from the disk. Where
    /// the budget does not suffice to search a batch, the answer is where the batch begins: never later than the truth.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub fn find_offset(
        &self,
        spec: OffsetSpec,
        isolation: Isolation,
        current_leader_epoch: LeaderEpoch,
        budget: &mut LookupBudget,
    ) -> Result<FoundOffset, LookupError> {
        let snapshot: Snapshot<E::Disk> = self.look::<LookupError>(current_leader_epoch)?;
        let bound = snapshot.bound(isolation);
        match spec {
            OffsetSpec::Earliest | OffsetSpec::EarliestLocal => Ok(FoundOffset {
                offset: snapshot.log_start,
                timestamp: Timestamp::NONE,
                leader_epoch: snapshot.epoch_of_record(snapshot.log_start),
            }),
            OffsetSpec::LatestTiered | OffsetSpec::EarliestPendingUpload => Ok(FoundOffset::NONE),
            OffsetSpec::Latest => {
                snapshot.check_available()?;
                let leader_epoch = snapshot.leader_epoch();
                Ok(FoundOffset { offset: bound, timestamp: Timestamp::NONE, leader_epoch })
            }
            OffsetSpec::MaxTimestamp => self.find_max_timestamp(&snapshot, bound, budget),
            OffsetSpec::Timestamp(timestamp) => self.find_timestamp(&snapshot, (bound, timestamp), budget),
        }
    }

    /// Where an epoch ends in this log (KIP-101): how a client finds out that it read what was later cut. `None` when
    /// the epoch is not known here.
    ///
    /// # Errors
    /// As [`Partition::find_offset`], but for `NotAvailable`.
    pub fn end_of_epoch(
        &self,
        epoch: LeaderEpoch,
        current_leader_epoch: LeaderEpoch,
    ) -> Result<Option<EpochEnd>, LookupError> {
        let snapshot: Snapshot<E::Disk> = self.look::<LookupError>(current_leader_epoch)?;
        Ok(snapshot.view.epochs().end_of(epoch, snapshot.log_end))
    }

    /// Searches batch by batch for the first record that is late enough. A batch whose header promises one may hold
    /// none: it may lie, or the record was deleted while the rest of the batch was not.
    fn find_timestamp(
        &self,
        snapshot: &Snapshot<E::Disk>,
        (bound, timestamp): (Offset, Timestamp),
        budget: &mut LookupBudget,
    ) -> Result<FoundOffset, LookupError> {
        let mut from = snapshot.log_start;
        let mut own = LookupBudget::new(budget.left().min(LOOKUP_BYTES_MAX));
        loop {
            let slice = snapshot.view.slice_for_timestamp(timestamp, from);
            let slice = slice.map_err(|error| self.unreadable(&error))?;
            let Some(slice) = slice.filter(|slice| slice.first_offset < bound) else { break };
            from = slice.next_offset;
            let batch = self.read_batch(&slice)?;
            let late = |record: &Record| record.offset >= snapshot.log_start && record.timestamp >= timestamp;
            let left = own.left();
            let found = first_record(&batch, late, snapshot.log_start, &mut own);
            budget.spend(left - own.left());
            if let Some(record) = found {
                if record.offset < bound {
                    return Ok(record.found(&batch));
                }
                break;
            }
        }
        snapshot.check_available().map(|()| FoundOffset::NONE)
    }

    fn find_max_timestamp(
        &self,
        snapshot: &Snapshot<E::Disk>,
        bound: Offset,
        budget: &mut LookupBudget,
    ) -> Result<FoundOffset, LookupError> {
        let slice = snapshot.view.slice_of_max_timestamp().map_err(|error| self.unreadable(&error))?;
        let Some(slice) = slice.filter(|slice| slice.first_offset < bound) else {
            return snapshot.check_available().map(|()| FoundOffset::NONE);
        };
        let batch = self.read_batch(&slice)?;
        let max_timestamp = batch.header().max_timestamp;
        let largest = |record: &Record| record.timestamp >= max_timestamp;
        let record = first_record(&batch, largest, snapshot.log_start, budget);
        let record = record.filter(|record| record.offset >= snapshot.log_start && record.offset < bound);
        Ok(record.map_or(FoundOffset::NONE, |record| record.found(&batch)))
    }

    fn read_batch(&self, slice: &Slice<<E::Disk as Disk>::File>) -> Result<Batch, StorageError> {
        let Some(FileSlice { file, position, len }) = &slice.bytes else {
            return Err(self.unreadable(&"an empty slice where a batch was found"));
        };
        let mut bytes = vec![0; *len as usize];
        let read =
            file.read_at(LOOKUP_READ, &mut bytes, *position).map_err(|error| self.unreadable(&error))?;
        bytes.truncate(read);
        Batch::split_from(&mut bytes.into()).map_err(|error| self.unreadable(&error))
    }
}

/// Where a record is, and when.
#[derive(Clone, Copy)]
struct Record {
    offset: Offset,
    timestamp: Timestamp,
}

impl Record {
    fn found(self, batch: &Batch) -> FoundOffset {
        let leader_epoch = batch.header().leader_epoch;
        FoundOffset { offset: self.offset, timestamp: self.timestamp, leader_epoch }
    }
}

/// The first record of the batch for which `wanted` holds. Where the records cannot be read, because a client wrote
/// nonsense that the broker never decodes, or made them larger than the budget, the batch as a whole is the answer.
fn first_record(
    batch: &Batch,
    wanted: impl Fn(&Record) -> bool,
    log_start: Offset,
    budget: &mut LookupBudget,
) -> Option<Record> {
    let header = batch.header();
    let whole = Record { offset: header.base_offset.max(log_start), timestamp: header.max_timestamp };
    budget.spend(batch.bytes().len());
    let bytes_max = budget.left().min(DECODE_BYTES_MAX);
    let Ok(records) = records::iterate(batch, bytes_max) else {
        // It may have failed at its last byte.
        budget.spend(bytes_max);
        return Some(whole);
    };
    budget.spend(records.payload_bytes());
    for record in records {
        let Ok(record) = record else { return Some(whole) };
        let record = Record { offset: record.offset, timestamp: record.timestamp };
        if wanted(&record) {
            return Some(record);
        }
    }
    None
}

impl<D: Disk> Snapshot<D> {
    /// The epoch of the record at `offset`, if there is one.
    fn epoch_of_record(&self, offset: Offset) -> LeaderEpoch {
        match offset < self.log_end {
            true => self.view.epochs().at(offset).unwrap_or(LeaderEpoch::NONE),
            false => LeaderEpoch::NONE,
        }
    }

    /// Whether the high watermark is the leader's own finding: it has reached the epoch's start (the rule of
    /// [`crate::replica::Replica::latest_offset`]).
    fn check_available(&self) -> Result<(), LookupError> {
        let Snapshot { high_watermark, epoch_start, .. } = *self;
        if high_watermark < epoch_start {
            return Err(LookupError::NotAvailable { high_watermark, epoch_start });
        }
        Ok(())
    }
}
