//! Records about brokers.

use super::Body;
use crate::ids::{BrokerEpoch, BrokerId, Uuid};
use crate::metadata::codec::{CodecError, Reader, Tags, Writer};

/// One address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEndpoint {
    /// The listener's name.
    pub name: String,
    /// The host that clients are told.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The security protocol's number; 0 is PLAINTEXT.
    pub security_protocol: i16,
}

/// The levels of one feature that a broker supports (KIP-584).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerFeature {
    /// The feature.
    pub name: String,
    /// The lowest level.
    pub min: i16,
    /// The highest level.
    pub max: i16,
}

/// An incarnation of a broker: written once at each of its starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    /// The broker.
    pub broker_id: BrokerId,
    /// Drawn by the process at its start.
    pub incarnation_id: Uuid,
    /// The offset of this record.
    pub broker_epoch: BrokerEpoch,
    /// Where clients and other brokers reach it.
    pub endpoints: Vec<BrokerEndpoint>,
    /// What it supports.
    pub features: Vec<BrokerFeature>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Whether it may not lead yet.
    pub fenced: bool,
    /// Whether it is handing over its leaderships to stop.
    pub in_controlled_shutdown: bool,
    /// The ids of its log directories that work.
    pub log_dirs: Vec<Uuid>,
}

impl Body for RegisterBrokerRecord {
    const KEY: u32 = 0;
    const NAME: &'static str = "RegisterBrokerRecord";
    const VERSION: u32 = 3;

    fn write(&self, writer: &mut Writer) {
        writer.int32(self.broker_id.0);
        writer.boolean(false); // IsMigratingZkBroker
        writer.uuid(self.incarnation_id);
        writer.int64(self.broker_epoch.0);
        writer.array(&self.endpoints, |writer, endpoint| {
            writer.string(&endpoint.name);
            writer.string(&endpoint.host);
            writer.uint16(endpoint.port);
            writer.int16(endpoint.security_protocol);
            writer.tags(Tags::default());
        });
        writer.array(&self.features, |writer, feature| {
            writer.string(&feature.name);
            writer.int16(feature.min);
            writer.int16(feature.max);
            writer.tags(Tags::default());
        });
        writer.nullable_string(self.rack.as_deref());
        writer.boolean(self.fenced);
        writer.boolean(self.in_controlled_shutdown);
        let mut tags = Tags::default();
        if !self.log_dirs.is_empty() {
            tags.add(0, |writer| writer.uuids(&self.log_dirs));
        }
        writer.tags(tags);
    }

    fn read(reader: &mut Reader<'_>, version: u32) -> Result<Self, CodecError> {
        let broker_id = BrokerId(reader.int32()?);
        if version >= 2 {
            reader.boolean()?; // IsMigratingZkBroker
        }
        let mut record = Self {
            broker_id,
            incarnation_id: reader.uuid()?,
            broker_epoch: BrokerEpoch(reader.int64()?),
            endpoints: reader.array(7, read_endpoint)?,
            features: reader.array(6, read_feature)?,
            rack: reader.nullable_string()?,
            fenced: reader.boolean()?,
            in_controlled_shutdown: version >= 1 && reader.boolean()?,
            log_dirs: Vec::new(),
        };
        reader.tags(|tag, field| {
            if version >= 3 && tag == 0 {
                record.log_dirs = field.uuids()?;
            }
            Ok(())
        })?;
        Ok(record)
    }
}

fn read_endpoint(reader: &mut Reader<'_>) -> Result<BrokerEndpoint, CodecError> {
    let endpoint = BrokerEndpoint {
        name: reader.string()?,
        host: reader.string()?,
        port: reader.uint16()?,
        security_protocol: reader.int16()?,
    };
    reader.no_tags()?;
    Ok(endpoint)
}

fn read_feature(reader: &mut Reader<'_>) -> Result<BrokerFeature, CodecError> {
    let feature = BrokerFeature { name: reader.string()?, min: reader.int16()?, max: reader.int16()? };
    reader.no_tags()?;
    Ok(feature)
}

/// A broker that is gone for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnregisterBrokerRecord {
    /// The broker.
    pub broker_id: BrokerId,
    /// Its last incarnation.
    pub broker_epoch: BrokerEpoch,
}

impl Body for UnregisterBrokerRecord {
    const KEY: u32 = 1;
    const NAME: &'static str = "UnregisterBrokerRecord";
    const VERSION: u32 = 0;

    fn write(&self, writer: &mut Writer) {
        writer.int32(self.broker_id.0);
        writer.int64(self.broker_epoch.0);
        writer.tags(Tags::default());
    }

    fn read(reader: &mut Reader<'_>, _version: u32) -> Result<Self, CodecError> {
        let record =
            Self { broker_id: BrokerId(reader.int32()?), broker_epoch: BrokerEpoch(reader.int64()?) };
        reader.no_tags()?;
        Ok(record)
    }
}

/// A change of a broker's state without a new incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    /// The broker.
    pub broker_id: BrokerId,
    /// The incarnation that is meant.
    pub broker_epoch: BrokerEpoch,
    /// Whether it is fenced now; `None` for no change.
    pub fenced: Option<bool>,
    /// Whether it began its controlled shutdown.
    pub begins_controlled_shutdown: bool,
    /// Its log directories that work, if they changed; never an empty list.
    pub log_dirs: Option<Vec<Uuid>>,
}

impl Body for BrokerRegistrationChangeRecord {
    const KEY: u32 = 17;
    const NAME: &'static str = "BrokerRegistrationChangeRecord";
    const VERSION: u32 = 2;

    fn write(&self, writer: &mut Writer) {
        writer.int32(self.broker_id.0);
        writer.int64(self.broker_epoch.0);
        let mut tags = Tags::default();
        if let Some(fenced) = self.fenced {
            tags.add(0, |writer| writer.int8(if fenced { 1 } else { -1 }));
        }
        if self.begins_controlled_shutdown {
            tags.add(1, |writer| writer.int8(1));
        }
        // The schema's default is the empty list, which therefore stands for "no change".
        if let Some(log_dirs) = self.log_dirs.as_ref().filter(|dirs| !dirs.is_empty()) {
            tags.add(2, |writer| writer.uuids(log_dirs));
        }
        writer.tags(tags);
    }

    fn read(reader: &mut Reader<'_>, version: u32) -> Result<Self, CodecError> {
        let mut record = Self {
            broker_id: BrokerId(reader.int32()?),
            broker_epoch: BrokerEpoch(reader.int64()?),
            fenced: None,
            begins_controlled_shutdown: false,
            log_dirs: None,
        };
        reader.tags(|tag, field| {
            match tag {
                0 => {
                    record.fenced = match field.int8()? {
                        -1 => Some(false),
                        0 => None,
                        1 => Some(true),
                        other => return Err(CodecError::Value(other.into())),
                    };
                }
                1 if version >= 1 => {
                    record.begins_controlled_shutdown = match field.int8()? {
                        0 => false,
                        1 => true,
                        other => return Err(CodecError::Value(other.into())),
                    };
                }
                2 if version >= 2 => record.log_dirs = Some(field.uuids()?).filter(|dirs| !dirs.is_empty()),
                _ => {}
            }
            Ok(())
        })?;
        Ok(record)
    }
}
