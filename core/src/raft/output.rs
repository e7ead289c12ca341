//! What the machine wants done.

use super::machine::ElectionState;
use super::messages::{FetchRequest, Request, Response, SnapshotChunk, Standing};
use super::voters::Voters;
use crate::epochs::SnapshotId;
use crate::ids::{BrokerId, LeaderEpoch, Offset};

/// Names the request that an answer belongs to; the shell gives it out and takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyTo(pub u64);

/// One thing to do. Outputs are done in order, and what must be durable comes before the message that depends on it:
/// while a [`Output::SaveElection`] or [`Output::InstallSnapshot`] is under way, the messages behind it wait.
///
/// [`Output::is_immediate`] tells the outputs that touch memory and page cache alone: the shell does them, in their
/// order, before it tells the machine anything else, even while others still wait for the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Make this durable (Kafka's `quorum-state`).
    SaveElection(ElectionState),
    /// Send a request.
    Send {
        /// To this node.
        to: BrokerId,
        /// The request.
        request: Request,
    },
    /// Answer a request.
    Reply {
        /// Which one.
        to: ReplyTo,
        /// The answer.
        response: Response,
    },
    /// Answer a fetch with records. They are looked up at once, as long as this replica is what it was when the
    /// machine decided, and sent when it is the answer's turn.
    Read {
        /// Which one.
        to: ReplyTo,
        /// Its number.
        request_id: u32,
        /// From this offset on,
        from: Offset,
        /// and not beyond this one.
        up_to: Offset,
        /// For the response.
        standing: Standing,
        /// For the response.
        high_watermark: Offset,
    },
    /// Keep a fetch until [`Output::Unpark`], then hand it in again; when it gets too old, answer it with no records.
    Park {
        /// Which one.
        to: ReplyTo,
        /// The fetch.
        request: FetchRequest,
    },
    /// There is something new for parked fetches.
    Unpark,
    /// Answer with a piece of a snapshot.
    ReadSnapshot {
        /// Which request.
        to: ReplyTo,
        /// Its number.
        request_id: u32,
        /// For the response.
        standing: Standing,
        /// Which piece.
        chunk: SnapshotChunk,
    },
    /// Append a LeaderChange record: a new epoch begins here.
    AppendLeaderChange(LeaderEpoch),
    /// Append a VotersRecord in the epoch that this replica leads.
    AppendVoters(Voters),
    /// Append the records that came with the response to this fetch.
    AppendFetched(u32),
    /// Cut the log: this offset is its end now.
    Truncate(Offset),
    /// Keep the piece of a snapshot that came with the response to this request.
    WriteSnapshot {
        /// Which request.
        request_id: u32,
        /// Which piece.
        chunk: SnapshotChunk,
    },
    /// The snapshot is whole: make it durable, put it in the place of the log, and report that.
    InstallSnapshot(SnapshotId),
    /// Everything below is committed.
    HighWatermark(Offset),
    /// This replica leads from now on.
    BecameLeader(LeaderEpoch),
    /// This replica does not lead any more.
    LostLeadership(LeaderEpoch),
    /// The machine has stopped; so must the process.
    Fatal(Fatal),
}

impl Output {
    /// Whether the shell does it at once.
    pub fn is_immediate(&self) -> bool {
        match self {
            Self::AppendLeaderChange(_)
            | Self::AppendVoters(_)
            | Self::AppendFetched(_)
            | Self::Truncate(_)
            | Self::Unpark
            | Self::HighWatermark(_)
            | Self::BecameLeader(_)
            | Self::LostLeadership(_)
            | Self::Fatal(_) => true,
            Self::SaveElection(_)
            | Self::Send { .. }
            | Self::Reply { .. }
            | Self::Read { .. }
            | Self::Park { .. }
            | Self::ReadSnapshot { .. }
            | Self::WriteSnapshot { .. }
            | Self::InstallSnapshot(_) => false,
        }
    }
}

/// What a replica cannot survive: going on would lose what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The leader's log lacks records that this replica knows to be committed (KAFKA-12460).
    #[error(
        "told to cut the log at {to}, below the high watermark {high_watermark}: the leader lost committed records"
    )]
    TruncateBelowHighWatermark {
        /// Where to.
        to: Offset,
        /// What is committed.
        high_watermark: Offset,
    },
    /// The leader's snapshot ends before what is committed here.
    #[error("told to replace the log by a snapshot up to {end}, below the high watermark {high_watermark}")]
    SnapshotBelowHighWatermark {
        /// Where it ends.
        end: Offset,
        /// What is committed.
        high_watermark: Offset,
    },
    /// Two nodes claim one epoch.
    #[error("two leaders in epoch {epoch}: {one} and {other}")]
    TwoLeaders {
        /// The epoch.
        epoch: LeaderEpoch,
        /// The one known here.
        one: BrokerId,
        /// The one heard of.
        other: BrokerId,
    },
    /// Epochs are 32 bits wide and never go back.
    #[error("epoch {epoch} has no next one: nobody can be elected in this cluster any more; make a new one")]
    NoNextEpoch {
        /// The epoch it is in.
        epoch: LeaderEpoch,
    },
}
