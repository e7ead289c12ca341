//! FetchSnapshot (KIP-630): a snapshot, piece by piece.

use bytes::Bytes;

use super::{
    LeaderAddress, PARTITION, ResponseError, TOPIC, TurnedAway, check_cluster, check_whole, code_of,
    endpoints_of, leader_id, leader_in, only, refusal, standing, uuid, wire_uuid,
};
use crate::epochs::SnapshotId;
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::raft::ReplicaKey;
use crate::raft::messages::{FetchSnapshotRequest, FetchSnapshotResponse, SnapshotChunk};
use crate::wire::message;
use crate::wire::messages::{self, fetch_snapshot_request as asked, fetch_snapshot_response as answered};

/// What is sent.
pub fn request(
    request: &FetchSnapshotRequest,
    cluster_id: &str,
    max_bytes: i32,
) -> messages::FetchSnapshotRequest {
    let partition = message!(asked::PartitionSnapshot {
        partition: PARTITION,
        current_leader_epoch: request.epoch.0,
        snapshot_id: message!(asked::SnapshotId {
            end_offset: request.snapshot.end.0,
            epoch: request.snapshot.epoch.0,
        }),
        // A position beyond what the wire can say is outside every snapshot.
        position: i64::try_from(request.position).unwrap_or(i64::MAX),
        replica_directory_id: wire_uuid(request.replica.directory),
    });
    message!(messages::FetchSnapshotRequest {
        cluster_id: Some(cluster_id.into()),
        replica_id: request.replica.id.0,
        max_bytes: max_bytes,
        topics: vec![message!(asked::TopicSnapshot { name: TOPIC.into(), partitions: vec![partition] })],
    })
}

/// What was asked, and the most bytes to answer with: at least one, or the asker would never get on.
///
/// # Errors
/// See [`TurnedAway`].
pub fn parse_request(
    request: &messages::FetchSnapshotRequest,
    cluster_id: &str,
) -> Result<(FetchSnapshotRequest, u32), TurnedAway> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    let topic = only(&request.topics).filter(|topic| topic.name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let asked =
        partition.filter(|partition| partition.partition == PARTITION).ok_or(TurnedAway::AnotherLog)?;
    let fetch = FetchSnapshotRequest {
        request_id: 0,
        epoch: LeaderEpoch(asked.current_leader_epoch),
        replica: ReplicaKey {
            id: BrokerId(request.replica_id),
            directory: uuid(&asked.replica_directory_id),
        },
        snapshot: SnapshotId {
            end: Offset(asked.snapshot_id.end_offset),
            epoch: LeaderEpoch(asked.snapshot_id.epoch),
        },
        // A negative one is outside every snapshot, which the machine says of this one too.
        position: u64::try_from(asked.position).unwrap_or(u64::MAX),
    };
    Ok((fetch, u32::try_from(request.max_bytes).unwrap_or(0).max(1)))
}

/// What is answered, in the version of the request; `bytes` are those of the piece. `asked` is the snapshot that the
/// request names.
pub fn response(
    response: &FetchSnapshotResponse,
    (asked, bytes): (SnapshotId, Bytes),
    leader: Option<&LeaderAddress>,
    version: i16,
) -> messages::FetchSnapshotResponse {
    let mut partition = message!(answered::PartitionSnapshot {
        index: PARTITION,
        error_code: code_of(response.chunk.err()),
        snapshot_id: message!(answered::SnapshotId { end_offset: asked.end.0, epoch: asked.epoch.0 }),
        current_leader: message!(answered::LeaderIdAndEpoch {
            leader_id: leader_id(&response.standing),
            leader_epoch: response.standing.epoch.0,
        }),
    });
    if let Ok(chunk) = response.chunk {
        partition.size = i64::try_from(chunk.size).unwrap_or(i64::MAX);
        partition.position = i64::try_from(chunk.position).unwrap_or(i64::MAX);
        partition.unaligned_records = bytes;
    }
    message!(messages::FetchSnapshotResponse {
        topics: vec![message!(answered::TopicSnapshot { name: TOPIC.into(), partitions: vec![partition] })],
        node_endpoints: endpoints_of!(answered, leader, response.standing, version >= 1),
    })
}

/// The answer to a request that was turned away.
pub fn turned_away(turned_away: TurnedAway) -> messages::FetchSnapshotResponse {
    message!(messages::FetchSnapshotResponse { error_code: turned_away.code().code() })
}

/// An answer to a request for a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub response: FetchSnapshotResponse,
    /// The piece.
    pub bytes: Bytes,
    /// Where the leader is.
    pub leader: Option<LeaderAddress>,
}

/// What was answered to the request of this number.
///
/// # Errors
/// See [`ResponseError`].
pub fn parse_response(
    response: &messages::FetchSnapshotResponse,
    request_id: u32,
) -> Result<Answer, ResponseError> {
    check_whole(response.error_code)?;
    let topic = only(&response.topics).filter(|topic| topic.name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let answered =
        partition.filter(|partition| partition.index == PARTITION).ok_or(ResponseError::AnotherLog)?;
    let standing = standing(answered.current_leader.leader_epoch, answered.current_leader.leader_id);
    let bytes = answered.unaligned_records.clone();
    let chunk = match refusal(answered.error_code)? {
        Some(refusal) => Err(refusal),
        None => {
            let positive = |number: i64| u64::try_from(number).map_err(|_| ResponseError::Negative);
            let (position, size) = (positive(answered.position)?, positive(answered.size)?);
            let length = bytes.len() as u64;
            // An empty one would be asked for again and again.
            if length == 0 || length > size.saturating_sub(position) {
                return Err(ResponseError::Piece);
            }
            Ok(SnapshotChunk {
                snapshot: SnapshotId {
                    end: Offset(answered.snapshot_id.end_offset),
                    epoch: LeaderEpoch(answered.snapshot_id.epoch),
                },
                position,
                length,
                size,
            })
        }
    };
    let leader = leader_in!(response.node_endpoints, standing);
    Ok(Answer { response: FetchSnapshotResponse { request_id, standing, chunk }, bytes, leader })
}
