//! Requests: decoding their bodies under limits, and framing those that this program sends.

use bytes::{BufMut, Bytes, BytesMut};

use super::api_key::ApiKey;
use super::codec::{ApiVersion, DecodeError, DecodeLimits, Decoder, EncodeError, Encoder};
use super::frame::LENGTH_LEN;
use super::messages::KafkaRequest;
use super::writer::Writer;

/// What bytes of this length can hold: no string, field or array in them can be longer than they are.
pub(super) fn limits(bytes_len: usize) -> DecodeLimits {
    let mut limits = DecodeLimits::default();
    limits.max_frame_bytes = bytes_len;
    limits.max_string_bytes = bytes_len.min(i16::MAX as usize);
    limits.max_bytes_bytes = bytes_len;
    limits.max_array_elements = bytes_len;
    limits.max_tagged_fields = 64;
    limits.max_tag_bytes = bytes_len;
    limits.max_total_tag_bytes = bytes_len;
    limits
}

/// Decodes a request's body. What follows the message is ignored, as Kafka does: librdkafka sends Metadata with three bytes
/// too many.
///
/// # Errors
/// When the body is not a message of this version. No frame tells a client of it: close the connection.
pub fn decode<M: KafkaRequest>(body: &Bytes, version: i16) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(body.clone(), limits(body.len()))?;
    M::decode(&mut decoder, ApiVersion::new(version))
}

/// Appends a whole request frame to `buffer`: length, header, body.
///
/// # Errors
/// When the message cannot be expressed in this version; `buffer` is as before.
pub fn encode<M: KafkaRequest>(
    correlation_id: i32,
    client_id: Option<&str>,
    message: &M,
    version: i16,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = buffer.len();
    let key = ApiKey::from_code(M::API_KEY.value()).expect("only requests of the table are sent");
    let frame = begin(key, version, correlation_id, client_id, buffer);
    match message.encode(&mut Encoder::new(buffer), ApiVersion::new(version)) {
        Ok(()) => {
            frame.end(buffer);
            Ok(())
        }
        Err(error) => {
            buffer.truncate(start);
            Err(error)
        }
    }
}

/// A frame whose body is being appended.
#[derive(Debug)]
#[must_use = "the frame's length is written by `end`"]
pub struct OpenFrame {
    start: usize,
}

impl OpenFrame {
    pub(super) fn begin(buffer: &mut BytesMut) -> Self {
        let start = buffer.len();
        buffer.put_i32(0);
        Self { start }
    }

    /// Writes the length, now that the body is there.
    ///
    /// # Panics
    /// When the frame is larger than 2 GiB: nothing here builds one.
    pub fn end(self, buffer: &mut BytesMut) {
        self.end_before(buffer, 0);
    }

    /// Writes the length of a frame of which `outside_len` bytes will be sent from elsewhere.
    pub(super) fn end_before(self, buffer: &mut BytesMut, outside_len: usize) {
        let len = buffer.len() - self.start - LENGTH_LEN + outside_len;
        let prefix = i32::try_from(len).expect("a frame below 2 GiB").to_be_bytes();
        buffer[self.start..self.start + LENGTH_LEN].copy_from_slice(&prefix);
    }
}

/// Appends room for the length, and the header; the caller appends the body and then ends the frame.
pub fn begin(
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    buffer: &mut BytesMut,
) -> OpenFrame {
    let frame = OpenFrame::begin(buffer);
    buffer.put_i16(key.code());
    buffer.put_i16(version);
    buffer.put_i32(correlation_id);
    Writer::new(buffer, false).nullable_string(client_id);
    Writer::new(buffer, key.is_flexible(version)).end();
    frame
}
