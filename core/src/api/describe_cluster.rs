//! DescribeCluster, versions 0 to 2 (KIP-700, KIP-919 endpoint types, KIP-1073 fenced brokers).
//!
//! This listener is a broker's: a request for controllers gets MISMATCHED_ENDPOINT_TYPE. Without an authorizer every
//! operation on the cluster is allowed, and the answer says so when asked.

use bytes::BytesMut;

use super::services::address;
use super::{Services, decode, message, operations, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::messages::describe_cluster_response::DescribeClusterBroker;
use crate::wire::messages::{DescribeClusterRequest, DescribeClusterResponse};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(crate) fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: DescribeClusterRequest = decode(request)?;
    let version = request.version();
    let error = match asked.endpoint_type {
        _ if version == 0 => None,
        BROKERS => None,
        CONTROLLERS => {
            Some((ErrorCode::MismatchedEndpointType, "this is a broker's listener, not a controller's"))
        }
        _ => {
            Some((ErrorCode::UnsupportedEndpointType, "endpoints are of type 1 (brokers) or 2 (controllers)"))
        }
    };
    let image = services.image();
    let mut response = message!(DescribeClusterResponse {
        cluster_id: image.cluster_id.as_str().into(),
        controller_id: image.controller_id.0,
    });
    if let Some((code, text)) = error {
        response.error_code = code.code();
        response.error_message = Some(text.into());
        return respond(request, &response, buffer);
    }
    for broker in image.brokers() {
        if broker.fenced && !(version >= 2 && asked.include_fenced_brokers) {
            continue;
        }
        let (host, port) = address(broker);
        let mut told = message!(DescribeClusterBroker {
            broker_id: broker.id.0,
            host: host.into(),
            port: port,
            rack: broker.rack.as_deref().map(Into::into),
        });
        if version >= 2 {
            told.is_fenced = broker.fenced;
        }
        response.brokers.push(told);
    }
    if asked.include_cluster_authorized_operations {
        response.cluster_authorized_operations = operations::CLUSTER;
    }
    respond(request, &response, buffer)
}
