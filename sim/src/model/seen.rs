//! The events that checks are fed.

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicId;

use super::Scan;
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
    /// A node went down.
    Ended {
        /// Which node.
        node: NodeId,
        /// How.
        exit: &'a Exit,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// How many losses of power there had been when the batch was sent.
        era: u64,
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

impl ClientEvent {
    /// Two numbers that tell it from others, for the trace.
    pub fn words(&self) -> (u64, u64) {
        let place = |kind: u64, who: usize, slot: &Slot| {
            kind << 56 | (who as u64) << 40 | (slot.0 as u64) << 32 | u64::from(slot.1 as u32)
        };
        match self {
            Self::TopicCreated { topic, topic_id } => (1 << 56 | *topic as u64, id_word(topic_id)),
            Self::DeletionAsked { topic } => (9 << 56 | *topic as u64, 0),
            Self::TopicDeleted { topic } => (10 << 56 | *topic as u64, 0),
            Self::TopicLooked { topic, found } => {
                (11 << 56 | *topic as u64, found.as_ref().map_or(0, id_word))
            }
            Self::Sent { producer, slot, first, .. } => (place(2, *producer, slot), *first),
            Self::Acked { producer, slot, first, base_offset, .. } => {
                (place(3, *producer, slot), *first ^ (base_offset.unwrap_or(-1) as u64).rotate_left(40))
            }
            Self::Refused { producer, slot, first, .. } => (place(4, *producer, slot), *first),
            Self::Unknown { producer, slot, first, .. } => (place(5, *producer, slot), *first),
            Self::Read { reader, slot, offset, value, .. } => {
                (place(6, *reader, slot), *value ^ (*offset as u64).rotate_left(40))
            }
            Self::Sought { seeker, slot, asked, found, .. } => {
                let (offset, value) = found.unwrap_or((-1, 0));
                (
                    place(9, *seeker, slot) ^ (*asked as u64).rotate_left(8),
                    value ^ (offset as u64).rotate_left(40),
                )
            }
            Self::Moved { reader, slot, from, to } => {
                (place(7, *reader, slot), (*from as u64).rotate_left(32) ^ *to as u64)
            }
            Self::ReadWhole { slot, log_start, values } => (place(8, values.len(), slot), *log_start as u64),
        }
    }
}

fn id_word(topic_id: &TopicId) -> u64 {
    topic_id.0.iter().fold(0, |sum, byte| sum << 8 ^ u64::from(*byte))
}
