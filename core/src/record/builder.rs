//! Builds batches, as producers do.

use bytes::{BufMut, Bytes, BytesMut};

use super::batch::{CRC_START, HEADER_LEN, LENGTH_PREFIX_LEN, crc32c};
use super::compression::{Codec, compress};
use super::varint;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::time::Timestamp;

/// A batch that is being filled. Offsets are left to the leader: the base offset is 0 and the leader epoch -1.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    codec: Codec,
    /// Room for the header, then the records.
    bytes: BytesMut,
    flags: i16,
    record_count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
}

impl BatchBuilder {
    /// An empty batch, which will be compressed with `codec`.
    pub fn new(codec: Codec) -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_bytes(0, HEADER_LEN);
        Self {
            codec,
            bytes,
            flags: 0,
            record_count: 0,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
        }
    }

    /// How many records are in it.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// How many bytes it has, uncompressed.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a record.
    ///
    /// # Panics
    /// When the batch would grow beyond 2 GiB.
    pub fn append(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> &mut Self {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let timestamp_delta = timestamp.0.wrapping_sub(self.base_timestamp.0);
        let offset_delta = self.record_count.into();
        let headers_len: usize =
            headers.iter().map(|(key, value)| field_len(Some(key.as_bytes())) + field_len(*value)).sum();
        let len = 1
            + varint::len(timestamp_delta)
            + varint::len(offset_delta)
            + field_len(key)
            + field_len(value)
            + varint::len(headers.len() as i64)
            + headers_len;
        assert!(self.bytes.len() + len < i32::MAX as usize, "a batch is smaller than 2 GiB");
        let bytes = &mut self.bytes;
        bytes.reserve(len + 5);
        varint::put(bytes, len as i64);
        bytes.put_i8(0);
        varint::put(bytes, timestamp_delta);
        varint::put(bytes, offset_delta);
        put_field(bytes, key);
        put_field(bytes, value);
        varint::put(bytes, headers.len() as i64);
        for (key, value) in headers {
            put_field(bytes, Some(key.as_bytes()));
            put_field(bytes, *value);
        }
        self.record_count += 1;
        self
    }

    /// Makes it the batch of an idempotent producer (KIP-98).
    pub fn producer(&mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> &mut Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Sets attribute bits, such as [`CONTROL`](super::batch::CONTROL).
    pub fn flags(&mut self, flags: i16) -> &mut Self {
        self.flags = flags;
        self
    }

    /// The finished batch; the builder is left empty, with its codec, flags and producer.
    pub fn build(&mut self) -> Bytes {
        let mut bytes = std::mem::replace(&mut self.bytes, Self::new(self.codec).bytes);
        if self.codec != Codec::None {
            let payload = compress(self.codec, &bytes[HEADER_LEN..]);
            bytes.truncate(HEADER_LEN);
            bytes.extend_from_slice(&payload);
        }
        self.write_header(&mut bytes);
        self.record_count = 0;
        self.max_timestamp = Timestamp::NONE;
        bytes.freeze()
    }

    fn write_header(&self, bytes: &mut [u8]) {
        let batch_length = (bytes.len() - LENGTH_PREFIX_LEN) as i32;
        let mut header = &mut bytes[..HEADER_LEN];
        header.put_i64(0);
        header.put_i32(batch_length);
        header.put_i32(-1);
        header.put_i8(2);
        header.put_u32(0);
        header.put_i16(self.flags | self.codec as i16);
        header.put_i32(self.record_count - 1);
        header.put_i64(self.base_timestamp.0);
        header.put_i64(self.max_timestamp.0);
        header.put_i64(self.producer_id.0);
        header.put_i16(self.producer_epoch.0);
        header.put_i32(self.base_sequence);
        header.put_i32(self.record_count);
        write_crc(bytes);
    }
}

/// Gives a finished batch to another producer, epoch or sequence: they lie inside the CRC, which is made anew.
///
/// # Panics
/// When `batch` is shorter than a header.
pub fn set_producer(batch: &mut BytesMut, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) {
    batch[43..51].copy_from_slice(&id.0.to_be_bytes());
    batch[51..53].copy_from_slice(&epoch.0.to_be_bytes());
    batch[53..57].copy_from_slice(&base_sequence.to_be_bytes());
    write_crc(batch);
}

pub(super) fn write_crc(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC_START..]);
    batch[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
}

fn field_len(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varint::len(field.len() as i64) + field.len())
}

fn put_field(bytes: &mut BytesMut, field: Option<&[u8]>) {
    varint::put(bytes, field.map_or(-1, |field| field.len() as i64));
    bytes.put_slice(field.unwrap_or_default());
}
