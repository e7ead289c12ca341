//! BeginQuorumEpoch (KIP-595): a leader makes itself known, and where it listens (KIP-853, from version 1 on).

use super::epoch_response::epoch_response;
use super::{PARTITION, TOPIC, TurnedAway, check_cluster, only, uuid, wire_uuid};
use crate::ids::{BrokerId, LeaderEpoch};
use crate::raft::messages::BeginQuorumEpochRequest;
use crate::raft::{Endpoint, ReplicaKey};
use crate::wire::message;
use crate::wire::messages::{self, begin_quorum_epoch_request as asked};

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

epoch_response!(BeginQuorumEpochResponse, begin_quorum_epoch_response);
