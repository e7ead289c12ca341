//! What every replica has written, by its own facts: the white-box side of the checks.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_core::fact::Fact;
use jangbu_core::ids::{TopicId, TopicPartition};

use super::scan::{Scan, headers};
use super::{ClientEvent, Rot, Seen, Slot};
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
    /// The largest timestamp.
    pub max_timestamp: i64,
    /// Producer id, or -1.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Sequence number of the first record.
    pub sequence: i32,
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
    /// One past the last record that readers may see, once the present life of the node has told it.
    pub high_watermark: Option<i64>,
    /// Whether the power failed since the log was opened last.
    pub power_lost: bool,
    /// Whether the node stopped in good order, and has not been started since, or just now.
    pub closed: bool,
    /// The least offset that a start may begin at: where the log began when the node stopped in good order.
    pub start_promised: i64,
    /// What turned over bits have damaged.
    pub rot: Option<Rot>,
    /// Files derived from the log in which bits were turned over, by their names.
    pub rotten_files: BTreeSet<String>,
}

/// What a topic's settings promise and allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether acknowledgements wait for the disk.
    pub flushes_before_ack: bool,
    /// How many bytes retention leaves at least, where it deletes by size.
    pub retention_bytes: Option<u64>,
    /// Whether it deletes by age within the length of a run.
    pub deletes_by_age: bool,
}

/// Where the log of a partition may begin.
#[derive(Clone, Copy, Debug, Default)]
struct Start {
    /// The furthest to which it was moved by right.
    justified: i64,
    /// Somebody has asked for records to be deleted.
    deletion_asked: bool,
    /// Everything below is deleted, and somebody was told so.
    deleted: i64,
}

/// That a broker acknowledged a batch.
#[derive(Clone, Copy, Debug)]
struct AckedFact {
    end: i64,
    era: u64,
    crc: Option<u32>,
    /// Another batch was acknowledged at the same offset before, so a late answer may mean either.
    ambiguous: bool,
}

/// All replicas.
#[derive(Debug, Default)]
pub struct Ledger {
    replicas: BTreeMap<(NodeId, TopicPartition), Replica>,
    topics: BTreeMap<TopicId, usize>,
    topic_ids: BTreeMap<usize, TopicId>,
    /// Nodes on whose disks bits were turned over.
    rotted: BTreeSet<NodeId>,
    /// By topic index.
    policies: Vec<Policy>,
    starts: BTreeMap<TopicPartition, Start>,
    acked: BTreeMap<(TopicPartition, i64), AckedFact>,
    /// Nodes on whose disks calls have failed in the life that ends.
    disk_failed: BTreeSet<NodeId>,
    /// How many losses of power there have been.
    era: u64,
}

impl Ledger {
    /// An empty ledger for topics with these policies.
    pub fn new(policies: Vec<Policy>) -> Self {
        Self { policies, ..Self::default() }
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
        self.topic_ids.get(&topic).copied()
    }

    /// What is promised for a topic.
    pub fn policy(&self, topic: usize) -> Policy {
        // Topics that come and go are like the one with their number modulo the scenario's topics.
        let like = topic % self.policies.len().max(1);
        self.policies.get(like).copied().unwrap_or_default()
    }

    /// Whether acknowledgements of this topic wait for the disk.
    pub fn flushes_before_ack(&self, topic: usize) -> bool {
        self.policy(topic).flushes_before_ack
    }

    /// The partition that clients name so.
    pub fn partition(&self, slot: Slot) -> Option<TopicPartition> {
        Some(TopicPartition::new(self.topic_id(slot.0)?, slot.1))
    }

    /// The furthest offset to which the start of a log was moved by right.
    pub fn justified_start(&self, partition: TopicPartition) -> i64 {
        self.starts.get(&partition).map_or(0, |start| start.justified)
    }

    /// The same, as clients name it.
    pub fn justified_start_of(&self, slot: Slot) -> i64 {
        self.partition(slot).map_or(0, |partition| self.justified_start(partition))
    }

    /// Below which offset nothing may be found again, because somebody was told that it is deleted.
    pub fn deleted_below(&self, partition: TopicPartition) -> i64 {
        self.starts.get(&partition).map_or(0, |start| start.deleted)
    }

