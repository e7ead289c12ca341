use std::io::{ErrorKind, IoSlice};

use bytes::{BufMut, Bytes, BytesMut};

use super::error::{AppendError, OnDisk};
use super::file_name::Kind;
use super::log::Log;
use super::{TimestampType, sites};
use crate::env::{Disk, File};
use crate::ids::{LeaderEpoch, Offset};
use crate::record::batch::{Batch, BatchHeader, CRC_START, HEADER_LEN, LOG_APPEND_TIME, PATCHED_LEN};
use crate::time::Timestamp;

/// Space that `preallocate` reserves at once.
const ALLOCATE_STEP_BYTES: u64 = 32 << 20;

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// The log's end behind it.
    pub log_end: Offset,
    /// The epoch it was written in.
    pub leader_epoch: LeaderEpoch,
    /// The time of the append, where the topic's timestamps are the broker's; otherwise -1.
    pub log_append_time: Timestamp,
    head: [u8; HEADER_LEN],
}

impl Appended {
    /// The bytes on disk: `batch`, which was appended, with its header as it is there. A copy, for checkers.
    pub fn on_disk(&self, batch: &Batch) -> Bytes {
        let mut bytes = BytesMut::with_capacity(batch.bytes().len());
        bytes.put_slice(&self.head);
        bytes.put_slice(&batch.bytes()[HEADER_LEN..]);
        bytes.freeze()
    }
}

