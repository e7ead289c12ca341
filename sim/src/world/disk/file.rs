use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use jangbu_core::env::{File, OpenMode, Site};

use super::content::Content;
use super::drive::{self, Part, Synced};
use super::{Operation, PowerLoss, SimDisk};
use crate::rng::Rng;
use crate::trace::hash_bytes;
use crate::world::lock;
use crate::world::node::Incarnation;

/// A file without its names.
#[derive(Default)]
pub(crate) struct Inode {
    content: Mutex<Content>,
    /// How often it is open.
    handles: AtomicU64,
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        lock(&self.content).len() as u64
    }

    pub(super) fn make_durable(&self, mark: u64) {
        lock(&self.content).make_durable(mark);
    }

    pub(super) fn lose_pages(&self, mark: u64) {
        lock(&self.content).lose_pages(mark);
    }

    /// `remains` is a removed file whose blocks this one may have got.
    pub(super) fn lose_power(
        &self,
        loss: PowerLoss,
        remains: Option<&Self>,
        sector_bytes: usize,
        rng: &mut Rng,
    ) -> u64 {
        let mut content = lock(&self.content);
        if !content.may_lose() {
            return 0;
        }
        let stale = remains.map_or_else(|| content.bytes().to_vec(), Self::to_vec);
        content.lose_power(loss, &stale, sector_bytes, rng)
    }

    pub(super) fn evict(&self, rng: &mut Rng) -> u64 {
        lock(&self.content).evict(rng)
    }

    pub(super) fn is_open(&self) -> bool {
        self.handles.load(Ordering::Relaxed) > 0
    }

    pub(super) fn flip(&self, position: u64, bit: u8) -> bool {
        usize::try_from(position).is_ok_and(|position| lock(&self.content).flip(position, bit))
    }

    pub(super) fn chop(&self, len: u64) {
        lock(&self.content).chop(usize::try_from(len).unwrap_or(usize::MAX));
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        lock(&self.content).bytes().to_vec()
    }

    pub(super) fn durable_image(&self) -> Vec<u8> {
        lock(&self.content).durable_image()
    }

    pub(super) fn changes_pending(&self) -> usize {
        lock(&self.content).changes_pending()
    }

    #[cfg(test)]
    pub(super) fn write(&self, bytes: &[u8]) {
        lock(&self.content).write(&[IoSlice::new(bytes)], 0, bytes.len());
    }

    /// Gives what the file holds in a range to `take`; the network sends it from here.
    pub(crate) fn with_range<T>(&self, position: u64, len: usize, take: impl FnOnce(&[u8]) -> T) -> T {
        let content = lock(&self.content);
        let bytes = content.bytes();
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
        take(&bytes[start..start.saturating_add(len).min(bytes.len())])
    }
}

/// An open file.
#[derive(Clone)]
pub struct SimFile(Arc<Handle>);

struct Handle {
    disk: SimDisk,
    inode: Arc<Inode>,
    path: PathBuf,
    mode: OpenMode,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inode.handles.fetch_sub(1, Ordering::Relaxed);
        self.disk.node.drive.closed.store(true, Ordering::Relaxed);
    }
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, inode: Arc<Inode>, path: &Path, mode: OpenMode) -> Self {
        inode.handles.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Handle { disk, inode, path: path.to_owned(), mode }))
    }

    pub(crate) fn inode(&self) -> &Arc<Inode> {
        &self.0.inode
    }

    fn writable(&self) -> io::Result<()> {
        match self.0.mode {
            OpenMode::Write => Ok(()),
            OpenMode::Read => Err(io::Error::from_raw_os_error(9)),
        }
    }

    /// How many bytes too few the disk has for a file to grow by so many.
    fn shortage(&self, growth: u64) -> u64 {
        let drive = &self.0.disk.node.drive;
        let shortage = {
            let mut state = lock(&drive.state);
            if drive.closed.swap(false, Ordering::Relaxed) {
                // A file without a name may have been open until now.
                state.recount();
            }
            state.take_room(growth)
        };
        self.0.disk.meet();
        shortage
    }
}

