//! BeginQuorumEpoch (KIP-595): a leader makes itself known, and where it listens (KIP-853, from version 1 on).

use super::{
    LeaderAddress, PARTITION, ResponseError, TOPIC, TurnedAway, check_cluster, check_whole, code_of,
    leader_among, leader_id, only, refusal, standing, told, uuid, wire_uuid,
};
use crate::ids::{BrokerId, LeaderEpoch};
use crate::raft::messages::{BeginQuorumEpochRequest, EpochResponse};
use crate::raft::{Endpoint, ReplicaKey};
use crate::wire::message;
use crate::wire::messages::{
    self, begin_quorum_epoch_request as asked, begin_quorum_epoch_response as answered,
};

/// What is sent. `endpoints` are the leader's own.
pub fn request(
    request: &BeginQuorumEpochRequest,
    cluster_id: &str,
    endpoints: &[Endpoint],
) -> messages::BeginQuorumEpochRequest {
    let partition = message!(asked::PartitionData {
        partition_index: PARTITION,
        voter_directory_id: wire_uuid(request.voter.directory),
        leader_id: request.leader.0,
        leader_epoch: request.epoch.0,
    });
    let endpoint = |endpoint: &Endpoint| {
        message!(asked::LeaderEndpoint {
            name: endpoint.listener.as_str().into(),
            host: endpoint.host.as_str().into(),
            port: endpoint.port,
        })
    };
    message!(messages::BeginQuorumEpochRequest {
        cluster_id: Some(cluster_id.into()),
        voter_id: request.voter.id.0,
        topics: vec![message!(asked::TopicData { topic_name: TOPIC.into(), partitions: vec![partition] })],
        leader_endpoints: endpoints.iter().map(endpoint).collect(),
    })
}

/// What was asked, and where the leader listens. `me` stands for the voter where the request does not name one
/// (version 0).
///
/// # Errors
/// See [`TurnedAway`].
pub fn parse_request(
    request: &messages::BeginQuorumEpochRequest,
    cluster_id: &str,
    me: BrokerId,
) -> Result<(BeginQuorumEpochRequest, Vec<Endpoint>), TurnedAway> {
    check_cluster(request.cluster_id.as_ref(), cluster_id)?;
    let topic = only(&request.topics).filter(|topic| topic.topic_name.as_str() == TOPIC);
    let partition = topic.and_then(|topic| only(&topic.partitions));
    let asked =
        partition.filter(|partition| partition.partition_index == PARTITION).ok_or(TurnedAway::AnotherLog)?;
    let voter = if request.voter_id < 0 { me } else { BrokerId(request.voter_id) };
    let endpoint = |endpoint: &asked::LeaderEndpoint| Endpoint {
        listener: endpoint.name.as_str().to_owned(),
        host: endpoint.host.as_str().to_owned(),
        port: endpoint.port,
    };
    let begin = BeginQuorumEpochRequest {
        epoch: LeaderEpoch(asked.leader_epoch),
        leader: BrokerId(asked.leader_id),
        voter: ReplicaKey { id: voter, directory: uuid(&asked.voter_directory_id) },
    };
    Ok((begin, request.leader_endpoints.iter().map(endpoint).collect()))
}

/// What is answered, in the version of the request.
pub fn response(
    response: &EpochResponse,
    leader: Option<&LeaderAddress>,
    version: i16,
) -> messages::BeginQuorumEpochResponse {
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
    message!(messages::BeginQuorumEpochResponse {
        topics: vec![message!(answered::TopicData { topic_name: TOPIC.into(), partitions: vec![partition] })],
        node_endpoints: told(leader, &response.standing, version >= 1).map(endpoint).into_iter().collect(),
    })
}

/// The answer to a request that was turned away.
pub fn turned_away(turned_away: TurnedAway) -> messages::BeginQuorumEpochResponse {
    message!(messages::BeginQuorumEpochResponse { error_code: turned_away.code().code() })
}

/// What was answered, and where the leader is.
///
/// # Errors
/// See [`ResponseError`].
pub fn parse_response(
    response: &messages::BeginQuorumEpochResponse,
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
