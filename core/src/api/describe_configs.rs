//! DescribeConfigs, versions 1 to 4 (KIP-133, KIP-226 sources and synonyms, KIP-569 types and documentation).
//!
//! Topics and this broker; both from the one table of `config`. A null or empty list of keys stands for all. Not
//! implemented: dynamic broker configuration, loggers, client metrics and groups, which are INVALID_REQUEST.

use bytes::BytesMut;

use super::{Services, decode, message, respond};
use crate::config::ConfigEntry;
use crate::env::Env;
use crate::error::ErrorCode;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::messages::describe_configs_request::DescribeConfigsResource;
use crate::wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

/// Resource types of KIP-133.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

pub(crate) fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: DescribeConfigsRequest = decode(request)?;
    let mut results = Vec::new();
    for resource in &asked.resources {
        let described = describe(services, resource);
        let mut result = message!(DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
        });
        match described {
            Ok(entries) => {
                let wanted = |entry: &ConfigEntry| match &resource.configuration_keys {
                    Some(keys) if !keys.is_empty() => keys.iter().any(|key| key.as_str() == entry.name),
                    _ => true,
                };
                let entries = entries.into_iter().filter(wanted);
                result.configs = entries.map(|entry| tell(entry, request.version(), &asked)).collect();
            }
            Err((code, text)) => {
                result.error_code = code.code();
                result.error_message = Some(text.into());
            }
        }
        results.push(result);
    }
    respond(request, &message!(DescribeConfigsResponse { results: results }), buffer)
}

fn describe<E: Env>(
    services: &Services<E>,
    resource: &DescribeConfigsResource,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC => {
            let configs =
                services.topic_overrides(name).map_err(|code| (code, format!("topic {name}: {code}")))?;
            Ok(services.config.describe_topic(&configs))
        }
        // The empty name stands for what was altered for all brokers, of which there is nothing.
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name == services.config.node_id.to_string() => Ok(services.config.describe_broker()),
        BROKER => {
            let own = services.config.node_id;
            let text = format!("unexpected broker id `{name}`: ask it, or ask for {own} here");
            Err((ErrorCode::InvalidRequest, text))
        }
        other => {
            let text =
                format!("resources of type {other} are not supported: only topics (2) and brokers (4)");
            Err((ErrorCode::InvalidRequest, text))
        }
    }
}

fn tell(entry: ConfigEntry, version: i16, asked: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let mut told = message!(DescribeConfigsResourceResult {
        name: entry.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.code(),
    });
    if asked.include_synonyms {
        let tell = |synonym: crate::config::Synonym| {
            message!(DescribeConfigsSynonym {
                name: synonym.name.into(),
                value: synonym.value.map(Into::into),
                source: synonym.source.code(),
            })
        };
        told.synonyms = entry.synonyms.into_iter().map(tell).collect();
    }
    if version >= 3 {
        told.config_type = entry.kind.code();
        told.documentation = asked.include_documentation.then(|| entry.doc.into());
    }
    told
}
