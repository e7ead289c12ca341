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

/// What the raft machine may know of the metadata log, whose head is replaced by snapshots (KIP-630).
pub trait MetadataLogView: LogView {
    /// The epoch of the last record before the log's start, which only the snapshot that replaced it remembers;
    /// [`LeaderEpoch`] 0 for a log that begins at offset 0. Without it a follower whose last epoch ended in the
    /// removed part is told to cut below its high watermark.
    fn epoch_before_start(&self) -> LeaderEpoch;
    /// The snapshot that reaches furthest.
    fn latest_snapshot(&self) -> Option<SnapshotId>;
    /// The size in bytes of a snapshot that can be read, or `None` when there is no such snapshot (any more).
    fn snapshot_size(&self, id: SnapshotId) -> Option<u64>;
}

/// A place in a log together with the epoch of the record before it. Compares as logs do in a vote: the later epoch
/// is the newer log, whatever the offsets (KIP-595, Vote).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogEnd {
    /// The epoch of the last record.
    pub epoch: LeaderEpoch,
    /// One past the last record.
    pub offset: Offset,
}

/// Where a snapshot ends, which is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The first offset that is not in it.
    pub end: Offset,
    /// The epoch of the last record that is.
    pub epoch: LeaderEpoch,
}

/// One leader epoch and the offset of the first record written in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Where it begins.
    pub start: Offset,
}

/// Where an epoch ends: the answer to OffsetForLeaderEpoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EpochEnd {
    /// The largest epoch in the log that is not larger than the one asked for.
    pub epoch: LeaderEpoch,
    /// One past its last record.
    pub end: Offset,
}

/// The leader-epoch cache: rising in both epoch and offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epochs {
    entries: Vec<EpochStart>,
}

