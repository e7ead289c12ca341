//! The names of things, each its own type, so that an offset is never taken for an epoch.

use std::fmt;
use std::str::FromStr;

use crate::time::Timestamp;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    };
}

number! {
    /// `node.id`: names a broker or controller for as long as the cluster lives.
    BrokerId(i32)
}
number! {
    /// The position of a record in its partition's log. The first record ever has offset 0.
    Offset(i64)
}
number! {
    /// Rises with every leadership of a partition (KIP-101), a single node's restart included.
    LeaderEpoch(i32)
}
number! {
    /// Rises with every change of a partition's registration in the metadata (KIP-497).
    PartitionEpoch(i32)
}
number! {
    /// The offset of a broker's registration record: names one incarnation of it (KIP-903).
    BrokerEpoch(i64)
}
number! {
    /// Names an idempotent producer (KIP-98).
    ProducerId(i64)
}
number! {
    /// Fences an earlier user of the same producer id (KIP-98).
    ProducerEpoch(i16)
}
number! {
    /// The number of a partition in its topic, from 0.
    PartitionIndex(i32)
}

impl BrokerId {
    /// What the protocol writes where no broker is meant.
    pub const NONE: Self = Self(-1);

    /// Whether a node can have this id. Below 0 are "nobody" and addresses whose node is not known; a vote for one of
    /// them would be read as no vote after a restart.
    pub fn is_node(self) -> bool {
        self > Self::NONE
    }
}

impl Offset {
    /// The first offset of a log that never lost its head.
    pub const ZERO: Self = Self(0);
    /// What the protocol writes where no offset is known.
    pub const UNKNOWN: Self = Self(-1);

    /// The offset `count` records later, or `None` when it would leave the range of offsets.
    pub fn checked_add(self, count: i64) -> Option<Self> {
        self.0.checked_add(count).map(Self)
    }

    /// The next offset.
    ///
    /// # Panics
    /// At the end of the range: appends check it before they assign offsets.
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("appends keep offsets below i64::MAX"))
    }
}

impl LeaderEpoch {
    /// "Do not check", or "unknown".
    pub const NONE: Self = Self(-1);
}

impl ProducerId {
    /// A batch of a producer that is not idempotent.
    pub const NONE: Self = Self(-1);
}

impl ProducerEpoch {
    /// A batch of a producer that is not idempotent.
    pub const NONE: Self = Self(-1);
}

/// 16 bytes that name a topic, a directory or an incarnation, written like Kafka in URL-safe base64 without padding.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Uuid {
    /// "None" on the wire.
    pub const ZERO: Self = Self([0; 16]);
    /// The id of `__cluster_metadata`, fixed by KIP-516.
    pub const METADATA_TOPIC: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// A version-4 id of 128 random bits. Like Kafka, never one whose text begins with `-`, which tools would
    /// take for an option, and never a reserved one.
    pub fn from_random(mut draw: impl FnMut() -> u64) -> Self {
        loop {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&draw().to_be_bytes());
            bytes[8..].copy_from_slice(&draw().to_be_bytes());
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            let id = Self(bytes);
            if id.to_text()[0] != b'-' {
                return id;
            }
        }
    }

    /// A version-7 id (RFC 9562): the milliseconds of `at`, then random bits.
    pub fn at_time(at: Timestamp, mut draw: impl FnMut() -> u64) -> Self {
        let mut id = Self::from_random(&mut draw);
        id.0[..6].copy_from_slice(&at.0.to_be_bytes()[2..]);
        id.0[6] = (id.0[6] & 0x0f) | 0x70;
        id
    }

    /// When a version-7 id was drawn; `None` of any other id.
    pub fn time(self) -> Option<Timestamp> {
        let [first, second, third, fourth, fifth, sixth, version, ..] = self.0;
        let at = i64::from_be_bytes([0, 0, first, second, third, fourth, fifth, sixth]);
        (version >> 4 == 7).then_some(Timestamp(at))
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    fn to_text(self) -> [u8; 22] {
        let number = u128::from_be_bytes(self.0);
        std::array::from_fn(|index| {
            let sextet = if index == 21 { number << 4 } else { number >> (122 - 6 * index) };
            BASE64[(sextet & 63) as usize]
        })
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.to_text() {
            write!(f, "{}", byte as char)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not 22 characters of URL-safe base64 for 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 22 characters of URL-safe base64, such as AAAAAAAAAAAAAAAAAAAAAQ")]
pub struct ParseUuidError;

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        if text.len() != 22 {
            return Err(ParseUuidError);
        }
        let mut number: u128 = 0;
        for (index, byte) in text.bytes().enumerate() {
            let sextet = BASE64.iter().position(|&symbol| symbol == byte).ok_or(ParseUuidError)? as u128;
            if index < 21 {
                number |= sextet << (122 - 6 * index);
            } else if sextet & 0x0f == 0 {
                number |= sextet >> 4;
            } else {
                return Err(ParseUuidError);
            }
        }
        Ok(Self(number.to_be_bytes()))
    }
}

/// A topic's id: a topic deleted and created again under the same name is another topic (KIP-516).
pub type TopicId = Uuid;

/// A partition of a certain incarnation of a topic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The partition's number in the topic.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// The partition of the cluster's metadata log.
    pub const METADATA: Self = Self { topic_id: Uuid::METADATA_TOPIC, partition: PartitionIndex(0) };

    /// Names partition `partition` of topic `topic_id`.
    pub fn new(topic_id: TopicId, partition: i32) -> Self {
        Self { topic_id, partition: PartitionIndex(partition) }
    }
}

