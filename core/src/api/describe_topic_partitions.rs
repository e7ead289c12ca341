//! DescribeTopicPartitions, version 0 (KIP-966): topics page by page, in the order of their names.
//!
//! A page holds at most `max.request.partition.size.limit` partitions; a cursor says where the next begins. The lists
//! of eligible leaders are never null: Kafka's own tools cannot read that. A topic that does not exist takes the room of
//! a partition. A cursor that cannot be is INVALID_REQUEST, told at each topic, since the answer has no error of its own.

use std::collections::BTreeSet;

use bytes::BytesMut;

use super::services::{numbers, offline_replicas};
use super::{Services, decode, message, operations, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::BrokerId;
use crate::metadata::{MetadataImage, PartitionImage, TopicImage};
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec;
use crate::wire::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use crate::wire::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, describe_topic_partitions_request,
};

pub(crate) fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: DescribeTopicPartitionsRequest = decode(request)?;
    let image = services.image();
    let limit = usize::try_from(asked.response_partition_limit).unwrap_or(0);
    let mut page = Page {
        image: &image,
        partitions_left: limit.clamp(1, services.config.described_partitions_max),
        response: DescribeTopicPartitionsResponse::default(),
    };
    if let Some(cursor) = &asked.cursor
        && !is_lawful(cursor, &asked)
    {
        for topic in &asked.topics {
            page.error(&topic.name, ErrorCode::InvalidRequest);
        }
        return respond(request, &page.response, buffer);
    }
    let (start, first_partition) = match &asked.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), usize::try_from(cursor.partition_index).unwrap_or(0)),
        None => ("", 0),
    };
    let first_of = |name: &str| if name == start { first_partition } else { 0 };
    if asked.topics.is_empty() {
        for topic in image.topics_from(start) {
            if !page.topic(topic, first_of(&topic.name)) {
                break;
            }
        }
    } else {
        let names: BTreeSet<&str> = asked.topics.iter().map(|topic| topic.name.as_str()).collect();
        for name in names.range(start..) {
            let goes_on = match image.topic(name) {
                Some(topic) => page.topic(topic, first_of(name)),
                None => page.unknown(name),
            };
            if !goes_on {
                break;
            }
        }
    }
    respond(request, &page.response, buffer)
}

/// Whether a cursor can be one of ours: it names a partition, and a topic of the list if there is a list.
fn is_lawful(
    cursor: &describe_topic_partitions_request::Cursor,
    asked: &DescribeTopicPartitionsRequest,
) -> bool {
    let is_listed = || asked.topics.iter().any(|topic| topic.name == cursor.topic_name);
    cursor.partition_index >= 0 && (asked.topics.is_empty() || is_listed())
}

struct Page<'a> {
    image: &'a MetadataImage,
    partitions_left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from one of its partitions on; returns whether the page has room for more.
    fn topic(&mut self, topic: &TopicImage, first: usize) -> bool {
        if self.partitions_left == 0 {
            return self.end_before(&topic.name, first);
        }
        let rest = topic.partitions.get(first..).unwrap_or_default();
        let told = rest.len().min(self.partitions_left);
        let partitions = rest[..told].iter().enumerate();
        self.response.topics.push(message!(DescribeTopicPartitionsResponseTopic {
            name: Some(topic.name.as_str().into()),
            topic_id: codec::Uuid::from_bytes(topic.id.0),
            is_internal: topic.is_internal(),
            topic_authorized_operations: operations::TOPIC,
            partitions: partitions.map(|(index, image)| self.partition(first + index, image)).collect(),
        }));
        self.partitions_left -= told;
        if told < rest.len() { self.end_before(&topic.name, first + told) } else { true }
    }

    fn unknown(&mut self, name: &str) -> bool {
        if self.partitions_left == 0 {
            return self.end_before(name, 0);
        }
        self.partitions_left -= 1;
        self.error(name, ErrorCode::UnknownTopicOrPartition);
        true
    }

    fn error(&mut self, name: &str, error: ErrorCode) {
        self.response.topics.push(message!(DescribeTopicPartitionsResponseTopic {
            error_code: error.code(),
            name: Some(name.into()),
        }));
    }

    fn end_before(&mut self, name: &str, partition: usize) -> bool {
        // A topic has fewer partitions than a 32-bit number can count.
        let partition_index = i32::try_from(partition).unwrap_or(i32::MAX);
        let cursor = message!(Cursor { topic_name: name.into(), partition_index: partition_index });
        self.response.next_cursor = Some(cursor);
        false
    }

    fn partition(&self, index: usize, image: &PartitionImage) -> DescribeTopicPartitionsResponsePartition {
        let error =
            if image.leader == BrokerId::NONE { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
        message!(DescribeTopicPartitionsResponsePartition {
            error_code: error.code(),
            partition_index: i32::try_from(index).unwrap_or(i32::MAX),
            leader_id: image.leader.0,
            leader_epoch: image.leader_epoch.0,
            replica_nodes: numbers(&image.replicas),
            isr_nodes: numbers(&image.isr),
            eligible_leader_replicas: Some(numbers(&image.elr)),
            last_known_elr: Some(numbers(&image.last_known_elr)),
            offline_replicas: offline_replicas(self.image, &image.replicas),
        })
    }
}
