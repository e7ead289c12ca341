//! Who leads instead, told together with the error so that a client need not ask for metadata (KIP-951).

use super::services::{Services, address};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::{BrokerId, TopicPartition};
use crate::wire::api::{CurrentLeader, NodeEndpoint};

/// Collects the endpoints of the leaders that one response names.
#[derive(Default)]
pub(super) struct LeaderHints {
    endpoints: Vec<NodeEndpoint>,
}

impl LeaderHints {
    /// The leader of a partition, with those errors that a client mends by turning to it; `None` with all others.
    pub(super) fn leader_of<E: Env>(
        &mut self,
        services: &Services<E>,
        partition: TopicPartition,
        error: ErrorCode,
    ) -> Option<CurrentLeader> {
        if !matches!(error, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
            return None;
        }
        let image = services.image();
        let registration = image.partition(partition)?;
        let leader =
            CurrentLeader { leader_id: registration.leader, leader_epoch: registration.leader_epoch };
        let is_told = self.endpoints.iter().any(|endpoint| endpoint.node_id == leader.leader_id);
        if leader.leader_id != BrokerId::NONE
            && !is_told
            && let Some(broker) = image.broker(leader.leader_id)
        {
            let (host, port) = address(broker);
            self.endpoints.push(NodeEndpoint {
                node_id: broker.id,
                host: host.into(),
                port,
                rack: broker.rack.as_deref().map(Into::into),
            });
        }
        Some(leader)
    }

    /// Where the leaders are.
    pub(super) fn endpoints(&mut self) -> Vec<NodeEndpoint> {
        std::mem::take(&mut self.endpoints)
    }
}
