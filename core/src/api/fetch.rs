//! Fetch, versions 4 to 18 (KIP-74 limits, KIP-227 sessions, KIP-320 leader epochs, KIP-516 topic ids, KIP-951 leader hints).
//!
//! Partitions are read in the order of the request (or of the session), until `max_bytes` are used up. The first one
//! that has records hands out at least one batch, however large, so that a consumer always gets past it. With fewer
//! than `min_bytes` the request waits up to `max_wait_ms` for more, is woken by the appends themselves, and then
//! reads again. Records are not read by this program: the answer names ranges of files.
//!
//! Every reader is a consumer and sees nothing above the high watermark, whatever `replica_id` it claims: a client must
//! not act as a replica (CVE-2018-1288). Not implemented: followers' fetches, and with them diverging epochs and
//! fetches from a follower (KIP-392); transactions, so that read_committed sees what read_uncommitted sees and the
//! list of aborted transactions is empty.

mod answer;
mod asked;

use std::time::Duration;

use bytes::Bytes;

use super::{Services, decode, error_map};
use crate::env::{Clock, Env, FileSlice};
use crate::error::ErrorCode;
use crate::fetch_session::{self, Context, FetchPartition, FetchTopic, SessionError};
use crate::ids::{Offset, TopicPartition};
use crate::partition::{BytesNeed, Isolation, ReadRequest};
use crate::server::dispatch::{File, Handled, Request};
use crate::server::response::Outgoing;
use crate::sync::Arc;
use crate::wire::api::fetch::FetchRequest;

/// Answers at once, or as soon as there is enough.
pub(crate) async fn handle<E: Env>(
    services: &Arc<Services<E>>,
    mut request: Request,
    outgoing: &mut Outgoing<File<E>>,
) -> Handled<File<E>> {
    let asked: FetchRequest = match decode(&request) {
        Ok(asked) => asked,
        Err(refusal) => return Handled::Refused(refusal),
    };
    // A long poll keeps neither the frame nor what was cut from it.
    request.body = Bytes::new();
    request.header.client_id = None;
    let now = services.env.clock().now();
    let deadline = now + Duration::from_millis(u64::try_from(asked.max_wait_ms).unwrap_or(0));
    let bytes_max = usize::try_from(asked.max_bytes).unwrap_or(0).min(services.config.fetch_bytes_max);
    let bytes_min = usize::try_from(asked.min_bytes).unwrap_or(0).min(bytes_max) as u64;
    let fetching = Fetching::begin(services, request, &asked, bytes_max);
    let fetching = match fetching {
        Ok(fetching) => fetching,
        Err((request, error)) => {
            answer::refuse(&request, error, outgoing);
            return Handled::Done;
        }
    };
    let look = fetching.read_all().await;
    let missing = bytes_min.saturating_sub(look.bytes);
    if missing == 0 || look.failed || look.needs.is_empty() || deadline <= now {
        fetching.answer(look.reads, outgoing);
        return Handled::Done;
    }
    Handled::Waiting(Box::pin(async move {
        let mut outgoing = Outgoing::default();
        fetching.services.parked.wait_for_bytes(&look.needs, missing, deadline).await;
        let look = fetching.read_all().await;
        fetching.answer(look.reads, &mut outgoing);
        outgoing
    }))
}

/// One fetch: what is read, and how it is answered.
struct Fetching<E: Env> {
    services: Arc<Services<E>>,
    request: Request,
    context: Context,
    partitions: Vec<FetchPartition>,
    bytes_max: usize,
    isolation: Isolation,
}

/// What one partition gave.
struct Read<F> {
    error: ErrorCode,
    high_watermark: Offset,
    last_stable: Offset,
    log_start: Offset,
    slice: Option<FileSlice<F>>,
    /// The partition, when it is known here.
    id: Option<TopicPartition>,
}

