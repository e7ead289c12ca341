//! AlterConfigs, versions 0 to 2 (KIP-133): replaces all overrides of a topic.
//!
//! Each resource is judged by itself. Deprecated by IncrementalAlterConfigs, since two who alter at once undo each
//! other's change. Not implemented: resources other than topics and the defaults of all brokers, which
//! are INVALID_REQUEST.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::describe_configs::{BROKER, TOPIC};
use super::judged::{Fault, join, part};
use super::{Services, decode, message, respond};
use crate::controller::{Command, ConfigChange, ConfigEdit, Response};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::metadata::ConfigResource;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::messages::{AlterConfigsRequest, AlterConfigsResponse};

/// The answers to either request: generated types of one shape, which share no trait.
macro_rules! answers {
    ($Response:ident, $outcomes:expr) => {
        $outcomes
            .into_iter()
            .map(|((resource_type, resource_name), outcome)| {
                let mut response =
                    message!($Response { resource_type: resource_type, resource_name: resource_name });
                if let Err(fault) = outcome {
                    response.error_code = fault.code.code();
                    response.error_message = Some(fault.message.into());
                }
                response
            })
            .collect()
    };
}
pub(super) use answers;

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: AlterConfigsRequest = decode(request)?;
    let edits = asked.resources.into_iter().map(|resource| {
        let configs = resource.configs.into_iter();
        let configs =
            configs.map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())));
        ((resource.resource_type, resource.resource_name), Ok(ConfigEdit::Replace(configs.collect())))
    });
    let outcomes = alter(services, edits.collect(), asked.validate_only).await;
    let responses = answers!(AlterConfigsResourceResponse, outcomes);
    respond(request, &message!(AlterConfigsResponse { responses: responses }), buffer)
}

/// Type and name of a resource, as the client named it.
pub(super) type Named = (i8, StrBytes);

/// Alters resources of either request; a fault that was found before stays what it is.
pub(super) async fn alter<E: Env>(
    services: &Services<E>,
    edits: Vec<(Named, Result<ConfigEdit, Fault>)>,
    validate_only: bool,
) -> Vec<(Named, Result<(), Fault>)> {
    let mut counts: BTreeMap<Named, usize> = BTreeMap::new();
    for (named, _) in &edits {
        *counts.entry(named.clone()).or_default() += 1;
    }
    let (named, edits): (Vec<Named>, Vec<_>) = edits.into_iter().unzip();
    let items = named.iter().zip(edits).map(|(named, edit)| match named {
        _ if counts.get(named) != Some(&1) => {
            Err(Fault::new(ErrorCode::InvalidRequest, "the request names this resource more than once"))
        }
        (TOPIC, name) => {
            edit.map(|edit| ConfigChange { resource: ConfigResource::topic(name.as_str()), edit })
        }
        (BROKER, name) if name.as_str().is_empty() => {
            edit.map(|edit| ConfigChange { resource: ConfigResource::cluster_default(), edit })
        }
        (other, _) => {
            let text = format!(
                "resources of type {other} cannot be altered: only topics (2), and what holds for all brokers (4, \
                 without a name)"
            );
            Err(Fault::new(ErrorCode::InvalidRequest, text))
        }
    });
    let (resources, faults) = part(items.collect());
    let outcomes = if resources.is_empty() {
        Ok(Vec::new())
    } else {
        let command = Command::AlterConfigs { resources, validate_only };
        services.quorum.submit(command).await.map(|response| match response {
            Response::ConfigsAltered(outcomes) => outcomes,
            _ => Vec::new(),
        })
    };
    named.into_iter().zip(join(faults, outcomes)).collect()
}
