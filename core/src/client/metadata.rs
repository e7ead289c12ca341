//! What the client knows of the cluster. Pure: the caller asks the brokers and says when to forget.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, TopicId, Uuid};
use crate::wire::api::{CurrentLeader, NodeEndpoint};
use crate::wire::messages::MetadataResponse;
use crate::wire::messages::metadata_response::MetadataResponseTopic;

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, or `None` while there is none.
    pub leader: Option<BrokerId>,
    /// The epoch of that; -1 from brokers that do not say.
    pub leader_epoch: LeaderEpoch,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its id; zero from brokers that do not say.
    pub topic_id: TopicId,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, Leadership>,
}

/// Brokers and topics, as far as they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The cluster's id, once known.
    pub cluster_id: Option<String>,
    /// The broker to send administrative requests to, once known.
    pub controller: Option<BrokerId>,
    /// `host:port` of each broker.
    pub brokers: BTreeMap<BrokerId, Arc<str>>,
    /// Topics by name.
    pub topics: BTreeMap<Arc<str>, TopicMetadata>,
    /// Topics that the last answer about them refused, and why.
    pub errors: BTreeMap<Arc<str>, ErrorCode>,
}

impl Metadata {
    /// Who leads a partition, and the topic's id.
    pub fn leadership(&self, topic: &str, partition: i32) -> Option<(TopicId, Leadership)> {
        let topic = self.topics.get(topic)?;
        Some((topic.topic_id, *topic.partitions.get(&partition)?))
    }

    /// The name of the topic with this id, if it is known.
    pub fn name_of(&self, topic_id: TopicId) -> Option<&Arc<str>> {
        self.topics.iter().find(|(_, topic)| topic.topic_id == topic_id).map(|(name, _)| name)
    }

    /// Takes in an answer. A partition's leader epoch never goes back: a broker that lags behind would otherwise
    /// send us to a leader that was deposed (KIP-320). It starts anew when the topic is another one of that name.
    pub fn update(&mut self, response: &MetadataResponse) {
        if response.brokers.is_empty() {
            // A broker that has just started and does not know its cluster yet.
            return;
        }
        self.brokers = response
            .brokers
            .iter()
            .map(|broker| (BrokerId(broker.node_id), format!("{}:{}", broker.host, broker.port).into()))
            .collect();
        self.controller = (response.controller_id >= 0).then_some(BrokerId(response.controller_id));
        if let Some(cluster_id) = &response.cluster_id {
            self.cluster_id = Some(cluster_id.to_string());
        }
        for topic in &response.topics {
            if let Some(name) = &topic.name {
                self.update_topic(name, topic);
            }
        }
    }

    /// Forgets every topic that an answer about all topics leaves out: it was deleted.
    pub fn forget_absent(&mut self, response: &MetadataResponse) {
        let is_there = |name: &str| response.topics.iter().any(|topic| topic.name.as_deref() == Some(name));
        self.topics.retain(|name, _| is_there(name));
        self.errors.retain(|name, _| is_there(name));
    }

    fn update_topic(&mut self, name: &str, topic: &MetadataResponseTopic) {
        match ErrorCode::from_code(topic.error_code) {
            Some(ErrorCode::None) => self.errors.remove(name),
            // A leader will be elected; what is known of the topic stays true.
            Some(ErrorCode::LeaderNotAvailable) => return,
            error => {
                self.topics.remove(name);
                self.errors.insert(name.into(), error.unwrap_or(ErrorCode::UnknownServerError));
                return;
            }
        };
        let topic_id = Uuid(topic.topic_id.to_bytes());
        let known = self.topics.remove(name).filter(|known| known.topic_id == topic_id);
        let partitions = topic.partitions.iter().map(|partition| {
            let told = Leadership {
                leader: (partition.leader_id >= 0).then_some(BrokerId(partition.leader_id)),
                leader_epoch: LeaderEpoch(partition.leader_epoch),
            };
            let known = known.as_ref().and_then(|known| known.partitions.get(&partition.partition_index));
            let stale = known.filter(|known| told.leader_epoch < known.leader_epoch);
            (partition.partition_index, stale.copied().unwrap_or(told))
        });
        let partitions = partitions.collect();
        self.topics.insert(name.into(), TopicMetadata { topic_id, partitions });
    }

    /// Takes in what a broker said of a leader while refusing a request (KIP-951), if it is newer than what is
    /// known. Returns whether it was.
    pub fn hint(
        &mut self,
        topic: &str,
        partition: i32,
        current: CurrentLeader,
        endpoints: &[NodeEndpoint],
    ) -> bool {
        for endpoint in endpoints {
            self.brokers.insert(endpoint.node_id, format!("{}:{}", endpoint.host, endpoint.port).into());
        }
        let known = self.topics.get_mut(topic).and_then(|topic| topic.partitions.get_mut(&partition));
        match known {
            Some(known)
                if current.leader_epoch > known.leader_epoch
                    && self.brokers.contains_key(&current.leader_id) =>
            {
                *known = Leadership { leader: Some(current.leader_id), leader_epoch: current.leader_epoch };
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