impl Epochs {
    /// The entries, oldest first.
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    /// The current epoch and where it begins.
    pub fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// Records that `epoch` begins at `start`: at an election, data or none, and at the first batch of an epoch.
    /// Entries which contradict it, later ones in either respect, are removed (KAFKA-7415). Returns whether anything
    /// changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        if epoch < LeaderEpoch(0) {
            return false;
        }
        if self.latest().is_some_and(|latest| latest.epoch == epoch && latest.start <= start) {
            return false;
        }
        self.entries.retain(|entry| entry.epoch < epoch && entry.start < start);
        self.entries.push(EpochStart { epoch, start });
        true
    }

    /// Follows a cut of the log's end to `log_end`: an epoch that begins there or later never existed. To be called
    /// even when the log itself is no longer than that, because an election without writes leaves an entry at the
    /// log's end (KAFKA-10706). Returns whether anything changed.
    pub fn truncate_from_end(&mut self, log_end: Offset) -> bool {
        let before = self.entries.len();
        self.entries.truncate(self.entries.partition_point(|entry| entry.start < log_end));
        self.entries.len() != before
    }

    /// Follows a move of the log's start: epochs that ended before it go, the one that spans it begins there now.
    /// Returns whether anything changed.
    pub fn truncate_from_start(&mut self, log_start: Offset) -> bool {
        let spanning = self.entries.partition_point(|entry| entry.start <= log_start);
        let Some(last) = spanning.checked_sub(1) else { return false };
        let changed = last > 0 || self.entries[last].start != log_start;
        self.entries.drain(..last);
        self.entries[0].start = log_start;
        changed
    }

    /// Where `epoch` ends in this log (KIP-101, KIP-279): for the current epoch the log's end; for another one the
    /// largest epoch not above it, with the start of the next as its end; for one older than everything, itself with
    /// the first start. `None` when the epoch is newer than everything here, or negative.
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        if epoch < LeaderEpoch(0) {
            return None;
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let floor = above.checked_sub(1).map(|index| self.entries[index].epoch);
        match self.entries.get(above) {
            Some(next) => Some(EpochEnd { epoch: floor.unwrap_or(epoch), end: next.start }),
            None if floor == Some(epoch) => Some(EpochEnd { epoch, end: log_end }),
            None => None,
        }
    }

    /// The epoch of the record at `offset`, or of the next record when `offset` is the log's end.
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start <= offset);
        above.checked_sub(1).map(|index| self.entries[index].epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for &(epoch, start) in entries {
            epochs.assign(LeaderEpoch(epoch), Offset(start));
        }
        epochs
    }

    fn check(epochs: &Epochs, expect: &[(i32, i64)]) {
        let entries: Vec<_> = epochs.entries().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect();
        assert_eq!(entries, expect);
    }

    fn end_of(epochs: &Epochs, epoch: i32) -> Option<(i32, i64)> {
        epochs.end_of(LeaderEpoch(epoch), Offset(100)).map(|end| (end.epoch.0, end.end.0))
    }

    #[test]
    fn a_new_epoch_is_recorded_where_it_begins_and_only_once() {
        let mut epochs = epochs(&[(1, 0), (3, 10)]);
        assert!(!epochs.assign(LeaderEpoch(3), Offset(15)));
        check(&epochs, &[(1, 0), (3, 10)]);
    }

    #[test]
    fn an_epoch_without_writes_is_recorded_and_replaced_by_the_next_at_the_same_offset() {
        check(&epochs(&[(1, 0), (2, 10), (3, 10)]), &[(1, 0), (3, 10)]);
    }

    #[test]
    fn entries_that_contradict_a_new_one_are_removed() {
        check(&epochs(&[(1, 0), (4, 10), (5, 20), (4, 15)]), &[(1, 0), (4, 15)]);
        check(&epochs(&[(1, 0), (2, 10), (3, 5)]), &[(1, 0), (3, 5)]);
    }

    #[test]
    fn no_epoch_is_not_recorded() {
        check(&epochs(&[(-1, 0)]), &[]);
    }

    #[test]
    fn epoch_zero_counts() {
        // KAFKA-10432: recovery once skipped it.
        check(&epochs(&[(0, 0)]), &[(0, 0)]);
    }

    #[test]
    fn a_cut_removes_epochs_that_begin_at_the_new_end() {
        let mut epochs = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(epochs.truncate_from_end(Offset(20)));
        check(&epochs, &[(1, 0), (2, 10)]);
        assert!(!epochs.truncate_from_end(Offset(11)));
        check(&epochs, &[(1, 0), (2, 10)]);
    }

    #[test]
    fn a_moved_start_keeps_the_spanning_epoch() {
        let mut epochs = epochs(&[(1, 0), (2, 10), (3, 20)]);
        assert!(epochs.truncate_from_start(Offset(15)));
        check(&epochs, &[(2, 15), (3, 20)]);
        assert!(!epochs.truncate_from_start(Offset(15)));
        assert!(epochs.truncate_from_start(Offset(20)));
        check(&epochs, &[(3, 20)]);
    }

    #[test]
    fn a_start_before_everything_changes_nothing() {
        let mut epochs = epochs(&[(1, 5)]);
        assert!(!epochs.truncate_from_start(Offset(3)));
        check(&epochs, &[(1, 5)]);
        assert!(!Epochs::default().truncate_from_start(Offset(3)));
    }

    #[test]
    fn the_current_epoch_ends_at_the_log_end() {
        assert_eq!(end_of(&epochs(&[(1, 0), (3, 10)]), 3), Some((3, 100)));
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        assert_eq!(end_of(&epochs(&[(1, 0), (3, 10)]), 1), Some((1, 10)));
    }

    #[test]
    fn a_missing_epoch_is_answered_with_the_one_below_it() {
        // KIP-279: never with the high watermark, never with "unknown".
        assert_eq!(end_of(&epochs(&[(1, 0), (3, 10), (7, 20)]), 5), Some((3, 20)));
    }

    #[test]
    fn an_epoch_older_than_everything_ends_where_the_log_begins() {
        assert_eq!(end_of(&epochs(&[(3, 10)]), 2), Some((2, 10)));
    }

    #[test]
    fn an_epoch_newer_than_everything_is_unknown() {
        assert_eq!(end_of(&epochs(&[(3, 10)]), 4), None);
        assert_eq!(end_of(&Epochs::default(), 0), None);
        assert_eq!(end_of(&epochs(&[(3, 10)]), -1), None);
    }

    #[test]
    fn each_offset_has_the_epoch_it_was_written_in() {
        let epochs = epochs(&[(1, 5), (3, 10)]);
        assert_eq!(epochs.at(Offset(4)), None);
        assert_eq!(epochs.at(Offset(9)), Some(LeaderEpoch(1)));
        assert_eq!(epochs.at(Offset(10)), Some(LeaderEpoch(3)));
        assert_eq!(epochs.at(Offset(99)), Some(LeaderEpoch(3)));
    }
}
