//! Fetch, versions 4 to 18: the response as inline bytes with slices of files between them.
//!
//! The records never pass through this program where the platform can send them from the page cache: the writer
//! frames them by their lengths alone. The request, and the response on the client's side, are the generated ones.

use bytes::{Bytes, BytesMut};

use crate::ids::{LeaderEpoch, Offset, ProducerId, TopicId};
use crate::wire::api_key::ApiKey;
use crate::wire::codec::EncodeError;
use crate::wire::request::OpenFrame;
use crate::wire::response;
use crate::wire::writer::Writer;

use super::{CurrentLeader, NodeEndpoint};

pub use crate::wire::messages::{FetchRequest, FetchResponse};

/// Bytes that are sent from elsewhere.
pub trait Slice {
    /// How many.
    fn len_bytes(&self) -> usize;
}

impl Slice for Bytes {
    fn len_bytes(&self) -> usize {
        self.len()
    }
}

/// A part of a response, in the order in which the parts are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<S> {
    /// Bytes in memory.
    Inline(Bytes),
    /// Records, sent from where they lie.
    Slice(S),
}

/// The response apart from its topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchHead {
    /// How long the client was, or should consider itself, throttled.
    pub throttle_time_ms: i32,
    /// The error of the whole request (from version 7 on).
    pub error_code: i16,
    /// The fetch session (KIP-227, from version 7 on), or 0.
    pub session_id: i32,
}

/// One partition of the response, apart from its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// The partition's number.
    pub index: i32,
    /// Kafka's error code, 0 for success.
    pub error_code: i16,
    /// The high watermark, or -1.
    pub high_watermark: Offset,
    /// The last stable offset, or -1.
    pub last_stable_offset: Offset,
    /// The log start (from version 5 on), or -1.
    pub log_start_offset: Offset,
    /// Producer and first offset of each aborted transaction in the range; `None` for read_uncommitted, to which
    /// a list would hide records.
    pub aborted_transactions: Option<Vec<(ProducerId, Offset)>>,
    /// The replica to read from instead (KIP-392, from version 11 on), or -1.
    pub preferred_read_replica: i32,
    /// Where a follower's log leaves the leader's (KIP-595, from version 12 on): the epoch and its end.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// The leader, when this broker is not it (KIP-951, from version 12 on).
    pub current_leader: Option<CurrentLeader>,
}

impl Default for FetchedPartition {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            high_watermark: Offset::UNKNOWN,
            last_stable_offset: Offset::UNKNOWN,
            log_start_offset: Offset::UNKNOWN,
            aborted_transactions: None,
            preferred_read_replica: -1,
            diverging_epoch: None,
            current_leader: None,
        }
    }
}

/// Frames a Fetch response partition by partition. The counts come first on the wire, so the caller names them
/// beforehand and must keep to them.
#[derive(Debug)]
pub struct FetchResponseWriter<S> {
    version: i16,
    frame: OpenFrame,
    inline: BytesMut,
    /// Where the records stand between the inline bytes: all bytes before `at` precede the slice.
    slices: Vec<(usize, S)>,
    slices_len: usize,
    topics_left: usize,
    partitions_left: usize,
    topic_open: bool,
}

impl<S: Slice> FetchResponseWriter<S> {
    /// Begins a response of `topic_count` topics to a request of version 4 to 18.
    pub fn new(version: i16, correlation_id: i32, head: FetchHead, topic_count: usize) -> Self {
        let mut inline = BytesMut::with_capacity(128);
        let header_flexible = ApiKey::Fetch.response_header_is_flexible(version);
        let frame = response::begin(correlation_id, header_flexible, &mut inline);
        let mut writer = Writer::new(&mut inline, version >= 12);
        writer.i32(head.throttle_time_ms);
        if version >= 7 {
            writer.i16(head.error_code);
            writer.i32(head.session_id);
        }
        writer.array(topic_count);
        Self {
            version,
            frame,
            inline,
            slices: Vec::new(),
            slices_len: 0,
            topics_left: topic_count,
            partitions_left: 0,
            topic_open: false,
        }
    }

    /// Begins the next topic, of `partition_count` partitions; the version chooses between name and id.
    ///
    /// # Panics
    /// When more topics come than were named, or partitions of the last one are missing.
    pub fn topic(&mut self, name: &str, topic_id: TopicId, partition_count: usize) {
        self.end_topic();
        self.topics_left = self.topics_left.checked_sub(1).expect("no more topics than were named");
        self.partitions_left = partition_count;
        self.topic_open = true;
        let mut writer = Writer::new(&mut self.inline, self.version >= 12);
        if self.version >= 13 {
            writer.uuid(topic_id);
        } else {
            writer.string(name);
        }
        writer.array(partition_count);
    }

