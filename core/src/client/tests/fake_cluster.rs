//! Brokers that share one log per partition and misbehave as they are told. They keep Kafka's rules for idempotent
//! producers, so that what the client gets wrong shows in the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};

use super::memory_env::MemoryEnv;
use crate::env::{Env, Lane, Listener, Net, Stream, StreamReader, StreamWriter, Task};
use crate::error::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Offset, Uuid};
use crate::record::batch::{Batch, BatchHeader};
use crate::record::validate::{ProduceLimits, check_produced};
use crate::wire::api::CurrentLeader;
use crate::wire::api::api_versions::{Features, encode_response};
use crate::wire::api::fetch::{FetchHead, FetchRequest, FetchResponseWriter, FetchedPartition, Segment};
use crate::wire::api::produce::*;
use crate::wire::codec::Uuid as WireUuid;
use crate::wire::frame::FrameReader;
use crate::wire::messages::metadata_response::*;
use crate::wire::messages::{
    InitProducerIdRequest, InitProducerIdResponse, MetadataRequest, MetadataResponse,
};
use crate::wire::{ApiKey, header, request, response};

pub(super) const TOPIC: &str = "t";
pub(super) const TOPIC_ID: Uuid = Uuid([9; 16]);
pub(super) const BROKERS: i32 = 2;

/// How often, in a hundred produce requests, something goes wrong.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    /// The connection ends before the request is handled.
    pub(super) lost_request: u64,
    /// The connection ends instead of a response.
    pub(super) lost_response: u64,
    /// No response ever comes.
    pub(super) silence: u64,
    /// Refused before the append.
    pub(super) not_enough_replicas: u64,
    /// Appended, but then the leadership moves.
    pub(super) moved_after_append: u64,
    /// Appended, but then a replica is missing.
    pub(super) too_few_after_append: u64,
}

#[derive(Default)]
struct Producer {
    epoch: i16,
    /// First sequence, last sequence, base offset of the last five.
    recent: VecDeque<(i32, i32, i64)>,
}

pub(super) struct Partition {
    pub(super) leader: i32,
    pub(super) epoch: i32,
    pub(super) batches: Vec<Batch>,
    end: i64,
    producers: BTreeMap<i64, Producer>,
}

pub(super) struct State {
    pub(super) partitions: Vec<Partition>,
    pub(super) faults: Faults,
    pub(super) produce_requests: usize,
    next_producer_id: i64,
}

#[derive(Clone)]
pub(super) struct FakeCluster {
    env: MemoryEnv,
    pub(super) state: Arc<Mutex<State>>,
    tasks: Arc<Mutex<Vec<Task>>>,
}

enum Answer {
    Respond(Bytes),
    Nothing,
    Hang,
    Close,
}

