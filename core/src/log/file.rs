//! Whole small files.

use std::io::ErrorKind;
use std::path::Path;

use super::error::{DiskError, OnDisk};
use crate::env::{Disk, File, OpenMode, Site};

/// All bytes of a file, or `None` when there is no such file.
pub(super) fn read_file<D: Disk>(
    disk: &D,
    open: Site,
    read: Site,
    path: &Path,
) -> Result<Option<Vec<u8>>, DiskError> {
    let file = match disk.open(open, path, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.on(open, path)?,
    };
    let len = file.len(read).on(read, path)?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let there = file.read_at(read, &mut bytes, 0).on(read, path)?;
    bytes.truncate(there);
    Ok(Some(bytes))
}

/// Removes a file, which may be gone already.
pub(super) fn remove_if_there<D: Disk>(disk: &D, site: Site, path: &Path) -> Result<(), DiskError> {
    match disk.remove_file(site, path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.on(site, path),
    }
}
