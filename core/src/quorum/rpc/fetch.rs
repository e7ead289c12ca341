//! Fetch of the metadata log: by its topic's id, with the replica's directory (KIP-853, version 17) and high watermark
//! (KIP-1166, version 18); the answer may send the replica to a snapshot (KIP-630).

use bytes::Bytes;

use super::{
    LeaderAddress, PARTITION, ResponseError, TurnedAway, check_cluster, check_whole, code_of, endpoints_of,
    leader_id, leader_in, only, refusal, standing, uuid, wire_uuid,
};
use crate::epochs::{EpochEnd, LogEnd, SnapshotId};
use crate::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use crate::raft::ReplicaKey;
use crate::raft::messages::{FetchRequest, FetchResponse, Fetched};
use crate::record::batch::{Batch, BatchError};
use crate::wire::message;
use crate::wire::messages::{self, fetch_request as asked, fetch_response as answered};

/// The first version that names topics by id, as the metadata log's fetches are read here; they are asked from 15 on.
pub const VERSION_MIN: i16 = 13;
/// From this version on the response tells where the leader is.
const ENDPOINTS_VERSION_MIN: i16 = 17;

/// What a fetch asks for beside what the machine decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long the leader may wait for news, in milliseconds.
    pub max_wait_ms: i32,
    /// The most bytes of records; the first batch comes whole, whatever its size.
    pub max_bytes: i32,
}

/// What is sent.
pub fn request(request: &FetchRequest, cluster_id: &str, wait: Wait) -> messages::FetchRequest {
    let partition = message!(asked::FetchPartition {
        partition: PARTITION,
        current_leader_epoch: request.epoch.0,
        fetch_offset: request.log_end.offset.0,
        last_fetched_epoch: request.log_end.epoch.0,
        partition_max_bytes: wait.max_bytes,
        replica_directory_id: wire_uuid(request.replica.directory),
        high_watermark: request.high_watermark.0,
    });
    message!(messages::FetchRequest {
        cluster_id: Some(cluster_id.into()),
        replica_state: message!(asked::ReplicaState { replica_id: request.replica.id.0 }),
        max_wait_ms: wait.max_wait_ms,
        max_bytes: wait.max_bytes,
        topics: vec![message!(asked::FetchTopic {
            topic_id: wire_uuid(Uuid::METADATA_TOPIC),
            partitions: vec![partition],
        })],
    })
}

/// What was asked. The request is one of the metadata log's: who serves fetches told it from the others by its topic.
///
/// # Errors
/// See [`TurnedAway`].
pub fn parse_request(
    request: &messages::FetchRequest,
    cluster_id: &str,
) -> Result<(FetchRequest, Wait), TurnedAway> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    let topic = only(&request.topics).filter(|topic| uuid(&topic.topic_id) == Uuid::METADATA_TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let asked =
        partition.filter(|partition| partition.partition == PARTITION).ok_or(TurnedAway::AnotherLog)?;
    // Up to version 14 the replica stands at the top (KIP-903).
    let id = if request.replica_state.replica_id >= 0 {
        request.replica_state.replica_id
    } else {
        request.replica_id
    };
    let fetch = FetchRequest {
        request_id: 0,
        epoch: LeaderEpoch(asked.current_leader_epoch),
        replica: ReplicaKey { id: BrokerId(id), directory: uuid(&asked.replica_directory_id) },
        log_end: LogEnd { epoch: LeaderEpoch(asked.last_fetched_epoch), offset: Offset(asked.fetch_offset) },
        high_watermark: Offset(asked.high_watermark),
    };
    // Kafka's followers leave the partition's own limit at 0, and its leaders do not look at it.
    let max_bytes = request.max_bytes.max(0);
    Ok((fetch, Wait { max_wait_ms: request.max_wait_ms.max(0), max_bytes }))
}

/// What is answered, in the version of the request; `records` are those that the machine had read.
pub fn response(
    response: &FetchResponse,
    (log_start, records): (Offset, Bytes),
    leader: Option<&LeaderAddress>,
    version: i16,
) -> messages::FetchResponse {
    let mut partition = message!(answered::PartitionData {
        partition_index: PARTITION,
        high_watermark: response.high_watermark.0,
        last_stable_offset: response.high_watermark.0,
        log_start_offset: log_start.0,
        current_leader: message!(answered::LeaderIdAndEpoch {
            leader_id: leader_id(&response.standing),
            leader_epoch: response.standing.epoch.0,
        }),
        records: Some(records),
    });
    match response.fetched {
        Fetched::Records(_) => {}
        Fetched::Diverging(EpochEnd { epoch, end }) => {
            partition.diverging_epoch =
                message!(answered::EpochEndOffset { epoch: epoch.0, end_offset: end.0 });
        }
        Fetched::Snapshot(SnapshotId { end, epoch }) => {
            partition.snapshot_id = message!(answered::SnapshotId { end_offset: end.0, epoch: epoch.0 });
        }
        Fetched::Refused(refusal) => partition.error_code = code_of(Some(refusal)),
    }
    let tells = version >= ENDPOINTS_VERSION_MIN;
    message!(messages::FetchResponse {
        responses: vec![message!(answered::FetchableTopicResponse {
            topic_id: wire_uuid(Uuid::METADATA_TOPIC),
            partitions: vec![partition],
        })],
        node_endpoints: endpoints_of!(answered, leader, response.standing, tells),
    })
}

