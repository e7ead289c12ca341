//! The control record with which a leader of the metadata log begins its epoch (KIP-595).

use super::codec::{Tags, Writer};
use super::snapshot::control_batch;
use crate::ids::{BrokerId, Uuid};
use crate::record::builder::BatchBuilder;
use crate::time::Timestamp;

const LEADER_CHANGE: i16 = 2;

/// A batch that says who leads the metadata log, voted for by itself alone. Version 1 of LeaderChangeMessage, which
/// names the voters' directories (KIP-853).
pub fn leader_change(leader: BrokerId, directory: Uuid, timestamp: Timestamp) -> BatchBuilder {
    let mut value = Writer::default();
    value.int16(1);
    value.int32(leader.0);
    let voter = |writer: &mut Writer, directory: &Uuid| {
        writer.int32(leader.0);
        writer.uuid(*directory);
        writer.tags(Tags::default());
    };
    value.array(&[directory], voter);
    value.array(&[directory], voter);
    value.tags(Tags::default());
    control_batch(LEADER_CHANGE, &value.bytes, timestamp)
}
