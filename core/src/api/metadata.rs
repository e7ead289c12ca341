//! Metadata, versions 0 to 13 (KIP-4, KIP-430 operations, KIP-516 topic ids): brokers, topics, partitions, leaders.
//!
//! All topics: null, and in version 0 the empty list; an empty list means none from version 1 on. A topic that is
//! named and does not exist is created when the request and `auto.create.topics.enable` both allow it; the answer
//! then holds the topic, which can be used at once, or UNKNOWN_TOPIC_OR_PARTITION while it cannot. Kafka's internal
//! topics are not created this way: a later version would find ordinary topics where it keeps groups. Each topic is told
//! once, however often it is named. The leader epoch is the durable one, never -1 (KIP-320). Version 13 may answer
//! REBOOTSTRAP_REQUIRED (KIP-1102), for which there is no reason here.

use std::collections::BTreeSet;

use bytes::BytesMut;

use super::services::{address, numbers, offline_replicas};
use super::turns::Turns;
use super::{Services, create_topics, decode, message, operations, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::{BrokerId, TopicId, Uuid};
use crate::metadata::{MetadataImage, PartitionImage, TopicImage, is_internal_topic_name, topic_name_flaw};
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec;
use crate::wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::messages::{MetadataRequest, MetadataResponse};

/// From this version on an empty list of topics means none of them.
const EMPTY_IS_NONE_MIN: i16 = 1;
/// From this version on a request says whether it may create topics; before, it may.
const AUTO_CREATE_FIELD_MIN: i16 = 4;
/// From this version on topics may be named by id.
const BY_ID_MIN: i16 = 12;

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Name(String),
    Id(TopicId),
    /// Neither a name nor an id that this version allows.
    Nothing,
}

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: MetadataRequest = decode(request)?;
    let version = request.version();
    let mut image = services.image();
    let mut topics = Vec::new();
    let mut turns = Turns::default();
    let teller = |image: &MetadataImage| Teller {
        version,
        operations: asked.include_topic_authorized_operations.then_some(operations::TOPIC),
        brokers: image.brokers().map(|broker| (broker.id, broker.fenced)).collect(),
    };
    match named(&asked, version) {
        None => {
            let teller = teller(&image);
            for topic in image.topics() {
                turns.next(topic.partitions.len()).await;
                topics.push(teller.topic(&image, topic));
            }
        }
        Some(wanted) => {
            let allowed = version < AUTO_CREATE_FIELD_MIN || asked.allow_auto_topic_creation;
            let missing: Vec<String> = wanted
                .iter()
                .filter_map(|named| match named {
                    Named::Name(name) if image.topic(name).is_none() && !is_internal_topic_name(name) => {
                        Some(name.clone())
                    }
                    _ => None,
                })
                .collect();
            let mut refused = std::collections::BTreeMap::new();
            if allowed && services.config.auto_create_topics && !missing.is_empty() {
                refused = create_topics::auto_create(services, missing).await;
                image = services.image();
            }
            let teller = teller(&image);
            for named in &wanted {
                turns.next(1).await;
                topics.push(match named {
                    Named::Name(name) => match image.topic(name) {
                        Some(topic) => teller.topic(&image, topic),
                        None => teller
                            .error(named, refused.get(name).copied().unwrap_or_else(|| missing_code(name))),
                    },
                    Named::Id(id) => match image.topic_by_id(*id) {
                        Some(topic) => teller.topic(&image, topic),
                        None => teller.error(named, ErrorCode::UnknownTopicId),
                    },
                    Named::Nothing => teller.error(named, ErrorCode::InvalidRequest),
                });
            }
        }
    }
    let mut response = message!(MetadataResponse {
        brokers: brokers(&image),
        cluster_id: Some(image.cluster_id.as_str().into()),
        controller_id: image.controller_id.0,
        topics: topics,
    });
    if (8..=10).contains(&version) && asked.include_cluster_authorized_operations {
        response.cluster_authorized_operations = operations::CLUSTER;
    }
    respond(request, &response, buffer)
}

