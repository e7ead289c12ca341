//! What every replica has written, by its own facts: the white-box side of the checks.

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;
use jangbu_core::ids::{TopicId, TopicPartition};
use jangbu_core::record::batch::BatchHeader;

use super::scan::{Scan, headers};
use super::{ClientEvent, Seen, Slot};
use crate::world::{Crash, Exit, NodeId};

/// One batch of a log. The checksum stands for its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Offset of the first record.
    pub base: i64,
    /// One past the last record.
    pub end: i64,
    /// The leader epoch.
    pub epoch: i32,
    /// CRC-32C of everything that producers determine.
    pub crc: u32,
    /// Bytes.
    pub size: u32,
    /// Producer id, or -1.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Sequence number of the first record.
    pub sequence: i32,
}

impl Written {
    /// What a header says, or `None` when its offsets cannot be.
    pub fn from_header(header: &BatchHeader) -> Option<Self> {
        let end = header.next_offset()?.0;
        (end > header.base_offset.0).then_some(Self {
            base: header.base_offset.0,
            end,
            epoch: header.leader_epoch.0,
            crc: header.crc,
            size: header.size_bytes() as u32,
            producer_id: header.producer_id.0,
            producer_epoch: header.producer_epoch.0,
            sequence: header.base_sequence,
        })
    }
}

/// One node's log of one partition.
#[derive(Debug, Default)]
pub struct Replica {
    /// Its batches, from the first that may still be on the disk.
    pub batches: Vec<Written>,
    /// The first readable offset.
    pub log_start: i64,
    /// One past the last record.
    pub log_end: i64,
    /// One past the last record that is on the disk itself, by the node's word.
    pub flushed: i64,
    /// One past the last record that readers may see.
    pub high_watermark: i64,
    /// How far the log reached when the power failed, when it has not been opened since.
    pub power_lost: bool,
    /// Whether the log was opened again since the run began.
    pub recovered: bool,
}

/// All replicas.
#[derive(Debug, Default)]
pub struct Ledger {
    replicas: BTreeMap<(NodeId, TopicPartition), Replica>,
    topics: BTreeMap<TopicId, usize>,
    /// By topic index: whether acknowledgements wait for the disk.
    flushes_before_ack: Vec<bool>,
    /// How many losses of power there have been.
    era: u64,
}

impl Ledger {
    /// An empty ledger for topics with these policies.
    pub fn new(flushes_before_ack: Vec<bool>) -> Self {
        Self { flushes_before_ack, ..Self::default() }
    }

    /// A node's log of a partition, if it ever wrote one.
    pub fn replica(&self, node: NodeId, partition: TopicPartition) -> Option<&Replica> {
        self.replicas.get(&(node, partition))
    }

    /// All replicas of a node.
    pub fn of_node(&self, node: NodeId) -> impl Iterator<Item = (TopicPartition, &Replica)> {
        self.replicas
            .iter()
            .filter(move |((of, _), _)| *of == node)
            .map(|((_, partition), replica)| (*partition, replica))
    }

    /// How clients name a partition, unless it is internal.
    pub fn slot(&self, partition: TopicPartition) -> Option<Slot> {
        Some((*self.topics.get(&partition.topic_id)?, partition.partition.0))
    }

    /// The id of a topic.
    pub fn topic_id(&self, topic: usize) -> Option<TopicId> {
        self.topics.iter().find(|(_, index)| **index == topic).map(|(id, _)| *id)
    }

    /// Whether acknowledgements of this topic wait for the disk.
    pub fn flushes_before_ack(&self, topic: usize) -> bool {
        // Topics that come and go are like the one with their number modulo the scenario's topics.
        let like = topic % self.flushes_before_ack.len().max(1);
        self.flushes_before_ack.get(like).copied().unwrap_or(false)
    }

    /// How many losses of power there have been.
    pub fn era(&self) -> u64 {
        self.era
    }

    /// Whether an answer counts that may speak of records which a loss of power has meanwhile taken: what a client
    /// learns too late promises nothing, unless the topic flushes before it answers.
    pub fn still_counts(&self, slot: Slot, era: u64) -> bool {
        era == self.era || self.flushes_before_ack(slot.0)
    }

    /// Takes an event in, after the checks have seen it against the state before.
    pub fn update(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Fact { node, fact } => self.update_fact(*node, fact),
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_start, log_end, .. }, scan } => {
                self.reopen(*node, *partition, (log_start.0, log_end.0), scan);
            }
            Seen::Ended { node, exit: Exit::Crashed(Crash::Power(_)) } => {
                self.era += 1;
                for ((of, _), replica) in &mut self.replicas {
                    replica.power_lost |= of == node;
                }
            }
            Seen::Client(ClientEvent::TopicCreated { topic, topic_id }) => {
                self.topics.insert(*topic_id, *topic);
            }
            Seen::Recovered { .. } | Seen::Ended { .. } | Seen::Struck { .. } | Seen::Client(_) => {}
        }
    }

    fn entry(&mut self, node: NodeId, partition: &TopicPartition) -> &mut Replica {
        self.replicas.entry((node, *partition)).or_default()
    }

    fn update_fact(&mut self, node: NodeId, fact: &Fact) {
        match fact {
            Fact::Appended { partition, log_end, batches, .. } => {
                let replica = self.entry(node, partition);
                replica.batches.extend(headers(batches).iter().filter_map(Written::from_header));
                replica.log_end = log_end.0;
            }
            Fact::Truncated { partition, log_end } => self.entry(node, partition).cut(log_end.0),
            Fact::LogStartMoved { partition, log_start, .. } => {
                self.entry(node, partition).log_start = log_start.0
            }
            Fact::Flushed { partition, flushed } => {
                let replica = self.entry(node, partition);
                replica.flushed = replica.flushed.max(flushed.0);
            }
            Fact::HighWatermark { partition, high_watermark } => {
                self.entry(node, partition).high_watermark = high_watermark.0;
            }
            Fact::Recovered { .. }
            | Fact::BecameLeader { .. }
            | Fact::Acked { .. }
            | Fact::Fetched { .. }
            | Fact::DirectoryOffline => {}
        }
    }

    /// After a restart the files are the truth: a batch may have been written without its fact being told.
    fn reopen(&mut self, node: NodeId, partition: TopicPartition, bounds: (i64, i64), scan: &Scan) {
        let replica = self.replicas.entry((node, partition)).or_default();
        let (log_start, log_end) = bounds;
        replica.batches = scan.batches.iter().take_while(|batch| batch.end <= log_end).copied().collect();
        replica.log_start = log_start;
        replica.log_end = log_end;
        replica.flushed = replica.flushed.min(log_end);
        replica.high_watermark = replica.high_watermark.min(log_end);
        replica.power_lost = false;
        replica.recovered = true;
    }
}

impl Replica {
    fn cut(&mut self, log_end: i64) {
        while self.batches.last().is_some_and(|batch| batch.end > log_end) {
            self.batches.pop();
        }
        self.log_end = log_end;
        self.flushed = self.flushed.min(log_end);
    }

    /// The batch that begins at an offset.
    pub fn batch_at(&self, base: i64) -> Option<&Written> {
        self.batches
            .binary_search_by_key(&base, |batch| batch.base)
            .ok()
            .and_then(|index| self.batches.get(index))
    }
}
