//! Produce, versions 3 to 13 (KIP-98 idempotence, KIP-467 error messages, KIP-516 topic ids, KIP-951 leader hints).
//!
//! Each partition's batch is checked before any lock is taken, appended, and answered for itself: one partition's
//! error is no other's. acks=0 has no answer at all, so that an error closes the connection (KAFKA-1028); acks=1 is
//! answered by the leader's own copy, acks=-1 when every in-sync replica has the batch. What does not come in time
//! is REQUEST_TIMED_OUT: the outcome is then unknown, and the batch may be committed all the same.
//!
//! Not implemented: transactions. A transactional batch is refused with INVALID_TXN_STATE, since no transaction can
//! have begun. Versions 0 to 2 are listed and not served (see `wire::api_key`).

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::leader_hint::LeaderHints;
use super::{Services, error_map};
use crate::env::{Clock, Env};
use crate::error::ErrorCode;
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, TopicPartition};
use crate::partition::{Acknowledgement, Acks, Appended, OffsetNeed, Partition};
use crate::purgatory::Wakeup;
use crate::record::batch::Batch;
use crate::record::validate::{ProduceLimits, check_produced};
use crate::server::dispatch::{File, Handled, Refusal, Request};
use crate::server::response::Outgoing;
use crate::sync::Arc;
use crate::time::Instant;
use crate::wire::api::produce::{PartitionProduced, ProduceRequest, ProduceResponse, TopicProduced};
use crate::wire::codec::StrBytes;
use crate::wire::{ApiKey, response};

/// From this version on topics are named by id.
const TOPIC_ID_MIN: i16 = 13;

/// Why a partition's records were not taken, or not acknowledged.
struct Rejection {
    code: ErrorCode,
    message: StrBytes,
}

