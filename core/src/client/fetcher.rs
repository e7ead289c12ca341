//! Reads batches, one partition at a time.

use bytes::Bytes;

use super::connection::RequestError;
use super::{Client, Leader, Purpose};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::record::batch::{Batch, BatchError};
use crate::time::Instant;
use crate::wire::api::fetch::{FetchRequest, FetchResponse};
use crate::wire::api::{CurrentLeader, NodeEndpoint};
use crate::wire::codec::{StrBytes, Uuid as WireUuid};
use crate::wire::messages::fetch_request::{FetchPartition, FetchTopic};
use crate::wire::messages::fetch_response::{self, PartitionData};

/// How a fetcher fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetcherSettings {
    /// `isolation.level`: whether records of open and aborted transactions are held back.
    pub read_committed: bool,
}

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Whole batches with right checksums, the first of which may begin before the offset that was asked for.
    pub batches: Bytes,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable: Offset,
    /// The log start, or -1 from brokers that do not say.
    pub log_start: Offset,
    /// Where to go on.
    pub next_offset: Offset,
}

/// Why a fetch failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// The offset is below the log start or beyond the log end.
    #[error("offset {offset} is outside the log, which starts at {log_start}")]
    OutOfRange {
        /// What was asked for.
        offset: Offset,
        /// The log start, or -1 when the broker does not say.
        log_start: Offset,
        /// The high watermark, or -1 when the broker does not say.
        high_watermark: Offset,
    },
    /// A batch is damaged.
    #[error("a batch at offset {offset} or behind is damaged: {cause}")]
    Corrupt {
        /// Where.
        offset: Offset,
        /// What is wrong.
        cause: BatchError,
    },
    /// The broker refused it.
    #[error("the broker answered {0}")]
    Refused(ErrorCode),
    /// No usable response came.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The response does not speak of the partition.
    #[error("the response does not answer the request")]
    Incomplete,
}

impl FetchError {
    /// Whether another attempt may succeed.
    pub(super) fn is_retriable(&self) -> bool {
        match self {
            Self::OutOfRange { .. } | Self::Corrupt { .. } => false,
            Self::Refused(code) => code.is_retriable(),
            Self::Request(error) => error.is_retriable(),
            Self::Incomplete => true,
        }
    }
}

/// Bounds of one fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    offset: Offset,
    max_wait_ms: i32,
    min_bytes: i32,
    max_bytes: i32,
}

/// Reads batches from the leaders of partitions, over connections of its own kind, so that a long poll holds up
/// nothing else.
pub struct Fetcher<E: Env> {
    client: Client<E>,
    settings: FetcherSettings,
}

impl<E: Env> Fetcher<E> {
    /// A fetcher on top of a client.
    pub fn new(client: Client<E>, settings: FetcherSettings) -> Self {
        Self { client, settings }
    }

