//! A raw-wire client that costs next to nothing, so that what is measured is the broker: requests are encoded once,
//! and of a response only the error code is looked at.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use jangbu_core::wire::codec::{ApiVersion, KafkaEncode, StrBytes};
use jangbu_core::wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use jangbu_core::wire::messages::delete_topics_request::DeleteTopicsRequest;
use jangbu_core::wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use jangbu_core::wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use jangbu_core::wire::messages::{KafkaRequest, OutboundFrameLimits, encode_request};

/// Produce version 7: the last one whose response has its error code at a fixed place.
const PRODUCE: i16 = 7;
/// Fetch version 4, likewise.
const FETCH: i16 = 4;

/// What a run of requests came to.
pub struct Run {
    /// Requests answered.
    pub requests: u64,
    /// Bytes of requests and responses.
    pub bytes: u64,
    /// From the first request to the last response.
    pub elapsed: Duration,
    /// Each request's time from sending to response, in the order of responses.
    pub latencies: Vec<Duration>,
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Creates a topic of one partition.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn create_topic(&mut self, name: &str) -> Result<()> {
        let mut topic = CreatableTopic::default();
        topic.name = StrBytes::from(name.to_owned());
        topic.num_partitions = 1;
        topic.replication_factor = 1;
        let mut request = CreateTopicsRequest::default();
        request.topics = vec![topic];
        request.timeout_ms = 10_000;
        self.exchange(&frame(&request, 4)?)
    }

    /// Deletes a topic and with it its bytes in the page cache.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn delete_topic(&mut self, name: &str) -> Result<()> {
        let mut request = DeleteTopicsRequest::default();
        request.topic_names = vec![StrBytes::from(name.to_owned())];
        request.timeout_ms = 10_000;
        self.exchange(&frame(&request, 3)?)
    }

    fn exchange(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request)?;
        self.response(None).map(|_| ())
    }

    /// Sends the requests round robin, `depth` in flight, until the time or the bytes are over.
    ///
    /// # Errors
    /// When the connection breaks, or a response carries an error code at `error_at`.
    pub fn run(&mut self, requests: &[Bytes], error_at: usize, depth: usize, limit: Limit) -> Result<Run> {
        let start = Instant::now();
        let mut sent_at = VecDeque::with_capacity(depth);
        let mut run =
            Run { requests: 0, bytes: 0, elapsed: Duration::ZERO, latencies: Vec::with_capacity(1 << 20) };
        let mut next = requests.iter().cycle();
        let mut going = true;
        while going || !sent_at.is_empty() {
            while going && sent_at.len() < depth {
                let request = next.next().context("there is a request to send")?;
                sent_at.push_back(Instant::now());
                self.stream.write_all(request)?;
                run.bytes += request.len() as u64;
            }
            run.bytes += self.response(Some(error_at))? as u64;
            let now = Instant::now();
            run.requests += 1;
            run.latencies.push(now - sent_at.pop_front().context("a response has its request")?);
            going = now - start < limit.time && run.bytes < limit.bytes;
        }
        run.elapsed = start.elapsed();
        Ok(run)
    }

    /// Reads one response whole and returns its bytes; looks at the error code when told where it is.
    fn response(&mut self, error_at: Option<usize>) -> Result<usize> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).context("the broker closed the connection")?;
        let length = u32::from_be_bytes(length) as usize;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        self.stream.read_exact(&mut self.buffer[..length])?;
        if let Some(at) = error_at {
            let code = self.buffer[..length].get(at..at + 2).context("the response is too short")?;
            let code = i16::from_be_bytes([code[0], code[1]]);
            ensure!(code == 0, "the broker answered with error code {code}");
        }
        Ok(length + 4)
    }
}

/// When a run ends, whichever comes first.
#[derive(Clone, Copy)]
pub struct Limit {
    /// Time.
    pub time: Duration,
    /// Bytes of requests and responses.
    pub bytes: u64,
}

fn frame<R: KafkaRequest + KafkaEncode>(request: &R, version: i16) -> Result<Bytes> {
    let mut buffer = BytesMut::new();
    let client_id = Some(StrBytes::from("bench".to_owned()));
    encode_request(
        &mut buffer,
        1,
        client_id,
        request,
        ApiVersion::new(version),
        OutboundFrameLimits::new(1 << 30),
    )?;
    Ok(buffer.freeze())
}

/// A produce request with acks=1 for partition 0 of a topic.
///
/// # Errors
/// When the codec refuses it.
pub fn produce_request(topic: &str, batch: Bytes) -> Result<Bytes> {
    let mut partition = PartitionProduceData::default();
    partition.records = Some(batch);
    let mut data = TopicProduceData::default();
    data.name = StrBytes::from(topic.to_owned());
    data.partition_data = vec![partition];
    let mut request = ProduceRequest::default();
    request.acks = 1;
    request.timeout_ms = 10_000;
    request.topic_data = vec![data];
    frame(&request, PRODUCE)
}

/// Where the error code of a response to [`produce_request`] stands: behind correlation id, topic count, the topic's
/// name, partition count and partition.
pub fn produce_error_at(topic: &str) -> usize {
    4 + 4 + 2 + topic.len() + 4 + 4
}

/// A fetch request of at most `bytes_max` from `offset` of partition 0 of a topic.
///
/// # Errors
/// When the codec refuses it.
pub fn fetch_request(topic: &str, offset: i64, bytes_max: i32) -> Result<Bytes> {
    let mut partition = FetchPartition::default();
    partition.fetch_offset = offset;
    partition.partition_max_bytes = bytes_max;
    let mut fetched = FetchTopic::default();
    fetched.topic = StrBytes::from(topic.to_owned());
    fetched.partitions = vec![partition];
    let mut request = FetchRequest::default();
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = bytes_max;
    request.topics = vec![fetched];
    frame(&request, FETCH)
}

/// Where the error code of a response to [`fetch_request`] stands; it has a throttle time before the topics.
pub fn fetch_error_at(topic: &str) -> usize {
    4 + produce_error_at(topic)
}
