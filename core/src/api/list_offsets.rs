//! ListOffsets, versions 1 to 11 (KIP-79, KIP-734 largest timestamp, KIP-405, KIP-1005 and KIP-1023 tiered storage).
//!
//! An offset by time, or one of the special ones. What a reader of the request's isolation cannot see is not found:
//! offset -1, timestamp -1. The leader epoch is that of the record found, not the leader's (its absence stalled
//! clients elsewhere). Without tiered storage the local log is the whole log. A partition that the request names twice
//! is INVALID_REQUEST wherever it is named. A search by time decompresses batches, so a request has a budget for that;
//! beyond it the answer is where the batch begins, never later than the truth. Not implemented: the request's timeout,
//! since nothing is looked up remotely.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::turns::Turns;
use super::{Services, decode, error_map, message, respond};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::LeaderEpoch;
use crate::partition::{FoundOffset, Isolation, LookupBudget, LookupError, OffsetSpec};
use crate::server::dispatch::{Refusal, Request};
use crate::wire::codec::StrBytes;
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use crate::wire::messages::{ListOffsetsRequest, ListOffsetsResponse};

/// From this version on answers carry leader epochs (KIP-320).
const LEADER_EPOCH_MIN: i16 = 4;
/// Before this version clients do not know OFFSET_NOT_AVAILABLE (KIP-207).
const NOT_AVAILABLE_MIN: i16 = 5;
/// What the searches of one request may read and decompress: as long as a 2-core machine can be asked for a second.
const LOOKUP_BYTES_MAX: usize = 512 << 20;
/// Bytes that a search gets through in about the time of an item.
const BYTES_PER_ITEM: usize = 1 << 10;

pub(crate) async fn handle<E: Env>(
    services: &Services<E>,
    request: &Request,
    buffer: &mut BytesMut,
) -> Result<(), Refusal> {
    let asked: ListOffsetsRequest = decode(request)?;
    let isolation =
        if asked.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let mut counts: BTreeMap<(StrBytes, i32), usize> = BTreeMap::new();
    for topic in &asked.topics {
        for partition in &topic.partitions {
            *counts.entry((topic.name.clone(), partition.partition_index)).or_default() += 1;
        }
    }
    let mut topics = Vec::new();
    let mut budget = LookupBudget::new(LOOKUP_BYTES_MAX);
    let mut turns = Turns::default();
    for topic in asked.topics {
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            services.env.checkpoint().await;
            let left = budget.left();
            let found = match counts.get(&(topic.name.clone(), partition.partition_index)) {
                Some(1) => find(services, request.version(), isolation, (&topic, partition), &mut budget),
                _ => Err(ErrorCode::InvalidRequest),
            };
            turns.next(1 + (left - budget.left()) / BYTES_PER_ITEM).await;
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
    (topic, partition): (&ListOffsetsTopic, &ListOffsetsPartition),
    budget: &mut LookupBudget,
) -> Result<FoundOffset, ErrorCode> {
    let spec = spec(version, partition.timestamp).ok_or(ErrorCode::UnsupportedVersion)?;
    let topic_id = services.topic_of_name(&topic.name)?;
    services
        .partition(topic_id, partition.partition_index)?
        .find_offset(spec, isolation, LeaderEpoch(partition.current_leader_epoch), budget)
        .map_err(|error| code_of(&error, version))
}

/// The error in the words of this version.
pub(super) fn code_of(error: &LookupError, version: i16) -> ErrorCode {
    match error_map::lookup(error) {
        ErrorCode::OffsetNotAvailable if version < NOT_AVAILABLE_MIN => ErrorCode::LeaderNotAvailable,
        code => code,
    }
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
