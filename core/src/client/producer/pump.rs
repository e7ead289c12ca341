//! Moves batches from the queues into requests, and answers back.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::queue::{Identity, Outcome, PartitionQueue, Resolution, SendRules, Sendable, outcome_of};
use super::{Delivered, ProducerSettings, SendError, Unsent};
use crate::client::connection::{Completion, Connection, RequestError};
use crate::client::{Client, Leader, Purpose, Route};
use crate::env::Env;
use crate::error::ErrorCode;
use crate::ids::{BrokerId, Offset, TopicId};
use crate::sync::{Mutex, MutexGuard};
use crate::time::Instant;
use crate::wire::api::produce::{
    PartitionProduce, PartitionProduced, ProduceRequest, ProduceResponse, TopicProduce, TopicProduced,
};
use crate::wire::{ApiKey, response};

/// How much earlier than this client a broker gives up on a produce, at most.
const TIMEOUT_MARGIN_MAX: Duration = Duration::from_secs(1);

/// What the producer, its task and its requests share.
pub(super) struct Shared<E: Env> {
    pub(super) client: Client<E>,
    pub(super) settings: ProducerSettings,
    state: Mutex<State>,
    /// Something waits that only the producer's task can set free.
    pub(super) stuck: Notify,
}

pub(super) struct State {
    pub(super) queues: Vec<PartitionQueue>,
    index_of: BTreeMap<Arc<str>, BTreeMap<i32, usize>>,
    /// Queues in which batches wait to be sent.
    waiting: Vec<usize>,
    /// Produce requests without a response, or with acks=0 not yet sent, per broker.
    in_flight: BTreeMap<BrokerId, usize>,
    pub(super) identity: Option<Identity>,
    /// Why there is no identity, when it was asked for in vain.
    pub(super) identity_error: Option<Arc<str>>,
    buffered_bytes: usize,
}

/// One request in the making.
struct Attempt {
    broker: BrokerId,
    connection: Arc<Connection>,
    version: i16,
    batches: Vec<Attempted>,
    /// The bytes of each batch.
    records: Vec<Bytes>,
    size_bytes: usize,
}

/// One batch of a request.
#[derive(Clone, Copy)]
struct Attempted {
    /// Of the queue.
    index: usize,
    /// Of the batch in the queue.
    number: u64,
    /// Of the topic at that time.
    topic_id: TopicId,
}

/// Why batches wait that no response will set free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stuck {
    /// The first moment at which trying again may help.
    pub(super) until: Option<Instant>,
    /// Whether a producer id is missing.
    pub(super) on_identity: bool,
}

