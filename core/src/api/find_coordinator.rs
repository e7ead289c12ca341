//! FindCoordinator, versions 0 to 6 (KIP-98, KIP-699 batches from version 4 on, KIP-932 share groups in version 6).
//!
//! Not implemented: coordinators. No broker of this version runs groups or transactions, and the answer says so to
//! each key, with a code that clients take for final (`coordination.rs`).

use bytes::BytesMut;

use super::coordination::{NOT_SUPPORTED, WORDS};
use super::{Services, decode, message, respond};
use crate::env::{Clock, Env};
use crate::error::ErrorCode;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

/// From this version on a request names many keys.
const BATCH_MIN: i16 = 4;
/// What the types of keys, from 0 on, stand for.
const KEY_TYPES: [&str; 3] = ["a consumer group", "transactions", "a share group"];

pub(crate) fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: FindCoordinatorRequest = decode(request)?;
    let wanted = usize::try_from(asked.key_type).ok().and_then(|key_type| KEY_TYPES.get(key_type));
    let (code, text) = match wanted {
        Some(what) => {
            services.askers.warn(services.env.clock().now(), &request.printable_client_id(), what);
            (NOT_SUPPORTED, WORDS)
        }
        None => (ErrorCode::InvalidRequest, "this kind of key is not known"),
    };
    let response = if request.version() >= BATCH_MIN {
        let nobody = |key: StrBytes| {
            message!(Coordinator {
                key: key,
                node_id: -1,
                port: -1,
                error_code: code.code(),
                error_message: Some(text.into()),
            })
        };
        message!(FindCoordinatorResponse {
            coordinators: asked.coordinator_keys.into_iter().map(nobody).collect(),
        })
    } else {
        message!(FindCoordinatorResponse {
            error_code: code.code(),
            error_message: Some(text.into()),
            node_id: -1,
            port: -1,
        })
    };
    respond(request, &response, buffer)
}
