//! The request as the session machine takes it.

use std::collections::BTreeMap;

use crate::fetch_session::{self, FetchPartition, FetchTopic};
use crate::ids::{LeaderEpoch, Offset, Uuid};
use crate::wire::api::fetch::FetchRequest;
use crate::wire::codec;

/// From this version on topics are named by id.
const TOPIC_ID_MIN: i16 = 13;

/// What the request says of its session and partitions. A partition named twice counts once, as it was named last,
/// at its first place: as in Kafka, whose map keeps the order of first insertion.
pub(super) fn session_request(asked: &FetchRequest, version: i16) -> fetch_session::Request {
    let by_topic_id = version >= TOPIC_ID_MIN;
    let mut partitions: Vec<FetchPartition> = Vec::new();
    let mut places = BTreeMap::new();
    let is_single = asked.topics.len() == 1 && asked.topics[0].partitions.len() == 1;
    for topic in &asked.topics {
        let name = named(by_topic_id, topic.topic_id, &topic.topic);
        for partition in &topic.partitions {
            let wanted = FetchPartition {
                topic: name.clone(),
                partition: partition.partition,
                current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
                fetch_offset: Offset(partition.fetch_offset),
                bytes_max: partition.partition_max_bytes,
            };
            if is_single {
                partitions.push(wanted);
                continue;
            }
            let place = *places.entry((name.clone(), wanted.partition)).or_insert(partitions.len());
            match partitions.get_mut(place) {
                Some(before) => *before = wanted,
                None => partitions.push(wanted),
            }
        }
    }
    let mut forgotten = Vec::new();
    for topic in &asked.forgotten_topics_data {
        let name = named(by_topic_id, topic.topic_id, &topic.topic);
        forgotten.extend(topic.partitions.iter().map(|partition| (name.clone(), *partition)));
    }
    fetch_session::Request {
        session_id: asked.session_id,
        epoch: asked.session_epoch,
        by_topic_id,
        privileged: false,
        partitions,
        forgotten,
    }
}

fn named(by_topic_id: bool, topic_id: codec::Uuid, name: &str) -> FetchTopic {
    if by_topic_id { FetchTopic::Id(Uuid(topic_id.to_bytes())) } else { FetchTopic::Name(name.into()) }
}
