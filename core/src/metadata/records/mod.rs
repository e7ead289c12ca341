//! The records of the metadata log, in KIP-631's binary form: what Kafka's own tools read.
//!
//! A record's value is a frame version (unsigned varint, 1), the record's API key and its version (unsigned varints),
//! then the body in the flexible encoding. Records are written at the versions of metadata.version 4.0-IV3
//! ([`METADATA_VERSION`]); all earlier versions of the same records are read.
//!
//! A record of an unknown type is an error and never skipped: it may change what the known ones mean.

mod broker;
mod cluster;
#[cfg(test)]
mod tests;
mod topic;

use bytes::Bytes;

pub use broker::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, RegisterBrokerRecord,
    UnregisterBrokerRecord,
};
pub use cluster::{ConfigRecord, FeatureLevelRecord, NoOpRecord, ProducerIdsRecord, ResourceType};
pub use topic::{PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord};

use super::codec::{CodecError, Reader, Writer};

/// The name of the feature whose level says which records and versions a log holds (KIP-778).
pub const METADATA_VERSION_FEATURE: &str = "metadata.version";
/// 4.0-IV3: what this version writes, and the highest level that it reads.
pub const METADATA_VERSION: i16 = 25;
/// 3.3-IV0, the oldest level that is stated in the log itself.
pub const METADATA_VERSION_MIN: i16 = 4;

const FRAME_VERSION: u32 = 1;

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another framing than KIP-631's.
    #[error("metadata record frame version {0} is unknown; this log needs a later version of the broker")]
    Frame(u32),
    /// A record type that this version does not know.
    #[error(
        "metadata record type {0} is unknown; this log was written by a later version, or by Apache Kafka with a \
         feature that is not supported here: start the version that wrote it"
    )]
    UnknownType(u32),
    /// A later version of a known record.
    #[error(
        "{name} version {version} is unknown (up to {max} is known); start the version that wrote this log"
    )]
    UnknownVersion {
        /// The record's name.
        name: &'static str,
        /// Its version in the log.
        version: u32,
        /// The highest known.
        max: u32,
    },
    /// The body does not follow the schema.
    #[error("{name} is malformed: {cause}; restore the metadata directory from a copy")]
    Malformed {
        /// The record's name.
        name: &'static str,
        /// What is wrong.
        cause: CodecError,
    },
    /// Bytes behind the body.
    #[error(
        "{name} is followed by {count} bytes that belong to nothing; restore the metadata directory from a copy"
    )]
    Garbage {
        /// The record's name.
        name: &'static str,
        /// How many.
        count: usize,
    },
}

/// What each record has.
trait Body: Sized {
    const KEY: u32;
    const NAME: &'static str;
    /// The version that is written, and the highest that is read.
    const VERSION: u32;
    fn write(&self, writer: &mut Writer);
    fn read(reader: &mut Reader<'_>, version: u32) -> Result<Self, CodecError>;
}

macro_rules! records {
    ($($(#[$doc:meta])* $variant:ident($body:ty),)*) => {
        /// One change of the cluster's metadata.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Record { $($(#[$doc])* $variant($body),)* }

        $(impl From<$body> for Record {
            fn from(body: $body) -> Self { Record::$variant(body) }
        })*

        impl Record {
            /// The record as the value of a log record.
            pub fn encode(&self) -> Bytes {
                match self { $(Record::$variant(body) => encode(body),)* }
            }

            /// Reads the value of a log record.
            ///
            /// # Errors
            /// See [`RecordError`]; any bytes are survived.
            pub fn decode(value: &[u8]) -> Result<Self, RecordError> {
                let mut reader = Reader::new(value);
                let frame = |cause| RecordError::Malformed { name: "the frame of a metadata record", cause };
                let version = reader.varint().map_err(frame)?;
                if version != FRAME_VERSION {
                    return Err(RecordError::Frame(version));
                }
                let key = reader.varint().map_err(frame)?;
                let version = reader.varint().map_err(frame)?;
                match key {
                    $(<$body as Body>::KEY => decode(reader, version).map(Record::$variant),)*
                    _ => Err(RecordError::UnknownType(key)),
                }
            }
        }
    };
}

records! {
    /// An incarnation of a broker (KIP-631).
    RegisterBroker(RegisterBrokerRecord),
    /// A broker is gone for good.
    UnregisterBroker(UnregisterBrokerRecord),
    /// A new topic.
    Topic(TopicRecord),
    /// A new partition.
    Partition(PartitionRecord),
    /// An override of a configuration, or its end.
    Config(ConfigRecord),
    /// A partition's replicas, leader or epochs changed.
    PartitionChange(PartitionChangeRecord),
    /// A topic is gone, its partitions and configuration with it.
    RemoveTopic(RemoveTopicRecord),
    /// The level of a feature of the cluster.
    FeatureLevel(FeatureLevelRecord),
    /// A block of producer ids was given away.
    ProducerIds(ProducerIdsRecord),
    /// A broker was fenced, unfenced, or is shutting down.
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    /// Nothing; keeps a quorum's log moving (KIP-835).
    NoOp(NoOpRecord),
}

fn encode<B: Body>(body: &B) -> Bytes {
    let mut writer = Writer::default();
    writer.varint(FRAME_VERSION);
    writer.varint(B::KEY);
    writer.varint(B::VERSION);
    body.write(&mut writer);
    writer.bytes.freeze()
}

fn decode<B: Body>(mut reader: Reader<'_>, version: u32) -> Result<B, RecordError> {
    if version > B::VERSION {
        return Err(RecordError::UnknownVersion { name: B::NAME, version, max: B::VERSION });
    }
    let body =
        B::read(&mut reader, version).map_err(|cause| RecordError::Malformed { name: B::NAME, cause })?;
    match reader.remaining() {
        0 => Ok(body),
        count => Err(RecordError::Garbage { name: B::NAME, count }),
    }
}
