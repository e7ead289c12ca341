//! FindCoordinator, versions 0 to 6 (KIP-98, KIP-699 batches from version 4 on, KIP-932 share groups in version 6).
//!
//! Not implemented: coordinators. No broker of this version runs groups or transactions, and the answer says so:
//! COORDINATOR_NOT_AVAILABLE, one for each key. Clients try again until their own time is up.

use bytes::BytesMut;

use super::{decode, message, respond};
use crate::error::ErrorCode;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

/// From this version on a request names many keys.
const BATCH_MIN: i16 = 4;
/// Groups, transactions, share groups.
const KEY_TYPE_MAX: i8 = 2;

pub(crate) fn handle(request: &Request, buffer: &mut BytesMut) -> Result<(), Refusal> {
    let asked: FindCoordinatorRequest = decode(request)?;
    let (code, text) = if (0..=KEY_TYPE_MAX).contains(&asked.key_type) {
        (ErrorCode::CoordinatorNotAvailable, "this broker does not coordinate groups or transactions yet")
    } else {
        (ErrorCode::InvalidRequest, "this kind of key is not known")
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