    /// Appends a partition whose records are `slices`, one behind the other; none is an empty record set.
    ///
    /// # Panics
    /// When more partitions come than were named.
    pub fn partition(&mut self, partition: &FetchedPartition, slices: impl IntoIterator<Item = S>) {
        self.partitions_left =
            self.partitions_left.checked_sub(1).expect("no more partitions than were named");
        let first = self.slices.len();
        // The length stands before the records, and where they stand is known only behind the length.
        self.slices.extend(slices.into_iter().filter(|slice| slice.len_bytes() > 0).map(|slice| (0, slice)));
        let records_len: usize = self.slices[first..].iter().map(|(_, slice)| slice.len_bytes()).sum();
        let version = self.version;
        let mut writer = Writer::new(&mut self.inline, version >= 12);
        partition.write_before_records(&mut writer, version);
        writer.bytes_len(Some(records_len));
        let at = self.inline.len();
        for slice in &mut self.slices[first..] {
            slice.0 = at;
        }
        self.slices_len += records_len;
        partition.write_after_records(&mut Writer::new(&mut self.inline, version >= 12), version);
    }

    fn end_topic(&mut self) {
        assert_eq!(self.partitions_left, 0, "as many partitions as were named");
        if std::mem::take(&mut self.topic_open) {
            Writer::new(&mut self.inline, self.version >= 12).end();
        }
    }

    /// Ends the response, and returns the whole frame with its length.
    ///
    /// # Errors
    /// When the frame is larger than 2 GiB.
    ///
    /// # Panics
    /// When topics or partitions are missing.
    pub fn finish(mut self, node_endpoints: &[NodeEndpoint]) -> Result<Vec<Segment<S>>, EncodeError> {
        self.end_topic();
        assert_eq!(self.topics_left, 0, "as many topics as were named");
        let mut writer = Writer::new(&mut self.inline, self.version >= 12);
        if self.version >= 16 && !node_endpoints.is_empty() {
            writer.end_with(&[(0, &NodeEndpoint::encode_all(node_endpoints))]);
        } else {
            writer.end();
        }
        self.frame.end_before(&mut self.inline, self.slices_len)?;
        let mut segments = Vec::with_capacity(2 * self.slices.len() + 1);
        let mut inline = self.inline.freeze();
        let mut sent = 0;
        for (at, slice) in self.slices {
            if at > sent {
                segments.push(Segment::Inline(inline.split_to(at - sent)));
                sent = at;
            }
            segments.push(Segment::Slice(slice));
        }
        if !inline.is_empty() {
            segments.push(Segment::Inline(inline));
        }
        Ok(segments)
    }
}

impl FetchedPartition {
    fn write_before_records(&self, writer: &mut Writer<'_>, version: i16) {
        writer.i32(self.index);
        writer.i16(self.error_code);
        writer.i64(self.high_watermark.0);
        writer.i64(self.last_stable_offset.0);
        if version >= 5 {
            writer.i64(self.log_start_offset.0);
        }
        writer.nullable_array(self.aborted_transactions.as_ref().map(Vec::len));
        for (producer_id, first_offset) in self.aborted_transactions.iter().flatten() {
            writer.i64(producer_id.0);
            writer.i64(first_offset.0);
            writer.end();
        }
        if version >= 11 {
            writer.i32(self.preferred_read_replica);
        }
    }

    fn write_after_records(&self, writer: &mut Writer<'_>, version: i16) {
        if version < 12 {
            return;
        }
        let diverging = self.diverging_epoch.map(|(epoch, end)| {
            let mut value = [0; 13];
            value[..4].copy_from_slice(&epoch.0.to_be_bytes());
            value[4..12].copy_from_slice(&end.0.to_be_bytes());
            value
        });
        let leader = self.current_leader.map(CurrentLeader::encode);
        match (&diverging, &leader) {
            (None, None) => writer.end(),
            (Some(diverging), None) => writer.end_with(&[(0, diverging)]),
            (None, Some(leader)) => writer.end_with(&[(1, leader)]),
            (Some(diverging), Some(leader)) => writer.end_with(&[(0, diverging), (1, leader)]),
        }
    }
}

#[cfg(test)]
mod tests;