    /// Whether a node may move the start of a log there.
    pub fn may_start_at(&self, node: NodeId, partition: TopicPartition, log_start: i64) -> bool {
        // The metadata log lets go of what is in a snapshot.
        let (Some(slot), Some(replica)) = (self.slot(partition), self.replica(node, partition)) else {
            return true;
        };
        let policy = self.policy(slot.0);
        let asked = self.starts.get(&partition).is_some_and(|start| start.deletion_asked);
        asked
            || policy.deletes_by_age
            || policy.retention_bytes.is_some_and(|bytes| replica.bytes_from(log_start) >= bytes)
    }

    /// What has been damaged of a partition.
    pub fn rot(&self, slot: Slot) -> Option<Rot> {
        let partition = self.partition(slot).filter(|_| !self.rotted.is_empty())?;
        let damaged = self.replicas.iter().filter(|((_, of), _)| *of == partition);
        damaged.filter_map(|(_, replica)| replica.rot).reduce(|left, right| left.and(Some(right)))
    }

    /// Whether what a reader got at this offset, when it expected that one, may come of damage.
    pub fn is_rotten(&self, slot: Slot, offset: i64) -> bool {
        self.rot(slot).is_some_and(|rot| rot.unseen || offset >= rot.from)
    }

    /// Whether a loss of power may have taken what a cached log held, or damage what any held, since it was opened.
    pub fn may_have_lost(&self, node: NodeId, partition: TopicPartition) -> bool {
        let Some(replica) = self.replica(node, partition) else { return false };
        let flushed = self.slot(partition).is_some_and(|slot| self.flushes_before_ack(slot.0));
        replica.power_lost && !flushed || replica.rot.is_some()
    }

    /// Whether a loss of power may have taken the first names of a cached log and left later ones: nothing of it had
    /// been flushed behind its start.
    pub fn may_have_lost_head(&self, node: NodeId, partition: TopicPartition) -> bool {
        let flushes = self.slot(partition).is_none_or(|slot| self.flushes_before_ack(slot.0));
        let replica = self.replica(node, partition).filter(|replica| replica.power_lost && !flushes);
        replica.is_some_and(|replica| replica.flushed <= self.justified_start(partition))
    }