impl FakeCluster {
    pub(super) async fn start(env: &MemoryEnv, partitions: i32, faults: Faults) -> Self {
        let partition = |index: i32| Partition {
            leader: index % BROKERS,
            epoch: 0,
            batches: Vec::new(),
            end: 0,
            producers: BTreeMap::new(),
        };
        let state = State {
            partitions: (0..partitions).map(partition).collect(),
            faults,
            produce_requests: 0,
            next_producer_id: 100,
        };
        let this = Self { env: env.clone(), state: Arc::new(Mutex::new(state)), tasks: Arc::default() };
        for broker in 0..BROKERS {
            let mut listener = env.net().listen(&format!("broker{broker}:1")).await.expect("free");
            let cluster = this.clone();
            let accept = async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let serve = cluster.clone().serve(broker, stream);
                    let task = cluster.env.spawn(Lane::Data, "fake.connection", serve);
                    cluster.tasks.lock().expect("not poisoned").push(task);
                }
            };
            let task = env.spawn(Lane::Data, "fake.accept", accept);
            this.tasks.lock().expect("not poisoned").push(task);
        }
        this
    }

    async fn serve(self, broker: i32, stream: impl Stream) {
        let (mut reader, mut writer) = stream.split();
        let (mut buffer, mut frames) = (BytesMut::new(), FrameReader::for_requests(1 << 20));
        while reader.read(&mut buffer).await.is_ok_and(|count| count > 0) {
            while let Some(frame) = frames.feed(&mut buffer).expect("the client frames its requests") {
                let answer = match self.handle(broker, &frame) {
                    Answer::Respond(bytes) => bytes,
                    Answer::Nothing => continue,
                    Answer::Hang => std::future::pending().await,
                    Answer::Close => return,
                };
                if writer.write(answer, false).await.is_err() {
                    return;
                }
            }
        }
    }

    fn handle(&self, broker: i32, frame: &Bytes) -> Answer {
        let key = header::peek(frame).ok().and_then(|peek| ApiKey::from_code(peek.api_key)).expect("known");
        let (header, body) = header::decode(frame, key).expect("a right header");
        let (version, id) = (header.api_version, header.correlation_id);
        let flexible = key.response_header_is_flexible(version);
        let mut buffer = BytesMut::new();
        match key {
            ApiKey::ApiVersions => encode_response(id, version, 0, Features::NONE, &mut buffer),
            ApiKey::Metadata => {
                let request: MetadataRequest = request::decode(&body, version).expect("decodes");
                let response = self.metadata(&request);
                response::encode(id, flexible, &response, version, &mut buffer).expect("encodes");
            }
            ApiKey::InitProducerId => {
                let request: InitProducerIdRequest = request::decode(&body, version).expect("decodes");
                assert_eq!(request.transactional_id, None);
                let mut state = self.state.lock().expect("not poisoned");
                state.next_producer_id += 1;
                let mut response = InitProducerIdResponse::default();
                (response.producer_id, response.producer_epoch) = (state.next_producer_id, 0);
                response::encode(id, flexible, &response, version, &mut buffer).expect("encodes");
            }
            ApiKey::Produce => return self.produce(broker, id, version, &body),
            ApiKey::Fetch => return self.fetch(broker, id, version, &body),
            other => panic!("the fake knows no {}", other.name()),
        }
        Answer::Respond(buffer.freeze())
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let state = self.state.lock().expect("not poisoned");
        let mut response = MetadataResponse::default();
        for node_id in 0..BROKERS {
            let mut broker = MetadataResponseBroker::default();
            (broker.node_id, broker.host, broker.port) = (node_id, format!("broker{node_id}").into(), 1);
            response.brokers.push(broker);
        }
        for wanted in request.topics.iter().flatten() {
            let mut topic = MetadataResponseTopic::default();
            topic.name = wanted.name.clone();
            if wanted.name.as_deref() == Some(TOPIC) {
                topic.topic_id = WireUuid::from_bytes(TOPIC_ID.0);
                for (index, partition) in state.partitions.iter().enumerate() {
                    let mut told = MetadataResponsePartition::default();
                    (told.partition_index, told.leader_id) = (index as i32, partition.leader);
                    told.leader_epoch = partition.epoch;
                    topic.partitions.push(told);
                }
            } else {
                topic.error_code = ErrorCode::UnknownTopicOrPartition.code();
            }
            response.topics.push(topic);
        }
        response
    }

    fn produce(&self, broker: i32, id: i32, version: i16, body: &Bytes) -> Answer {
        let request = ProduceRequest::decode(body, version).expect("decodes");
        let mut state = self.state.lock().expect("not poisoned");
        state.produce_requests += 1;
        let mut chance = self.env.random_u64() % 100;
        let mut strikes = |percent: u64| {
            let strikes = chance < percent;
            chance = chance.wrapping_sub(percent);
            strikes
        };
        let faults = state.faults;
        if strikes(faults.lost_request) {
            return Answer::Close;
        }
        let lost_response = strikes(faults.lost_response);
        let silence = strikes(faults.silence);
        let refuse = strikes(faults.not_enough_replicas);
        let moved = strikes(faults.moved_after_append);
        let too_few = strikes(faults.too_few_after_append);
        let mut response = ProduceResponse::default();
        for topic in request.topics {
            assert_eq!(topic.topic_id, TOPIC_ID, "version 13 goes by id");
            let mut produced = TopicProduced { topic_id: topic.topic_id, ..Default::default() };
            for asked in topic.partitions {
                let records = asked.records.expect("there are records");
                let mut answer = PartitionProduced { index: asked.index, ..Default::default() };
                let partition = &mut state.partitions[asked.index as usize];
                let result = match refuse {
                    true => Err(ErrorCode::NotEnoughReplicas),
                    false => partition.append(broker, records),
                };
                match result {
                    Ok(_) if moved => {
                        partition.move_leader();
                        answer.error_code = ErrorCode::NotLeaderOrFollower.code();
                        answer.current_leader = Some(partition.current_leader());
                    }
                    Ok(_) if too_few => answer.error_code = ErrorCode::NotEnoughReplicasAfterAppend.code(),
                    Ok(base_offset) => answer.base_offset = base_offset,
                    Err(code) => answer.error_code = code.code(),
                }
                produced.partitions.push(answer);
            }
            response.topics.push(produced);
        }
        if lost_response {
            return Answer::Close;
        }
        match (silence, request.acks) {
            (true, _) => Answer::Hang,
            (_, 0) => Answer::Nothing,
            _ => {
                let mut buffer = BytesMut::new();
                let frame =
                    response::begin(id, ApiKey::Produce.response_header_is_flexible(version), &mut buffer);
                response.encode(version, &mut buffer);
                frame.end(&mut buffer).expect("a small answer");
                Answer::Respond(buffer.freeze())
            }
        }
    }

    fn fetch(&self, broker: i32, id: i32, version: i16, body: &Bytes) -> Answer {
        let request: FetchRequest = request::decode(body, version).expect("decodes");
        let state = self.state.lock().expect("not poisoned");
        let asked = &request.topics[0].partitions[0];
        let partition = &state.partitions[asked.partition as usize];
        let mut answer = FetchedPartition {
            index: asked.partition,
            high_watermark: Offset(partition.end),
            log_start_offset: Offset(0),
            ..Default::default()
        };
        let mut records = Vec::new();
        if partition.leader != broker || asked.current_leader_epoch != partition.epoch {
            answer.error_code = ErrorCode::NotLeaderOrFollower.code();
            answer.current_leader = Some(partition.current_leader());
        } else if asked.fetch_offset > partition.end {
            answer.error_code = ErrorCode::OffsetOutOfRange.code();
        } else {
            records = partition.read(asked.fetch_offset, asked.partition_max_bytes as usize);
        }
        let mut writer = FetchResponseWriter::new(version, id, FetchHead::default(), 1);
        writer.topic(TOPIC, TOPIC_ID, 1);
        writer.partition(&answer, records);
        let mut bytes = BytesMut::new();
        for segment in writer.finish(&[]).expect("a small answer") {
            let (Segment::Inline(part) | Segment::Slice(part)) = segment;
            bytes.extend_from_slice(&part);
        }
        Answer::Respond(bytes.freeze())
    }
}

