//! What handlers work with, and the questions that many of them ask of it.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::env::Env;
use crate::error::ErrorCode;
use crate::fetch_session::{self, FetchSessions};
use crate::ids::{BrokerId, PartitionIndex, TopicId, TopicPartition};
use crate::metadata::{BrokerImage, MetadataImage};
use crate::partition::{Parked, Partition, Table, TableError};
use crate::quorum::Quorum;
use crate::sync::{Arc, Mutex, MutexGuard};

/// The parts of a broker that answer requests.
pub struct Services<E: Env> {
    /// Clocks, disk, network, chance.
    pub env: E,
    /// The broker's configuration.
    pub config: Arc<Config>,
    /// The partitions it hosts.
    pub table: Arc<Table<E>>,
    /// The requests that wait for partitions.
    pub parked: Arc<Parked>,
    /// The metadata, and who changes it.
    pub quorum: Quorum,
    fetch_sessions: Mutex<FetchSessions>,
}

impl<E: Env> Services<E> {
    /// Brings the parts together.
    pub fn new(
        env: E,
        config: Arc<Config>,
        (table, parked): (Arc<Table<E>>, Arc<Parked>),
        quorum: Quorum,
    ) -> Self {
        let sessions =
            fetch_session::Settings { sessions_max: config.fetch_sessions_max, ..Default::default() };
        Self { env, config, table, parked, quorum, fetch_sessions: Mutex::new(FetchSessions::new(sessions)) }
    }

    /// The metadata as this broker knows it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.quorum.image()
    }

    pub(super) fn fetch_sessions(&self) -> MutexGuard<'_, FetchSessions> {
        self.fetch_sessions.lock().expect("no panic happens inside the sessions")
    }

    /// The id of a topic.
    pub(super) fn topic_of_name(&self, name: &str) -> Result<TopicId, ErrorCode> {
        self.image().topic(name).map(|topic| topic.id).ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// The id of a topic that a client named by it, if there is such a topic.
    pub(super) fn topic_of_id(&self, id: TopicId) -> Result<TopicId, ErrorCode> {
        self.image().topic_by_id(id).map(|topic| topic.id).ok_or(ErrorCode::UnknownTopicId)
    }

    /// A partition that this broker hosts.
    pub(super) fn partition(&self, topic_id: TopicId, index: i32) -> Result<Arc<Partition<E>>, ErrorCode> {
        let id = TopicPartition { topic_id, partition: PartitionIndex(index) };
        self.table.get(id).map_err(|error| match error {
            TableError::Offline(_) => ErrorCode::KafkaStorageError,
            TableError::NotHosted if self.image().partition(id).is_some() => ErrorCode::NotLeaderOrFollower,
            TableError::NotHosted => ErrorCode::UnknownTopicOrPartition,
        })
    }

    /// The overrides of a topic, by key.
    pub(super) fn topic_overrides(&self, name: &str) -> Result<BTreeMap<String, String>, ErrorCode> {
        let image = self.image();
        image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        Ok(image.topic_overrides(name).clone())
    }
}

/// Where clients reach a broker: host and port.
pub(super) fn address(broker: &BrokerImage) -> (&str, i32) {
    broker.endpoints.first().map_or(("", -1), |endpoint| (&endpoint.host, endpoint.port.into()))
}

/// Broker ids as the wire has them.
pub(super) fn numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|broker| broker.0).collect()
}

/// The replicas whose broker is not there to serve them.
pub(super) fn offline_replicas(image: &MetadataImage, replicas: &[BrokerId]) -> Vec<i32> {
    let is_offline = |id: &&BrokerId| image.broker(**id).is_none_or(|broker| broker.fenced);
    replicas.iter().filter(is_offline).map(|broker| broker.0).collect()
}
