//! What a segment holds, as a fold of its batches: the one rule by which appends and recovery fill the indexes.

use super::index::{self, Entry, OffsetEntry, TimeEntry};
use crate::ids::Offset;
use crate::record::batch::BatchHeader;
use crate::time::Timestamp;

/// A record and its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    /// The timestamp.
    pub timestamp: Timestamp,
    /// The record's offset.
    pub offset: Offset,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) base_offset: Offset,
    /// Bytes of whole batches.
    pub(super) size: u64,
    /// One past the last record.
    pub(super) end_offset: Offset,
    /// The largest timestamp, and the last offset of the first batch that has it.
    pub(super) largest: TimestampOffset,
    /// The largest timestamp of the first batch, from which `segment.ms` counts.
    pub(super) first_timestamp: Option<Timestamp>,
    /// When the segment was created or opened, from which `segment.ms` counts where batches have no timestamps.
    pub(super) created: Timestamp,
    pub(super) bytes_since_entry: u64,
    pub(super) offsets: Vec<OffsetEntry>,
    pub(super) times: Vec<TimeEntry>,
}

impl Contents {
    /// An empty segment.
    pub(super) fn empty(base_offset: Offset, created: Timestamp) -> Self {
        Self {
            base_offset,
            size: 0,
            end_offset: base_offset,
            largest: TimestampOffset { timestamp: Timestamp::NONE, offset: base_offset },
            first_timestamp: None,
            created,
            bytes_since_entry: 0,
            offsets: Vec::new(),
            times: Vec::new(),
        }
    }

    /// Whether a batch with these offsets and this size may still go here: both are 32 bits wide in the indexes.
    pub(super) fn takes(&self, last_offset: Offset, size_bytes: usize) -> bool {
        last_offset.0 - self.base_offset.0 <= i64::from(i32::MAX)
            && self.size + size_bytes as u64 <= i32::MAX as u64
    }

    /// Whether an index of this size has no room for another entry; the time index keeps room for the one that it ends
    /// with. What waits in memory counts, so that this bounds the memory too.
    pub(super) fn has_full_index(&self, index_bytes_max: u32) -> bool {
        let entries_max = |entry_len: usize| index_bytes_max as usize / entry_len;
        self.offsets.len() >= entries_max(OffsetEntry::LEN)
            || self.times.len() + 1 >= entries_max(TimeEntry::LEN)
    }

    /// Follows a batch at the end, entry for entry as Kafka's `LogSegment.append` does: an index entry is due when
    /// more than `index_interval_bytes` of batches came since the last one.
    ///
    /// # Panics
    /// When the segment does not [`Contents::takes`] the batch.
    pub(super) fn push(&mut self, header: &BatchHeader, index_interval_bytes: u32) {
        let size_bytes = header.size_bytes() as u64;
        let last = header.last_offset().expect("checked before the append");
        if header.max_timestamp > self.largest.timestamp {
            self.largest = TimestampOffset { timestamp: header.max_timestamp, offset: last };
        }
        self.first_timestamp.get_or_insert(header.max_timestamp);
        if self.bytes_since_entry > u64::from(index_interval_bytes) {
            let position = u32::try_from(self.size).expect("a segment has at most i32::MAX bytes");
            let relative_offset = index::relative(self.base_offset, last);
            self.offsets.push(OffsetEntry { relative_offset, position });
            self.push_time();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += size_bytes;
        self.size += size_bytes;
        self.end_offset = last.next();
    }

    /// Follows the sealing of the segment: the time index ends with the largest timestamp.
    pub(super) fn seal(&mut self) {
        self.push_time();
    }

    fn push_time(&mut self) {
        let TimestampOffset { timestamp, offset } = self.largest;
        let last = self.times.last().map_or(Timestamp::NONE, |entry| entry.timestamp);
        if timestamp > last {
            let relative_offset = index::relative(self.base_offset, offset);
            self.times.push(TimeEntry { timestamp, relative_offset });
        }
    }
}