/// `<topic id>-<partition>`, which is also the name of its directory.
impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic_id, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not `<topic id>-<partition>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a partition's directory is named <topic id>-<partition>")]
pub struct ParseTopicPartitionError;

impl FromStr for TopicPartition {
    type Err = ParseTopicPartitionError;

    fn from_str(text: &str) -> Result<Self, ParseTopicPartitionError> {
        // An id may itself hold dashes; it always has 22 characters.
        let (id, rest) = text.split_at_checked(22).ok_or(ParseTopicPartitionError)?;
        let number = rest.strip_prefix('-').ok_or(ParseTopicPartitionError)?;
        let partition: i32 = number.parse().map_err(|_| ParseTopicPartitionError)?;
        if partition < 0 || number != partition.to_string() {
            return Err(ParseTopicPartitionError);
        }
        Ok(Self::new(id.parse().map_err(|_| ParseTopicPartitionError)?, partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_topic_is_written_as_kafka_writes_it() {
        assert_eq!(Uuid::METADATA_TOPIC.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    }

    #[test]
    fn ids_survive_their_text() {
        let mut state = 1u64;
        for _ in 0..1000 {
            let id = Uuid::from_random(|| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                state
            });
            assert_eq!(id.to_string().parse(), Ok(id));
            let partition = TopicPartition::new(id, 7);
            assert_eq!(partition.to_string().parse(), Ok(partition));
            assert!(!id.to_string().starts_with('-'));
        }
    }

    #[test]
    fn an_id_of_version_7_tells_its_time_and_one_of_version_4_none() {
        let id = Uuid::at_time(Timestamp(1_763_763_524_123), || 0x1234_5678_9abc_def0);
        assert_eq!(id.time(), Some(Timestamp(1_763_763_524_123)));
        assert_eq!(Uuid::from_random(|| 0x1234_5678_9abc_def0).time(), None);
    }

    #[test]
    fn texts_that_are_no_ids_are_refused() {
        for text in ["", "AAAAAAAAAAAAAAAAAAAAAQ=", "AAAAAAAAAAAAAAAAAAAAAR", "AAAAAAAAAAAAAAAAAAAA+Q"] {
            assert_eq!(text.parse::<Uuid>(), Err(ParseUuidError), "{text}");
        }
        for text in [
            "AAAAAAAAAAAAAAAAAAAAAQ",
            "AAAAAAAAAAAAAAAAAAAAAQ-",
            "AAAAAAAAAAAAAAAAAAAAAQ--1",
            "AAAAAAAAAAAAAAAAAAAAAQ-01",
            "é",
        ] {
            assert_eq!(text.parse::<TopicPartition>(), Err(ParseTopicPartitionError), "{text}");
        }
    }
}
