//! Which leader epoch begins at which offset; raft and the replication protocol reconcile logs by it (KIP-101, KIP-320).

use crate::ids::{LeaderEpoch, Offset};

/// What a machine may know of a log: its bounds and its epochs, never its bytes.
pub trait LogView {
    /// The first offset that can be read.
    fn log_start(&self) -> Offset;
    /// The offset of the next record to be appended.
    fn log_end(&self) -> Offset;
    /// The epochs of the records between the two.
    fn epochs(&self) -> &Epochs;
}

/// One leader epoch and the offset of the first record written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Where it begins.
    pub start: Offset,
}

/// The leader-epoch cache: rising in both epoch and offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    entries: Vec<EpochStart>,
}
