//! Request and response headers.

use bytes::Bytes;

use super::api_key::ApiKey;
use super::codec::{DecodeError, StrBytes};
use super::reader::Reader;

/// The first 8 bytes of every request, in every version: enough to route it or to answer that it is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderPeek {
    /// Which request; may be any number.
    pub api_key: i16,
    /// In which version; may be any number.
    pub api_version: i16,
    /// What the response must begin with.
    pub correlation_id: i32,
}

/// Reads the first 8 bytes of a request.
///
/// # Errors
/// When there are fewer.
pub fn peek(frame: &Bytes) -> Result<HeaderPeek, DecodeError> {
    let mut reader = Reader::new(frame, false);
    Ok(HeaderPeek { api_key: reader.i16()?, api_version: reader.i16()?, correlation_id: reader.i32()? })
}

/// A request's header, of a key and version that this program knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which request.
    pub api_key: ApiKey,
    /// In which version.
    pub api_version: i16,
    /// What the response must begin with.
    pub correlation_id: i32,
    /// What the client calls itself; from outside, so escape it before you log it.
    pub client_id: Option<StrBytes>,
}

/// Parts a request into header and body. The caller has peeked and found `api_key` and the version supported.
///
/// Header version 2 is used exactly for flexible versions, and even there the client id is a classic string
/// (KIP-482).
///
/// # Errors
/// When the header is cut short, or the client id is not UTF-8.
pub fn decode(frame: &Bytes, api_key: ApiKey) -> Result<(RequestHeader, Bytes), DecodeError> {
    let HeaderPeek { api_version, correlation_id, .. } = peek(frame)?;
    let mut reader = Reader::new(frame, false);
    reader.i64()?;
    let client_id = reader.nullable_string()?;
    let mut body = reader.rest();
    if api_key.is_flexible(api_version) {
        let mut tags = Reader::new(&body, true);
        tags.end()?;
        body = tags.rest();
    }
    Ok((RequestHeader { api_key, api_version, correlation_id, client_id }, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_id_is_a_classic_string_even_in_the_flexible_header() {
        let frame = Bytes::from_static(b"\0\x03\0\x0c\0\0\0\x07\0\x02id\x01\x05\x01xbody");
        let (header, body) = decode(&frame, ApiKey::Metadata).expect("the header is right");
        assert_eq!((header.api_version, header.correlation_id), (12, 7));
        assert_eq!(header.client_id.as_deref(), Some("id"));
        assert_eq!(body, "body");
    }

    #[test]
    fn a_header_cut_anywhere_is_refused() {
        let frame = Bytes::from_static(b"\0\x03\0\x0c\0\0\0\x07\0\x02id\x01\x05\x01x");
        for end in 0..frame.len() {
            assert!(decode(&frame.slice(..end), ApiKey::Metadata).is_err(), "at {end}");
        }
    }

    #[test]
    fn client_ids_from_hell_are_errors_or_strings() {
        for (id, expected) in [
            (&b"\xff\xff"[..], Some(None)),
            (b"\0\0", Some(Some(""))),
            (b"\0\x05\x1b[31m", Some(Some("\u{1b}[31m"))),
            (b"\0\x01\xff", None),
            (b"\xff\xfe", None),
            (b"\x80\0", None),
            (b"\x7f\xff", None),
        ] {
            let frame = [&b"\0\x12\0\0\0\0\0\x01"[..], id].concat();
            let decoded = decode(&Bytes::from(frame), ApiKey::ApiVersions);
            let told = decoded.ok().map(|(header, _)| header.client_id.map(|id| id.as_str().to_owned()));
            assert_eq!(told, expected.map(|id| id.map(str::to_owned)), "{id:?}");
        }
    }
}
