//! The control records of the metadata log: who leads an epoch (KIP-595), who votes (KIP-853), and the frame of a
//! snapshot (KIP-630). Applications of the log pass over them; the quorum itself lives by them.

use super::codec::{CodecError, Reader, Tags, Writer};
use crate::ids::{BrokerId, Uuid};
use crate::record::batch::CONTROL;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::time::Timestamp;

const LEADER_CHANGE: i16 = 2;
const SNAPSHOT_HEADER: i16 = 3;
const SNAPSHOT_FOOTER: i16 = 4;
const KRAFT_VERSION: i16 = 5;
const VOTERS: i16 = 6;

/// Bytes of a record's key: its version and its kind.
const KEY_LEN: usize = 4;
/// The least bytes of an element: what a count is checked against before anything is reserved.
const VOTER_ID_LEN_MIN: usize = 4 + 1;
const VOTER_LEN_MIN: usize = 4 + 16 + 1;
const ENDPOINT_LEN_MIN: usize = 1 + 1 + 2 + 1;

/// Where a voter listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name.
    pub listener: String,
    /// A name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One voter of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoterRecord {
    /// The node.
    pub id: BrokerId,
    /// Its directory.
    pub directory: Uuid,
    /// How the others reach it.
    pub endpoints: Vec<VoterEndpoint>,
    /// The lowest and the highest `kraft.version` that it understands.
    pub kraft_versions: (i16, i16),
}

/// A control record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlRecord {
    /// A leader begins its epoch.
    LeaderChange {
        /// Who leads.
        leader: BrokerId,
        /// Who may vote.
        voters: Vec<BrokerId>,
        /// Who voted for it.
        granting: Vec<BrokerId>,
    },
    /// A snapshot begins.
    SnapshotHeader {
        /// The append time of the last record that is in it.
        last_contained: Timestamp,
    },
    /// A snapshot is whole.
    SnapshotFooter,
    /// The version of the quorum's protocol from here on; from 1 on the voters stand in the log.
    KRaftVersion(i16),
    /// The voters from here on.
    Voters(Vec<VoterRecord>),
}

impl ControlRecord {
    /// A leader that nobody but itself had to elect.
    pub fn sole_leader(id: BrokerId) -> Self {
        Self::LeaderChange { leader: id, voters: vec![id], granting: vec![id] }
    }

    /// A batch with this record alone.
    pub fn batch(&self, timestamp: Timestamp) -> BatchBuilder {
        let mut value = Writer::default();
        let kind = match self {
            Self::LeaderChange { leader, voters, granting } => {
                // Version 0, without the directories that version 1 has: Kafka 4.3 writes it still, and its tools read
                // every LeaderChange as one.
                value.int16(0);
                value.int32(leader.0);
                value.array(voters, write_id);
                value.array(granting, write_id);
                LEADER_CHANGE
            }
            Self::KRaftVersion(version) => {
                value.int16(0);
                value.int16(*version);
                KRAFT_VERSION
            }
            Self::Voters(voters) => {
                value.int16(0);
                value.array(voters, write_voter);
                VOTERS
            }
            Self::SnapshotHeader { last_contained } => {
                value.int16(0);
                value.int64(last_contained.0);
                SNAPSHOT_HEADER
            }
            Self::SnapshotFooter => {
                value.int16(0);
                SNAPSHOT_FOOTER
            }
        };
        value.tags(Tags::default());
        let mut key = [0; KEY_LEN];
        key[2..].copy_from_slice(&kind.to_be_bytes());
        let mut builder = BatchBuilder::new(Codec::None);
        builder.flags(CONTROL).append(timestamp, Some(&key), Some(&value.bytes), &[]);
        builder
    }

    /// The voters that a record names; `None` of any other kind, whatever its value.
    ///
    /// # Errors
    /// When a record of voters is malformed.
    pub fn decode_voters(key: &[u8], value: &[u8]) -> Result<Option<Vec<VoterRecord>>, CodecError> {
        if key.get(2..KEY_LEN) != Some(&VOTERS.to_be_bytes()) {
            return Ok(None);
        }
        match Self::decode(key, value)? {
            Some(Self::Voters(voters)) => Ok(Some(voters)),
            _ => Ok(None),
        }
    }

    /// Reads a record's key and value; `None` of a kind that is not known here, on which nothing depends.
    ///
    /// # Errors
    /// When one of a kind that is known is malformed.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Option<Self>, CodecError> {
        let key = key.get(..KEY_LEN).ok_or(CodecError::Truncated)?;
        let mut kind = Reader::new(key);
        kind.int16()?;
        let kind = kind.int16()?;
        let mut value = Reader::new(value);
        let record = match kind {
            LEADER_CHANGE => {
                let has_directories = value.int16()? >= 1;
                let leader = BrokerId(value.int32()?);
                let voters = value.array(VOTER_ID_LEN_MIN, |reader| read_id(reader, has_directories))?;
                let granting = value.array(VOTER_ID_LEN_MIN, |reader| read_id(reader, has_directories))?;
                Self::LeaderChange { leader, voters, granting }
            }
            SNAPSHOT_HEADER => {
                value.int16()?;
                Self::SnapshotHeader { last_contained: Timestamp(value.int64()?) }
            }
            SNAPSHOT_FOOTER => {
                value.int16()?;
                Self::SnapshotFooter
            }
            KRAFT_VERSION => {
                value.int16()?;
                Self::KRaftVersion(value.int16()?)
            }
            VOTERS => {
                value.int16()?;
                Self::Voters(value.array(VOTER_LEN_MIN, read_voter)?)
            }
            _ => return Ok(None),
        };
        value.no_tags()?;
        Ok(Some(record))
    }
}

fn write_id(writer: &mut Writer, id: &BrokerId) {
    writer.int32(id.0);
    writer.tags(Tags::default());
}

fn read_id(reader: &mut Reader<'_>, has_directory: bool) -> Result<BrokerId, CodecError> {
    let id = BrokerId(reader.int32()?);
    if has_directory {
        reader.uuid()?;
    }
    reader.no_tags()?;
    Ok(id)
}

fn write_voter(writer: &mut Writer, voter: &VoterRecord) {
    writer.int32(voter.id.0);
    writer.uuid(voter.directory);
    writer.array(&voter.endpoints, |writer, endpoint| {
        writer.string(&endpoint.listener);
        writer.string(&endpoint.host);
        writer.uint16(endpoint.port);
        writer.tags(Tags::default());
    });
    let (min, max) = voter.kraft_versions;
    writer.int16(min);
    writer.int16(max);
    writer.tags(Tags::default());
    writer.tags(Tags::default());
}

fn read_voter(reader: &mut Reader<'_>) -> Result<VoterRecord, CodecError> {
    let (id, directory) = (BrokerId(reader.int32()?), reader.uuid()?);
    let endpoints = reader.array(ENDPOINT_LEN_MIN, |reader| {
        let (listener, host, port) = (reader.string()?, reader.string()?, reader.uint16()?);
        reader.no_tags()?;
        Ok(VoterEndpoint { listener, host, port })
    })?;
    let kraft_versions = (reader.int16()?, reader.int16()?);
    reader.no_tags()?;
    reader.no_tags()?;
    Ok(VoterRecord { id, directory, endpoints, kraft_versions })
}

#[cfg(test)]
mod tests;