    /// Fetches from `offset` on. The broker waits up to `max_wait_ms` for `min_bytes`, and returns about `max_bytes`
    /// at most, but always one whole batch. Lost connections and moved leaders are followed until the request timeout.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(
        &self,
        topic: &str,
        partition: i32,
        offset: Offset,
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32,
    ) -> Result<Fetched, FetchError> {
        let bounds = Bounds { offset, max_wait_ms, min_bytes, max_bytes };
        let wait = std::time::Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0));
        let deadline = self.client.now() + self.client.settings().request_timeout + wait;
        let mut failures = 0;
        loop {
            let leader = self.client.routed(Purpose::Fetch, topic, partition, deadline).await?;
            let error = match self.ask(&leader, topic, partition, bounds, deadline).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            if !error.is_retriable() || self.client.now() >= deadline {
                return Err(error);
            }
            failures += 1;
            self.client.pause(failures, deadline).await;
        }
    }

    async fn ask(
        &self,
        leader: &Leader,
        topic: &str,
        partition: i32,
        bounds: Bounds,
        deadline: Instant,
    ) -> Result<Fetched, FetchError> {
        let request = self.request(leader, topic, partition, bounds)?;
        let response: FetchResponse = match leader.connection.call(&request, deadline).await {
            Ok(response) => response,
            Err(error) => {
                self.client.want_metadata(topic);
                return Err(error.into());
            }
        };
        check(response.error_code)?;
        let mut partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
        let answer = partitions.find(|answer| answer.partition_index == partition);
        let answer = answer.ok_or(FetchError::Incomplete)?;
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => read(answer, bounds.offset),
            Some(ErrorCode::OffsetOutOfRange) => Err(FetchError::OutOfRange {
                offset: bounds.offset,
                log_start: Offset(answer.log_start_offset),
                high_watermark: Offset(answer.high_watermark),
            }),
            code => {
                let hint = (answer.current_leader.leader_id >= 0).then_some(CurrentLeader {
                    leader_id: BrokerId(answer.current_leader.leader_id),
                    leader_epoch: LeaderEpoch(answer.current_leader.leader_epoch),
                });
                let endpoints: Vec<NodeEndpoint> = response.node_endpoints.iter().map(endpoint).collect();
                self.client.leader_moved(topic, partition, hint, &endpoints);
                Err(FetchError::Refused(code.unwrap_or(ErrorCode::UnknownServerError)))
            }
        }
    }

    fn request(
        &self,
        leader: &Leader,
        topic: &str,
        partition: i32,
        bounds: Bounds,
    ) -> Result<FetchRequest, RequestError> {
        let version = leader.connection.version::<FetchRequest>()?;
        let mut wanted = FetchPartition::default();
        wanted.partition = partition;
        wanted.fetch_offset = bounds.offset.0;
        wanted.partition_max_bytes = bounds.max_bytes;
        if version >= 9 {
            wanted.current_leader_epoch = leader.epoch.0;
        }
        let mut of_topic = FetchTopic::default();
        if version >= 13 {
            of_topic.topic_id = WireUuid::from_bytes(leader.topic_id.0);
        } else {
            of_topic.topic = StrBytes::from(topic);
        }
        of_topic.partitions = vec![wanted];
        let mut request = FetchRequest::default();
        request.max_wait_ms = bounds.max_wait_ms;
        request.min_bytes = bounds.min_bytes;
        request.max_bytes = bounds.max_bytes;
        request.isolation_level = self.settings.read_committed.into();
        // Without a session (KIP-227): one partition at a time has nothing to gain from one.
        (request.session_id, request.session_epoch) = (0, -1);
        request.topics = vec![of_topic];
        Ok(request)
    }
}

/// Where a broker is that a hint names (KIP-951): it may have joined after the last metadata.
fn endpoint(told: &fetch_response::NodeEndpoint) -> NodeEndpoint {
    let node_id = BrokerId(told.node_id);
    NodeEndpoint { node_id, host: told.host.clone(), port: told.port, rack: told.rack.clone() }
}

fn check(code: i16) -> Result<(), FetchError> {
    match ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError) {
        ErrorCode::None => Ok(()),
        code => Err(FetchError::Refused(code)),
    }
}

/// Takes whole batches; the last may be cut, which the protocol allows.
fn read(answer: &PartitionData, offset: Offset) -> Result<Fetched, FetchError> {
    let all = answer.records.clone().unwrap_or_default();
    let mut rest = all.clone();
    let mut next_offset = offset;
    while !rest.is_empty() {
        match Batch::split_from(&mut rest) {
            Ok(batch) => {
                let end = batch.header().next_offset().unwrap_or(next_offset);
                next_offset = next_offset.max(end);
            }
            Err(BatchError::Truncated { .. }) => break,
            Err(cause) => return Err(FetchError::Corrupt { offset: next_offset, cause }),
        }
    }
    Ok(Fetched {
        batches: all.slice(..all.len() - rest.len()),
        high_watermark: Offset(answer.high_watermark),
        last_stable: Offset(answer.last_stable_offset),
        log_start: Offset(answer.log_start_offset),
        next_offset,
    })
}
