//! Produce, versions 3 to 13: record batches in, offsets out.
//!
//! The records of each partition alias the frame: they are checked and written without being copied or decoded.
//! Topics are named up to version 12 and carry their id from version 13 on (KIP-516); the field that a version
//! does not have is empty.

use bytes::{Bytes, BytesMut};

use crate::ids::{TopicId, Uuid};
use crate::wire::codec::{DecodeError, StrBytes};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

use super::{CurrentLeader, NodeEndpoint};

const FLEXIBLE_MIN: i16 = 9;

/// The most topics and partitions of one request. Each takes six bytes on the wire and a few hundred in the making of
/// its answer; no broker holds as many partitions as this.
const ENTRIES_MAX: usize = 100_000;

/// Whose records, and when to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceRequest {
    /// Null unless the records are part of a transaction.
    pub transactional_id: Option<StrBytes>,
    /// -1 (all in-sync replicas), 0 (no answer at all) or 1 (the leader); from outside it may be any number.
    pub acks: i16,
    /// How long the broker may wait for the replicas.
    pub timeout_ms: i32,
    /// The topics.
    pub topics: Vec<TopicProduce>,
}

/// The records for one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicProduce {
    /// Up to version 12.
    pub name: StrBytes,
    /// From version 13 on.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionProduce>,
}

/// The records for one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionProduce {
    /// The partition's number; from outside it may be any number.
    pub index: i32,
    /// Exactly one batch, if the client is right.
    pub records: Option<Bytes>,
}

impl ProduceRequest {
    /// Decodes a body of version 3 to 13.
    ///
    /// # Errors
    /// When the bytes are no such message, or name more topics and partitions than anybody has.
    pub fn decode(body: &Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, version >= FLEXIBLE_MIN);
        let transactional_id = reader.nullable_string()?;
        let acks = reader.i16()?;
        let timeout_ms = reader.i32()?;
        let mut topics = Vec::new();
        let mut entries_left = ENTRIES_MAX;
        for _ in 0..bounded_array(&mut reader, 2, &mut entries_left)? {
            topics.push(TopicProduce::decode(&mut reader, version, &mut entries_left)?);
        }
        reader.end()?;
        Ok(Self { transactional_id, acks, timeout_ms, topics })
    }

    /// Appends the body.
    pub fn encode(&self, version: i16, buffer: &mut BytesMut) {
        let mut writer = Writer::new(buffer, version >= FLEXIBLE_MIN);
        writer.nullable_string(self.transactional_id.as_deref());
        writer.i16(self.acks);
        writer.i32(self.timeout_ms);
        writer.array(self.topics.len());
        for topic in &self.topics {
            write_topic(&mut writer, version, &topic.name, topic.topic_id);
            writer.array(topic.partitions.len());
            for partition in &topic.partitions {
                writer.i32(partition.index);
                writer.nullable_bytes(partition.records.as_deref());
                writer.end();
            }
            writer.end();
        }
        writer.end();
    }
}

impl TopicProduce {
    fn decode(reader: &mut Reader<'_>, version: i16, entries_left: &mut usize) -> Result<Self, DecodeError> {
        let (name, topic_id) = read_topic(reader, version)?;
        let mut partitions = Vec::new();
        for _ in 0..bounded_array(reader, 5, entries_left)? {
            partitions.push(PartitionProduce { index: reader.i32()?, records: reader.nullable_bytes()? });
            reader.end()?;
        }
        reader.end()?;
        Ok(Self { name, topic_id, partitions })
    }
}

/// The count of an array, taken from how many entries the request may still have.
fn bounded_array(
    reader: &mut Reader<'_>,
    element_bytes_min: usize,
    entries_left: &mut usize,
) -> Result<usize, DecodeError> {
    let offset = reader.position();
    let length = reader.array(element_bytes_min)?;
    let too_many =
        DecodeError::LimitExceeded { kind: "topics and partitions", length, limit: ENTRIES_MAX, offset };
    *entries_left = entries_left.checked_sub(length).ok_or(too_many)?;
    Ok(length)
}

fn read_topic(reader: &mut Reader<'_>, version: i16) -> Result<(StrBytes, TopicId), DecodeError> {
    if version >= 13 { Ok((StrBytes::default(), reader.uuid()?)) } else { Ok((reader.string()?, Uuid::ZERO)) }
}

fn write_topic(writer: &mut Writer<'_>, version: i16, name: &str, topic_id: TopicId) {
    if version >= 13 {
        writer.uuid(topic_id);
    } else {
        writer.string(name);
    }
}

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceResponse {
    /// The topics.
    pub topics: Vec<TopicProduced>,
    /// How long the client was, or should consider itself, throttled.
    pub throttle_time_ms: i32,
    /// Where the leaders named in the partitions are (KIP-951, from version 10 on).
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// What became of the records of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicProduced {
    /// Up to version 12.
    pub name: StrBytes,
    /// From version 13 on.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionProduced>,
}

