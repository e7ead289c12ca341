//! The snapshot files of the metadata log: finding the newest, writing one, removing what it replaces.

use std::path::Path;

use bytes::Bytes;

use crate::env::{Disk, Site};
use crate::log::{DiskError, checkpoint};
use crate::metadata::snapshot::SnapshotId;
use crate::museum::Switches;

/// The metadata log's directory is listed to find its snapshots.
pub const LIST: Site = Site::new("quorum.snapshot.list");
/// A snapshot that a newer one replaces is removed.
pub const REMOVE: Site = Site::new("quorum.snapshot.remove");

pub(super) fn on_disk<T>(result: std::io::Result<T>, site: Site, path: &Path) -> Result<T, DiskError> {
    result.map_err(|source| DiskError { site, path: path.to_owned(), source })
}

/// The snapshots in a directory, the newest last; none when there is no directory.
pub(super) fn list<D: Disk>(disk: &D, dir: &Path) -> Result<Vec<SnapshotId>, DiskError> {
    let entries = match disk.list(LIST, dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => on_disk(listed, LIST, dir)?,
    };
    let mut ids: Vec<SnapshotId> =
        entries.iter().filter_map(|entry| SnapshotId::parse(&entry.name)).collect();
    ids.sort();
    Ok(ids)
}

/// A snapshot's bytes; `None` when it is not there.
pub(super) fn read<D: Disk>(disk: &D, dir: &Path, id: SnapshotId) -> Result<Option<Bytes>, DiskError> {
    Ok(checkpoint::read(disk, &dir.join(id.file_name()))?.map(Bytes::from))
}

/// Writes a snapshot durably, then removes those before it: what they hold, it holds too.
pub(super) async fn write<D: Disk>(
    disk: &D,
    dir: &Path,
    id: SnapshotId,
    bytes: &[u8],
) -> Result<(), DiskError> {
    checkpoint::replace(disk, &dir.join(id.file_name()), bytes, Switches::default()).await?;
    for older in list(disk, dir)?.into_iter().filter(|older| *older < id) {
        remove(disk, &dir.join(older.file_name()))?;
    }
    Ok(())
}

/// Removes a snapshot's file.
pub(super) fn remove<D: Disk>(disk: &D, path: &Path) -> Result<(), DiskError> {
    on_disk(disk.remove_file(REMOVE, path), REMOVE, path)
}
