//! Where a bit of a log was turned over: what stood there and behind it, nobody need find again.

use std::path::Path;

use jangbu_core::ids::TopicPartition;

use super::batch::CHECKED_FROM;
use super::scan::{directory_of, segment_file};
use super::{Replica, Written};

/// The name of the file, if it is derived from this log.
pub(super) fn derived(partition: TopicPartition, path: &Path) -> Option<String> {
    let directory = path.parent()?.file_name()?.to_str()?;
    let name = path.file_name()?.to_str()?;
    let (_, kind) = segment_file(name)?;
    (directory == directory_of(partition) && kind != "log").then(|| name.to_owned())
}

/// The damage to one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rot {
    /// The first offset that may be damaged: that of the batch in which the bit was.
    pub from: i64,
    /// Whether the bit is one that no checksum covers, such as of an offset or an epoch: nobody can tell.
    pub unseen: bool,
}

impl Rot {
    /// The damage of a bit in this byte of a file, if the file is a segment of this log.
    pub(super) fn of(
        partition: TopicPartition,
        replica: &Replica,
        path: &Path,
        position: u64,
    ) -> Option<Self> {
        let directory = path.parent()?.file_name()?.to_str()?;
        let (base, kind) = segment_file(path.file_name()?.to_str()?)?;
        if directory != directory_of(partition) || kind != "log" {
            return None;
        }
        let mut left = position;
        let mut batches = replica.batches.iter().skip_while(|batch| batch.base < base);
        let struck = |batch: &&Written| {
            let inside = left < u64::from(batch.size);
            left = left.saturating_sub(if inside { 0 } else { u64::from(batch.size) });
            inside
        };
        // What is behind the last batch was never told: it may be one that is being written.
        Some(match batches.find(struck) {
            Some(batch) => Self { from: batch.base, unseen: left < CHECKED_FROM as u64 },
            None => Self { from: replica.log_end, unseen: true },
        })
    }

    /// Both damages together.
    pub(super) fn and(self, other: Option<Self>) -> Self {
        match other {
            Some(other) => Self { from: self.from.min(other.from), unseen: self.unseen || other.unseen },
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{partition, written};

    #[test]
    fn a_bit_damages_the_batch_that_it_is_in() {
        let batches = vec![written(0, 5), written(5, 9), written(9, 10), written(10, 12)];
        let replica = Replica { batches, log_end: 12, ..Replica::default() };
        let size = u64::from(written(0, 5).size);
        let path = directory_of(partition());
        let rot = |file: &str, position| {
            Rot::of(partition(), &replica, Path::new(&format!("/data/{path}/{file}")), position)
        };
        let first = "00000000000000000000.log";
        assert_eq!(rot(first, 0), Some(Rot { from: 0, unseen: true }));
        assert_eq!(rot(first, size + 30), Some(Rot { from: 5, unseen: false }));
        assert_eq!(rot("00000000000000000009.log", size + 3), Some(Rot { from: 10, unseen: true }));
        assert_eq!(rot("00000000000000000009.log", 3 * size), Some(Rot { from: 12, unseen: true }));
        let index = "00000000000000000000.index";
        assert_eq!(rot(index, 0), None, "an index is derived from the log");
        assert_eq!(derived(partition(), Path::new(&format!("/data/{path}/{index}"))), Some(index.to_owned()));
        assert_eq!(derived(partition(), Path::new(&format!("/data/{path}/{first}"))), None);
        let elsewhere = Path::new("/data/elsewhere-0/00000000000000000000.log");
        assert_eq!(Rot::of(partition(), &replica, elsewhere, 0), None);
    }
}
