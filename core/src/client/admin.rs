//! Administration: topics, offsets, producer ids.

use std::collections::BTreeMap;
use std::time::Duration;

use super::connection::RequestError;
use super::metadata::Metadata;
use super::{Client, Purpose};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId, Uuid};
use crate::time::{Instant, Timestamp};
use crate::wire::codec::{StrBytes, Uuid as WireUuid};
use crate::wire::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use crate::wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::wire::messages::delete_topics_request::DeleteTopicState;
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, InitProducerIdRequest,
    ListOffsetsRequest, MetadataRequest, RequestResponsePair,
};

/// Why an administrative request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdminError {
    /// The cluster refused it.
    #[error("{code}{}", message.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused {
        /// Kafka's code.
        code: ErrorCode,
        /// What the broker says of it.
        message: Option<String>,
    },
    /// No usable response came.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The response does not speak of what was asked.
    #[error("the response does not answer the request")]
    Incomplete,
}

impl AdminError {
    /// Whether the request certainly had no effect.
    pub fn is_definite(&self) -> bool {
        match self {
            // A controller of Kafka's that loses its leadership answers NOT_CONTROLLER also for what it has appended
            // and a successor may commit.
            Self::Refused { code, .. } => !matches!(
                code,
                ErrorCode::RequestTimedOut | ErrorCode::UnknownServerError | ErrorCode::NotController
            ),
            Self::Request(error) => error.is_definite(),
            Self::Incomplete => false,
        }
    }

    pub(super) fn is_retriable(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Request(error) => error.is_retriable(),
            Self::Incomplete => true,
        }
    }
}

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 for the broker's default.
    pub partitions: i32,
    /// How many replicas of each; -1 for the broker's default.
    pub replication_factor: i16,
    /// Topic configurations.
    pub configs: BTreeMap<String, String>,
}

/// Which offset to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start.
    Earliest,
    /// The high watermark, or the last stable offset for read_committed.
    Latest,
    /// The record with the greatest timestamp (KIP-734).
    MaxTimestamp,
    /// The first record of this time or later.
    At(Timestamp),
}

/// An offset that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// The offset, or -1 when no record matches.
    pub offset: Offset,
    /// The record's time, or -1.
    pub timestamp: Timestamp,
    /// The record's leader epoch, or -1.
    pub leader_epoch: LeaderEpoch,
}

fn check(code: i16, message: Option<&StrBytes>) -> Result<(), AdminError> {
    match ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None => Ok(()),
        code => Err(AdminError::Refused { code, message: message.map(|text| text.to_string()) }),
    }
}

