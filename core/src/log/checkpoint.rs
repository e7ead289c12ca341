//! Kafka's checkpoint files: a version, a count, and one line each; replaced whole or not at all.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IoSlice;
use std::path::Path;

use super::error::{DiskError, OnDisk};
use super::file::{read_file, remove_if_there};
use super::{file_name, sites};
use crate::env::{Disk, File};
use crate::epochs::Epochs;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::museum::{Switch, Switches};

/// An offset for each partition of a log directory.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

/// C3: a checkpoint takes its name only when its bytes are durable, and its name is durable when it counts
/// (KAFKA-16541, KAFKA-1539, KAFKA-9892).
pub(super) fn is_synced(switches: Switches) -> bool {
    !switches.off(Switch::CheckpointNoFsync)
}

/// Replaces a file by `bytes`, durably, so that a crash leaves either the old file or the new one.
///
/// # Errors
/// When a disk call fails.
pub async fn replace<D: Disk>(
    disk: &D,
    path: &Path,
    bytes: &[u8],
    switches: Switches,
) -> Result<(), DiskError> {
    let temporary = file_name::temporary_of(path);
    remove_if_there(disk, sites::CHECKPOINT_REMOVE, &temporary)?;
    let file = disk.create(sites::CHECKPOINT_CREATE, &temporary).on(sites::CHECKPOINT_CREATE, &temporary)?;
    file.write_at(sites::CHECKPOINT_WRITE, &[IoSlice::new(bytes)], 0)
        .on(sites::CHECKPOINT_WRITE, &temporary)?;
    if is_synced(switches) {
        file.sync(sites::CHECKPOINT_SYNC).await.on(sites::CHECKPOINT_SYNC, &temporary)?;
    }
    disk.rename(sites::CHECKPOINT_RENAME, &temporary, path).on(sites::CHECKPOINT_RENAME, path)?;
    if is_synced(switches)
        && let Some(parent) = path.parent()
    {
        let synced = disk.sync_dir(sites::CHECKPOINT_SYNC_DIRECTORY, parent).await;
        synced.on(sites::CHECKPOINT_SYNC_DIRECTORY, parent)?;
    }
    Ok(())
}

/// Reads a checkpoint's bytes; `None` when there is none.
///
/// # Errors
/// When a disk call fails.
pub fn read<D: Disk>(disk: &D, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    read_file(disk, sites::CHECKPOINT_OPEN, sites::CHECKPOINT_READ, path)
}

/// `recovery-point-offset-checkpoint` and its like: Kafka's format, with the topic's id in the place of its name.
pub fn encode_offsets(offsets: &Offsets) -> Vec<u8> {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        let _ = writeln!(text, "{} {} {offset}", partition.topic_id, partition.partition);
    }
    text.into_bytes()
}

/// Reads such a file; `None` when it is damaged.
pub fn decode_offsets(bytes: &[u8]) -> Option<Offsets> {
    let mut offsets = Offsets::new();
    for fields in lines(bytes)? {
        let [topic_id, partition, offset] = fields[..] else { return None };
        let partition = TopicPartition::new(topic_id.parse().ok()?, partition.parse().ok()?);
        offsets.insert(partition, Offset(offset.parse().ok()?));
    }
    Some(offsets)
}

/// `leader-epoch-checkpoint`: Kafka's format.
pub fn encode_epochs(epochs: &Epochs) -> Vec<u8> {
    let mut text = format!("0\n{}\n", epochs.entries().len());
    for entry in epochs.entries() {
        let _ = writeln!(text, "{} {}", entry.epoch, entry.start);
    }
    text.into_bytes()
}

/// Reads such a file; `None` when it is damaged or does not rise.
pub fn decode_epochs(bytes: &[u8]) -> Option<Epochs> {
    let mut epochs = Epochs::default();
    let lines = lines(bytes)?;
    let count = lines.len();
    for fields in lines {
        let [epoch, start] = fields[..] else { return None };
        epochs.assign(LeaderEpoch(epoch.parse().ok()?), Offset(start.parse().ok()?));
    }
    (epochs.entries().len() == count).then_some(epochs)
}

/// The fields of each line behind a version, which must be 0, and a count, which must be right.
fn lines(bytes: &[u8]) -> Option<Vec<Vec<&str>>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let fields: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    (fields.len() == count && text.ends_with('\n')).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_written_as_kafka_does_and_read_back() {
        let offsets = Offsets::from([(TopicPartition::METADATA, Offset(42))]);
        let bytes = encode_offsets(&offsets);
        assert_eq!(bytes, b"0\n1\nAAAAAAAAAAAAAAAAAAAAAQ 0 42\n");
        assert_eq!(decode_offsets(&bytes), Some(offsets));
        assert_eq!(decode_offsets(b"0\n0\n"), Some(Offsets::new()));
    }

    #[test]
    fn epochs_are_written_as_kafka_does_and_read_back() {
        let mut epochs = Epochs::default();
        epochs.assign(LeaderEpoch(0), Offset(0));
        epochs.assign(LeaderEpoch(2), Offset(7));
        let bytes = encode_epochs(&epochs);
        assert_eq!(bytes, b"0\n2\n0 0\n2 7\n");
        assert_eq!(decode_epochs(&bytes), Some(epochs));
    }

    #[test]
    fn damaged_checkpoints_are_refused() {
        for text in [
            "",
            "0",
            "0\n",
            "1\n0\n",
            "0\n2\n0 0\n",
            "0\n1\n0 0",
            "0\n2\n1 5\n0 0\n",
            "0\n1\nx 0\n",
            "0\n-1\n",
        ] {
            assert_eq!(decode_epochs(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(decode_offsets(&[0; 64]), None);
        assert_eq!(decode_offsets(b"0\n1\nAAAAAAAAAAAAAAAAAAAAAQ 0\n"), None);
        assert_eq!(decode_offsets(&[0xff, 0xfe]), None);
    }
}
