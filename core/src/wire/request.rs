//! Requests: decoding their bodies under limits, and framing those that this program sends.

use bytes::{BufMut, Bytes, BytesMut};

use super::api_key::ApiKey;
use super::codec::{ApiVersion, DecodeError, DecodeLimits, Decoder, EncodeError, Encoder};
use super::frame::LENGTH_LEN;
use super::messages::KafkaRequest;
use super::writer::Writer;

/// The longest body of a generated request. A decoded element takes many times its bytes on the wire (a topic of two
/// bytes in a Metadata request becomes 72), so only Produce, whose records are not decoded, may fill
/// `socket.request.max.bytes`. A hundred thousand topics with long names fit.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// The most elements of one array of a request, however few bytes each of them takes.
pub const ELEMENTS_MAX: usize = 1 << 18;

/// The most tagged fields of one structure. Kafka has no such limit, and no structure with more than a handful.
const TAGGED_FIELDS_MAX: usize = 64;

/// What bytes of this length can hold: no string, field or array in them can be longer than they are.
pub(super) fn limits(bytes_len: usize) -> DecodeLimits {
    let mut limits = DecodeLimits::default();
    limits.max_frame_bytes = bytes_len;
    limits.max_string_bytes = bytes_len.min(i16::MAX as usize);
    limits.max_bytes_bytes = bytes_len;
    limits.max_array_elements = bytes_len;
    limits.max_tagged_fields = TAGGED_FIELDS_MAX;
    limits.max_tag_bytes = bytes_len;
    limits.max_total_tag_bytes = bytes_len;
    limits
}

/// Decodes a request's body. What follows the message is ignored, as Kafka does: librdkafka sends Metadata with three bytes
/// too many.
///
/// # Errors
/// When the body is not a message of this version, or larger than [`BODY_BYTES_MAX`] or [`ELEMENTS_MAX`] allow. No
/// frame tells a client of it: close the connection.
pub fn decode<M: KafkaRequest>(body: &Bytes, version: i16) -> Result<M, DecodeError> {
    let mut limits = limits(body.len());
    limits.max_frame_bytes = BODY_BYTES_MAX;
    limits.max_array_elements = limits.max_array_elements.min(ELEMENTS_MAX);
    let mut decoder = Decoder::new(body.clone(), limits)?;
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
    let encoded = message.encode(&mut Encoder::new(buffer), ApiVersion::new(version));
    encoded.and_then(|()| frame.end(buffer)).inspect_err(|_| buffer.truncate(start))
}

