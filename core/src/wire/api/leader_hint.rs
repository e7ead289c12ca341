use bytes::BytesMut;

use crate::ids::{BrokerId, LeaderEpoch};
use crate::wire::codec::{DecodeError, StrBytes};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Who leads a partition, told together with NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH so that the client need
/// not ask for metadata (KIP-951).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLeader {
    /// The leader, or -1 when there is none.
    pub leader_id: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
}

impl CurrentLeader {
    /// The value of the tagged field.
    pub(super) fn encode(self) -> [u8; 9] {
        let mut value = [0; 9];
        value[..4].copy_from_slice(&self.leader_id.0.to_be_bytes());
        value[4..8].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        value
    }

    pub(super) fn decode(field: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let leader = Self { leader_id: BrokerId(field.i32()?), leader_epoch: LeaderEpoch(field.i32()?) };
        field.end()?;
        Ok(leader)
    }
}

/// Where a broker listens (KIP-951).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: BrokerId,
    /// Its advertised host.
    pub host: StrBytes,
    /// Its advertised port.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<StrBytes>,
}

impl NodeEndpoint {
    /// The value of the tagged field.
    pub(super) fn encode_all(endpoints: &[Self]) -> BytesMut {
        let mut value = BytesMut::new();
        let mut writer = Writer::new(&mut value, true);
        writer.array(endpoints.len());
        for endpoint in endpoints {
            writer.i32(endpoint.node_id.0);
            writer.string(&endpoint.host);
            writer.i32(endpoint.port);
            writer.nullable_string(endpoint.rack.as_deref());
            writer.end();
        }
        value
    }

    pub(super) fn decode_all(field: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut endpoints = Vec::new();
        for _ in 0..field.array(11)? {
            endpoints.push(Self {
                node_id: BrokerId(field.i32()?),
                host: field.string()?,
                port: field.i32()?,
                rack: field.nullable_string()?,
            });
            field.end()?;
        }
        Ok(endpoints)
    }
}
