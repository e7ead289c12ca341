//! ApiVersions, versions 0 to 4 (KIP-35, KIP-511, KIP-584): which requests in which versions.
//!
//! Every key of the table in `wire::api_key` has a handler, and nothing else is listed. A version that is not known
//! is answered in version 0 with UNSUPPORTED_VERSION by the dispatcher, before the body is looked at. Not implemented:
//! finalized features, of which there are none yet.

use bytes::BytesMut;

use crate::server::dispatch::{Refusal, Request};
use crate::wire::api::api_versions::{ApiVersionsRequest, Features, encode_response};

/// Answers with the table.
pub(crate) fn handle(request: &Request, buffer: &mut BytesMut) -> Result<(), Refusal> {
    ApiVersionsRequest::decode(&request.body, request.version())
        .map_err(|cause| request.undecodable(&cause))?;
    encode_response(request.header.correlation_id, request.version(), 0, Features::NONE, buffer);
    Ok(())
}