impl File for SimFile {
    fn write_at(&self, site: Site, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        self.writable()?;
        let start = usize::try_from(position).map_err(|_| ErrorKind::FileTooLarge)?;
        let hash = buffers.iter().fold(position, |hash, buffer| hash_bytes(hash, buffer));
        let len: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        self.0.disk.call(site, Operation::Write, &self.0.path, hash, |part| {
            let growth = (position + len as u64).saturating_sub(self.0.inode.len());
            let shortage = self.shortage(growth);
            let limit = match part {
                Part::Whole => len.saturating_sub(shortage as usize),
                Part::Random => lock(&self.0.disk.world.disk_draws).below(len as u64) as usize,
            };
            lock(&self.0.inode.content).write(buffers, start, limit);
            self.0.disk.world.mix(limit.min(len) as u64);
            if shortage > 0 { Err(drive::no_space()) } else { Ok(()) }
        })
    }

    fn read_at(&self, site: Site, into: &mut [u8], position: u64) -> io::Result<usize> {
        let words = position ^ (into.len() as u64) << 32;
        self.0.disk.call(site, Operation::Read, &self.0.path, words, |part| match part {
            Part::Random => Ok(0),
            Part::Whole => Ok(self.0.inode.with_range(position, into.len(), |bytes| {
                into[..bytes.len()].copy_from_slice(bytes);
                self.0.disk.world.mix(hash_bytes(0, bytes));
                bytes.len()
            })),
        })
    }

    fn truncate(&self, site: Site, len: u64) -> io::Result<()> {
        self.writable()?;
        let len = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?;
        self.0.disk.call(site, Operation::Write, &self.0.path, len as u64, |part| {
            if part == Part::Whole {
                lock(&self.0.inode.content).set_len(len);
                lock(&self.0.disk.node.drive.state).recount();
            }
            Ok(())
        })
    }

    fn allocate(&self, site: Site, len: u64) -> io::Result<()> {
        self.writable()?;
        self.0.disk.call(site, Operation::Write, &self.0.path, len, |_| {
            let growth = len.saturating_sub(self.0.inode.len());
            let shortage = self.shortage(growth);
            // Nothing is reserved: the next write takes the room.
            lock(&self.0.disk.node.drive.state).recount();
            if shortage > 0 { Err(drive::no_space()) } else { Ok(()) }
        })
    }

    fn len(&self, site: Site) -> io::Result<u64> {
        self.0.disk.call(site, Operation::Read, &self.0.path, 0, |_| {
            let len = self.0.inode.len();
            self.0.disk.world.mix(len);
            Ok(len)
        })
    }

    async fn sync(&self, site: Site) -> io::Result<()> {
        let mark = lock(&self.0.inode.content).mark();
        self.0.disk.sync_call(site, &self.0.path, Synced::File(self.0.inode.clone(), mark)).await
    }
}

/// Who has a directory, and by which lock.
pub(super) struct Holder {
    incarnation: Weak<Incarnation>,
    token: Weak<()>,
}

impl Holder {
    fn holds(&self) -> bool {
        self.token.strong_count() > 0
            && self.incarnation.upgrade().is_some_and(|incarnation| !incarnation.is_over())
    }
}

/// A directory that is held. It is free again when this is dropped, and when the incarnation is over.
pub struct SimLock {
    _token: Arc<()>,
}

impl SimLock {
    pub(super) fn take(disk: &SimDisk, dir: &Path) -> io::Result<Self> {
        let mut state = lock(&disk.node.drive.state);
        if state.holders.get(dir).is_some_and(Holder::holds) {
            return Err(drive::error(ErrorKind::WouldBlock, "another process has the directory"));
        }
        let file = dir.join(".lock");
        if state.names.find(&file)?.is_none() {
            state.names.add_file(&file, Arc::default())?;
        }
        let token = Arc::new(());
        let holder = Holder { incarnation: Arc::downgrade(&disk.incarnation), token: Arc::downgrade(&token) };
        state.holders.insert(dir.to_owned(), holder);
        Ok(Self { _token: token })
    }
}