impl Stuck {
    fn until(&mut self, until: Option<Instant>) {
        self.until = match (self.until, until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

impl State {
    fn queue_index(&mut self, topic: &str, partition: i32) -> usize {
        let known = self.index_of.get_key_value(topic);
        if let Some(&index) = known.and_then(|(_, partitions)| partitions.get(&partition)) {
            return index;
        }
        let name: Arc<str> = known.map_or_else(|| topic.into(), |(name, _)| name.clone());
        let index = self.queues.len();
        self.queues.push(PartitionQueue::new(name.clone(), partition));
        self.index_of.entry(name).or_default().insert(partition, index);
        index
    }

    /// A request is no longer in flight.
    fn landed(&mut self, broker: BrokerId) {
        if let Some(count) = self.in_flight.get_mut(&broker) {
            *count -= 1;
        }
    }

    /// Notes what changed in a queue.
    fn settle(&mut self, index: usize) {
        let queue = &mut self.queues[index];
        self.buffered_bytes -= queue.take_released_bytes();
        if queue.has_waiting() && !self.waiting.contains(&index) {
            self.waiting.push(index);
        }
    }
}

impl<E: Env> Shared<E> {
    pub(super) fn new(client: Client<E>, settings: ProducerSettings) -> Self {
        let state = State {
            queues: Vec::new(),
            index_of: BTreeMap::new(),
            waiting: Vec::new(),
            in_flight: BTreeMap::new(),
            identity: None,
            identity_error: None,
            buffered_bytes: 0,
        };
        Self { client, settings, state: Mutex::new(state), stuck: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody saw a panic inside the lock and lived")
    }

    /// Takes a batch in, and sends it if that can be done now.
    pub(super) fn send(
        self: &Arc<Self>,
        topic: &str,
        partition: i32,
        batch: Bytes,
        record_count: i32,
        done: oneshot::Sender<Result<Delivered, SendError>>,
    ) -> Result<(), SendError> {
        let now = self.client.now();
        let mut state = self.lock();
        if state.buffered_bytes + batch.len() > self.settings.buffer_bytes_max {
            return Err(SendError::NotAppended(Unsent::BufferFull));
        }
        let index = state.queue_index(topic, partition);
        state.buffered_bytes += batch.len();
        state.queues[index].push(batch, record_count, now + self.settings.delivery_timeout, done);
        state.settle(index);
        self.pump_or_wake(state, now);
        Ok(())
    }

    fn pump_or_wake(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Instant) {
        let stuck = self.pump(&mut state, now);
        drop(state);
        if stuck.is_some() {
            self.stuck.notify_one();
        }
    }

    /// Sends all that may be sent now. Returns why something waits that no response will set free.
    pub(super) fn pump(self: &Arc<Self>, state: &mut State, now: Instant) -> Option<Stuck> {
        loop {
            let mut stuck = None;
            let attempts = self.collect(state, now, &mut stuck);
            if attempts.is_empty() {
                return stuck;
            }
            for attempt in attempts {
                self.submit(state, attempt, now);
            }
        }
    }

    /// At most one batch of each partition, in one request per broker.
    fn collect(&self, state: &mut State, now: Instant, stuck: &mut Option<Stuck>) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = Vec::new();
        let State { queues, waiting, in_flight, identity, .. } = state;
        let identity = identity.filter(|_| self.settings.idempotent);
        let rules = SendRules { now, max_in_flight: self.settings.max_in_flight, identity };
        waiting.retain(|&index| {
            let queue = &mut queues[index];
            if !queue.has_waiting() {
                return false;
            }
            if self.settings.idempotent && identity.is_none() {
                stuck.get_or_insert_default().on_identity = true;
                return true;
            }
            match queue.poll_sendable(rules) {
                Ok(_) => {}
                Err(Sendable::Later(until)) => {
                    stuck.get_or_insert_default().until(Some(until));
                    return true;
                }
                Err(_) => return true,
            }
            match self.client.route(Purpose::Produce, &queue.topic, queue.partition, now) {
                Route::Wait(until) => stuck.get_or_insert_default().until(until),
                Route::Ready(leader) => {
                    let busy = in_flight
                        .get(&leader.broker)
                        .is_some_and(|&count| count >= self.settings.max_in_flight);
                    let attempt = (!busy).then(|| self.attempt(&mut attempts, &leader)).flatten();
                    if let Some(attempt) = attempt {
                        attempt.add(queue, index, leader.topic_id, rules);
                    }
                }
            }
            queue.has_waiting()
        });
        attempts
    }

    /// The request for a broker that still has room, or `None` when the next round must take the batch.
    fn attempt<'a>(&self, attempts: &'a mut Vec<Attempt>, leader: &Leader) -> Option<&'a mut Attempt> {
        let at = attempts.iter().position(|attempt| attempt.broker == leader.broker).unwrap_or_else(|| {
            let version = leader.offered.highest_common(ApiKey::Produce);
            attempts.push(Attempt {
                broker: leader.broker,
                connection: leader.connection.clone(),
                // A broker that offers none answers that it does not support this one.
                version: version.unwrap_or(ApiKey::Produce.versions().served_min),
                batches: Vec::new(),
                records: Vec::new(),
                size_bytes: 0,
            });
            attempts.len() - 1
        });
        Some(&mut attempts[at]).filter(|attempt| attempt.size_bytes < self.settings.request_bytes_max)
    }

    fn submit(self: &Arc<Self>, state: &mut State, attempt: Attempt, now: Instant) {
        let Attempt { broker, connection, version, batches, records, .. } = attempt;
        let request_timeout = self.client.settings().request_timeout;
        // Shorter than our own patience: the broker's REQUEST_TIMED_OUT costs one request, ours the connection.
        let broker_timeout = request_timeout - (request_timeout / 5).min(TIMEOUT_MARGIN_MAX);
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.settings.acks,
            timeout_ms: i32::try_from(broker_timeout.as_millis()).unwrap_or(i32::MAX),
            topics: topics_of(state, &batches, records),
        };
        let answered = self.settings.acks != 0;
        let (this, sent) = (Arc::downgrade(self), batches.clone());
        let complete: Completion = match answered {
            true => Box::new(move |result| on_response(&this, broker, version, &sent, result)),
            false => Box::new(move |result| on_sent(&this, broker, &sent, result)),
        };
        let encode = |buffer: &mut _| request.encode(version, buffer);
        let submitted =
            connection.submit(ApiKey::Produce, version, now + request_timeout, (answered, complete), encode);
        // The bytes are in the connection's buffer now, so that the queue's own are unshared again.
        drop(request);
        match submitted {
            Ok(()) => *state.in_flight.entry(broker).or_default() += 1,
            Err(cause) => {
                let cause: Arc<str> = cause.to_string().into();
                self.apply(state, &batches, |_, _| Outcome::Lost { sent: false, cause: cause.clone() });
            }
        }
    }

