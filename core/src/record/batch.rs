//! A record batch as a view on bytes: its header, its bounds, its checksum.
//!
//! Layout (big-endian): base offset i64 @0, batch length i32 @8 (of what follows it), leader epoch i32 @12,
//! magic i8 @16, CRC-32C u32 @17 (of everything from @21 on), attributes i16 @21, last offset delta i32 @23,
//! base timestamp i64 @27, max timestamp i64 @35, producer id i64 @43, producer epoch i16 @51,
//! base sequence i32 @53, record count i32 @57, records @61.
//! Base offset and leader epoch lie outside the CRC, so that a leader assigns them without a new checksum.

use bytes::Bytes;

use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::time::Timestamp;

/// Bytes of a batch header.
pub const HEADER_LEN: usize = 61;
/// Bytes before the part that the batch length counts.
pub const LENGTH_PREFIX_LEN: usize = 12;
/// The leading bytes a leader rewrites: base offset, batch length (unchanged), leader epoch.
pub const PATCHED_LEN: usize = 16;
/// Where the part covered by the CRC begins.
pub const CRC_START: usize = 21;

/// Attribute bits 0 to 2: the codec.
pub const CODEC_MASK: i16 = 0b111;
/// Attribute bit 3: timestamps are the broker's (LogAppendTime).
pub const LOG_APPEND_TIME: i16 = 1 << 3;
/// Attribute bit 4: part of a transaction.
pub const TRANSACTIONAL: i16 = 1 << 4;
/// Attribute bit 5: control records, invisible to applications.
pub const CONTROL: i16 = 1 << 5;
/// Attribute bit 6: the base timestamp holds a delete horizon (KIP-534).
pub const DELETE_HORIZON: i16 = 1 << 6;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than a header, or than the header says.
    #[error("the batch needs {needed} bytes but only {there} are there")]
    Truncated {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        there: usize,
    },
    /// The length field is smaller than the header behind it, or negative.
    #[error("a batch length of {0} cannot be: the header alone takes 49 bytes")]
    Length(i32),
    /// Not format v2.
    #[error("magic {0} is not supported: format v2 is the only one since Kafka 4.0")]
    Magic(i8),
    /// The checksum does not match.
    #[error("the checksum is {computed:#010x} but the header says {stored:#010x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
}

/// The header's fields, copied out of the bytes; nothing but the length and the magic has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are the format's own
pub struct BatchHeader {
    pub base_offset: Offset,
    pub batch_length: i32,
    pub leader_epoch: LeaderEpoch,
    pub crc: u32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: Timestamp,
    pub max_timestamp: Timestamp,
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
    pub record_count: i32,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the caller checked the length")
}

impl BatchHeader {
    /// Reads a header from the start of `bytes`.
    ///
    /// # Errors
    /// `Truncated` when fewer than [`HEADER_LEN`] bytes are there; `Length` and `Magic` when the bytes cannot be
    /// a v2 batch. The body may still be missing, and the CRC is not looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        if bytes.len() < HEADER_LEN {
            return Err(BatchError::Truncated { needed: HEADER_LEN, there: bytes.len() });
        }
        let batch_length = i32::from_be_bytes(array(bytes, 8));
        if batch_length < (HEADER_LEN - LENGTH_PREFIX_LEN) as i32 {
            return Err(BatchError::Length(batch_length));
        }
        let magic = bytes[16] as i8;
        if magic != 2 {
            return Err(BatchError::Magic(magic));
        }
        Ok(Self {
            base_offset: Offset(i64::from_be_bytes(array(bytes, 0))),
            batch_length,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(array(bytes, 12))),
            crc: u32::from_be_bytes(array(bytes, 17)),
            attributes: i16::from_be_bytes(array(bytes, 21)),
            last_offset_delta: i32::from_be_bytes(array(bytes, 23)),
            base_timestamp: Timestamp(i64::from_be_bytes(array(bytes, 27))),
            max_timestamp: Timestamp(i64::from_be_bytes(array(bytes, 35))),
            producer_id: ProducerId(i64::from_be_bytes(array(bytes, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(array(bytes, 51))),
            base_sequence: i32::from_be_bytes(array(bytes, 53)),
            record_count: i32::from_be_bytes(array(bytes, 57)),
        })
    }

    /// Bytes of the whole batch, at least [`HEADER_LEN`].
    pub fn size_bytes(&self) -> usize {
        LENGTH_PREFIX_LEN + self.batch_length as usize
    }

    /// Offset of the last record, or `None` when the fields would leave the range of offsets.
    pub fn last_offset(&self) -> Option<Offset> {
        self.base_offset.checked_add(self.last_offset_delta.into())
    }

    /// One past the last record, or `None` when the fields would leave the range of offsets.
    pub fn next_offset(&self) -> Option<Offset> {
        self.last_offset()?.checked_add(1)
    }

    /// The codec's number, 0 to 7.
    pub fn codec(&self) -> i16 {
        self.attributes & CODEC_MASK
    }

    /// Whether the records are control records.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether an idempotent producer wrote it.
    pub fn is_idempotent(&self) -> bool {
        self.producer_id != ProducerId::NONE
    }
}

/// CRC-32C, as in the header.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// One whole batch whose length, magic and CRC are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Takes the first batch of `bytes` and checks its CRC; `bytes` keeps what follows. On an error `bytes` is
    /// unchanged.
    ///
    /// # Errors
    /// See [`BatchError`].
    pub fn split_from(bytes: &mut Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let size_bytes = header.size_bytes();
        if bytes.len() < size_bytes {
            return Err(BatchError::Truncated { needed: size_bytes, there: bytes.len() });
        }
        let computed = crc32c(&bytes[CRC_START..size_bytes]);
        if computed != header.crc {
            return Err(BatchError::Crc { stored: header.crc, computed });
        }
        Ok(Self { header, bytes: bytes.split_to(size_bytes) })
    }

    /// The header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch as it was received.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The leading [`PATCHED_LEN`] bytes with the offset and epoch that the leader gives the batch. What goes to
    /// disk is these, then `bytes()[PATCHED_LEN..]`: no copy and no new checksum.
    pub fn patched_prefix(&self, base_offset: Offset, leader_epoch: LeaderEpoch) -> [u8; PATCHED_LEN] {
        let mut prefix: [u8; PATCHED_LEN] = array(&self.bytes, 0);
        prefix[..8].copy_from_slice(&base_offset.0.to_be_bytes());
        prefix[12..].copy_from_slice(&leader_epoch.0.to_be_bytes());
        prefix
    }
}
