//! What is on its way.

use jangbu_core::fetch_loop::RoundId;
use jangbu_core::ids::{BrokerEpoch, LeaderEpoch};
use jangbu_core::lifecycle::{HeartbeatAnswer, RequestId};
use jangbu_core::replica::{
    Acks, AlterIsr, AlterPartitionRejection, FetchResponse, PartitionState, ReplicaFetch, Ticket,
};

use super::log::Entry;

/// Whoever sends and receives: 0 is the controller, 1 to 5 are brokers, clients follow.
pub type Node = u8;

/// The controller.
pub const CONTROLLER: Node = 0;
/// The first client.
pub const CLIENTS: Node = 10;

/// Kinds of messages, each of which can be late on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)] // the names of Kafka's requests
pub enum Kind {
    Fetch,
    FetchResponse,
    Register,
    Registered,
    Heartbeat,
    HeartbeatAnswer,
    AlterPartition,
    AlterPartitionAnswer,
    Produce,
    ProduceAnswer,
}

/// How many kinds there are.
pub const KINDS: usize = 10;

/// A batch on its way to a broker.
#[derive(Clone, Copy, Debug)]
pub struct Produced {
    /// The batch; its epoch is the leader's to give.
    pub entry: Entry,
    /// What its client waits for.
    pub acks: Acks,
    /// The append will fail after the batch is found to be right.
    pub fails: bool,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProduceResult {
    /// It is at this offset.
    Acknowledged(i64),
    /// NOT_LEADER_OR_FOLLOWER, before the append.
    NotLeader,
    /// NOT_LEADER_OR_FOLLOWER or NOT_ENOUGH_REPLICAS_AFTER_APPEND, after it.
    Unknown,
    /// NOT_ENOUGH_REPLICAS, before it.
    NotEnoughReplicas,
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    OutOfOrder,
    /// The append failed and left nothing.
    Failed,
}

/// What a message says.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are those of Kafka's messages
pub enum Body {
    Fetch {
        round: RoundId,
        fetch: ReplicaFetch,
    },
    FetchResponse {
        round: RoundId,
        response: FetchResponse,
        entries: Vec<Entry>,
        start_hash: u64,
    },
    Register {
        request: RequestId,
        directory: u32,
        previous: Option<BrokerEpoch>,
    },
    Registered {
        request: RequestId,
        epoch: Option<BrokerEpoch>,
    },
    Heartbeat {
        request: RequestId,
        epoch: BrokerEpoch,
        offset: i64,
        wants: (bool, bool),
    },
    HeartbeatAnswer {
        request: RequestId,
        answer: Option<HeartbeatAnswer>,
    },
    AlterPartition {
        broker_epoch: BrokerEpoch,
        asked: AlterIsr,
    },
    AlterPartitionAnswer {
        ticket: Ticket,
        leader_epoch: LeaderEpoch,
        result: Result<PartitionState, AlterPartitionRejection>,
    },
    Produce(Produced),
    ProduceAnswer {
        value: u32,
        result: ProduceResult,
    },
}

impl Body {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Fetch { .. } => Kind::Fetch,
            Self::FetchResponse { .. } => Kind::FetchResponse,
            Self::Register { .. } => Kind::Register,
            Self::Registered { .. } => Kind::Registered,
            Self::Heartbeat { .. } => Kind::Heartbeat,
            Self::HeartbeatAnswer { .. } => Kind::HeartbeatAnswer,
            Self::AlterPartition { .. } => Kind::AlterPartition,
            Self::AlterPartitionAnswer { .. } => Kind::AlterPartitionAnswer,
            Self::Produce(_) => Kind::Produce,
            Self::ProduceAnswer { .. } => Kind::ProduceAnswer,
        }
    }
}

/// One message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who sent it.
    pub from: Node,
    /// Who gets it.
    pub to: Node,
    /// The process that waits for the answer, or for this answer. A connection dies with it.
    pub process: u32,
    /// The connection of a client, or the call of a broker.
    pub connection: u32,
    /// What it says.
    pub body: Body,
}
