//! OffsetForLeaderEpoch, versions 2 to 4 (KIP-101, KIP-279, KIP-320): where a leader epoch ends in this log.
//!
//! The answer names the largest epoch that is not above the one asked for, and its end; -1 and -1 when there is none.
//! A client whose position lies behind that end has read what was later cut. Every asker is a consumer, whatever
//! `replica_id` it claims.

use bytes::BytesMut;

use super::{Services, decode, error_map, message, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::LeaderEpoch;
use crate::server::dispatch::{Refusal, Request};
use crate::wire::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use crate::wire::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use crate::wire::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: OffsetForLeaderEpochRequest = decode(request)?;
    let mut topics = Vec::new();
    for topic in asked.topics {
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            services.env.checkpoint().await;
            partitions.push(match find(services, &topic.topic, partition) {
                Ok(end) => end,
                Err(code) => message!(EpochEndOffset {
                    partition: partition.partition,
                    error_code: code.code(),
                    leader_epoch: -1,
                    end_offset: -1,
                }),
            });
        }
        topics.push(message!(OffsetForLeaderTopicResult { topic: topic.topic, partitions: partitions }));
    }
    respond(request, &message!(OffsetForLeaderEpochResponse { topics: topics }), buffer)
}

fn find<E: Env>(
    services: &Services<E>,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let topic_id = services.topic_of_name(topic)?;
    let end = services
        .partition(topic_id, asked.partition)?
        .end_of_epoch(LeaderEpoch(asked.leader_epoch), LeaderEpoch(asked.current_leader_epoch))
        .map_err(|error| error_map::lookup(&error))?;
    Ok(message!(EpochEndOffset {
        partition: asked.partition,
        leader_epoch: end.map_or(-1, |end| end.epoch.0),
        end_offset: end.map_or(-1, |end| end.end.0),
    }))
}