/// What became of the records of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionProduced {
    /// The partition's number.
    pub index: i32,
    /// Kafka's error code, 0 for success.
    pub error_code: i16,
    /// The offset of the first record, or -1.
    pub base_offset: i64,
    /// When the broker stamped the records, or -1 when they keep their own timestamps.
    pub log_append_time_ms: i64,
    /// The log start (from version 5 on), or -1.
    pub log_start_offset: i64,
    /// Which records of the batch are at fault (KIP-467, from version 8 on).
    pub record_errors: Vec<RecordError>,
    /// What is wrong with the batch (from version 8 on).
    pub error_message: Option<StrBytes>,
    /// The leader, when this broker is not it (KIP-951, from version 10 on).
    pub current_leader: Option<CurrentLeader>,
}

impl Default for PartitionProduced {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: None,
        }
    }
}

/// One record at fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordError {
    /// Its index in the batch.
    pub batch_index: i32,
    /// What is wrong with it.
    pub message: Option<StrBytes>,
}

impl ProduceResponse {
    /// Appends the body.
    pub fn encode(&self, version: i16, buffer: &mut BytesMut) {
        let mut writer = Writer::new(buffer, version >= FLEXIBLE_MIN);
        writer.array(self.topics.len());
        for topic in &self.topics {
            write_topic(&mut writer, version, &topic.name, topic.topic_id);
            writer.array(topic.partitions.len());
            for partition in &topic.partitions {
                partition.encode(&mut writer, version);
            }
            writer.end();
        }
        writer.i32(self.throttle_time_ms);
        if version >= 10 && !self.node_endpoints.is_empty() {
            writer.end_with(&[(0, &NodeEndpoint::encode_all(&self.node_endpoints))]);
        } else {
            writer.end();
        }
    }

    /// Decodes a body of version 3 to 13.
    ///
    /// # Errors
    /// When the bytes are no such message.
    pub fn decode(body: &Bytes, version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, version >= FLEXIBLE_MIN);
        let mut topics = Vec::new();
        for _ in 0..reader.array(2)? {
            topics.push(TopicProduced::decode(&mut reader, version)?);
        }
        let throttle_time_ms = reader.i32()?;
        let mut node_endpoints = Vec::new();
        reader.end_with(|tag, field| {
            if tag == 0 && version >= 10 {
                node_endpoints = NodeEndpoint::decode_all(field)?;
            }
            Ok(())
        })?;
        Ok(Self { topics, throttle_time_ms, node_endpoints })
    }
}

impl TopicProduced {
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let (name, topic_id) = read_topic(reader, version)?;
        let mut partitions = Vec::new();
        for _ in 0..reader.array(22)? {
            partitions.push(PartitionProduced::decode(reader, version)?);
        }
        reader.end()?;
        Ok(Self { name, topic_id, partitions })
    }
}

impl PartitionProduced {
    fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        writer.i32(self.index);
        writer.i16(self.error_code);
        writer.i64(self.base_offset);
        writer.i64(self.log_append_time_ms);
        if version >= 5 {
            writer.i64(self.log_start_offset);
        }
        if version >= 8 {
            writer.array(self.record_errors.len());
            for error in &self.record_errors {
                writer.i32(error.batch_index);
                writer.nullable_string(error.message.as_deref());
                writer.end();
            }
            writer.nullable_string(self.error_message.as_deref());
        }
        match self.current_leader.filter(|_| version >= 10) {
            Some(leader) => writer.end_with(&[(0, &leader.encode())]),
            None => writer.end(),
        }
    }

    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let mut partition = Self {
            index: reader.i32()?,
            error_code: reader.i16()?,
            base_offset: reader.i64()?,
            log_append_time_ms: reader.i64()?,
            ..Self::default()
        };
        if version >= 5 {
            partition.log_start_offset = reader.i64()?;
        }
        if version >= 8 {
            for _ in 0..reader.array(5)? {
                let error = RecordError { batch_index: reader.i32()?, message: reader.nullable_string()? };
                partition.record_errors.push(error);
                reader.end()?;
            }
            partition.error_message = reader.nullable_string()?;
        }
        reader.end_with(|tag, field| {
            if tag == 0 && version >= 10 {
                partition.current_leader = Some(CurrentLeader::decode(field)?);
            }
            Ok(())
        })?;
        Ok(partition)
    }
}

#[cfg(test)]
mod tests;
