//! Records about configurations, features and producer ids.

use super::Body;
use crate::ids::{BrokerEpoch, BrokerId, ProducerId};
use crate::metadata::codec::{CodecError, Reader, Tags, Writer};

/// What a configuration belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ResourceType {
    /// A topic.
    Topic = 2,
    /// A broker, or all of them when the name is empty.
    Broker = 4,
}

impl ResourceType {
    /// The number on the wire and in records.
    pub const fn code(self) -> i8 {
        self as i8
    }

    /// The type of a number, if it is one that can have a configuration here.
    pub const fn from_code(code: i8) -> Option<Self> {
        match code {
            2 => Some(ResourceType::Topic),
            4 => Some(ResourceType::Broker),
            _ => None,
        }
    }
}

/// One override of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// What it belongs to.
    pub resource_type: ResourceType,
    /// The name of that: a topic's name, a broker's number.
    pub resource_name: String,
    /// The key.
    pub name: String,
    /// The value; `None` ends the override.
    pub value: Option<String>,
}

impl Body for ConfigRecord {
    const KEY: u32 = 4;
    const NAME: &'static str = "ConfigRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.int8(self.resource_type.code());
        writer.string(&self.resource_name);
        writer.string(&self.name);
        writer.nullable_string(self.value.as_deref());
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        let code = reader.int8()?;
        let record = Self {
            resource_type: ResourceType::from_code(code).ok_or(CodecError::Value(code.into()))?,
            resource_name: reader.string()?,
            name: reader.string()?,
            value: reader.nullable_string()?,
        };
        reader.no_tags()?;
        Ok(record)
    }
}

/// The level of a feature in the whole cluster; metadata.version stands before all other records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    /// The feature.
    pub name: String,
    /// Its level; 0 takes it away.
    pub level: i16,
}

impl Body for FeatureLevelRecord {
    const KEY: u32 = 12;
    const NAME: &'static str = "FeatureLevelRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.string(&self.name);
        writer.int16(self.level);
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        let record = Self { name: reader.string()?, level: reader.int16()? };
        reader.no_tags()?;
        Ok(record)
    }
}

/// A block of producer ids given to a broker (KIP-730).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerIdsRecord {
    /// To whom.
    pub broker_id: BrokerId,
    /// To which incarnation.
    pub broker_epoch: BrokerEpoch,
    /// The first id behind the block: where the next one begins.
    pub next_producer_id: ProducerId,
}

impl Body for ProducerIdsRecord {
    const KEY: u32 = 15;
    const NAME: &'static str = "ProducerIdsRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.int32(self.broker_id.0);
        writer.int64(self.broker_epoch.0);
        writer.int64(self.next_producer_id.0);
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        let record = Self {
            broker_id: BrokerId(reader.int32()?),
            broker_epoch: BrokerEpoch(reader.int64()?),
            next_producer_id: ProducerId(reader.int64()?),
        };
        reader.no_tags()?;
        Ok(record)
    }
}

/// Nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoOpRecord;

impl Body for NoOpRecord {
    const KEY: u32 = 20;
    const NAME: &'static str = "NoOpRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        reader.no_tags()?;
        Ok(Self)
    }
}
