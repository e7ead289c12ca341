//! IncrementalAlterConfigs, versions 0 and 1 (KIP-339): single operations on a topic's overrides.
//!
//! Each resource is judged by itself; a key that is named twice in one resource is INVALID_REQUEST. Not implemented:
//! resources other than topics, which are INVALID_REQUEST.

use std::collections::BTreeSet;

use bytes::BytesMut;

use super::alter_configs::{alter, answers};
use super::judged::Fault;
use super::{Services, decode, message, respond};
use crate::controller::{ConfigEdit, ConfigOperation};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::messages::incremental_alter_configs_request::AlterableConfig;
use crate::wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: IncrementalAlterConfigsRequest = decode(request)?;
    let edits = asked.resources.into_iter();
    let edits =
        edits.map(|resource| ((resource.resource_type, resource.resource_name), edit(resource.configs)));
    let outcomes = alter(services, edits.collect(), asked.validate_only).await;
    let responses = answers!(AlterConfigsResourceResponse, outcomes);
    respond(request, &message!(IncrementalAlterConfigsResponse { responses: responses }), buffer)
}

fn edit(configs: Vec<AlterableConfig>) -> Result<ConfigEdit, Fault> {
    let mut seen = BTreeSet::new();
    let mut operations = Vec::new();
    for config in configs {
        let name = config.name.to_string();
        let value = config.value.map(|value| value.to_string());
        let operation = match config.config_operation {
            0 => ConfigOperation::Set(value),
            1 => ConfigOperation::Delete,
            2 => ConfigOperation::Append(value),
            3 => ConfigOperation::Subtract(value),
            other => {
                let text =
                    format!("operation {other} is not known: 0 sets, 1 deletes, 2 appends, 3 subtracts");
                return Err(Fault::new(ErrorCode::InvalidRequest, text));
            }
        };
        if !seen.insert(name.clone()) {
            let text = format!("the request names the key `{name}` more than once");
            return Err(Fault::new(ErrorCode::InvalidRequest, text));
        }
        operations.push((name, operation));
    }
    Ok(ConfigEdit::Incremental(operations))
}
