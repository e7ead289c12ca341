//! FindCoordinator, versions 0 to 6 (KIP-98, KIP-699 batches from version 4 on, KIP-932 share groups in version 6).
//!
//! Not implemented: coordinators. A group is sent to this broker, which offers none of the requests of groups; the rest
//! is refused here, with a code that clients take for final (`coordination.rs`).

use bytes::BytesMut;

use super::coordination::{NOT_SUPPORTED, WORDS};
use super::services::address;
use super::{Services, decode, message, respond};
use crate::env::{Clock, Env};
use crate::error::ErrorCode;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::find_coordinator_response::Coordinator;
use crate::wire::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

/// From this version on a request names many keys.
const BATCH_MIN: i16 = 4;
const GROUP: i8 = 0;
/// What the types of keys, from 0 on, stand for.
const KEY_TYPES: [&str; 3] = ["a consumer group", "transactions", "a share group"];

pub(crate) fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: FindCoordinatorRequest = decode(request)?;
    let wanted = usize::try_from(asked.key_type).ok().and_then(|key_type| KEY_TYPES.get(key_type));
    if let Some(what) = wanted {
        services.askers.warn(services.env.clock().now(), &request.printable_client_id(), what);
    }
    let image = services.image();
    let broker = image.broker(services.config.node_id);
    let refused = |code, text: &str| (code, Some(text.into()), (-1, StrBytes::default(), -1));
    let (code, text, (node_id, host, port)) = match (asked.key_type, wanted, broker) {
        (GROUP, _, Some(broker)) => {
            let (host, port) = address(broker);
            (ErrorCode::None, None, (services.config.node_id.0, host.into(), port))
        }
        (_, Some(_), _) => refused(NOT_SUPPORTED, WORDS),
        (_, None, _) => refused(ErrorCode::InvalidRequest, "this kind of key is not known"),
    };
    let code = code.code();
    let response = if request.version() >= BATCH_MIN {
        let of_key = |key: StrBytes| {
            message!(Coordinator {
                key: key,
                node_id: node_id,
                host: host.clone(),
                port: port,
                error_code: code,
                error_message: text.clone(),
            })
        };
        message!(FindCoordinatorResponse {
            coordinators: asked.coordinator_keys.into_iter().map(of_key).collect(),
        })
    } else {
        message!(FindCoordinatorResponse {
            error_code: code,
            error_message: text,
            node_id: node_id,
            host: host,
            port: port,
        })
    };
    respond(request, &response, buffer)
}
