//! DescribeConfigs, versions 1 to 4 (KIP-133, KIP-226 sources and synonyms, KIP-569 types and documentation).
//!
//! Topics and this broker; both from the one table of `config`. A null or empty list of keys stands for all. A resource
//! is told once, however often it is named, with all keys asked of it; and what one answer tells is bounded. Not
//! implemented: dynamic configuration of single brokers, loggers, client metrics and groups, which are INVALID_REQUEST.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use bytes::{Bytes, BytesMut};

use super::judged::cut;
use super::turns::Turns;
use super::{Services, decode, message, respond};
use crate::config::{Config, ConfigEntry};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::metadata::topic_name_flaw;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

/// Resource types of KIP-133.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// The most keys and synonyms in one answer: some 200 bytes each. A few thousand topics in all detail, and three
/// times as many without synonyms.
const TOLD_MAX: usize = 400_000;

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: DescribeConfigsRequest = decode(request)?;
    let mut results = Vec::new();
    let mut turns = Turns::default();
    let mut told = 0;
    for (resource_type, resource_name, keys) in wanted(&asked) {
        turns.next(64).await;
        let mut result = message!(DescribeConfigsResult {
            resource_type: resource_type,
            resource_name: resource_name.clone(),
        });
        match describe(services, resource_type, &resource_name, told) {
            Ok(entries) => {
                let is_wanted =
                    |entry: &ConfigEntry| keys.as_ref().is_none_or(|keys| keys.contains(entry.name));
                let entries = entries.into_iter().filter(is_wanted);
                result.configs = entries.map(|entry| tell(entry, request.version(), &asked)).collect();
                told += result.configs.iter().map(|config| 1 + config.synonyms.len()).sum::<usize>();
            }
            Err((code, text)) => {
                result.error_code = code.code();
                result.error_message = Some(cut(text).into());
            }
        }
        results.push(result);
    }
    respond(request, &message!(DescribeConfigsResponse { results: results }), buffer)
}

/// Type and name of a resource, and the keys that are asked of it; `None` for all of them.
type Wanted<'a> = (i8, StrBytes, Option<BTreeSet<&'a str>>);

/// The resources, each once, at the place where it is named first.
fn wanted(asked: &DescribeConfigsRequest) -> Vec<Wanted<'_>> {
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for resource in &asked.resources {
        let keys = resource.configuration_keys.as_deref().filter(|keys| !keys.is_empty());
        let keys = keys.map(|keys| keys.iter().map(StrBytes::as_str).collect::<BTreeSet<_>>());
        match places.entry((resource.resource_type, resource.resource_name.as_str())) {
            Entry::Vacant(place) => {
                place.insert(wanted.len());
                wanted.push((resource.resource_type, resource.resource_name.clone(), keys));
            }
            Entry::Occupied(place) => {
                let (_, _, before) = &mut wanted[*place.get()];
                *before = before.take().zip(keys).map(|(before, keys)| &before | &keys);
            }
        }
    }
    wanted
}

fn describe<E: Env>(
    services: &Services<E>,
    resource_type: i8,
    name: &str,
    told: usize,
) -> Result<Vec<ConfigEntry>, (ErrorCode, String)> {
    if told >= TOLD_MAX {
        let text = "one answer cannot tell as much: ask for fewer resources at once, or for single keys";
        return Err((ErrorCode::InvalidRequest, text.to_owned()));
    }
    match resource_type {
        TOPIC => {
            if let Some(flaw) = topic_name_flaw(name) {
                return Err((ErrorCode::InvalidTopicException, format!("topic name is invalid: {flaw}")));
            }
            let configs =
                services.topic_overrides(name).map_err(|code| (code, format!("topic {name}: {code}")))?;
            Ok(services.config.describe_topic(&configs, services.image().cluster_defaults()))
        }
        // The empty name stands for what holds for all brokers.
        BROKER if name.is_empty() => Ok(Config::describe_cluster(services.image().cluster_defaults())),
        BROKER if name == services.config.node_id.to_string() => {
            Ok(services.config.describe_broker(services.image().cluster_defaults()))
        }
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
        name: fixed(entry.name),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.code(),
    });
    if asked.include_synonyms {
        let tell = |synonym: crate::config::Synonym| {
            message!(DescribeConfigsSynonym {
                name: fixed(synonym.name),
                value: synonym.value.map(Into::into),
                source: synonym.source.code(),
            })
        };
        told.synonyms = entry.synonyms.into_iter().map(tell).collect();
    }
    if version >= 3 {
        told.config_type = entry.kind.code();
        told.documentation = asked.include_documentation.then(|| fixed(entry.doc));
    }
    told
}

/// A text of the table, which no answer copies.
fn fixed(text: &'static str) -> StrBytes {
    StrBytes::try_from(Bytes::from_static(text.as_bytes())).expect("a text of this program is UTF-8")
}