impl Rejection {
    fn new(code: ErrorCode, message: impl Into<StrBytes>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Appends all partitions' batches, and answers when `acks` allows it.
pub(crate) async fn handle<E: Env>(
    services: &Arc<Services<E>>,
    request: Request,
    outgoing: &mut Outgoing<File<E>>,
) -> Handled<File<E>> {
    let version = request.version();
    let asked = match ProduceRequest::decode(&request.body, version) {
        Ok(asked) => asked,
        Err(cause) => return Handled::Refused(request.undecodable(&cause)),
    };
    let (acks, timeout_ms) = (asked.acks, asked.timeout_ms);
    let mut answering = Answering::new(services, &request, acks);
    answering.append_all(asked).await;
    if acks == 0 {
        return match answering.first_rejection {
            None => Handled::Done,
            Some(cause) => Handled::Refused(Refusal::Unacknowledged {
                client_id: request.printable_client_id(),
                cause: cause.message.into_string(),
            }),
        };
    }
    if answering.unsettled.is_empty() {
        answering.encode(outgoing.inline());
        return Handled::Done;
    }
    let wait = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let deadline = services.env.clock().now() + wait;
    Handled::Waiting(Box::pin(answering.settle(deadline)))
}

/// A batch that was appended and must not be acknowledged yet.
struct Unsettled<E: Env> {
    partition: Arc<Partition<E>>,
    appended: Appended,
    /// Where its answer stands: which topic, which partition of it.
    place: (usize, usize),
}

/// A response that grows.
struct Answering<E: Env> {
    services: Arc<Services<E>>,
    version: i16,
    correlation_id: i32,
    acks: i16,
    response: ProduceResponse,
    hints: LeaderHints,
    unsettled: Vec<Unsettled<E>>,
    /// What the unsettled batches await, one each.
    needs: Vec<OffsetNeed>,
    first_rejection: Option<Rejection>,
}

impl<E: Env> Answering<E> {
    fn new(services: &Arc<Services<E>>, request: &Request, acks: i16) -> Self {
        Self {
            services: Arc::clone(services),
            version: request.version(),
            correlation_id: request.header.correlation_id,
            acks,
            response: ProduceResponse::default(),
            hints: LeaderHints::default(),
            unsettled: Vec::new(),
            needs: Vec::new(),
            first_rejection: None,
        }
    }

    async fn append_all(&mut self, asked: ProduceRequest) {
        let is_transactional = asked.transactional_id.is_some();
        let mut is_first = true;
        self.response.topics.reserve_exact(asked.topics.len());
        for topic in asked.topics {
            let topic_id = if self.version >= TOPIC_ID_MIN {
                self.services.topic_of_id(topic.topic_id)
            } else {
                self.services.topic_of_name(&topic.name)
            };
            let partitions = Vec::with_capacity(topic.partitions.len());
            self.response.topics.push(TopicProduced {
                name: topic.name,
                topic_id: topic.topic_id,
                partitions,
            });
            for partition in topic.partitions {
                if !std::mem::take(&mut is_first) {
                    self.services.env.checkpoint().await;
                }
                let appended = match (topic_id, partition.records) {
                    _ if is_transactional => Err(no_transactions()),
                    (Ok(topic_id), records) => {
                        self.append(TopicPartition::new(topic_id, partition.index), records)
                    }
                    (Err(code), _) => Err(Rejection::new(code, "the topic does not exist here")),
                };
                let id = topic_id.ok().map(|topic_id| TopicPartition::new(topic_id, partition.index));
                self.answer(partition.index, id, appended);
            }
        }
    }

    fn append(
        &self,
        id: TopicPartition,
        records: Option<Bytes>,
    ) -> Result<(Arc<Partition<E>>, Appended), Rejection> {
        if !(-1..=1).contains(&self.acks) {
            let message = "acks must be -1 (all), 0 or 1";
            return Err(Rejection::new(ErrorCode::InvalidRequiredAcks, message));
        }
        let partition = self
            .services
            .partition(id.topic_id, id.partition.0)
            .map_err(|code| Rejection::new(code, "the partition cannot be used here"))?;
        // The topic's own limit is compared under the partition's lock, where it may have changed.
        let limits = ProduceLimits { message_bytes_max: usize::MAX, produce_version: self.version };
        let batch: Batch = check_produced(records.unwrap_or_default(), &limits)
            .map_err(|rejection| Rejection::new(rejection.code(), rejection.to_string()))?;
        if batch.header().is_transactional() {
            return Err(no_transactions());
        }
        let env = &self.services.env;
        let acks = if self.acks == -1 { Acks::All } else { Acks::Leader };
        let appended = partition
            .append_as_leader(env, &batch, acks, LeaderEpoch::NONE, env.clock().wall())
            .map_err(|error| Rejection::new(error_map::append(&error), error.to_string()))?;
        Ok((partition, appended))
    }

    /// Notes what became of one partition, acknowledged or not.
    fn answer(
        &mut self,
        index: i32,
        id: Option<TopicPartition>,
        appended: Result<(Arc<Partition<E>>, Appended), Rejection>,
    ) {
        let topic = self.response.topics.len() - 1;
        let place = (topic, self.response.topics[topic].partitions.len());
        self.response.topics[topic].partitions.push(PartitionProduced { index, ..Default::default() });
        match appended {
            Err(rejection) => self.reject(place, id, rejection),
            // Nobody is told, so nothing is waited for.
            Ok(_) if self.acks == 0 => {}
            Ok((partition, appended)) => self.settle_or_keep(Unsettled { partition, appended, place }, false),
        }
    }

    /// Answers for a batch, or keeps it for when what it awaits has happened; `is_late` makes that a timeout.
    fn settle_or_keep(&mut self, unsettled: Unsettled<E>, is_late: bool) {
        let Unsettled { partition, appended, place } = &unsettled;
        let acks = if self.acks == 1 { Acks::Leader } else { Acks::All };
        match partition.acknowledge(appended, acks) {
            Acknowledgement::Given => self.acknowledge(*place, partition.id(), appended),
            Acknowledgement::Lost(error) => {
                let rejection = Rejection::new(error_map::append(&error), error.to_string());
                self.reject(*place, Some(partition.id()), rejection);
            }
            Acknowledgement::Awaits(_) if is_late => {
                let message = "the replicas did not confirm the batch in time; it may yet be committed";
                self.reject(*place, None, Rejection::new(ErrorCode::RequestTimedOut, message));
            }
            Acknowledgement::Awaits(need) => {
                self.needs.push(need);
                self.unsettled.push(unsettled);
            }
        }
    }

    fn acknowledge(&mut self, (topic, partition): (usize, usize), id: TopicPartition, appended: &Appended) {
        let answer = &mut self.response.topics[topic].partitions[partition];
        answer.base_offset = appended.base_offset.0;
        answer.log_append_time_ms = appended.log_append_time.0;
        answer.log_start_offset = appended.log_start.0;
        if self.services.env.observes() {
            self.services.env.observe(&Fact::Acked {
                partition: id,
                base_offset: appended.base_offset,
                end: appended.end,
                acks: self.acks,
            });
        }
    }

    fn reject(
        &mut self,
        (topic, partition): (usize, usize),
        id: Option<TopicPartition>,
        rejection: Rejection,
    ) {
        let answer = &mut self.response.topics[topic].partitions[partition];
        answer.error_code = rejection.code.code();
        answer.error_message = Some(rejection.message.clone());
        if let Some(id) = id {
            answer.current_leader = self.hints.leader_of(&self.services, id, rejection.code);
        }
        self.first_rejection.get_or_insert(rejection);
    }

    /// Waits until every batch is acknowledged, lost or late.
    async fn settle(mut self, deadline: Instant) -> Outgoing<File<E>> {
        while !self.unsettled.is_empty() {
            let needs = std::mem::take(&mut self.needs);
            let wakeup = self.services.parked.wait_for_offsets(&needs, deadline).await;
            for unsettled in std::mem::take(&mut self.unsettled) {
                self.settle_or_keep(unsettled, wakeup == Wakeup::Expired);
            }
        }
        let mut outgoing = Outgoing::default();
        self.encode(outgoing.inline());
        outgoing
    }

    fn encode(mut self, buffer: &mut BytesMut) {
        self.response.node_endpoints = self.hints.endpoints();
        let header_flexible = ApiKey::Produce.response_header_is_flexible(self.version);
        let frame = response::begin(self.correlation_id, header_flexible, buffer);
        self.response.encode(self.version, buffer);
        frame.end(buffer).expect("100,000 entries of a few hundred bytes, and the names of one request");
    }
}

fn no_transactions() -> Rejection {
    Rejection::new(ErrorCode::InvalidTxnState, "this broker has no transactions yet, so none can have begun")
}
