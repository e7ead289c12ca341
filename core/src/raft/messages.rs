//! What replicas of the metadata log say to each other: the parts of Kafka's requests that the machine decides on.

use super::voters::ReplicaKey;
use crate::epochs::{EpochEnd, LogEnd, SnapshotId};
use crate::ids::{BrokerId, LeaderEpoch, Offset};

/// The epoch a replica is in and who leads it, if it knows: part of every response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its leader.
    pub leader: Option<BrokerId>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request's epoch is over.
    FencedLeaderEpoch,
    /// The request's epoch has not been heard of here.
    UnknownLeaderEpoch,
    /// The replica asked does not lead.
    NotLeader,
    /// The request is meant for another directory of this node (KIP-853).
    InvalidVoterKey,
    /// The request makes no sense.
    InvalidRequest,
    /// There is no such snapshot, or not any more.
    SnapshotNotFound,
    /// The position is outside the snapshot.
    PositionOutOfRange,
}

/// Asks for a vote (KIP-595), or whether one would be given (KIP-996).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteRequest {
    /// The candidate's epoch; in a pre-vote the epoch it is in.
    pub epoch: LeaderEpoch,
    /// Who wants to lead.
    pub candidate: ReplicaKey,
    /// Who is asked (KIP-853).
    pub voter: ReplicaKey,
    /// Where the candidate's log ends.
    pub log_end: LogEnd,
    /// Whether this is a pre-vote.
    pub pre_vote: bool,
}

/// The answer to a [`VoteRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoteResponse {
    /// Where the voter stands.
    pub standing: Standing,
    /// Whether the vote is given, or why the question was wrong.
    pub granted: Result<bool, Refusal>,
    /// Whether this answers a pre-vote; the shell knows it from the request.
    pub pre_vote: bool,
}

/// A leader makes itself known (KIP-595).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginQuorumEpochRequest {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its leader.
    pub leader: BrokerId,
    /// Who is told.
    pub voter: ReplicaKey,
}

/// A leader steps down (KIP-595).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndQuorumEpochRequest {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Who led it.
    pub leader: BrokerId,
    /// Who should lead next, the most suitable first.
    pub successors: Vec<ReplicaKey>,
}

/// The answer to a BeginQuorumEpoch or EndQuorumEpoch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochResponse {
    /// Where the receiver stands.
    pub standing: Standing,
    /// Why it was refused, if it was.
    pub refusal: Option<Refusal>,
}

/// Asks for the records after `offset`, and says that everything before it is safe here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Names the request among those of its sender.
    pub request_id: u32,
    /// The epoch the follower is in.
    pub epoch: LeaderEpoch,
    /// Who fetches.
    pub replica: ReplicaKey,
    /// Where its log ends.
    pub log_end: LogEnd,
    /// The high watermark it knows, so that news of a higher one need not wait (KIP-1166).
    pub high_watermark: Offset,
}

/// The answer to a [`FetchRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchResponse {
    /// Which request is answered.
    pub request_id: u32,
    /// Where the asked replica stands.
    pub standing: Standing,
    /// The leader's high watermark, or [`Offset::UNKNOWN`] before it committed a record of its own epoch.
    pub high_watermark: Offset,
    /// What is sent.
    pub fetched: Fetched,
}

/// What a fetch yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The records from the fetch offset to here; none when this is where the follower's log ends.
    Records(LogEnd),
    /// The follower's log went another way: it is to be cut to where this epoch ends (KIP-595).
    Diverging(EpochEnd),
    /// What the follower needs is only in a snapshot (KIP-630).
    Snapshot(SnapshotId),
    /// Nothing.
    Refused(Refusal),
}

/// Asks for a piece of a snapshot (KIP-630).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSnapshotRequest {
    /// Names the request among those of its sender.
    pub request_id: u32,
    /// The epoch the follower is in.
    pub epoch: LeaderEpoch,
    /// Who fetches.
    pub replica: ReplicaKey,
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// From which byte on.
    pub position: u64,
}

/// The answer to a [`FetchSnapshotRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSnapshotResponse {
    /// Which request is answered.
    pub request_id: u32,
    /// Where the asked replica stands.
    pub standing: Standing,
    /// The piece, or why there is none.
    pub chunk: Result<SnapshotChunk, Refusal>,
}

/// A piece of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Its first byte.
    pub position: u64,
    /// How many bytes.
    pub length: u64,
    /// The size of the whole snapshot in bytes.
    pub size: u64,
}

/// Any request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Vote
    Vote(VoteRequest),
    /// BeginQuorumEpoch
    BeginQuorumEpoch(BeginQuorumEpochRequest),
    /// EndQuorumEpoch
    EndQuorumEpoch(EndQuorumEpochRequest),
    /// Fetch
    Fetch(FetchRequest),
    /// FetchSnapshot
    FetchSnapshot(FetchSnapshotRequest),
}

/// Any response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// Vote
    Vote(VoteResponse),
    /// BeginQuorumEpoch or EndQuorumEpoch
    Epoch(EpochResponse),
    /// Fetch
    Fetch(FetchResponse),
    /// FetchSnapshot
    FetchSnapshot(FetchSnapshotResponse),
}
