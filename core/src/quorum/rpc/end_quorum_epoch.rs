//! EndQuorumEpoch (KIP-595): a leader steps down, and says who should follow it.

use super::epoch_response::epoch_response;
use super::{PARTITION, TOPIC, TurnedAway, check_cluster, only, uuid, wire_uuid};
use crate::ids::{BrokerId, LeaderEpoch, Uuid};
use crate::raft::messages::EndQuorumEpochRequest;
use crate::raft::{Endpoint, ReplicaKey};
use crate::wire::message;
use crate::wire::messages::{self, end_quorum_epoch_request as asked};

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

epoch_response!(EndQuorumEpochResponse, end_quorum_epoch_response);
