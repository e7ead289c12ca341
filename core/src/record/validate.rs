//! What a broker checks of a produced batch before it takes any lock. The records themselves are never decoded.
//!
//! The timestamps of the header are taken as they are: clients exist that leave the maximum unset, and what depends
//! on it (the time index, retention) must live with any value. How far they may lie from the broker's clock (KIP-937)
//! is the topic's to say, and is compared under the partition's lock, where the topic may have changed.

use bytes::Bytes;

use super::batch::{
    Batch, BatchError, BatchHeader, CODEC_MASK, CONTROL, HEADER_LEN, LOG_APPEND_TIME, TRANSACTIONAL,
};
use super::compression::Codec;
use super::records::RECORD_LEN_MIN;
use crate::error::ErrorCode;
use crate::ids::Offset;

/// What holds for the topic and the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceLimits {
    /// `max.message.bytes`: the largest batch, as it is sent.
    pub message_bytes_max: usize,
    /// The version of the Produce request: before 7 there was no zstd (KIP-110).
    pub produce_version: i16,
}

/// Why a batch is not accepted. Nothing of it has been appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceRejection {
    /// Null or empty records.
    #[error("a produce request must hold one record batch per partition, and here is none")]
    NoBatch,
    /// More than one batch, or surplus bytes.
    #[error("a produce request must hold exactly one record batch per partition, but {0} bytes follow it")]
    SurplusBytes(usize),
    /// The bytes are no batch.
    #[error("the records are not a batch: {0}")]
    NotABatch(BatchError),
    /// The batch is too large.
    #[error("the batch has {size_bytes} bytes, which exceeds max.message.bytes = {bytes_max}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A codec that does not exist, or not yet in this version of Produce.
    #[error("codec {codec} is not supported by Produce version {produce_version}")]
    Codec {
        /// Attribute bits 0 to 2.
        codec: i16,
        /// The request's version.
        produce_version: i16,
    },
    /// A time that a client must not set.
    #[error("{0}")]
    Timestamp(&'static str),
    /// A header that contradicts itself, or says what only a broker may say.
    #[error("{0}")]
    Header(&'static str),
}

impl ProduceRejection {
    /// Kafka's code for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotABatch(BatchError::Magic(_)) => ErrorCode::InvalidRecord,
            Self::NotABatch(
                BatchError::Crc { .. } | BatchError::Truncated { .. } | BatchError::Length(_),
            ) => ErrorCode::CorruptMessage,
            Self::NoBatch | Self::SurplusBytes(_) | Self::Header(_) => ErrorCode::InvalidRecord,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Codec { .. } => ErrorCode::UnsupportedCompressionType,
            Self::Timestamp(_) => ErrorCode::InvalidTimestamp,
        }
    }
}

/// Checks that `records` are exactly one batch which a client may write.
///
/// # Errors
/// See [`ProduceRejection`].
pub fn check_produced(records: Bytes, limits: &ProduceLimits) -> Result<Batch, ProduceRejection> {
    if records.is_empty() {
        return Err(ProduceRejection::NoBatch);
    }
    let header = BatchHeader::parse(&records).map_err(ProduceRejection::NotABatch)?;
    // Before the CRC, so that nobody makes us sum what we would not take.
    let (size_bytes, bytes_max) = (header.size_bytes(), limits.message_bytes_max);
    if size_bytes > bytes_max {
        return Err(ProduceRejection::TooLarge { size_bytes, bytes_max });
    }
    let mut rest = records;
    let batch = Batch::split_from(&mut rest).map_err(ProduceRejection::NotABatch)?;
    if !rest.is_empty() {
        return Err(ProduceRejection::SurplusBytes(rest.len()));
    }
    check_attributes(&header, limits)?;
    check_counts(&header)?;
    check_producer(&header)?;
    Ok(batch)
}

fn check_attributes(header: &BatchHeader, limits: &ProduceLimits) -> Result<(), ProduceRejection> {
    let produce_version = limits.produce_version;
    match Codec::from_attributes(header.attributes) {
        Some(Codec::Zstd) if produce_version < 7 => {}
        Some(_) => {
            return match header.attributes & !(CODEC_MASK | TRANSACTIONAL) {
                0 => Ok(()),
                LOG_APPEND_TIME => Err(ProduceRejection::Timestamp(
                    "the timestamp type LogAppendTime is the broker's to set",
                )),
                bits if bits & CONTROL != 0 => {
                    Err(ProduceRejection::Header("clients are not allowed to write control records"))
                }
                _ => Err(ProduceRejection::Header("the attributes have bits that clients must not set")),
            };
        }
        None => {}
    }
    Err(ProduceRejection::Codec { codec: header.codec(), produce_version })
}

fn check_counts(header: &BatchHeader) -> Result<(), ProduceRejection> {
    if header.base_offset != Offset::ZERO {
        return Err(ProduceRejection::Header("the base offset of a produced batch must be 0"));
    }
    if header.record_count <= 0 {
        return Err(ProduceRejection::Header("the batch has no records"));
    }
    if header.last_offset_delta != header.record_count - 1 {
        return Err(ProduceRejection::Header("the last offset delta is not the record count less one"));
    }
    let payload_len = header.size_bytes() - HEADER_LEN;
    if header.codec() == Codec::None as i16 && header.record_count as usize > payload_len / RECORD_LEN_MIN {
        return Err(ProduceRejection::Header("the batch claims more records than its bytes can hold"));
    }
    Ok(())
}

fn check_producer(header: &BatchHeader) -> Result<(), ProduceRejection> {
    match header.producer_id.0 {
        0.. if header.producer_epoch.0 < 0 => {
            Err(ProduceRejection::Header("a producer id needs an epoch of at least 0"))
        }
        0.. if header.base_sequence < 0 => {
            Err(ProduceRejection::Header("a producer id needs a sequence number of at least 0"))
        }
        0.. => Ok(()),
        -1 if header.is_transactional() => {
            Err(ProduceRejection::Header("a transactional batch needs a producer id"))
        }
        -1 => Ok(()),
        _ => Err(ProduceRejection::Header("a producer id is at least 0, or -1 for none")),
    }
}

#[cfg(test)]
mod tests;
