//! CreatePartitions, versions 0 to 3 (KIP-195): more partitions for topics that exist.
//!
//! Each topic is judged by itself. Not implemented: the request's timeout, since nobody else is waited for.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::judged::{Fault, join, part};
use super::{Services, decode, message, respond};
use crate::controller::{Command, NewPartitions, Response};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::create_partitions_request::CreatePartitionsTopic;
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: CreatePartitionsRequest = decode(request)?;
    let mut counts: BTreeMap<StrBytes, usize> = BTreeMap::new();
    for topic in &asked.topics {
        *counts.entry(topic.name.clone()).or_default() += 1;
    }
    let items = asked.topics.iter().map(|topic| match counts.get(&topic.name) {
        Some(1) => Ok(wanted(topic)),
        _ => Err(Fault::new(ErrorCode::InvalidRequest, "the request names this topic more than once")),
    });
    let (topics, faults) = part(items.collect());
    let outcomes = if topics.is_empty() {
        Ok(Vec::new())
    } else {
        let command = Command::CreatePartitions { topics, validate_only: asked.validate_only };
        services.quorum.submit(command).await.map(|response| match response {
            Response::PartitionsCreated(outcomes) => outcomes,
            _ => Vec::new(),
        })
    };
    let outcomes = asked.topics.into_iter().zip(join(faults, outcomes));
    let results = outcomes.map(|(topic, outcome)| {
        let mut result = message!(CreatePartitionsTopicResult { name: topic.name });
        if let Err(fault) = outcome {
            result.error_code = fault.code.code();
            result.error_message = Some(fault.message.into());
        }
        result
    });
    let results = results.collect();
    respond(request, &message!(CreatePartitionsResponse { results: results }), buffer)
}

fn wanted(topic: &CreatePartitionsTopic) -> NewPartitions {
    let brokers = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect();
    let assignments = topic.assignments.as_ref();
    NewPartitions {
        name: topic.name.to_string(),
        count: topic.count,
        assignments: assignments.map(|assignments| {
            assignments.iter().map(|assignment| brokers(&assignment.broker_ids)).collect()
        }),
    }
}
