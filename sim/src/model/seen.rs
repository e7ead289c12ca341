//! The events that checks are fed.

use std::path::Path;

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicId;

use super::{Durable, Scan};
use crate::world::{Exit, NodeId};

/// A partition as clients name it: the index of the topic in the scenario, and the partition's number.
pub type Slot = (usize, i32);

/// Something that happened.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A node told a fact, inside the critical section in which it became true.
    Fact {
        /// Which node.
        node: NodeId,
        /// What.
        fact: &'a Fact,
    },
    /// A node told that it opened a log, and this is what its files hold at that moment.
    Recovered {
        /// Which node.
        node: NodeId,
        /// The fact, of kind `Recovered`.
        fact: &'a Fact,
        /// The files.
        scan: &'a Scan,
    },
    /// A node told that its log is on the disk up to an offset, and this is how far it really is at that moment.
    Flushed {
        /// Which node.
        node: NodeId,
        /// The fact, of kind `Flushed`.
        fact: &'a Fact,
        /// What a loss of power could not take.
        durable: Durable,
    },
    /// In the life of a node that ends now, calls on its disk have failed.
    DiskFailed {
        /// Which node.
        node: NodeId,
    },
    /// A node was asked to stop in good order.
    ToldToStop {
        /// Which node.
        node: NodeId,
    },
    /// A bit of a file at rest was turned over.
    Rotted {
        /// On which node.
        node: NodeId,
        /// Of which file.
        path: &'a Path,
        /// In which byte.
        position: u64,
    },
    /// A node went down.
    Ended {
        /// Which node.
        node: NodeId,
        /// How.
        exit: &'a Exit,
    },
    /// A process of a node ended that had a sync fail, and the kernel has forgotten pages of it: what was not synced
    /// before may be lost as if the power had failed.
    PagesLost {
        /// Which node.
        node: NodeId,
    },
    /// A fault struck a node.
    Struck {
        /// Which node.
        node: NodeId,
        /// Which kind.
        fault: &'static str,
    },
    /// A client did or learnt something.
    Client(&'a ClientEvent),
}

/// One step of a client, in its own words. Values are numbers that are unique in a run; a batch holds
/// `first`, `first + 1` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientEvent {
    /// A topic was created.
    TopicCreated {
        /// Its index.
        topic: usize,
        /// Its id.
        topic_id: TopicId,
    },
    /// A topic is about to be deleted: from now on it may be gone.
    DeletionAsked {
        /// Its index.
        topic: usize,
    },
    /// A client was told that a topic is deleted.
    TopicDeleted {
        /// Its index.
        topic: usize,
    },
    /// A client asked for a topic by its name.
    TopicLooked {
        /// Its index.
        topic: usize,
        /// The id that the name has; `None` when there is no such topic.
        found: Option<TopicId>,
    },
    /// A batch is about to be sent.
    Sent {
        /// Which producer.
        producer: usize,
        /// Where to.
        slot: Slot,
        /// Its first value.
        first: u64,
        /// How many.
        count: u64,
    },
    /// The producer was told that a batch is appended.
    Acked {
        /// Which producer.
        producer: usize,
        /// Where to.
        slot: Slot,
        /// Its first value.
        first: u64,
        /// How many.
        count: u64,
        /// The offset of the first record, unless acks=0 left it unknown.
        base_offset: Option<i64>,
    },
    /// The producer knows that a batch was never appended.
    Refused {
        /// Which producer.
        producer: usize,
        /// Where to.
        slot: Slot,
        /// Its first value.
        first: u64,
        /// How many.
        count: u64,
    },
    /// The producer gave up without knowing.
    Unknown {
        /// Which producer.
        producer: usize,
        /// Where to.
        slot: Slot,
        /// Its first value.
        first: u64,
        /// How many.
        count: u64,
    },
    /// A reader got a record.
    Read {
        /// Which reader.
        reader: usize,
        /// From where.
        slot: Slot,
        /// At which offset.
        offset: i64,
        /// What.
        value: u64,
        /// How many losses of power there had been when it was asked for.
        era: u64,
    },
    /// A reader asked for the record at an offset below the end, and got an answer with bytes.
    Sought {
        /// Which of those that seek.
        seeker: usize,
        /// From where.
        slot: Slot,
        /// Which offset.
        asked: i64,
        /// The first record at or behind it: offset and value.
        found: Option<(i64, u64)>,
        /// How many losses of power there had been when it was asked for.
        era: u64,
    },
    /// A reader was told that its position is out of range, and goes on elsewhere.
    Moved {
        /// Which reader.
        reader: usize,
        /// Where.
        slot: Slot,
        /// Where it wanted to read.
        from: i64,
        /// Where it goes on.
        to: i64,
    },
    /// A client was handed bytes that are no whole batches.
    Corrupt {
        /// From where.
        slot: Slot,
        /// Where it wanted to read.
        offset: i64,
        /// What is wrong with them.
        what: String,
    },
    /// A client is about to ask that records be deleted from the start of a partition.
    RecordsDeletionAsked {
        /// Which partition.
        slot: Slot,
    },
    /// A client was told that they are.
    RecordsDeleted {
        /// Which partition.
        slot: Slot,
        /// The first offset that remains.
        log_start: i64,
    },
    /// After the faults, a reader has read a partition from its start to its end.
    ReadWhole {
        /// Which partition.
        slot: Slot,
        /// The first offset.
        log_start: i64,
        /// Every value, from the first offset on.
        values: Vec<u64>,
    },
}
