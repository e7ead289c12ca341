//! CreateTopics, versions 2 to 7 (KIP-4, KIP-464 defaults, KIP-525 configs in the answer, KIP-516 topic ids).
//!
//! Each topic is judged by itself. When the answer comes, this broker leads the partitions and they can be used. From
//! version 5 on the answer holds every config with its source, and the true counts: Java's admin client dies of nulls.
//! Also auto-creation, for Metadata. Not implemented: the request's timeout, since nobody else is waited for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::BytesMut;

use super::judged::{Fault, join, part};
use super::{Services, decode, error_map, message, respond};
use crate::controller::{Command, CreatedTopic, NewTopic, Rejection, Response};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::{BrokerId, PartitionIndex};
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::{self, StrBytes};
use crate::wire::messages::create_topics_request::CreatableTopic;
use crate::wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use crate::wire::messages::{CreateTopicsRequest, CreateTopicsResponse};

/// From this version on answers hold configs and counts.
const DETAILS_MIN: i16 = 5;
/// From this version on answers hold topic ids.
const TOPIC_ID_MIN: i16 = 7;

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: CreateTopicsRequest = decode(request)?;
    let mut names = BTreeMap::new();
    for topic in &asked.topics {
        *names.entry(topic.name.clone()).or_insert(0) += 1;
    }
    // A topic that is named twice is answered once.
    let mut seen = BTreeSet::new();
    let topics: Vec<CreatableTopic> =
        asked.topics.into_iter().filter(|topic| seen.insert(topic.name.clone())).collect();
    let answered: Vec<StrBytes> = topics.iter().map(|topic| topic.name.clone()).collect();
    let items = topics.into_iter().map(|topic| match names.get(&topic.name) {
        Some(1) => Ok(wanted(topic)),
        _ => Err(Fault::new(ErrorCode::InvalidRequest, "the request names this topic more than once")),
    });
    let (valid, faults) = part(items.collect());
    let outcomes = submit(services, valid, asked.validate_only).await;
    let outcomes = join(faults, outcomes);
    let topics = answered.into_iter().zip(outcomes);
    let topics = topics.map(|(name, outcome)| answer(services, request.version(), name, outcome));
    let topics = topics.collect();
    respond(request, &message!(CreateTopicsResponse { topics: topics }), buffer)
}

/// Creates topics with every default, and returns why some of them were not. Nothing is told of one that another
/// request has just created.
pub(super) async fn auto_create<E: Env>(
    services: &Services<E>,
    names: Vec<String>,
) -> BTreeMap<String, ErrorCode> {
    let topics = names.iter().map(|name| NewTopic::with_defaults(name)).collect();
    let outcomes = match submit(services, topics, false).await {
        Ok(outcomes) => outcomes,
        Err(rejection) => names.iter().map(|_| Err(rejection.clone())).collect(),
    };
    let code = |rejection: &Rejection| match error_map::rejection(rejection) {
        code @ (ErrorCode::InvalidTopicException | ErrorCode::InvalidReplicationFactor) => code,
        // Clients ask again, as they do while a topic is being created.
        _ => ErrorCode::UnknownTopicOrPartition,
    };
    let refused = names.into_iter().zip(outcomes);
    refused.filter_map(|(name, outcome)| outcome.err().map(|rejection| (name, code(&rejection)))).collect()
}

async fn submit<E: Env>(
    services: &Services<E>,
    topics: Vec<NewTopic>,
    validate_only: bool,
) -> Result<Vec<Result<CreatedTopic, Rejection>>, Rejection> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    match services.quorum.submit(Command::CreateTopics { topics, validate_only }).await? {
        Response::TopicsCreated(outcomes) => Ok(outcomes),
        _ => Ok(Vec::new()),
    }
}

fn wanted(topic: CreatableTopic) -> NewTopic {
    let brokers = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
    let assignments = topic.assignments.iter();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments
            .map(|assignment| (PartitionIndex(assignment.partition_index), brokers(&assignment.broker_ids)))
            .collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())))
            .collect(),
    }
}

fn answer<E: Env>(
    services: &Services<E>,
    version: i16,
    name: StrBytes,
    outcome: Result<CreatedTopic, Fault>,
) -> CreatableTopicResult {
    let mut result = message!(CreatableTopicResult { name: name });
    if version >= DETAILS_MIN {
        result.configs = Some(Vec::new());
    }
    let created = match outcome {
        Ok(created) => created,
        Err(fault) => {
            result.error_code = fault.code.code();
            result.error_message = Some(fault.message.into());
            return result;
        }
    };
    if version >= DETAILS_MIN {
        result.num_partitions = created.partitions;
        result.replication_factor = created.replication_factor;
        let overrides = created.configs.into_iter().collect();
        let entries = services.config.describe_topic(&overrides, services.image().cluster_defaults());
        let tell = |entry: crate::config::ConfigEntry| {
            message!(CreatableTopicConfigs {
                name: entry.name.into(),
                value: entry.value.map(Into::into),
                read_only: entry.read_only,
                config_source: entry.source.code(),
            })
        };
        result.configs = Some(entries.into_iter().map(tell).collect());
    }
    if version >= TOPIC_ID_MIN {
        result.topic_id = codec::Uuid::from_bytes(created.id.0);
    }
    result
}
