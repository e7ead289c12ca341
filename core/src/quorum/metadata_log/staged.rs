//! A snapshot that arrives in pieces: under a name of its own until it is whole, undamaged and durable.

use std::io::{ErrorKind, IoSlice};
use std::path::PathBuf;

use bytes::Bytes;

use super::{MetadataLog, MetadataLogError};
use crate::env::{Disk, Env, File, Site};
use crate::epochs::SnapshotId;
use crate::metadata::control::ControlRecord;
use crate::quorum::snapshots::on_disk;
use crate::raft::messages::SnapshotChunk;
use crate::record::batch::{Batch, BatchError};
use crate::record::records::{RecordError, iterate};

/// The file of a snapshot that begins to arrive is created.
pub const CREATE: Site = Site::new("quorum.staged.create");
/// A piece of it is written.
pub const WRITE: Site = Site::new("quorum.staged.write");
/// It is whole, and looked at before it counts.
pub const READ: Site = Site::new("quorum.staged.read");
/// It is synced.
pub const SYNC: Site = Site::new("quorum.staged.sync");
/// It takes its name.
pub const RENAME: Site = Site::new("quorum.staged.rename");
/// Its name is made durable.
pub const SYNC_NAME: Site = Site::new("quorum.staged.sync-name");

/// Behind the name of a snapshot of which pieces are missing, as in Kafka.
pub(super) const SUFFIX: &str = ".part";

/// What is wrong with a snapshot that was fetched.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// A batch is damaged, or the snapshot ends inside it.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The records of a control batch are damaged.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// A control record is malformed.
    #[error(transparent)]
    Control(#[from] crate::metadata::CodecError),
    /// The header or the footer is not where it belongs.
    #[error("its {0} is missing")]
    Missing(&'static str),
}

/// The pieces that have arrived.
pub(super) struct Staged<F> {
    id: SnapshotId,
    file: F,
    len: u64,
}

impl<E: Env> MetadataLog<E> {
    /// Keeps a piece of a snapshot that is being fetched. The first piece of one forgets what has arrived of another.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub fn stage(&mut self, chunk: &SnapshotChunk, bytes: &[u8]) -> Result<(), MetadataLogError> {
        let (id, position) = (chunk.snapshot, chunk.position);
        if position == 0 {
            let file = self.create_staged(id)?;
            self.staged = Some(Staged { id, file, len: 0 });
        }
        let path = self.staged_path(id);
        let staged = self.staged.as_mut().filter(|staged| staged.id == id && staged.len == position);
        let staged = staged.ok_or(MetadataLogError::NotNext { snapshot: id, position })?;
        on_disk(staged.file.write_at(WRITE, &[IoSlice::new(bytes)], position), WRITE, &path)?;
        staged.len += bytes.len() as u64;
        Ok(())
    }

    /// Makes a snapshot that has arrived whole durable, and puts it in the place of the log. Not before it was looked at:
    /// the log that gives way to it cannot be had back.
    ///
    /// # Errors
    /// See [`MetadataLogError`].
    pub async fn install(&mut self, id: SnapshotId) -> Result<(), MetadataLogError> {
        let staged = self.staged.take().filter(|staged| staged.id == id);
        let staged = staged.ok_or(MetadataLogError::NotNext { snapshot: id, position: 0 })?;
        let (from, to) = (self.staged_path(id), self.snapshot_path(id));
        let mut bytes = vec![0; usize::try_from(staged.len).unwrap_or(usize::MAX)];
        let read = on_disk(staged.file.read_at(READ, &mut bytes, 0), READ, &from)?;
        bytes.truncate(read);
        check(bytes.into()).map_err(|cause| MetadataLogError::Damaged { snapshot: id, cause })?;
        on_disk(staged.file.sync(SYNC).await, SYNC, &from)?;
        on_disk(self.env.disk().rename(RENAME, &from, &to), RENAME, &to)?;
        on_disk(self.env.disk().sync_dir(SYNC_NAME, self.log.path()).await, SYNC_NAME, self.log.path())?;
        self.snapshots.insert(id, staged.len);
        self.replace_log_by(id).await
    }

    fn create_staged(&self, id: SnapshotId) -> Result<<E::Disk as Disk>::File, MetadataLogError> {
        let (disk, path) = (self.env.disk(), self.staged_path(id));
        match disk.remove_file(CREATE, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => on_disk(removed, CREATE, &path)?,
        }
        Ok(on_disk(disk.create(CREATE, &path), CREATE, &path)?)
    }

    fn staged_path(&self, id: SnapshotId) -> PathBuf {
        self.log.path().join(format!("{}{SUFFIX}", id.file_name()))
    }
}

/// Whole batches with the right checksums, from the header to the footer (KIP-630). What the records between them say is
/// for those to judge who apply them.
fn check(mut bytes: Bytes) -> Result<(), Damage> {
    let mut ends = (false, false);
    let mut is_first = true;
    while !bytes.is_empty() {
        let batch = Batch::split_from(&mut bytes)?;
        ends.1 = false;
        if batch.header().is_control() {
            for record in iterate(&batch, batch.bytes().len())? {
                let record = record?;
                let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
                match ControlRecord::decode(&key, &value)? {
                    Some(ControlRecord::SnapshotHeader { .. }) if is_first => ends.0 = true,
                    Some(ControlRecord::SnapshotFooter) => ends.1 = true,
                    _ => {}
                }
            }
        }
        is_first = false;
    }
    match ends {
        (false, _) => Err(Damage::Missing("header")),
        (true, false) => Err(Damage::Missing("footer")),
        (true, true) => Ok(()),
    }
}