impl<D: Disk> Log<D> {
    /// Appends a client's batch at the log's end: gives it offsets and the epoch, and writes it as it is behind its
    /// first 16 bytes, which the CRC does not cover. `now` is the wall clock.
    ///
    /// The caller has asked [`Log::producers`] whether the batch is new.
    ///
    /// # Errors
    /// See [`AppendError`]. After `Disk` the log takes no more writes; whether the batch is in it is unknown.
    pub fn append(
        &mut self,
        batch: &Batch,
        leader_epoch: LeaderEpoch,
        now: Timestamp,
    ) -> Result<Appended, AppendError> {
        let mut head = [0; HEADER_LEN];
        head.copy_from_slice(&batch.bytes()[..HEADER_LEN]);
        head[..PATCHED_LEN].copy_from_slice(&batch.patched_prefix(self.log_end, leader_epoch));
        let mut header = BatchHeader { base_offset: self.log_end, leader_epoch, ..*batch.header() };
        let mut head_len = PATCHED_LEN;
        let mut log_append_time = Timestamp::NONE;
        if self.settings.timestamp_type == TimestampType::LogAppendTime {
            stamp(&mut head, &mut header, &batch.bytes()[HEADER_LEN..], now);
            (head_len, log_append_time) = (HEADER_LEN, now);
        }
        self.write(&head[..head_len], &batch.bytes()[head_len..], &header, now)?;
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: Offset(self.log_end.0 - 1),
            log_end: self.log_end,
            leader_epoch,
            log_append_time,
            head,
        })
    }

    /// Appends a leader's batch as it is. It may begin behind the log's end, where compaction left a gap.
    ///
    /// # Errors
    /// As [`Log::append`], and `NotAtEnd` when the batch begins before the log's end.
    pub fn append_as_follower(&mut self, batch: &Batch, now: Timestamp) -> Result<Appended, AppendError> {
        let header = *batch.header();
        if header.base_offset < self.log_end {
            return Err(AppendError::NotAtEnd { offered: header.base_offset, log_end: self.log_end });
        }
        let (head, body) = batch.bytes().split_at(HEADER_LEN);
        self.write(head, body, &header, now)?;
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: Offset(self.log_end.0 - 1),
            log_end: self.log_end,
            leader_epoch: header.leader_epoch,
            log_append_time: Timestamp::NONE,
            head: head.try_into().expect("split at its length"),
        })
    }

    fn write(
        &mut self,
        head: &[u8],
        body: &[u8],
        header: &BatchHeader,
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let size_bytes = head.len() + body.len();
        let next = self.admit(header, size_bytes)?;
        self.roll_if_due(header, size_bytes, now)?;
        self.write_bytes(head, body)?;

        if !self.settings.log_end_moves_before_index() {
            self.active.position += size_bytes as u64;
            self.publish_batch(header)?;
            self.follow(header, next);
            return Ok(());
        }
        self.active.position += size_bytes as u64;
        self.follow(header, next);
        self.publish_batch(header)
    }

    /// The log's end behind the batch, when it may come at all.
    fn admit(&self, header: &BatchHeader, size_bytes: usize) -> Result<Offset, AppendError> {
        if self.failed {
            return Err(AppendError::Offline);
        }
        let segment_bytes = self.settings.segment_bytes;
        if size_bytes as u64 > u64::from(segment_bytes) {
            return Err(AppendError::LargerThanSegment { size_bytes, segment_bytes });
        }
        let BatchHeader { base_offset, last_offset_delta, .. } = *header;
        // A segment spans no more offsets than this, and a new one begins at the log's end.
        let last_max = self.log_end.0.saturating_add(i32::MAX.into());
        let next = header.next_offset().filter(|next| last_offset_delta >= 0 && next.0 - 1 <= last_max);
        next.ok_or(AppendError::Offsets { base_offset, last_offset_delta })
    }

    fn write_bytes(&mut self, head: &[u8], body: &[u8]) -> Result<(), AppendError> {
        if !self.settings.writes_through_to_page_cache() {
            self.active_segment().buffer(head, body);
            return Ok(());
        }
        let end = self.active.position + (head.len() + body.len()) as u64;
        if self.settings.preallocate && end > self.active.allocated {
            let limit = u64::from(self.settings.segment_bytes).max(end);
            let allocated = (end + ALLOCATE_STEP_BYTES).min(limit);
            self.active.allocated = match self.active.file.allocate(sites::APPEND_ALLOCATE, allocated) {
                // Space is reserved only so that appends cost less. Where there is none, the write itself may still fit.
                Err(error) if error.kind() == ErrorKind::StorageFull => u64::MAX,
                done => {
                    let done = done.on(sites::APPEND_ALLOCATE, &self.directory.path);
                    self.failed(done)?;
                    allocated
                }
            };
        }
        let buffers = [IoSlice::new(head), IoSlice::new(body)];
        match self.active.file.write_at(sites::APPEND_WRITE, &buffers, self.active.position) {
            Ok(()) => Ok(()),
            Err(error) => {
                let path = self.active_segment().path(Kind::Log);
                Ok(self.failed(Err(error).on(sites::APPEND_WRITE, &path))?)
            }
        }
    }

    /// Follows the batch in everything that is a fold of the log.
    fn follow(&mut self, header: &BatchHeader, next: Offset) {
        self.log_end = next;
        self.assign_epoch(header.leader_epoch, header.base_offset);
        self.producers.apply(header);
    }

    /// Shows the batch to readers, and writes index entries when enough of them wait.
    fn publish_batch(&mut self, header: &BatchHeader) -> Result<(), AppendError> {
        let eager = !self.settings.log_end_moves_before_index();
        let due = self.active_segment().push(header, self.settings.index_interval_bytes);
        if due || eager {
            let written = self.active_segment().write_indexes();
            if eager {
                return Ok(written?);
            }
            // Without a free descriptor they wait in memory for the next time: the batch is in the log.
            let written = written.or_else(|error| if error.changed_nothing() { Ok(()) } else { Err(error) });
            self.failed(written)?;
        }
        Ok(())
    }
}

/// Makes the broker's clock the batch's: attribute bit 3, the largest timestamp, and a new CRC.
fn stamp(head: &mut [u8; HEADER_LEN], header: &mut BatchHeader, records: &[u8], now: Timestamp) {
    header.attributes |= LOG_APPEND_TIME;
    header.max_timestamp = now;
    head[21..23].copy_from_slice(&header.attributes.to_be_bytes());
    head[35..43].copy_from_slice(&now.0.to_be_bytes());
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&head[CRC_START..]);
    digest.update(records);
    header.crc = digest.finalize() as u32;
    head[17..21].copy_from_slice(&header.crc.to_be_bytes());
}