fn millis(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

impl<E: Env> Client<E> {
    fn deadline(&self) -> Instant {
        self.now() + self.settings().request_timeout
    }

    /// Creates topics; one result per topic, in their order. Not repeated when the outcome is unknown.
    ///
    /// # Errors
    /// When the request as a whole has no answer.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<Result<TopicId, AdminError>>, AdminError> {
        let deadline = self.deadline();
        let mut request = CreateTopicsRequest::default();
        request.timeout_ms = millis(self.settings().request_timeout);
        request.validate_only = validate_only;
        request.topics = topics.iter().map(creatable).collect();
        let response = self.call_any(Purpose::Admin, &request, deadline).await?;
        for topic in topics {
            self.want_metadata(&topic.name);
        }
        let result = |topic: &NewTopic| {
            let found = response.topics.iter().find(|created| *created.name == *topic.name);
            let created = found.ok_or(AdminError::Incomplete)?;
            check(created.error_code, created.error_message.as_ref())?;
            Ok(Uuid(created.topic_id.to_bytes()))
        };
        Ok(topics.iter().map(result).collect())
    }

    /// Deletes topics by name; one result per topic, in their order.
    ///
    /// # Errors
    /// When the request as a whole has no answer.
    pub async fn delete_topics(&self, names: &[&str]) -> Result<Vec<Result<(), AdminError>>, AdminError> {
        let deadline = self.deadline();
        let mut request = DeleteTopicsRequest::default();
        request.timeout_ms = millis(self.settings().request_timeout);
        let connection = self.any_connection(deadline).await?;
        let by_state = connection.version::<DeleteTopicsRequest>()? >= 6;
        for name in names {
            // Version 6 brought deletion by id, and a list of another shape with it (KIP-516).
            if by_state {
                let mut topic = DeleteTopicState::default();
                topic.name = Some(StrBytes::from(*name));
                topic.topic_id = WireUuid::ZERO;
                request.topics.push(topic);
            } else {
                request.topic_names.push(StrBytes::from(*name));
            }
        }
        let response = connection.call(&self.shared, &request, deadline).await?;
        for name in names {
            self.want_metadata(name);
        }
        let result = |name: &&str| {
            let named = |deleted: &&_| {
                let deleted: &crate::wire::messages::delete_topics_response::DeletableTopicResult = deleted;
                deleted.name.as_deref() == Some(*name)
            };
            let deleted = response.responses.iter().find(named).ok_or(AdminError::Incomplete)?;
            check(deleted.error_code, deleted.error_message.as_ref())
        };
        Ok(names.iter().map(result).collect())
    }

    /// Moves a partition's log start to `offset`, or to the high watermark for -1. Returns the new log start.
    ///
    /// # Errors
    /// See [`AdminError`]; repeated until the request timeout, for doing it twice does no harm.
    pub async fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        offset: Offset,
    ) -> Result<Offset, AdminError> {
        let mut wanted = DeleteRecordsPartition::default();
        (wanted.partition_index, wanted.offset) = (partition, offset.0);
        let mut of_topic = DeleteRecordsTopic::default();
        (of_topic.name, of_topic.partitions) = (StrBytes::from(topic), vec![wanted]);
        let mut request = DeleteRecordsRequest::default();
        (request.topics, request.timeout_ms) = (vec![of_topic], millis(self.settings().request_timeout));
        self.ask_leader(
            (topic, partition),
            |_, _| request.clone(),
            |response| {
                let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
                let result = partitions.next().ok_or(AdminError::Incomplete)?;
                check(result.error_code, None)?;
                Ok(Offset(result.low_watermark))
            },
        )
        .await
    }

    /// Looks up an offset.
    ///
    /// # Errors
    /// See [`AdminError`]; repeated until the request timeout.
    pub async fn list_offsets(
        &self,
        topic: &str,
        partition: i32,
        spec: OffsetSpec,
    ) -> Result<FoundOffset, AdminError> {
        let mut wanted = ListOffsetsPartition::default();
        wanted.partition_index = partition;
        wanted.timestamp = match spec {
            OffsetSpec::Latest => -1,
            OffsetSpec::Earliest => -2,
            OffsetSpec::MaxTimestamp => -3,
            OffsetSpec::At(timestamp) => timestamp.0,
        };
        let request = |version: i16, epoch: LeaderEpoch| {
            let mut wanted = wanted.clone();
            if version >= 4 {
                wanted.current_leader_epoch = epoch.0;
            }
            let mut of_topic = ListOffsetsTopic::default();
            (of_topic.name, of_topic.partitions) = (StrBytes::from(topic), vec![wanted]);
            let mut request = ListOffsetsRequest::default();
            (request.replica_id, request.topics) = (-1, vec![of_topic]);
            request
        };
        self.ask_leader((topic, partition), request, |response| {
            let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            let result = partitions.next().ok_or(AdminError::Incomplete)?;
            check(result.error_code, None)?;
            Ok(FoundOffset {
                offset: Offset(result.offset),
                timestamp: Timestamp(result.timestamp),
                leader_epoch: LeaderEpoch(result.leader_epoch),
            })
        })
        .await
    }

    /// Asks for metadata of the named topics, or of all, and takes it in.
    ///
    /// # Errors
    /// When no broker answers.
    pub async fn metadata(&self, topics: Option<&[&str]>) -> Result<Metadata, AdminError> {
        let deadline = self.deadline();
        let mut request = MetadataRequest::default();
        request.allow_auto_topic_creation = false;
        request.topics = topics.map(|names| names.iter().map(|name| super::refresh::topic(name)).collect());
        let response = self.call_any(Purpose::Metadata, &request, deadline).await?;
        if topics.is_none() && !response.brokers.is_empty() {
            self.shared.lock().metadata.forget_absent(&response);
        }
        Ok(self.take_in(&response))
    }

    /// Asks for a producer id (KIP-98), without a transactional id.
    ///
    /// # Errors
    /// See [`AdminError`]; not repeated.
    pub async fn init_producer_id(
        &self,
        deadline: Instant,
    ) -> Result<(ProducerId, ProducerEpoch), AdminError> {
        let deadline = deadline.min(self.deadline());
        let mut request = InitProducerIdRequest::default();
        // The default of this field is the empty name, which is no name a broker takes.
        request.transactional_id = None;
        request.transaction_timeout_ms = i32::MAX;
        let response = self.call_any(Purpose::Admin, &request, deadline).await?;
        check(response.error_code, None)?;
        Ok((ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch)))
    }

    /// Asks a partition's leader until it answers, the request timeout is over or trying again is no use. `request`
    /// is told the version that both sides speak and the leader's epoch. Plain closures, because a future that
    /// holds an asynchronous one is not `Send` for every lifetime, and so cannot be spawned.
    async fn ask_leader<M: RequestResponsePair, T>(
        &self,
        (topic, partition): (&str, i32),
        request: impl Fn(i16, LeaderEpoch) -> M,
        read: impl Fn(&M::Response) -> Result<T, AdminError>,
    ) -> Result<T, AdminError> {
        let deadline = self.deadline();
        let mut failures = 0;
        loop {
            let leader = self.routed(Purpose::Admin, topic, partition, deadline).await?;
            let message = request(leader.connection.version::<M>()?, leader.epoch);
            let answer = leader.connection.call(&message, deadline).await.map_err(AdminError::from);
            let error = match answer.and_then(|response| read(&response)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !error.is_retriable() || self.now() >= deadline {
                return Err(error);
            }
            failures += 1;
            self.want_metadata(topic);
            self.pause(failures, deadline).await;
        }
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let mut creatable = CreatableTopic::default();
    creatable.name = StrBytes::from(&topic.name[..]);
    creatable.num_partitions = topic.partitions;
    creatable.replication_factor = topic.replication_factor;
    creatable.configs = topic
        .configs
        .iter()
        .map(|(name, value)| {
            let mut config = CreatableTopicConfig::default();
            config.name = StrBytes::from(&name[..]);
            config.value = Some(StrBytes::from(&value[..]));
            config
        })
        .collect();
    creatable
}
