//! Names of the files in a partition's directory: Kafka's, so that its tools read them.

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use super::error::{DiskError, OnDisk};
use super::sites;
use crate::env::{Disk, File};
use crate::ids::{Offset, TopicId};

/// What a file that is named after an offset holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Record batches.
    Log,
    /// Offset to position.
    OffsetIndex,
    /// Timestamp to offset.
    TimeIndex,
    /// Producers.
    Snapshot,
}

pub(super) const EPOCHS: &str = "leader-epoch-checkpoint";
const METADATA: &str = "partition.metadata";

/// What a file is called until it takes its name.
pub(super) fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// The end of the name of a file that has left the log and waits to be removed, as Kafka has it.
const DELETED: &str = ".deleted";

/// What a file is called once it has left the log.
pub(super) fn deleted_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(DELETED);
    name.into()
}

/// Whether a name says that its file has left the log.
pub(super) fn is_deleted(name: &str) -> bool {
    name.ends_with(DELETED)
}

impl Kind {
    const ALL: [Self; 4] = [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::Snapshot];

    fn extension(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
            Self::Snapshot => "snapshot",
        }
    }

    /// The path of such a file in a partition's directory.
    pub(super) fn path(self, directory: &Path, offset: Offset) -> PathBuf {
        directory.join(format!("{:020}.{}", offset.0, self.extension()))
    }

    /// What a name says, or `None` for a file that is not named after an offset.
    pub(super) fn parse(name: &str) -> Option<(Self, Offset)> {
        let (digits, extension) = name.split_once('.')?;
        let kind = Self::ALL.into_iter().find(|kind| kind.extension() == extension)?;
        if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some((kind, Offset(digits.parse().ok()?)))
    }
}

/// Writes `partition.metadata`, by which Kafka's tools know the topic's id. It repeats the directory's name, so
/// nothing here depends on it.
pub(super) fn write_partition_metadata<D: Disk>(
    disk: &D,
    directory: &Path,
    topic_id: TopicId,
) -> Result<(), DiskError> {
    let path = directory.join(METADATA);
    let file = disk.create(sites::CREATE_METADATA, &path).on(sites::CREATE_METADATA, &path)?;
    let text = format!("version: 0\ntopic_id: {topic_id}");
    file.write_at(sites::CREATE_METADATA_WRITE, &[IoSlice::new(text.as_bytes())], 0)
        .on(sites::CREATE_METADATA_WRITE, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        let path = Kind::TimeIndex.path(Path::new("d"), Offset(42));
        assert_eq!(path, Path::new("d/00000000000000000042.timeindex"));
    }

    #[test]
    fn names_are_read_back_and_strange_ones_ignored() {
        assert_eq!(Kind::parse("00000000000000000042.log"), Some((Kind::Log, Offset(42))));
        for name in [
            "42.log",
            "0000000000000000004x.log",
            "99999999999999999999.log",
            "a",
            "+0000000000000000042.log",
        ] {
            assert_eq!(Kind::parse(name), None, "{name}");
        }
    }
}
