//! Responses: framing those that this program sends, and reading those it gets.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::{ApiVersion, DecodeError, Decoder, EncodeError, Encoder, KafkaDecode, KafkaEncode};
use super::reader::Reader;
use super::request::{OpenFrame, limits};
use super::writer::Writer;

/// Appends a whole response frame to `buffer`: length, correlation id, header tags when `header_flexible`
/// ([`ApiKey::response_header_is_flexible`](super::ApiKey::response_header_is_flexible)), body.
///
/// # Errors
/// When the message cannot be expressed in this version, or makes a frame above 2 GiB; `buffer` is as before.
pub fn encode<M: KafkaEncode>(
    correlation_id: i32,
    header_flexible: bool,
    message: &M,
    version: i16,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = buffer.len();
    let frame = begin(correlation_id, header_flexible, buffer);
    let encoded = message.encode(&mut Encoder::new(buffer), ApiVersion::new(version));
    encoded.and_then(|()| frame.end(buffer)).inspect_err(|_| buffer.truncate(start))
}

/// Appends room for the length, and the header; the caller appends the body and then ends the frame.
pub fn begin(correlation_id: i32, header_flexible: bool, buffer: &mut BytesMut) -> OpenFrame {
    let frame = OpenFrame::begin(buffer);
    buffer.put_i32(correlation_id);
    Writer::new(buffer, header_flexible).end();
    frame
}

/// The correlation id of a response, in front of everything else.
///
/// # Errors
/// When there are fewer than four bytes.
pub fn correlation_id(frame: &Bytes) -> Result<i32, DecodeError> {
    Reader::new(frame, false).i32()
}

/// The body of a response frame, behind its header.
///
/// # Errors
/// When the header is cut short.
pub fn body(frame: &Bytes, header_flexible: bool) -> Result<Bytes, DecodeError> {
    let mut reader = Reader::new(frame, header_flexible);
    reader.i32()?;
    reader.end()?;
    Ok(reader.rest())
}

/// Decodes a response's body. What follows the message is ignored.
///
/// # Errors
/// When the body is not a message of this version.
pub fn decode<M: KafkaDecode>(body: &Bytes, version: i16) -> Result<M, DecodeError> {
    let mut decoder = Decoder::new(body.clone(), limits(body.len()))?;
    M::decode(&mut decoder, ApiVersion::new(version))
}