/// The longest frame whose length its prefix can tell.
const FRAME_BYTES_MAX: usize = i32::MAX as usize;

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
    /// # Errors
    /// When the frame is larger than 2 GiB. It cannot be sent: cut the buffer back.
    pub fn end(self, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        self.end_before(buffer, 0)
    }

    /// Writes the length of a frame of which `outside_len` bytes will be sent from elsewhere.
    pub(super) fn end_before(self, buffer: &mut BytesMut, outside_len: usize) -> Result<(), EncodeError> {
        let length = (buffer.len() - self.start - LENGTH_LEN).saturating_add(outside_len);
        let too_long = |_| EncodeError::LengthOverflow { kind: "frame", length, maximum: FRAME_BYTES_MAX };
        let prefix = i32::try_from(length).map_err(too_long)?.to_be_bytes();
        buffer[self.start..self.start + LENGTH_LEN].copy_from_slice(&prefix);
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::{FetchRequest, MetadataRequest, MetadataResponse};

    fn decode_metadata(body: &'static [u8], version: i16) -> Result<MetadataRequest, DecodeError> {
        decode(&Bytes::from_static(body), version)
    }

    #[test]
    fn a_count_of_two_billion_is_refused_without_memory_for_it() {
        // Behind another codec these five bytes end the process.
        assert!(decode_metadata(&[0x7f, 0xff, 0xff, 0xff], 1).is_err());
        assert!(decode_metadata(&[0xff, 0xff, 0xff, 0xff, 0x07], 12).is_err());
    }

    #[test]
    fn the_three_surplus_bytes_of_librdkafka_are_ignored() {
        let request = decode_metadata(&[0, 0, 0, 0, 0, 1, 0, 0], 9).expect("surplus bytes are no error");
        assert_eq!(request.topics, None);
        assert!(!request.allow_auto_topic_creation);
    }

    /// The cost of what a client may claim with each byte, counted: 2 bytes make an element of 72.
    #[test]
    fn a_body_of_the_smallest_elements_is_refused_before_they_fill_the_memory() {
        let of_topics = |count: usize| {
            let mut body = BytesMut::new();
            let mut writer = Writer::new(&mut body, true);
            writer.array(count);
            (0..count).for_each(|_| body.put_slice(&[0; 16 + 1 + 1]));
            body.put_slice(&[0; 3]);
            body.freeze()
        };
        assert!(decode::<MetadataRequest>(&of_topics(ELEMENTS_MAX), 12).is_ok(), "the most there may be");
        let too_long = Bytes::from(vec![1; BODY_BYTES_MAX + 1]);
        for body in [of_topics(ELEMENTS_MAX + 1), too_long] {
            let mut refused = None;
            let cost = allocation_counter::measure(|| refused = decode::<MetadataRequest>(&body, 12).err());
            assert!(matches!(refused, Some(DecodeError::LimitExceeded { .. })), "{refused:?}");
            assert!(cost.bytes_total < 4096, "nothing is made of it: {}", cost.bytes_total);
        }
        let mut small = BytesMut::new();
        Writer::new(&mut small, true).array(4 << 20);
        small.resize(BODY_BYTES_MAX, 1);
        let small = small.freeze();
        let cost = allocation_counter::measure(|| drop(decode::<MetadataRequest>(&small, 9)));
        assert!(cost.bytes_max < 4096, "{}", cost.bytes_max);
    }

    #[test]
    fn a_frame_beyond_2_gib_is_an_error_and_no_panic() {
        let mut buffer = BytesMut::new();
        let frame = begin(ApiKey::Metadata, 12, 1, None, &mut buffer);
        let header_len = buffer.len() - LENGTH_LEN;
        assert!(frame.end_before(&mut buffer, FRAME_BYTES_MAX - header_len).is_ok());
        assert_eq!(buffer[..LENGTH_LEN], i32::MAX.to_be_bytes());
        let frame = begin(ApiKey::Metadata, 12, 1, None, &mut buffer);
        assert!(matches!(
            frame.end_before(&mut buffer, FRAME_BYTES_MAX),
            Err(EncodeError::LengthOverflow { kind: "frame", .. })
        ));
    }

    #[test]
    fn a_request_cut_at_any_byte_is_refused() {
        for version in 4..=18 {
            let mut request = FetchRequest::default();
            request.topics.push(Default::default());
            request.topics[0].partitions.push(Default::default());
            let mut buffer = BytesMut::new();
            encode(1, None, &request, version, &mut buffer).expect("encodes");
            let frame = buffer.freeze().slice(LENGTH_LEN..);
            let (header, body) =
                crate::wire::header::decode(&frame, ApiKey::Fetch).expect("the header is right");
            assert_eq!(header.api_version, version);
            assert_eq!(decode::<FetchRequest>(&body, version).as_ref(), Ok(&request));
            for end in 0..body.len() {
                assert!(decode::<FetchRequest>(&body.slice(..end), version).is_err(), "{version} at {end}");
            }
        }
    }

    #[test]
    fn a_failed_encoding_leaves_the_buffer_as_it_was() {
        let mut buffer = BytesMut::from("before");
        let mut request = MetadataRequest::default();
        request.include_cluster_authorized_operations = true;
        assert!(encode(1, None, &request, 0, &mut buffer).is_err());
        assert_eq!(buffer, "before");
        let mut response = MetadataResponse::default();
        response.cluster_id = Some("x".repeat(40_000).into());
        assert!(crate::wire::response::encode(1, false, &response, 7, &mut buffer).is_err());
        assert_eq!(buffer, "before");
    }
}
