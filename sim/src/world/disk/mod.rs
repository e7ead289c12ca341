//! Simulated disks: a page cache in front of a medium, and everything that goes wrong with either.
//!
//! A disk belongs to a node and outlives its incarnations. After a crash of the process the page cache is still
//! there; after a loss of power only what was synced is, and of the rest whatever [`PowerLoss`] says. Directories are
//! held to what POSIX promises: a name is durable once its directory was synced, and not before.

mod content;
mod drive;
mod fault;
mod file;
mod names;
mod power;

pub use drive::{DiskSettings, Operation, Strike};
pub(crate) use drive::{Drive, crashed};
pub use fault::{DiskError, Failure, SyncLie};
pub(crate) use file::Inode;
pub use file::{SimFile, SimLock};
pub use power::{Keep, Lost, PowerLoss};

use std::io;
use std::path::Path;
use std::sync::Arc;

use jangbu_core::env::{DirEntry, Disk, OpenMode, Site};

use super::World;
use super::node::{Incarnation, Node};
use crate::trace::hash_bytes;
use drive::Part;
use names::Entry;

/// The disk of a node, as one incarnation holds it.
#[derive(Clone)]
pub struct SimDisk {
    pub(super) world: Arc<World>,
    pub(super) node: Arc<Node>,
    pub(super) incarnation: Arc<Incarnation>,
}

impl SimDisk {
    pub(crate) fn new(world: Arc<World>, node: Arc<Node>, incarnation: Arc<Incarnation>) -> Self {
        Self { world, node, incarnation }
    }

    /// A call that changes or reads names: it happens whole or not at all.
    fn name_call<T>(
        &self,
        site: Site,
        operation: Operation,
        path: &Path,
        action: impl FnOnce(&mut drive::DriveState) -> io::Result<T>,
    ) -> io::Result<T> {
        let words = path_hash(path);
        self.call(site, operation, path, words, |part| match part {
            Part::Whole => action(&mut super::lock(&self.node.drive.state)),
            Part::Random => Err(drive::error(io::ErrorKind::Other, "nothing was changed")),
        })
    }
}

/// Paths are hashed as text: their own hash may differ between platforms.
fn path_hash(path: &Path) -> u64 {
    hash_bytes(0, path.as_os_str().as_encoded_bytes())
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn create(&self, site: Site, path: &Path) -> io::Result<SimFile> {
        let inode = self.name_call(site, Operation::Name, path, |state| {
            let inode = Arc::new(Inode::default());
            state.names.add_file(path, inode.clone())?;
            Ok(inode)
        })?;
        Ok(SimFile::new(self.clone(), inode, path, OpenMode::Write))
    }

    fn open(&self, site: Site, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let inode = self.name_call(site, Operation::Read, path, |state| state.names.file(path))?;
        Ok(SimFile::new(self.clone(), inode, path, mode))
    }

    fn rename(&self, site: Site, from: &Path, to: &Path) -> io::Result<()> {
        self.call(site, Operation::Name, from, path_hash(from) ^ path_hash(to).rotate_left(1), |part| {
            match part {
                Part::Whole => super::lock(&self.node.drive.state).names.rename(from, to),
                Part::Random => Ok(()),
            }
        })
    }

    fn remove_file(&self, site: Site, path: &Path) -> io::Result<()> {
        self.name_call(site, Operation::Name, path, |state| state.names.remove(path, false))
    }

    fn create_dir(&self, site: Site, path: &Path) -> io::Result<()> {
        self.name_call(site, Operation::Name, path, |state| state.names.add_directory(path))
    }

    fn remove_dir(&self, site: Site, path: &Path) -> io::Result<()> {
        self.name_call(site, Operation::Name, path, |state| state.names.remove(path, true))
    }

    fn list(&self, site: Site, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entries = self.name_call(site, Operation::Read, path, |state| state.names.list(path))?;
        let entry = |(name, entry)| match entry {
            Entry::File(inode) => DirEntry { name, is_dir: false, len: inode.len() },
            Entry::Directory(_) => DirEntry { name, is_dir: true, len: 0 },
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    async fn sync_dir(&self, site: Site, path: &Path) -> io::Result<()> {
        let (directory, mark) = {
            let state = super::lock(&self.node.drive.state);
            (state.names.directory(path)?, state.names.mark())
        };
        self.sync_call(site, path, drive::Synced::Directory(directory, mark)).await
    }

    fn lock(&self, site: Site, dir: &Path) -> io::Result<SimLock> {
        self.call(site, Operation::Name, dir, path_hash(dir), |part| match part {
            Part::Whole => SimLock::take(self, dir),
            Part::Random => Err(drive::error(io::ErrorKind::Other, "no lock was taken")),
        })
    }
}
