//! Whether this broker may speak for a partition, in the epoch a client believes in (KIP-320).

use crate::ids::LeaderEpoch;

use super::directory::StorageError;
use super::progress::Role;

/// Why it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeadershipError {
    /// Another broker leads, or none: the client asks the metadata again (NOT_LEADER_OR_FOLLOWER).
    #[error("this broker is not the partition's leader")]
    NotLeader,
    /// The client knows an older leader only (FENCED_LEADER_EPOCH).
    #[error("leader epoch {offered} is over, {current} has begun")]
    Fenced {
        /// The client's.
        offered: LeaderEpoch,
        /// Ours.
        current: LeaderEpoch,
    },
    /// The client knows a newer leader than this broker does: it tries again (UNKNOWN_LEADER_EPOCH).
    #[error("leader epoch {offered} is not known here yet, only {current}")]
    Unknown {
        /// The client's.
        offered: LeaderEpoch,
        /// Ours.
        current: LeaderEpoch,
    },
}

/// Why this broker did not become a partition's leader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElectionError {
    /// The log has batches of a later epoch. To write in an earlier one behind them would contradict everything that
    /// is found by epochs.
    #[error(
        "leader epoch {offered} was given, but the log has epoch {latest} already, so the metadata is an old copy, or the \
         log is damaged: stop, and restore the newest metadata; where it is the newest, remove the log"
    )]
    EpochWentBack {
        /// The epoch of the metadata.
        offered: LeaderEpoch,
        /// The log's.
        latest: LeaderEpoch,
    },
    /// The log directory failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The epoch in which this broker leads, if it does and `offered` is that epoch or [`LeaderEpoch::NONE`].
pub(super) fn check(role: Role, offered: LeaderEpoch) -> Result<LeaderEpoch, LeadershipError> {
    let Role::Leader(current) = role else { return Err(LeadershipError::NotLeader) };
    if offered == LeaderEpoch::NONE || offered == current {
        return Ok(current);
    }
    Err(match offered < current {
        true => LeadershipError::Fenced { offered, current },
        false => LeadershipError::Unknown { offered, current },
    })
}