    /// Takes in what became of each batch, and tells those who wait.
    fn apply(
        &self,
        state: &mut State,
        batches: &[Attempted],
        outcome: impl Fn(usize, &PartitionQueue) -> Outcome,
    ) {
        for (at, attempted) in batches.iter().enumerate() {
            let queue = &mut state.queues[attempted.index];
            let outcome = outcome(at, queue);
            let backoff = |failures| {
                let bits = self.client.env().random_u64();
                self.client.now() + self.client.settings().retry_backoff.after(failures, bits)
            };
            let mut resolutions: Vec<Resolution> = Vec::new();
            resolutions.extend(queue.on_outcome(attempted.number, outcome, backoff));
            queue.mend(&mut state.identity, &mut resolutions);
            state.settle(attempted.index);
            tell(resolutions);
        }
    }

    /// A request ended without a response.
    fn lost(&self, state: &mut State, batches: &[Attempted], error: &RequestError) {
        let (sent, cause): (bool, Arc<str>) = (!error.is_definite(), error.to_string().into());
        self.apply(state, batches, |_, queue| {
            self.client.want_metadata(&queue.topic);
            Outcome::Lost { sent, cause: cause.clone() }
        });
    }

    /// Gives up what is too old, and lets broken partitions go on.
    pub(super) fn expire(&self, state: &mut State, now: Instant) {
        let mut resolutions = Vec::new();
        let obstacle = state.identity_error.clone().map_or(Unsent::TimedOut, Unsent::NoProducerId);
        for index in 0..state.queues.len() {
            let queue = &mut state.queues[index];
            queue.expire(now, &obstacle, &mut resolutions);
            queue.mend(&mut state.identity, &mut resolutions);
            state.settle(index);
        }
        tell(resolutions);
    }