/// Which topics are wanted, each once and in order; `None` for all of them.
fn named(asked: &MetadataRequest, version: i16) -> Option<Vec<Named>> {
    let topics = asked.topics.as_ref()?;
    if topics.is_empty() && version < EMPTY_IS_NONE_MIN {
        return None;
    }
    let mut seen = BTreeSet::new();
    let mut wanted = Vec::new();
    for topic in topics {
        let named = match &topic.name {
            Some(name) => Named::Name(name.to_string()),
            None if version >= BY_ID_MIN && !topic.topic_id.is_zero() => {
                Named::Id(Uuid(topic.topic_id.to_bytes()))
            }
            None => Named::Nothing,
        };
        if seen.insert(named.clone()) {
            wanted.push(named);
        }
    }
    Some(wanted)
}

fn missing_code(name: &str) -> ErrorCode {
    match topic_name_flaw(name) {
        None => ErrorCode::UnknownTopicOrPartition,
        Some(_) => ErrorCode::InvalidTopicException,
    }
}

fn brokers(image: &MetadataImage) -> Vec<MetadataResponseBroker> {
    let active = image.brokers().filter(|broker| broker.is_active());
    let tell = |broker: &crate::sync::Arc<crate::metadata::BrokerImage>| {
        let (host, port) = address(broker);
        message!(MetadataResponseBroker {
            node_id: broker.id.0,
            host: host.into(),
            port: port,
            rack: broker.rack.as_deref().map(Into::into),
        })
    };
    active.map(tell).collect()
}

/// How topics are told to one request.
struct Teller {
    version: i16,
    operations: Option<i32>,
    brokers: Vec<(BrokerId, bool)>,
}

impl Teller {
    fn topic(&self, image: &MetadataImage, topic: &TopicImage) -> MetadataResponseTopic {
        let partitions = topic.partitions.iter().enumerate();
        let mut told = message!(MetadataResponseTopic {
            name: Some(topic.name.as_str().into()),
            is_internal: topic.is_internal(),
            partitions: partitions
                .map(|(index, partition)| self.partition(image, index, partition))
                .collect(),
        });
        if self.version >= 10 {
            told.topic_id = codec::Uuid::from_bytes(topic.id.0);
        }
        if let Some(operations) = self.operations {
            told.topic_authorized_operations = operations;
        }
        told
    }

    fn partition(
        &self,
        image: &MetadataImage,
        index: usize,
        partition: &PartitionImage,
    ) -> MetadataResponsePartition {
        let leads = self.brokers.contains(&(partition.leader, false));
        let error = if leads { ErrorCode::None } else { ErrorCode::LeaderNotAvailable };
        let mut told = message!(MetadataResponsePartition {
            error_code: error.code(),
            // A topic has fewer partitions than a 32-bit number can count.
            partition_index: i32::try_from(index).unwrap_or(i32::MAX),
            leader_id: if leads { partition.leader.0 } else { BrokerId::NONE.0 },
            replica_nodes: numbers(&partition.replicas),
            isr_nodes: numbers(&partition.isr),
        });
        if self.version >= 5 {
            told.offline_replicas = offline_replicas(image, &partition.replicas);
        }
        if self.version >= 7 {
            told.leader_epoch = partition.leader_epoch.0;
        }
        told
    }

    fn error(&self, named: &Named, code: ErrorCode) -> MetadataResponseTopic {
        let mut told = message!(MetadataResponseTopic { error_code: code.code() });
        match named {
            Named::Name(name) => told.name = Some(name.as_str().into()),
            // Where topics may be named by id, the name may be null.
            Named::Id(id) => {
                told.name = None;
                told.topic_id = codec::Uuid::from_bytes(id.0);
            }
            Named::Nothing => told.name = if self.version < BY_ID_MIN { Some("".into()) } else { None },
        }
        told
    }
}
