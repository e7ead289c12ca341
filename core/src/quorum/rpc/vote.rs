//! Vote (KIP-595), and whether a vote would be given (KIP-996, from version 2 on).

use super::{
    LeaderAddress, PARTITION, ResponseError, TOPIC, TurnedAway, check_cluster, check_whole, code_of,
    endpoints_of, leader_id, leader_in, only, refusal, standing, uuid, wire_uuid,
};
use crate::epochs::LogEnd;
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::raft::ReplicaKey;
use crate::raft::messages::{VoteRequest, VoteResponse};
use crate::wire::message;
use crate::wire::messages::{self, vote_request, vote_response};

/// What is sent.
pub fn request(request: &VoteRequest, cluster_id: &str) -> messages::VoteRequest {
    let partition = message!(vote_request::PartitionData {
        partition_index: PARTITION,
        replica_epoch: request.epoch.0,
        replica_id: request.candidate.id.0,
        replica_directory_id: wire_uuid(request.candidate.directory),
        voter_directory_id: wire_uuid(request.voter.directory),
        last_offset_epoch: request.log_end.epoch.0,
        last_offset: request.log_end.offset.0,
        pre_vote: request.pre_vote,
    });
    message!(messages::VoteRequest {
        cluster_id: Some(cluster_id.into()),
        voter_id: request.voter.id.0,
        topics: vec![message!(vote_request::TopicData {
            topic_name: TOPIC.into(),
            partitions: vec![partition],
        })],
    })
}

/// What was asked. `me` stands for the voter where the request does not name one (version 0).
///
/// # Errors
/// See [`TurnedAway`].
pub fn parse_request(
    request: &messages::VoteRequest,
    cluster_id: &str,
    me: BrokerId,
) -> Result<VoteRequest, TurnedAway> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    let topic = only(&request.topics).filter(|topic| topic.topic_name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let asked =
        partition.filter(|partition| partition.partition_index == PARTITION).ok_or(TurnedAway::AnotherLog)?;
    let voter = if request.voter_id < 0 { me } else { BrokerId(request.voter_id) };
    Ok(VoteRequest {
        epoch: LeaderEpoch(asked.replica_epoch),
        candidate: ReplicaKey {
            id: BrokerId(asked.replica_id),
            directory: uuid(&asked.replica_directory_id),
        },
        voter: ReplicaKey { id: voter, directory: uuid(&asked.voter_directory_id) },
        log_end: LogEnd { epoch: LeaderEpoch(asked.last_offset_epoch), offset: Offset(asked.last_offset) },
        pre_vote: asked.pre_vote,
    })
}

/// What is answered, in the version of the request.
pub fn response(
    response: &VoteResponse,
    leader: Option<&LeaderAddress>,
    version: i16,
) -> messages::VoteResponse {
    let partition = message!(vote_response::PartitionData {
        partition_index: PARTITION,
        error_code: code_of(response.granted.err()),
        leader_id: leader_id(&response.standing),
        leader_epoch: response.standing.epoch.0,
        vote_granted: response.granted == Ok(true),
    });
    message!(messages::VoteResponse {
        topics: vec![message!(vote_response::TopicData {
            topic_name: TOPIC.into(),
            partitions: vec![partition],
        })],
        node_endpoints: endpoints_of!(vote_response, leader, response.standing, version >= 1),
    })
}

/// The answer to a request that was turned away.
pub fn turned_away(turned_away: TurnedAway) -> messages::VoteResponse {
    message!(messages::VoteResponse { error_code: turned_away.code().code() })
}

/// What was answered, and where the leader is.
///
/// # Errors
/// See [`ResponseError`].
pub fn parse_response(
    response: &messages::VoteResponse,
    pre_vote: bool,
) -> Result<(VoteResponse, Option<LeaderAddress>), ResponseError> {
    check_whole(response.error_code)?;
    let topic = only(&response.topics).filter(|topic| topic.topic_name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let answered = partition
        .filter(|partition| partition.partition_index == PARTITION)
        .ok_or(ResponseError::AnotherLog)?;
    let granted = match refusal(answered.error_code)? {
        None => Ok(answered.vote_granted),
        Some(refusal) => Err(refusal),
    };
    let standing = standing(answered.leader_epoch, answered.leader_id);
    let leader = leader_in!(response.node_endpoints, standing);
    Ok((VoteResponse { standing, granted, pre_vote }, leader))
}