impl Partition {
    fn current_leader(&self) -> CurrentLeader {
        CurrentLeader { leader_id: BrokerId(self.leader), leader_epoch: LeaderEpoch(self.epoch) }
    }

    pub(super) fn move_leader(&mut self) {
        self.leader = (self.leader + 1) % BROKERS;
        self.epoch += 1;
    }

    /// Batches from this offset on; what exceeds the limit is cut in the middle, as Kafka does.
    fn read(&self, offset: i64, bytes_max: usize) -> Vec<Bytes> {
        let wanted = |batch: &&Batch| batch.header().next_offset().is_some_and(|end| end.0 > offset);
        let mut left = bytes_max;
        let mut records = Vec::new();
        for batch in self.batches.iter().filter(wanted) {
            let bytes = batch.bytes();
            let count = if records.is_empty() { bytes.len() } else { bytes.len().min(left) };
            records.push(bytes.slice(..count));
            left = left.saturating_sub(count);
        }
        records
    }

    fn append(&mut self, broker: i32, records: Bytes) -> Result<i64, ErrorCode> {
        if broker != self.leader {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let limits = ProduceLimits { message_bytes_max: 1_000, produce_version: 13 };
        let batch = check_produced(records, &limits).map_err(|rejection| rejection.code())?;
        let header = *batch.header();
        let duplicate = if header.is_idempotent() { self.duplicate(&header)? } else { None };
        if let Some(base_offset) = duplicate {
            return Ok(base_offset);
        }
        let base_offset = self.end;
        let mut bytes = BytesMut::from(&batch.bytes()[..]);
        bytes[..16].copy_from_slice(&batch.patched_prefix(Offset(base_offset), LeaderEpoch(self.epoch)));
        self.batches.push(Batch::split_from(&mut bytes.freeze()).expect("the CRC does not cover the prefix"));
        self.end += i64::from(header.record_count);
        Ok(base_offset)
    }

    /// The offset of a batch that is there already; notes a new one.
    fn duplicate(&mut self, header: &BatchHeader) -> Result<Option<i64>, ErrorCode> {
        let (first, count) = (header.base_sequence, header.record_count);
        let last = first.wrapping_add(count - 1) & i32::MAX;
        let known = self.producers.contains_key(&header.producer_id.0);
        let producer = self.producers.entry(header.producer_id.0).or_default();
        if known && header.producer_epoch.0 < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if known && header.producer_epoch.0 == producer.epoch {
            if let Some(same) = producer.recent.iter().find(|recent| (recent.0, recent.1) == (first, last)) {
                return Ok(Some(same.2));
            }
            let expected = producer.recent.back().map_or(first, |recent| recent.1.wrapping_add(1) & i32::MAX);
            if first != expected {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
        } else if known && first != 0 {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        if producer.epoch != header.producer_epoch.0 {
            (producer.epoch, producer.recent) = (header.producer_epoch.0, VecDeque::new());
        }
        producer.recent.push_back((first, last, self.end));
        if producer.recent.len() > 5 {
            producer.recent.pop_front();
        }
        Ok(None)
    }
}

/// The value of the only record, which says which batch it is.
pub(super) fn value_of(batch: &Batch) -> String {
    let mut records = crate::record::records::iterate(batch, 1 << 20).expect("iterates");
    let record = records.next().expect("a record").expect("well-formed");
    String::from_utf8(record.value.expect("a value").to_vec()).expect("text")
}
