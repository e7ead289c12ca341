//! EndQuorumEpoch (KIP-595): a leader steps down, and says who should follow it.

use super::{
    LeaderAddress, PARTITION, ResponseError, TOPIC, TurnedAway, check_cluster, check_whole, code_of,
    leader_among, leader_id, only, refusal, standing, told, uuid, wire_uuid,
};
use crate::ids::{BrokerId, LeaderEpoch, Uuid};
use crate::raft::messages::{EndQuorumEpochRequest, EpochResponse};
use crate::raft::{Endpoint, ReplicaKey};
use crate::wire::message;
use crate::wire::messages::{self, end_quorum_epoch_request as asked, end_quorum_epoch_response as answered};

/// What is sent, in a version that names directories (1) or one that does not (0). `endpoints` are the leader's own.
pub fn request(
    request: &EndQuorumEpochRequest,
    cluster_id: &str,
    endpoints: &[Endpoint],
    version: i16,
) -> messages::EndQuorumEpochRequest {
    let candidate = |key: &ReplicaKey| {
        message!(asked::ReplicaInfo {
            candidate_id: key.id.0,
            candidate_directory_id: wire_uuid(key.directory),
        })
    };
    let (mut successors, mut candidates) = (Vec::new(), Vec::new());
    if version == 0 {
        successors = request.successors.iter().map(|key| key.id.0).collect();
    } else {
        candidates = request.successors.iter().map(candidate).collect();
    }
    let partition = message!(asked::PartitionData {
        partition_index: PARTITION,
        leader_id: request.leader.0,
        leader_epoch: request.epoch.0,
        preferred_successors: successors,
        preferred_candidates: candidates,
    });
    let endpoint = |endpoint: &Endpoint| {
        message!(asked::LeaderEndpoint {
            name: endpoint.listener.as_str().into(),
            host: endpoint.host.as_str().into(),
            port: endpoint.port,
        })
    };
    let endpoints = if version == 0 { &[] } else { endpoints };
    message!(messages::EndQuorumEpochRequest {
        cluster_id: Some(cluster_id.into()),
        topics: vec![message!(asked::TopicData { topic_name: TOPIC.into(), partitions: vec![partition] })],
        leader_endpoints: endpoints.iter().map(endpoint).collect(),
    })
}

/// What was asked.
///
/// # Errors
/// See [`TurnedAway`].
pub fn parse_request(
    request: &messages::EndQuorumEpochRequest,
    cluster_id: &str,
) -> Result<EndQuorumEpochRequest, TurnedAway> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    let topic = only(&request.topics).filter(|topic| topic.topic_name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let asked =
        partition.filter(|partition| partition.partition_index == PARTITION).ok_or(TurnedAway::AnotherLog)?;
    let by_id = asked.preferred_successors.iter();
    let by_id = by_id.map(|id| ReplicaKey { id: BrokerId(*id), directory: Uuid::ZERO });
    let by_key = asked.preferred_candidates.iter().map(|candidate| ReplicaKey {
        id: BrokerId(candidate.candidate_id),
        directory: uuid(&candidate.candidate_directory_id),
    });
    Ok(EndQuorumEpochRequest {
        epoch: LeaderEpoch(asked.leader_epoch),
        leader: BrokerId(asked.leader_id),
        successors: by_key.chain(by_id).collect(),
    })
}

/// What is answered, in the version of the request.
pub fn response(
    response: &EpochResponse,
    leader: Option<&LeaderAddress>,
    version: i16,
) -> messages::EndQuorumEpochResponse {
    let partition = message!(answered::PartitionData {
        partition_index: PARTITION,
        error_code: code_of(response.refusal),
        leader_id: leader_id(&response.standing),
        leader_epoch: response.standing.epoch.0,
    });
    let endpoint = |leader: &LeaderAddress| {
        message!(answered::NodeEndpoint {
            node_id: leader.id.0,
            host: leader.host.as_str().into(),
            port: leader.port,
        })
    };
    message!(messages::EndQuorumEpochResponse {
        topics: vec![message!(answered::TopicData { topic_name: TOPIC.into(), partitions: vec![partition] })],
        node_endpoints: told(leader, &response.standing, version >= 1).map(endpoint).into_iter().collect(),
    })
}

/// The answer to a request that was turned away.
pub fn turned_away(turned_away: TurnedAway) -> messages::EndQuorumEpochResponse {
    message!(messages::EndQuorumEpochResponse { error_code: turned_away.code().code() })
}

/// What was answered, and where the leader is.
///
/// # Errors
/// See [`ResponseError`].
pub fn parse_response(
    response: &messages::EndQuorumEpochResponse,
) -> Result<(EpochResponse, Option<LeaderAddress>), ResponseError> {
    check_whole(response.error_code)?;
    let topic = only(&response.topics).filter(|topic| topic.topic_name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let answered = partition
        .filter(|partition| partition.partition_index == PARTITION)
        .ok_or(ResponseError::AnotherLog)?;
    let standing = standing(answered.leader_epoch, answered.leader_id);
    let nodes = response.node_endpoints.iter();
    let nodes = nodes.map(|node| (node.node_id, &node.host, i32::from(node.port)));
    let leader = leader_among(nodes, &standing);
    Ok((EpochResponse { standing, refusal: refusal(answered.error_code)? }, leader))
}