    /// Whether an acknowledgement promises anything: the broker gave it since the power was lost last, or the topic
    /// flushes before it answers. One that may be of either of two batches promises nothing.
    pub fn ack_counts(&self, slot: Slot, base: i64, count: u64) -> bool {
        let fact = self.partition(slot).and_then(|partition| self.acked.get(&(partition, base)));
        self.flushes_before_ack(slot.0)
            || fact.is_some_and(|fact| {
                fact.era == self.era && !fact.ambiguous && fact.end == base + count as i64
            })
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
            Seen::Fact { node, fact } | Seen::Flushed { node, fact, .. } => self.update_fact(*node, fact),
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_start, log_end, .. }, scan } => {
                self.reopen(*node, *partition, (log_start.0, log_end.0), scan);
            }
            Seen::PagesLost { node } => {
                self.era += 1;
                for ((of, _), replica) in &mut self.replicas {
                    replica.power_lost |= of == node;
                }
            }
            Seen::DiskFailed { node } => drop(self.disk_failed.insert(*node)),
            Seen::Ended { node, exit } => self.ended(*node, exit),
            Seen::Rotted { node, path, position } => {
                for ((of, partition), replica) in &mut self.replicas {
                    if of == node
                        && let Some(rot) = Rot::of(*partition, replica, path, *position)
                    {
                        replica.rot = Some(rot.and(replica.rot));
                    }
                    if of == node
                        && let Some(name) = super::rot::derived(*partition, path)
                    {
                        replica.rotten_files.insert(name);
                    }
                    replica.closed &= of != node;
                }
                self.rotted.insert(*node);
            }
            Seen::Client(event) => self.update_client(event),
            Seen::Recovered { .. } | Seen::Struck { .. } | Seen::ToldToStop { .. } => {}
        }
    }

    fn ended(&mut self, node: NodeId, exit: &Exit) {
        let lost_power = matches!(exit, Exit::Crashed(Crash::Power(_)));
        self.era += u64::from(lost_power);
        let stopped = *exit == Exit::Finished && !self.disk_failed.remove(&node);
        self.disk_failed.remove(&node);
        for (_, replica) in self.replicas.iter_mut().filter(|((of, _), _)| *of == node) {
            replica.power_lost |= lost_power;
            replica.high_watermark = None;
            // A file that looks damaged is not trusted, marker or not.
            replica.closed = stopped && !self.rotted.contains(&node);
            if stopped {
                replica.flushed = replica.log_end;
                replica.start_promised = replica.log_start;
            }
        }
    }

    fn update_client(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::TopicCreated { topic, topic_id } => {
                self.topics.insert(*topic_id, *topic);
                self.topic_ids.insert(*topic, *topic_id);
            }
            ClientEvent::RecordsDeletionAsked { slot } => {
                if let Some(partition) = self.partition(*slot) {
                    self.starts.entry(partition).or_default().deletion_asked = true;
                }
            }
            ClientEvent::RecordsDeleted { slot, log_start } => {
                if let Some(partition) = self.partition(*slot) {
                    let start = self.starts.entry(partition).or_default();
                    start.deleted = start.deleted.max(*log_start);
                }
            }
            _ => {}
        }
    }

    fn entry(&mut self, node: NodeId, partition: &TopicPartition) -> &mut Replica {
        self.replicas.entry((node, *partition)).or_default()
    }

    fn update_fact(&mut self, node: NodeId, fact: &Fact) {
        match fact {
            Fact::Appended { partition, log_end, batches, .. } => {
                let replica = self.entry(node, partition);
                replica.batches.extend(headers(batches));
                replica.log_end = log_end.0;
            }
            Fact::Truncated { partition, log_end } => self.entry(node, partition).cut(log_end.0),
            Fact::LogStartMoved { partition, log_start, .. } => {
                if self.may_start_at(node, *partition, log_start.0) {
                    let start = self.starts.entry(*partition).or_default();
                    start.justified = start.justified.max(log_start.0);
                }
                self.entry(node, partition).log_start = log_start.0;
            }
            Fact::Flushed { partition, flushed } => {
                let replica = self.entry(node, partition);
                replica.flushed = replica.flushed.max(flushed.0);
            }
            Fact::HighWatermark { partition, high_watermark } => {
                self.entry(node, partition).high_watermark = Some(high_watermark.0);
            }
            Fact::Acked { partition, base_offset, end, .. } => {
                let batch =
                    self.replica(node, *partition).and_then(|replica| replica.batch_at(base_offset.0));
                let (crc, era) = (batch.map(|batch| batch.crc), self.era);
                let fact = AckedFact { end: end.0, era, crc, ambiguous: false };
                let known = self.acked.entry((*partition, base_offset.0)).or_insert(fact);
                let ambiguous = known.ambiguous || known.crc != crc;
                *known = AckedFact { ambiguous, ..fact };
            }
            Fact::Recovered { .. }
            | Fact::BecameLeader { .. }
            | Fact::Fetched { .. }
            | Fact::DirectoryOffline => {}
        }
    }

    /// After a restart the files are the truth: a batch may have been written without its fact being told.
    fn reopen(&mut self, node: NodeId, partition: TopicPartition, bounds: (i64, i64), scan: &Scan) {
        if self.may_have_lost_head(node, partition) {
            let start = self.starts.entry(partition).or_default();
            start.justified = start.justified.max(bounds.0);
        }
        let replica = self.replicas.entry((node, partition)).or_default();
        let (log_start, log_end) = bounds;
        replica.batches = replica.opened(scan, log_end).copied().collect();
        replica.log_start = log_start;
        replica.log_end = log_end;
        replica.flushed = replica.flushed.min(log_end);
        replica.high_watermark = None;
        replica.power_lost = false;
        replica.closed = false;
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

    /// The batches of the log when it is opened again. What is damaged, or lies behind damage, may yet be there as it was
    /// written, where a log is trusted; its files say nothing of it, or anything at all.
    pub fn opened<'a>(&'a self, scan: &'a Scan, log_end: i64) -> impl Iterator<Item = &'a Written> {
        let rot = self.rot.filter(|rot| rot.unseen || scan.damage.is_some());
        let read_to = rot.map_or(i64::MAX, |rot| rot.from);
        let read = scan.batches.iter().filter(move |batch| batch.end <= read_to);
        let unread = self.batches.iter().filter(move |batch| batch.base >= read_to);
        read.chain(unread).filter(move |batch| batch.end <= log_end)
    }

    /// Bytes of the batches that hold anything from this offset on.
    fn bytes_from(&self, log_start: i64) -> u64 {
        let kept = self.batches.iter().rev().take_while(|batch| batch.end > log_start);
        kept.map(|batch| u64::from(batch.size)).sum()
    }

    /// The batch that begins at an offset.
    pub fn batch_at(&self, base: i64) -> Option<&Written> {
        self.batches
            .binary_search_by_key(&base, |batch| batch.base)
            .ok()
            .and_then(|index| self.batches.get(index))
    }
}