/// The answer to a request that was turned away.
pub fn turned_away(turned_away: TurnedAway) -> messages::FetchResponse {
    message!(messages::FetchResponse { error_code: turned_away.code().code() })
}

/// An answer to a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub response: FetchResponse,
    /// Whole batches that continue the log, each with the right checksum; without those that were cut short.
    pub records: Bytes,
    /// Where the leader is.
    pub leader: Option<LeaderAddress>,
}

/// What was answered to `request`.
///
/// # Errors
/// See [`ResponseError`].
pub fn parse_response(
    response: &messages::FetchResponse,
    request: &FetchRequest,
) -> Result<Answer, ResponseError> {
    check_whole(response.error_code)?;
    let topic = only(&response.responses).filter(|topic| uuid(&topic.topic_id) == Uuid::METADATA_TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let answered = partition
        .filter(|partition| partition.partition_index == PARTITION)
        .ok_or(ResponseError::AnotherLog)?;
    let standing = standing(answered.current_leader.leader_epoch, answered.current_leader.leader_id);
    let mut records = Bytes::new();
    let fetched = if let Some(refusal) = refusal(answered.error_code)? {
        Fetched::Refused(refusal)
    } else if answered.diverging_epoch.epoch >= 0 {
        let end = not_negative(answered.diverging_epoch.end_offset)?;
        Fetched::Diverging(EpochEnd { epoch: LeaderEpoch(answered.diverging_epoch.epoch), end })
    } else if answered.snapshot_id.epoch >= 0 || answered.snapshot_id.end_offset >= 0 {
        let end = not_negative(answered.snapshot_id.end_offset)?;
        not_negative(answered.snapshot_id.epoch.into())?;
        Fetched::Snapshot(SnapshotId { end, epoch: LeaderEpoch(answered.snapshot_id.epoch) })
    } else {
        let sent = answered.records.clone().unwrap_or_default();
        let (whole, end) = continue_from(request, sent)?;
        records = whole;
        Fetched::Records(end)
    };
    let leader = leader_in!(response.node_endpoints, standing);
    let high_watermark = Offset(answered.high_watermark);
    let response = FetchResponse { request_id: request.request_id, standing, high_watermark, fetched };
    Ok(Answer { response, records, leader })
}

/// A place in a log. One that is negative would have the machine cut what is committed.
fn not_negative(offset: i64) -> Result<Offset, ResponseError> {
    if offset >= 0 { Ok(Offset(offset)) } else { Err(ResponseError::Negative) }
}

/// Why records do not continue a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordsError {
    /// A batch is damaged.
    #[error("a batch is damaged: {0}")]
    Batch(#[from] BatchError),
    /// A batch stands elsewhere than behind the one before it.
    #[error("a batch begins at {found} instead of at {expected}")]
    Offset {
        /// Where it begins.
        found: Offset,
        /// Where the log goes on.
        expected: Offset,
    },
    /// The leader has an epoch, and its log none that is later. Epochs lie outside the checksum (KAFKA-18723).
    #[error("a batch is of epoch {found}, later than the leader's epoch {leader_epoch}")]
    LaterEpoch {
        /// The batch's.
        found: LeaderEpoch,
        /// In which the leader was asked.
        leader_epoch: LeaderEpoch,
    },
    /// The epochs of a log rise.
    #[error("a batch of epoch {found} stands behind one of epoch {before}")]
    Epoch {
        /// The batch's.
        found: LeaderEpoch,
        /// That of the record before it.
        before: LeaderEpoch,
    },
}

/// The whole batches of `records`, which must continue the log that `request` speaks of, and where it ends then. A batch
/// that is cut short at the end comes with the next fetch, as everywhere in Kafka; but the first one comes whole.
fn continue_from(request: &FetchRequest, records: Bytes) -> Result<(Bytes, LogEnd), RecordsError> {
    let (mut end, leader_epoch) = (request.log_end, request.epoch);
    let mut rest = records.clone();
    while !rest.is_empty() {
        let batch = match Batch::split_from(&mut rest) {
            Ok(batch) => batch,
            Err(BatchError::Truncated { .. }) if rest.len() < records.len() => break,
            Err(error) => return Err(error.into()),
        };
        let header = batch.header();
        if header.base_offset != end.offset {
            return Err(RecordsError::Offset { found: header.base_offset, expected: end.offset });
        }
        if header.leader_epoch < end.epoch {
            return Err(RecordsError::Epoch { found: header.leader_epoch, before: end.epoch });
        }
        if header.leader_epoch > leader_epoch {
            return Err(RecordsError::LaterEpoch { found: header.leader_epoch, leader_epoch });
        }
        let next = header.next_offset().filter(|next| *next > header.base_offset);
        let next = next.ok_or(RecordsError::Offset { found: header.base_offset, expected: end.offset })?;
        end = LogEnd { epoch: header.leader_epoch, offset: next };
    }
    let whole = records.slice(..records.len() - rest.len());
    Ok((whole, end))
}
