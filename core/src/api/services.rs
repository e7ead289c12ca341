//! What handlers work with, and the questions that many of them ask of it.

use std::collections::BTreeMap;

use super::coordination::Askers;
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
    /// In shards, so that a consumer of thousands of partitions does not hold up everybody else's.
    fetch_sessions: Vec<Mutex<FetchSessions>>,
    /// The clients that asked for what there is not.
    pub(super) askers: Askers,
}

impl<E: Env> Services<E> {
    /// Brings the parts together.
    pub fn new(
        env: E,
        config: Arc<Config>,
        (table, parked): (Arc<Table<E>>, Arc<Parked>),
        quorum: Quorum,
    ) -> Self {
        let fetch_sessions = session_shards(config.fetch_sessions_max);
        Self { env, config, table, parked, quorum, fetch_sessions, askers: Askers::default() }
    }

    /// The metadata as this broker knows it.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.quorum.image()
    }

    /// The fetch sessions among which is the one with this id.
    pub(super) fn fetch_sessions_of(&self, session_id: i32) -> MutexGuard<'_, FetchSessions> {
        let shard = session_id.rem_euclid(self.fetch_sessions.len() as i32);
        self.fetch_sessions[shard as usize].lock().expect("no panic happens inside the sessions")
    }

    /// Those among which a new one shall be: any.
    pub(super) fn fetch_sessions_for_new(&self, random: u64) -> MutexGuard<'_, FetchSessions> {
        self.fetch_sessions_of((random >> 32) as i32)
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

/// How many caches share the sessions, when there are enough of them.
const SESSION_SHARDS: usize = 4;
/// So many that none of the shards is small.
const SHARDED_SESSIONS_MIN: usize = 100;
/// Partitions that the sessions of one shard may remember.
const SHARD_PARTITIONS_MAX: usize = 50_000;

fn session_shards(sessions_max: usize) -> Vec<Mutex<FetchSessions>> {
    let shards = if sessions_max < SHARDED_SESSIONS_MIN { 1 } else { SESSION_SHARDS };
    let shard = |number: usize| {
        FetchSessions::new(fetch_session::Settings {
            sessions_max: (sessions_max + number) / shards,
            partitions_max: SHARD_PARTITIONS_MAX,
            shard: (number as i32, shards as i32),
            ..Default::default()
        })
    };
    (0..shards).map(|number| Mutex::new(shard(number))).collect()
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
