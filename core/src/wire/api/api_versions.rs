//! ApiVersions (KIP-35, KIP-511), versions 0 to 4: the first request of every client.
//!
//! Its response always has the classic header, and a request of an unknown version is answered in version 0 with
//! UNSUPPORTED_VERSION and the range of ApiVersions itself, so that the client can ask again.

use bytes::{Bytes, BytesMut};

use crate::error::ErrorCode;
use crate::wire::api_key::ApiKey;
use crate::wire::codec::{DecodeError, StrBytes};
use crate::wire::reader::Reader;
use crate::wire::response;
use crate::wire::writer::Writer;

/// What a client says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsRequest {
    /// From version 3 on, and empty before; from outside, so escape it before you log it.
    pub client_software_name: StrBytes,
    /// From version 3 on, and empty before.
    pub client_software_version: StrBytes,
}

impl ApiVersionsRequest {
    /// Decodes a body of a version that is served.
    ///
    /// # Errors
    /// When the bytes are no such message.
    pub fn decode(body: &Bytes, version: i16) -> Result<Self, DecodeError> {
        if version < 3 {
            return Ok(Self::default());
        }
        let mut reader = Reader::new(body, true);
        let request =
            Self { client_software_name: reader.string()?, client_software_version: reader.string()? };
        reader.end()?;
        Ok(request)
    }

    /// Whether the client's name and version are such as KIP-511 allows: letters, digits, `-` and `.`, and at both ends
    /// a letter or digit.
    pub fn is_valid(&self, version: i16) -> bool {
        version < 3
            || [&self.client_software_name, &self.client_software_version].into_iter().all(|text| {
                let is_inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
                let ends = [text.as_bytes().first(), text.as_bytes().last()];
                ends.into_iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
                    && text.bytes().all(is_inner)
            })
    }

    /// Appends the body.
    pub fn encode(&self, version: i16, buffer: &mut BytesMut) {
        if version < 3 {
            return;
        }
        let mut writer = Writer::new(buffer, true);
        writer.string(&self.client_software_name);
        writer.string(&self.client_software_version);
        writer.end();
    }
}

/// A feature of the cluster (KIP-584) and its levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Such as `metadata.version`.
    pub name: &'static str,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

/// The features part of the response, empty for a broker without any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features<'a> {
    /// What this broker can do.
    pub supported: &'a [Feature],
    /// What the cluster has agreed on; `min` and `max` are both the level.
    pub finalized: &'a [Feature],
    /// Rises with each change of `finalized`; -1 when nothing is known.
    pub finalized_epoch: i64,
}

impl Features<'_> {
    /// No features.
    pub const NONE: Self = Features { supported: &[], finalized: &[], finalized_epoch: -1 };
}

/// Appends the whole response frame: every key of the table.
pub fn encode_response(
    correlation_id: i32,
    version: i16,
    throttle_time_ms: i32,
    features: Features<'_>,
    buffer: &mut BytesMut,
) {
    let frame = response::begin(correlation_id, false, buffer);
    let mut writer = Writer::new(buffer, version >= 3);
    writer.i16(ErrorCode::None.code());
    write_keys(&mut writer, ApiKey::ALL);
    if version >= 1 {
        writer.i32(throttle_time_ms);
    }
    if version >= 3 {
        write_features(&mut writer, version, features);
    }
    frame.end(buffer).expect("the table takes no gigabytes");
}

/// Appends the whole response frame to a request of a version that is not served: version 0, error 35, and the
/// range of ApiVersions alone (KIP-511).
pub fn encode_unsupported_version(correlation_id: i32, buffer: &mut BytesMut) {
    let frame = response::begin(correlation_id, false, buffer);
    let mut writer = Writer::new(buffer, false);
    writer.i16(ErrorCode::UnsupportedVersion.code());
    write_keys(&mut writer, &[ApiKey::ApiVersions]);
    frame.end(buffer).expect("the answer takes no gigabytes");
}

/// Appends the whole response frame to a request that is refused (KIP-511): the error, and no keys.
pub fn encode_refusal(correlation_id: i32, version: i16, error: ErrorCode, buffer: &mut BytesMut) {
    let frame = response::begin(correlation_id, false, buffer);
    let mut writer = Writer::new(buffer, version >= 3);
    writer.i16(error.code());
    write_keys(&mut writer, &[]);
    if version >= 1 {
        writer.i32(0);
    }
    if version >= 3 {
        writer.end();
    }
    frame.end(buffer).expect("the answer takes no gigabytes");
}

fn write_keys(writer: &mut Writer<'_>, keys: &[ApiKey]) {
    writer.array(keys.len());
    for key in keys {
        let versions = key.versions();
        writer.i16(key.code());
        writer.i16(versions.min);
        writer.i16(versions.max);
        writer.end();
    }
}

fn write_features(writer: &mut Writer<'_>, version: i16, features: Features<'_>) {
    // Java clients before 3.9 throw on a supported feature whose minimum is 0 (KAFKA-17011), and they ask in version 3.
    let supported: Vec<Feature> =
        features.supported.iter().copied().filter(|feature| version > 3 || feature.min > 0).collect();
    let mut tags: Vec<(u32, BytesMut)> = Vec::new();
    if !supported.is_empty() {
        tags.push((0, encode_features(&supported, |feature| (feature.min, feature.max))));
    }
    if features.finalized_epoch != -1 {
        tags.push((1, BytesMut::from(&features.finalized_epoch.to_be_bytes()[..])));
    }
    if !features.finalized.is_empty() {
        // Here the protocol puts the maximum first.
        tags.push((2, encode_features(features.finalized, |feature| (feature.max, feature.min))));
    }
    let fields: Vec<(u32, &[u8])> = tags.iter().map(|(tag, value)| (*tag, &value[..])).collect();
    writer.end_with(&fields);
}

fn encode_features(features: &[Feature], levels: impl Fn(&Feature) -> (i16, i16)) -> BytesMut {
    let mut value = BytesMut::new();
    let mut writer = Writer::new(&mut value, true);
    writer.array(features.len());
    for feature in features {
        let (first, second) = levels(feature);
        writer.string(feature.name);
        writer.i16(first);
        writer.i16(second);
        writer.end();
    }
    value
}

/// The versions a broker offers, as a client needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// The error code of the response.
    pub error_code: i16,
    /// Key, lowest and highest version.
    pub ranges: Vec<(i16, i16, i16)>,
}

impl Offered {
    /// Decodes a body. A broker that does not know the version that was asked for answers in version 0, so the
    /// caller tries 0 when this fails or the error is UNSUPPORTED_VERSION.
    ///
    /// # Errors
    /// When the bytes are no such message.
    pub fn decode(body: &Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, version >= 3);
        let error_code = reader.i16()?;
        let count = reader.array(6)?;
        let mut ranges = Vec::new();
        for _ in 0..count {
            ranges.push((reader.i16()?, reader.i16()?, reader.i16()?));
            reader.end()?;
        }
        Ok(Self { error_code, ranges })
    }

    /// The highest version of `key` that both sides speak.
    pub fn highest_common(&self, key: ApiKey) -> Option<i16> {
        let (_, min, max) = *self.ranges.iter().find(|range| range.0 == key.code())?;
        let ours = key.versions();
        let version = max.min(ours.max);
        (version >= min && version >= ours.served_min).then_some(version)
    }
}

#[cfg(test)]
mod tests;
