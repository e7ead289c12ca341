//! ListOffsets, versions 1 to 11 (KIP-79, KIP-734 largest timestamp, KIP-405, KIP-1005 and KIP-1023 tiered storage).
//!
//! An offset by time, or one of the special ones. What a reader of the request's isolation cannot see is not found:
//! offset -1, timestamp -1. The leader epoch is that of the record found, not the leader's (its absence stalled
//! clients elsewhere). Without tiered storage the local log is the whole log. Not implemented: the request's timeout,
//! since nothing is looked up remotely.

use std::collections::BTreeSet;

use bytes::BytesMut;

use super::{Services, decode, error_map, message, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::LeaderEpoch;
use crate::partition::{FoundOffset, Isolation, OffsetSpec};
use crate::server::dispatch::{Refusal, Request};
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

/// From this version on answers carry leader epochs (KIP-320).
const LEADER_EPOCH_MIN: i16 = 4;

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: ListOffsetsRequest = decode(request)?;
    let isolation =
        if asked.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let mut topics = Vec::new();
    for topic in asked.topics {
        let mut partitions = Vec::new();
        let mut seen = BTreeSet::new();
        for partition in &topic.partitions {
            services.env.checkpoint().await;
            let found = if seen.insert(partition.partition_index) {
                find(services, request.version(), isolation, &topic, partition)
            } else {
                Err(ErrorCode::InvalidRequest)
            };
            partitions.push(answer(request.version(), partition.partition_index, found));
        }
        topics.push(message!(ListOffsetsTopicResponse { name: topic.name, partitions: partitions }));
    }
    respond(request, &message!(ListOffsetsResponse { topics: topics }), buffer)
}

fn find<E: Env>(
    services: &Services<E>,
    version: i16,
    isolation: Isolation,
    topic: &ListOffsetsTopic,
    partition: &ListOffsetsPartition,
) -> Result<FoundOffset, ErrorCode> {
    let spec = spec(version, partition.timestamp).ok_or(ErrorCode::UnsupportedVersion)?;
    let topic_id = services.topic_of_name(&topic.name)?;
    services
        .partition(topic_id, partition.partition_index)?
        .find_offset(spec, isolation, LeaderEpoch(partition.current_leader_epoch))
        .map_err(|error| error_map::lookup(&error))
}

/// What the timestamp field asks for, if this version may ask for it.
fn spec(version: i16, timestamp: i64) -> Option<OffsetSpec> {
    let spec = OffsetSpec::from_wire(timestamp)?;
    let min = match spec {
        OffsetSpec::Latest | OffsetSpec::Earliest | OffsetSpec::Timestamp(_) => 1,
        OffsetSpec::MaxTimestamp => 7,
        OffsetSpec::EarliestLocal => 8,
        OffsetSpec::LatestTiered => 9,
        OffsetSpec::EarliestPendingUpload => 11,
    };
    (version >= min).then_some(spec)
}

fn answer(version: i16, index: i32, found: Result<FoundOffset, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (code, found) = match found {
        Ok(found) => (ErrorCode::None, found),
        Err(code) => (code, FoundOffset::NONE),
    };
    let mut response = message!(ListOffsetsPartitionResponse {
        partition_index: index,
        error_code: code.code(),
        timestamp: found.timestamp.0,
        offset: found.offset.0,
    });
    if version >= LEADER_EPOCH_MIN {
        response.leader_epoch = found.leader_epoch.0;
    }
    response
}
