//! The quorum's requests in Kafka's protocol: between the machine's messages and those on the wire (KIP-595, KIP-630,
//! KIP-853, KIP-996).
//!
//! One file per request, each with the same functions in both directions, for the side that asks and the side that is
//! asked. They translate and decide nothing; but what a machine must never see is turned away here: requests of another
//! cluster, for another log, or for several.
//!
//! The machine numbers its requests, the wire does not: a connection answers in order, so the shell that sent a request
//! knows its number and gives it to `parse_response`.

pub mod begin_quorum_epoch;
pub mod end_quorum_epoch;
mod epoch_response;
pub mod fetch;
pub mod fetch_snapshot;
#[cfg(test)]
mod tests;
pub mod vote;

use crate::error::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, Uuid};
use crate::raft::messages::{Refusal, Standing};
use crate::wire::codec::{self, StrBytes};

/// The metadata log's name on the wire.
pub const TOPIC: &str = "__cluster_metadata";
/// Its only partition.
const PARTITION: i32 = 0;

/// How the leader can be reached, as responses tell it (KIP-853).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderAddress {
    /// The leader.
    pub id: BrokerId,
    /// A name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a request does not get to the machine. The whole response consists of this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    /// It belongs to another cluster. One that names no cluster is let in, as in Kafka.
    #[error("the request comes from another cluster: look at the cluster.id of both nodes")]
    AnotherCluster,
    /// It is not for the metadata log's one partition, and for it alone.
    #[error("the request is not for the metadata log alone")]
    AnotherLog,
}

impl TurnedAway {
    /// Kafka's error code.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::AnotherCluster => ErrorCode::InconsistentClusterId,
            Self::AnotherLog => ErrorCode::InvalidRequest,
        }
    }
}

/// Why a response says nothing to the machine: to be treated like a request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// The request did not get to the other's machine, or it answers with an error that is no part of the protocol.
    #[error("the other node refuses with error code {0}")]
    Code(i16),
    /// The response is not about the metadata log's one partition, and about it alone.
    #[error("the response is not about the metadata log alone")]
    AnotherLog,
    /// A size or a place in the log is negative.
    #[error("the response has a negative size or place")]
    Negative,
    /// A piece of a snapshot has no bytes, or more than the snapshot.
    #[error("the response's piece of a snapshot is empty or too long")]
    Piece,
    /// The records do not continue the log.
    #[error("the records do not continue the log: {0}")]
    Records(#[from] fetch::RecordsError),
}

/// Kafka's error code of a refusal.
fn code(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
        Refusal::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
        Refusal::NotLeader => ErrorCode::NotLeaderOrFollower,
        Refusal::InvalidVoterKey => ErrorCode::InvalidVoterKey,
        Refusal::InvalidRequest => ErrorCode::InvalidRequest,
        Refusal::SnapshotNotFound => ErrorCode::SnapshotNotFound,
        Refusal::PositionOutOfRange => ErrorCode::PositionOutOfRange,
    }
}

fn code_of(refusal: Option<Refusal>) -> i16 {
    refusal.map_or(ErrorCode::None, code).code()
}

/// The refusal behind a partition's error code, `None` when there is no error.
fn refusal(error: i16) -> Result<Option<Refusal>, ResponseError> {
    Ok(match ErrorCode::from_code(error) {
        Some(ErrorCode::None) => None,
        Some(ErrorCode::FencedLeaderEpoch) => Some(Refusal::FencedLeaderEpoch),
        Some(ErrorCode::UnknownLeaderEpoch) => Some(Refusal::UnknownLeaderEpoch),
        Some(ErrorCode::NotLeaderOrFollower) => Some(Refusal::NotLeader),
        Some(ErrorCode::InvalidVoterKey) => Some(Refusal::InvalidVoterKey),
        Some(ErrorCode::InvalidRequest) => Some(Refusal::InvalidRequest),
        Some(ErrorCode::SnapshotNotFound) => Some(Refusal::SnapshotNotFound),
        Some(ErrorCode::PositionOutOfRange) => Some(Refusal::PositionOutOfRange),
        _ => return Err(ResponseError::Code(error)),
    })
}

/// A response without an error for the whole of it.
fn check_whole(error: i16) -> Result<(), ResponseError> {
    if error == ErrorCode::None.code() { Ok(()) } else { Err(ResponseError::Code(error)) }
}

fn check_cluster(asked: Option<&StrBytes>, cluster_id: &str) -> Result<(), TurnedAway> {
    match asked {
        Some(asked) if asked.as_str() != cluster_id => Err(TurnedAway::AnotherCluster),
        _ => Ok(()),
    }
}

/// The only one of a list.
fn only<T>(list: &[T]) -> Option<&T> {
    match list {
        [one] => Some(one),
        _ => None,
    }
}

fn standing(epoch: i32, leader: i32) -> Standing {
    Standing { epoch: LeaderEpoch(epoch), leader: (leader >= 0).then_some(BrokerId(leader)) }
}

fn leader_id(standing: &Standing) -> i32 {
    standing.leader.unwrap_or(BrokerId::NONE).0
}

/// Where the leader is, for a response whose version can tell it (KIP-853); told of nobody but the leader that the
/// response names. The generated responses are types of their own with the same fields, hence a macro.
macro_rules! endpoints_of {
    ($answered:ident, $leader:expr, $standing:expr, $is_told:expr) => {
        $leader
            .filter(|leader| $is_told && $standing.leader == Some(leader.id))
            .map(|leader| {
                message!($answered::NodeEndpoint {
                    node_id: leader.id.0,
                    host: leader.host.as_str().into(),
                    port: leader.port.into(),
                })
            })
            .into_iter()
            .collect()
    };
}

/// Where the leader is, among the nodes that a response lists.
macro_rules! leader_in {
    ($nodes:expr, $standing:expr) => {
        $nodes.iter().find(|node| Some(BrokerId(node.node_id)) == $standing.leader).and_then(|node| {
            let (id, host) = (BrokerId(node.node_id), node.host.as_str().to_owned());
            Some(LeaderAddress { id, host, port: u16::try_from(i32::from(node.port)).ok()? })
        })
    };
}
use {endpoints_of, leader_in};

fn wire_uuid(id: Uuid) -> codec::Uuid {
    codec::Uuid::from_bytes(id.0)
}

fn uuid(id: &codec::Uuid) -> Uuid {
    Uuid(*id.as_bytes())
}
