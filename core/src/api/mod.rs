//! The handlers of requests, one file per API key. Each begins with its versions, its behaviour, and what it does not do.
//!
//! A handler decodes a body, asks the parts of the broker that [`Services`] names, and encodes a response. An error
//! of theirs becomes Kafka's code in [`error_map`], nowhere else.

pub mod api_versions;

use bytes::BytesMut;

use crate::env::Env;
use crate::server::dispatch::{Refusal, Request};
use crate::sync::Arc;
use crate::wire::codec::KafkaEncode;
use crate::wire::messages::KafkaRequest;
use crate::wire::{request, response};

/// What handlers work with.
pub struct Services<E: Env> {
    /// Clocks, disk, network, chance.
    pub env: E,
}

/// Builds a generated message from its default; their structs cannot be written as literals outside their crate.
macro_rules! message {
    ($type:path { $($field:ident: $value:expr),* $(,)? }) => {{
        let mut message = <$type>::default();
        $(message.$field = $value;)*
        message
    }};
}
pub(crate) use message;

/// Handles every request but Produce, Fetch and ApiVersions: those that answer to people and programs now and then.
pub(crate) async fn handle_rare<E: Env>(
    services: &Arc<Services<E>>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let _ = (services, buffer);
    match request.header.api_key {
        key => Err(Refusal::Key(key.code())),
    }
}

/// Decodes a request's body.
fn decode<M: KafkaRequest>(request: &Request) -> Result<M, Refusal> {
    request::decode(&request.body, request.version()).map_err(|cause| request.undecodable(&cause))
}

/// Appends the response to `buffer`.
fn respond<M: KafkaEncode>(request: &Request, message: &M, buffer: &mut BytesMut) -> Result<(), Refusal> {
    let header = &request.header;
    let header_flexible = header.api_key.response_header_is_flexible(header.api_version);
    response::encode(header.correlation_id, header_flexible, message, header.api_version, buffer)
        .map_err(|cause| request.inexpressible(&cause))
}
