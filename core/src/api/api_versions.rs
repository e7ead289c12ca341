//! ApiVersions, versions 0 to 4 (KIP-35, KIP-511, KIP-584): which requests in which versions, and which features.
//!
//! Every key of the table in `wire::api_key` has a handler, and nothing else is listed. A version that is not known
//! is answered in version 0 with UNSUPPORTED_VERSION by the dispatcher, before the body is looked at; a client whose
//! name or version KIP-511 does not allow is answered INVALID_REQUEST, and may go on all the same. The one feature
//! is `metadata.version`: without `transaction.version` and its like clients keep to what is there.

use bytes::BytesMut;

use super::Services;
use crate::env::Env;
use crate::error::ErrorCode;
use crate::metadata::records::{METADATA_VERSION, METADATA_VERSION_FEATURE, METADATA_VERSION_MIN};
use crate::server::dispatch::{Refusal, Request};
use crate::wire::api::api_versions::{
    ApiVersionsRequest, Feature, Features, encode_refusal, encode_response,
};

/// From this version on the answer tells features.
const FEATURES_MIN: i16 = 3;

/// Answers with the table.
pub(crate) fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let version = request.version();
    let asked =
        ApiVersionsRequest::decode(&request.body, version).map_err(|cause| request.undecodable(&cause))?;
    let correlation_id = request.header.correlation_id;
    if !asked.is_valid(version) {
        encode_refusal(correlation_id, version, ErrorCode::InvalidRequest, buffer);
        return Ok(());
    }
    if version < FEATURES_MIN {
        encode_response(correlation_id, version, 0, Features::NONE, buffer);
        return Ok(());
    }
    let image = services.image();
    let name = METADATA_VERSION_FEATURE;
    let supported = [Feature { name, min: METADATA_VERSION_MIN, max: METADATA_VERSION }];
    let level = image.features().get(name).map(|level| Feature { name, min: *level, max: *level });
    let features = Features {
        supported: &supported,
        finalized: level.as_slice(),
        // Kafka's number for this is the offset of the metadata, too.
        finalized_epoch: image.offset.0,
    };
    encode_response(correlation_id, version, 0, features, buffer);
    Ok(())
}
