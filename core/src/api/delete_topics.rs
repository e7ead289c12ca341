//! DeleteTopics, versions 1 to 6 (KIP-4, KIP-516: by id from version 6 on).
//!
//! Each topic is judged by itself; one that is named twice, or by name and id at once, is INVALID_REQUEST.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::judged::{Fault, join, part};
use super::{Services, decode, message, respond};
use crate::controller::{Command, DeletedTopic, Response, TopicReference};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::Uuid;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::{self, StrBytes};
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

/// From this version on topics are listed by name or id.
const BY_ID_MIN: i16 = 6;
/// From this version on there is a text beside the code.
const MESSAGE_MIN: i16 = 5;
/// Before this version clients do not know TOPIC_DELETION_DISABLED.
const DELETION_DISABLED_MIN: i16 = 3;

type Named = (Option<StrBytes>, Uuid);

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: DeleteTopicsRequest = decode(request)?;
    let version = request.version();
    let named: Vec<Named> = if version >= BY_ID_MIN {
        asked.topics.into_iter().map(|topic| (topic.name, Uuid(topic.topic_id.to_bytes()))).collect()
    } else {
        asked.topic_names.into_iter().map(|name| (Some(name), Uuid::ZERO)).collect()
    };
    let mut counts: BTreeMap<&Named, usize> = BTreeMap::new();
    for topic in &named {
        *counts.entry(topic).or_default() += 1;
    }
    let items = named.iter().map(|topic| match topic {
        _ if counts.get(topic) != Some(&1) => {
            Err(Fault::new(ErrorCode::InvalidRequest, "the request names this topic more than once"))
        }
        (Some(name), id) if id.is_zero() => Ok(TopicReference::Name(name.to_string())),
        (None, id) if !id.is_zero() => Ok(TopicReference::Id(*id)),
        _ => Err(Fault::new(ErrorCode::InvalidRequest, "a topic is deleted by its name or by its id")),
    });
    let (valid, faults) = part(items.collect());
    let outcomes = if valid.is_empty() {
        Ok(Vec::new())
    } else {
        let response = services.quorum.submit(Command::DeleteTopics { topics: valid }).await;
        response.map(|response| match response {
            Response::TopicsDeleted(outcomes) => outcomes,
            _ => Vec::new(),
        })
    };
    let outcomes = join(faults, outcomes);
    let responses = named.into_iter().zip(outcomes).map(|(named, outcome)| answer(version, named, outcome));
    let responses = responses.collect();
    respond(request, &message!(DeleteTopicsResponse { responses: responses }), buffer)
}

fn answer(version: i16, (name, id): Named, outcome: Result<DeletedTopic, Fault>) -> DeletableTopicResult {
    let mut result = message!(DeletableTopicResult { name: name });
    let mut id = id;
    match outcome {
        Ok(deleted) => {
            result.name = Some(deleted.name.into());
            id = deleted.id;
        }
        Err(fault) => {
            let code = match fault.code {
                ErrorCode::TopicDeletionDisabled if version < DELETION_DISABLED_MIN => {
                    ErrorCode::InvalidRequest
                }
                code => code,
            };
            result.error_code = code.code();
            if version >= MESSAGE_MIN {
                result.error_message = Some(fault.message.into());
            }
        }
    }
    if version >= BY_ID_MIN {
        result.topic_id = codec::Uuid::from_bytes(id.0);
    }
    result
}
