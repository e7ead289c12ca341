//! InitProducerId, versions 0 to 5 (KIP-98, KIP-360, KIP-730 blocks of ids).
//!
//! A producer without a transactional id always gets a new producer id at epoch 0, also when it names the one it
//! had: nobody can tell who else uses that. The id comes from a block that was durably taken before. Not implemented:
//! transactions; a transactional id gets the code that clients take for final (`coordination.rs`).

use bytes::BytesMut;

use super::coordination::NOT_SUPPORTED;
use super::{Services, decode, message, respond};
use crate::env::{Clock, Env};
use crate::error::ErrorCode;
use crate::ids::ProducerId;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::messages::{InitProducerIdRequest, InitProducerIdResponse};

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: InitProducerIdRequest = decode(request)?;
    let given = match asked.transactional_id.as_deref() {
        None => next(services).await,
        Some("") => Err(ErrorCode::InvalidRequest),
        Some(_) => {
            let now = services.env.clock().now();
            services.askers.warn(now, &request.printable_client_id(), "transactions");
            Err(NOT_SUPPORTED)
        }
    };
    let response = match given {
        Ok(id) => message!(InitProducerIdResponse { producer_id: id.0, producer_epoch: 0 }),
        Err(code) => {
            message!(InitProducerIdResponse { error_code: code.code(), producer_id: -1, producer_epoch: -1 })
        }
    };
    respond(request, &response, buffer)
}

async fn next<E: Env>(services: &Services<E>) -> Result<ProducerId, ErrorCode> {
    services.quorum.next_producer_id().await.map_err(|rejection| {
        tracing::warn!("no producer id can be given: {rejection}");
        // What Kafka answers while it waits for a block: clients try again.
        ErrorCode::CoordinatorLoadInProgress
    })
}