/// What all partitions gave.
struct Look<F> {
    reads: Vec<Read<F>>,
    /// Records in sum.
    bytes: u64,
    /// Whether a partition that is known here could not be read: the client is told at once.
    failed: bool,
    /// What wakes this fetch when there is more.
    needs: Vec<BytesNeed>,
}

impl<E: Env> Fetching<E> {
    fn begin(
        services: &Arc<Services<E>>,
        request: Request,
        asked: &FetchRequest,
        bytes_max: usize,
    ) -> Result<Self, (Request, SessionError)> {
        let session = asked::session_request(asked, request.version());
        let is_sessionless =
            session.epoch == fetch_session::FINAL_EPOCH && session.session_id == fetch_session::NO_SESSION;
        let begun = if is_sessionless {
            Ok((Context::Sessionless, session.partitions))
        } else {
            services.fetch_sessions_of(session.session_id).begin(session, services.env.clock().now())
        };
        let (context, partitions) = match begun {
            Ok(begun) => begun,
            Err(error) => return Err((request, error)),
        };
        let isolation =
            if asked.isolation_level == 1 { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
        Ok(Self { services: Arc::clone(services), request, context, partitions, bytes_max, isolation })
    }

    async fn read_all(&self) -> Look<File<E>> {
        let mut look = Look {
            reads: Vec::with_capacity(self.partitions.len()),
            bytes: 0,
            failed: false,
            needs: Vec::with_capacity(self.partitions.len()),
        };
        for asked in &self.partitions {
            if !look.reads.is_empty() {
                self.services.env.checkpoint().await;
            }
            let read = match self.find(&asked.topic, asked.partition) {
                Ok(id) => self.read(id, asked, &mut look),
                Err(code) => Read::failed(code, None),
            };
            look.reads.push(read);
        }
        look
    }

    fn find(&self, topic: &FetchTopic, partition: i32) -> Result<TopicPartition, ErrorCode> {
        let topic_id = match topic {
            FetchTopic::Id(topic_id) => self.services.topic_of_id(*topic_id)?,
            FetchTopic::Name(name) => self.services.topic_of_name(name)?,
        };
        Ok(TopicPartition::new(topic_id, partition))
    }

    fn read(&self, id: TopicPartition, asked: &FetchPartition, look: &mut Look<File<E>>) -> Read<File<E>> {
        let partition = match self.services.partition(id.topic_id, id.partition.0) {
            Ok(partition) => partition,
            Err(code) => return Read::failed(code, Some(id)),
        };
        // KIP-74: only the first batch of the whole answer may exceed the limits.
        let left = self.bytes_max.saturating_sub(look.bytes as usize);
        let wanted = usize::try_from(asked.bytes_max).unwrap_or(0);
        let outcome = partition.read(
            &self.services.env,
            ReadRequest {
                from: asked.fetch_offset,
                bytes_max: u32::try_from(wanted.min(left)).unwrap_or(u32::MAX),
                at_least_one_batch: look.bytes == 0,
                isolation: self.isolation,
                current_leader_epoch: asked.current_leader_epoch,
            },
        );
        match outcome {
            Ok(outcome) => {
                look.needs.push(outcome.need);
                look.bytes += u64::from(outcome.slice.len());
                Read {
                    error: ErrorCode::None,
                    high_watermark: outcome.high_watermark,
                    last_stable: outcome.last_stable,
                    log_start: outcome.log_start,
                    slice: outcome.slice.bytes.filter(|slice| slice.len > 0),
                    id: Some(id),
                }
            }
            Err(error) => {
                look.failed = true;
                Read::failed(error_map::read(&error), Some(id))
            }
        }
    }
}

impl<F> Read<F> {
    fn failed(error: ErrorCode, id: Option<TopicPartition>) -> Self {
        let unknown = Offset::UNKNOWN;
        Self { error, high_watermark: unknown, last_stable: unknown, log_start: unknown, slice: None, id }
    }
}
