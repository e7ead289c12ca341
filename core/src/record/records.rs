//! The records inside a batch, for those few who must look: clients, tools, compaction, lookups by time.
//!
//! A record (all numbers signed varints): length, attributes `int8`, timestamp delta, offset delta, key length and
//! key, value length and value, header count, and per header key length, key, value length, value (KIP-82, KIP-98).

use bytes::Bytes;

use super::batch::{Batch, BatchHeader, HEADER_LEN, LOG_APPEND_TIME};
use super::compression::{Codec, DecompressError, decompress};
use super::varint;
use crate::ids::Offset;
use crate::time::Timestamp;

/// The smallest record: seven fields of one byte each.
pub const RECORD_LEN_MIN: usize = 7;

/// Why the records of a batch cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Attribute bits 0 to 2 name no codec.
    #[error("codec {0} does not exist")]
    Codec(i16),
    /// The payload does not decompress.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// The record count is negative, or more than the payload can hold.
    #[error("{count} records cannot be in {payload_bytes} bytes")]
    Count {
        /// In the batch's header.
        count: i32,
        /// Bytes of the records.
        payload_bytes: usize,
    },
    /// Offsets would leave their range.
    #[error("the batch's offsets leave the range of offsets")]
    OffsetOverflow,
    /// A record is not a record.
    #[error("record {index} of the batch is malformed: {what}")]
    Malformed {
        /// Which, from 0.
        index: i32,
        /// What is wrong.
        what: &'static str,
    },
    /// Bytes are left behind the last record.
    #[error("{0} bytes are left behind the last record")]
    Trailing(usize),
}

/// One record, sharing the memory of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordView {
    /// Its offset.
    pub offset: Offset,
    /// Its offset, counted from the batch's base offset.
    pub offset_delta: i32,
    /// Its time: its own, or the time of its append when the batch says so.
    pub timestamp: Timestamp,
    /// Its own time, counted from the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Its key, or null.
    pub key: Option<Bytes>,
    /// Its value, or null (a tombstone).
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

/// The headers of a record, in their order; keys may repeat and need not be UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Bytes,
    count: usize,
}

impl Headers {
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Key and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> + '_ {
        let mut cursor = Cursor { bytes: &self.bytes, rest: &self.bytes };
        (0..self.count).map(move |_| cursor.header().expect("headers were checked when the record was read"))
    }
}

/// The records of one batch. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    payload: Bytes,
    position: usize,
    index: i32,
    last_delta: i32,
}

impl Records {
    /// Bytes of all records, decompressed.
    pub fn payload_bytes(&self) -> usize {
        self.payload.len()
    }
}

/// Reads the records of a batch, which may make up to `limit_bytes` when decompressed.
///
/// # Errors
/// When the payload does not decompress or the header's counts cannot be. Malformed records are found while
/// iterating.
pub fn iterate(batch: &Batch, limit_bytes: usize) -> Result<Records, RecordError> {
    let header = *batch.header();
    let codec = Codec::from_attributes(header.attributes).ok_or(RecordError::Codec(header.codec()))?;
    header.next_offset().ok_or(RecordError::OffsetOverflow)?;
    let payload = decompress(codec, batch.bytes().slice(HEADER_LEN..), limit_bytes)?;
    let count = header.record_count;
    if count < 0 || count as usize > payload.len() / RECORD_LEN_MIN {
        return Err(RecordError::Count { count, payload_bytes: payload.len() });
    }
    Ok(Records { header, payload, position: 0, index: 0, last_delta: -1 })
}

impl Records {
    fn read(&mut self) -> Result<RecordView, RecordError> {
        let index = self.index;
        let malformed = |what| RecordError::Malformed { index, what };
        let mut rest = &self.payload[self.position..];
        let len = varint::take_i32(&mut rest).ok_or_else(|| malformed("no length"))?;
        let start = self.payload.len() - rest.len();
        let end = usize::try_from(len)
            .ok()
            .and_then(|len| start.checked_add(len))
            .filter(|&end| end <= self.payload.len())
            .ok_or_else(|| malformed("its length leaves the batch"))?;
        let bytes = self.payload.slice(start..end);
        let mut cursor = Cursor { bytes: &bytes, rest: &bytes };
        let record = cursor.record(&self.header).map_err(malformed)?;
        // Compaction leaves gaps, but nothing ever puts records out of order (KIP-98).
        if record.offset_delta <= self.last_delta || record.offset_delta > self.header.last_offset_delta {
            return Err(malformed("its offset delta is out of order"));
        }
        self.last_delta = record.offset_delta;
        self.position = end;
        Ok(record)
    }
}

impl Iterator for Records {
    type Item = Result<RecordView, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.header.record_count {
            let left = self.payload.len() - self.position;
            self.position = self.payload.len();
            return (left > 0).then_some(Err(RecordError::Trailing(left)));
        }
        let record = self.read();
        self.index += 1;
        if record.is_err() {
            self.index = self.header.record_count;
            self.position = self.payload.len();
        }
        Some(record)
    }
}

/// Reads one record's fields; a field that cannot be is named by the error.
struct Cursor<'a> {
    bytes: &'a Bytes,
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn record(&mut self, batch: &BatchHeader) -> Result<RecordView, &'static str> {
        let (_attributes, rest) = self.rest.split_first().ok_or("it has no attributes")?;
        self.rest = rest;
        let timestamp_delta = varint::take_i64(&mut self.rest).ok_or("its timestamp is no varint")?;
        let offset_delta = varint::take_i32(&mut self.rest).ok_or("its offset is no varint")?;
        let key = self.nullable_bytes().ok_or("its key leaves the record")?;
        let value = self.nullable_bytes().ok_or("its value leaves the record")?;
        let headers = self.headers().ok_or("its headers leave the record")?;
        if !self.rest.is_empty() {
            return Err("bytes are left behind it");
        }
        let timestamp = if batch.attributes & LOG_APPEND_TIME != 0 {
            batch.max_timestamp
        } else {
            Timestamp(batch.base_timestamp.0.saturating_add(timestamp_delta))
        };
        let offset =
            batch.base_offset.checked_add(offset_delta.into()).ok_or("its offset leaves the range")?;
        Ok(RecordView { offset, offset_delta, timestamp, timestamp_delta, key, value, headers })
    }

    /// `None` when the length is below -1 or leaves the record.
    fn nullable_bytes(&mut self) -> Option<Option<Bytes>> {
        match varint::take_i32(&mut self.rest)? {
            -1 => Some(None),
            len => self.take(usize::try_from(len).ok()?).map(Some),
        }
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        let start = self.bytes.len() - self.rest.len();
        self.rest = self.rest.get(len..)?;
        Some(self.bytes.slice(start..start + len))
    }

    fn headers(&mut self) -> Option<Headers> {
        let count = usize::try_from(varint::take_i32(&mut self.rest)?).ok()?;
        if count > self.rest.len() / 2 {
            return None;
        }
        let start = self.bytes.len() - self.rest.len();
        for _ in 0..count {
            self.header()?;
        }
        let end = self.bytes.len() - self.rest.len();
        Some(Headers { bytes: self.bytes.slice(start..end), count })
    }

    fn header(&mut self) -> Option<(Bytes, Option<Bytes>)> {
        let key_len = usize::try_from(varint::take_i32(&mut self.rest)?).ok()?;
        Some((self.take(key_len)?, self.nullable_bytes()?))
    }
}

#[cfg(test)]
mod tests;