    fn on_answer(&self, state: &mut State, version: i16, batches: &[Attempted], answer: &ProduceResponse) {
        let endpoints = &answer.node_endpoints;
        let answers: Vec<(&TopicProduced, &PartitionProduced)> = answer
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)))
            .collect();
        self.apply(state, batches, |at, queue| {
            let attempted = &batches[at];
            let is_ours = |&&(topic, partition): &&(&TopicProduced, &PartitionProduced)| {
                let same_topic = match version {
                    13.. => topic.topic_id == attempted.topic_id,
                    _ => topic.name == queue.wire_name,
                };
                same_topic && partition.index == queue.partition
            };
            // Brokers answer in the order of the request, but nothing obliges them.
            let answer = answers.get(at).filter(|answer| is_ours(answer));
            let Some((_, partition)) = answer.or_else(|| answers.iter().find(|answer| is_ours(answer)))
            else {
                return Outcome::Lost {
                    sent: true,
                    cause: "the broker did not answer for this partition".into(),
                };
            };
            let outcome = outcome_of(partition.error_code, partition.base_offset);
            if matches!(outcome, Outcome::Refused(code) if blames_metadata(code)) {
                let hint = partition.current_leader;
                self.client.leader_moved(&queue.topic, queue.partition, hint, endpoints);
            }
            outcome
        });
    }
}

impl Attempt {
    fn add(&mut self, queue: &mut PartitionQueue, index: usize, topic_id: TopicId, rules: SendRules) {
        if let Sendable::Batch { number, bytes } = queue.take_sendable(rules) {
            // Ids replaced names in version 13, and some brokers have none to tell.
            if topic_id.is_zero() {
                self.version = self.version.min(12);
            }
            self.size_bytes += bytes.len();
            self.batches.push(Attempted { index, number, topic_id });
            self.records.push(bytes);
        }
    }
}

fn topics_of(state: &State, batches: &[Attempted], records: Vec<Bytes>) -> Vec<TopicProduce> {
    let mut topics: Vec<TopicProduce> = Vec::new();
    for (attempted, records) in batches.iter().zip(records) {
        let queue = &state.queues[attempted.index];
        let partition = PartitionProduce { index: queue.partition, records: Some(records) };
        match topics.iter_mut().find(|topic| topic.name == queue.wire_name) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(TopicProduce {
                name: queue.wire_name.clone(),
                topic_id: attempted.topic_id,
                partitions: vec![partition],
            }),
        }
    }
    topics
}

fn tell(resolutions: Vec<Resolution>) {
    for (done, result) in resolutions {
        // Who dropped the future does not want to know.
        let _ = done.send(result);
    }
}

/// Codes after which the leader should be looked up again.
fn blames_metadata(code: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        code,
        UnknownTopicOrPartition
            | LeaderNotAvailable
            | NotLeaderOrFollower
            | ReplicaNotAvailable
            | KafkaStorageError
            | FencedLeaderEpoch
            | UnknownLeaderEpoch
            | UnknownTopicId
            | InconsistentTopicId
    )
}

/// Called in the connection's task.
fn on_response<E: Env>(
    this: &Weak<Shared<E>>,
    broker: BrokerId,
    version: i16,
    batches: &[Attempted],
    result: Result<Bytes, RequestError>,
) {
    let Some(shared) = this.upgrade() else {
        return;
    };
    let header_flexible = ApiKey::Produce.response_header_is_flexible(version);
    let answer = result.and_then(|frame| {
        let body = response::body(&frame, header_flexible)?;
        Ok(ProduceResponse::decode(&body, version)?)
    });
    let mut state = shared.lock();
    state.landed(broker);
    match answer {
        Ok(answer) => shared.on_answer(&mut state, version, batches, &answer),
        Err(error) => shared.lost(&mut state, batches, &error),
    }
    let now = shared.client.now();
    shared.pump_or_wake(state, now);
}

/// Called in the connection's task, of a request with acks=0: the network has it, and that is all that will be known.
fn on_sent<E: Env>(
    this: &Weak<Shared<E>>,
    broker: BrokerId,
    batches: &[Attempted],
    result: Result<Bytes, RequestError>,
) {
    let Some(shared) = this.upgrade() else {
        return;
    };
    let mut state = shared.lock();
    state.landed(broker);
    match result {
        Ok(_) => {
            let delivered = Outcome::Appended(Delivered { base_offset: Offset::UNKNOWN });
            shared.apply(&mut state, batches, |_, _| delivered.clone());
        }
        Err(error) => shared.lost(&mut state, batches, &error),
    }
    let now = shared.client.now();
    shared.pump_or_wake(state, now);
}
