//! A disk in memory, for tests of what stands on [`Disk`]: what is visible, what is durable, and what each kind of
//! crash leaves. The simulator has its own, with time and many more faults.
//!
//! Every file keeps its durable bytes and the writes since; every directory its durable names and the changes
//! since. A crash of the process loses nothing; a loss of power loses any of those, as [`PowerLoss`] says.

mod file;
mod sync;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::disk::{DirEntry, Disk, OpenMode, Site};
use crate::sync::{Arc, Mutex, MutexGuard};

/// What a loss of power leaves of changes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerLoss {
    /// None of them.
    Everything,
    /// All of them.
    Nothing,
    /// Of each file and directory the first few, the last of them torn.
    Prefix,
    /// Of each file any of them, in sectors of 512 bytes; lengths may survive without bytes, which are zeros or
    /// garbage then. Of each directory the first few: file systems journal names in order.
    Subset,
}

/// The disk of one incarnation of a process. Clones share it.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    incarnation: u64,
}

/// An open file of a [`MemoryDisk`].
#[derive(Clone)]
pub struct MemoryFile {
    disk: MemoryDisk,
    inode: u64,
    writable: bool,
}

/// A lock on a directory of a [`MemoryDisk`].
pub struct MemoryLock {
    disk: MemoryDisk,
    dir: PathBuf,
}

#[derive(Clone)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Default)]
struct Inode {
    visible: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    File(u64),
    Dir,
}

/// Names that change at once: `None` removes one.
type NameChange = Vec<(String, Option<Node>)>;

#[derive(Default)]
struct Names {
    visible: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<NameChange>,
}

struct State {
    incarnation: u64,
    crashed: bool,
    calls: u64,
    read_bytes: u64,
    crash_at: Option<u64>,
    crash_at_site: Option<Site>,
    /// Where the last crash came.
    crash_site: Option<Site>,
    errors: Vec<(Site, io::Error)>,
    sites: BTreeSet<Site>,
    sync_polls: u32,
    inodes: Vec<Inode>,
    dirs: BTreeMap<PathBuf, Names>,
    locks: BTreeMap<PathBuf, u64>,
    random: u64,
}

fn crashed() -> io::Error {
    io::Error::other("the process crashed")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{} does not exist", path.display()))
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, bytes: new } => {
            bytes.resize(bytes.len().max(position + new.len()), 0);
            bytes[*position..position + new.len()].copy_from_slice(new);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
    }
}

fn apply_names(names: &mut BTreeMap<String, Node>, change: &NameChange) {
    for (name, node) in change {
        match node {
            Some(node) => names.insert(name.clone(), *node),
            None => names.remove(name),
        };
    }
}

impl State {
    /// xorshift64*: chance for crashes, from the seed.
    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % below.max(1)
    }

    fn names(&mut self, dir: &Path) -> io::Result<&mut Names> {
        self.dirs.get_mut(dir).ok_or_else(|| not_found(dir))
    }

    fn change_names(&mut self, dir: &Path, change: NameChange) -> io::Result<()> {
        let names = self.names(dir)?;
        apply_names(&mut names.visible, &change);
        names.pending.push(change);
        Ok(())
    }

    fn node(&mut self, path: &Path) -> io::Result<Option<Node>> {
        let (dir, name) = parts(path);
        Ok(self.names(dir)?.visible.get(&name).copied())
    }

    fn write(&mut self, inode: u64, change: Change) {
        let inode = &mut self.inodes[inode as usize];
        apply(&mut inode.visible, &change);
        inode.pending.push(change);
    }

    /// What remains of one file's changes.
    fn survivors(&mut self, mode: PowerLoss, changes: Vec<Change>, durable_len: usize) -> Vec<Change> {
        match mode {
            PowerLoss::Everything => Vec::new(),
            PowerLoss::Nothing => changes,
            PowerLoss::Prefix => {
                let keep = self.draw(changes.len() + 1);
                let mut kept: Vec<Change> = changes.into_iter().take(keep).collect();
                if let Some(Change::Write { bytes, .. }) = kept.last_mut() {
                    let torn = self.draw(bytes.len() + 1);
                    bytes.truncate(torn);
                }
                kept
            }
            PowerLoss::Subset => {
                changes.into_iter().flat_map(|change| self.sectors(change, durable_len)).collect()
            }
        }
    }

    /// Zeros and garbage come where the file had grown. What overwrites durable bytes is old or new, sector by
    /// sector: a disk writes a sector whole or not at all, and every append to a half-filled one relies on it.
    fn sectors(&mut self, change: Change, durable_len: usize) -> Vec<Change> {
        let Change::Write { position, bytes } = change else {
            return if self.draw(2) == 0 { vec![change] } else { Vec::new() };
        };
        let end = position + bytes.len();
        let mut kept = Vec::new();
        let mut at = position;
        while at < end {
            let mut sector_end = ((at / 512 + 1) * 512).min(end);
            let overwrites = at < durable_len;
            if overwrites {
                sector_end = sector_end.min(durable_len);
            }
            let mut sector = bytes[at - position..sector_end - position].to_vec();
            match self.draw(8) {
                0..=4 => {}
                5 | 6 if overwrites => {}
                5 => sector.fill(0),
                6 => sector.iter_mut().for_each(|byte| *byte = self.draw(256) as u8),
                _ => {
                    at = sector_end;
                    continue;
                }
            }
            kept.push(Change::Write { position: at, bytes: sector });
            at = sector_end;
        }
        kept
    }

    fn lose_power(&mut self, mode: PowerLoss) {
        for index in 0..self.inodes.len() {
            let changes = std::mem::take(&mut self.inodes[index].pending);
            let durable_len = self.inodes[index].durable.len();
            let survivors = self.survivors(mode, changes, durable_len);
            let inode = &mut self.inodes[index];
            survivors.iter().for_each(|change| apply(&mut inode.durable, change));
            inode.visible = inode.durable.clone();
        }
        let dirs: Vec<PathBuf> = self.dirs.keys().cloned().collect();
        for dir in dirs {
            let pending = std::mem::take(&mut self.dirs.get_mut(&dir).expect("listed").pending);
            let keep = match mode {
                PowerLoss::Everything => 0,
                PowerLoss::Nothing => pending.len(),
                PowerLoss::Prefix | PowerLoss::Subset => self.draw(pending.len() + 1),
            };
            let names = self.dirs.get_mut(&dir).expect("listed");
            pending[..keep].iter().for_each(|change| apply_names(&mut names.durable, change));
            names.visible = names.durable.clone();
        }
        // A renamed directory whose new name was lost comes back empty under its old one.
        let missing: Vec<PathBuf> = self
            .dirs
            .iter()
            .flat_map(|(dir, names)| {
                names.visible.iter().filter(|(_, node)| **node == Node::Dir).map(|(name, _)| dir.join(name))
            })
            .filter(|dir| !self.dirs.contains_key(dir))
            .collect();
        self.dirs.extend(missing.into_iter().map(|dir| (dir, Names::default())));
        // A directory whose own name was lost is lost with all that is in it.
        let lost: Vec<PathBuf> = self.dirs.keys().filter(|dir| !self.is_linked(dir)).cloned().collect();
        for dir in lost {
            self.dirs.remove(&dir);
        }
    }

    fn is_linked(&self, dir: &Path) -> bool {
        dir.ancestors().all(|dir| {
            let Some(parent) = dir.parent() else { return true };
            let (_, name) = parts(dir);
            self.dirs.get(parent).is_some_and(|names| names.visible.get(&name) == Some(&Node::Dir))
        })
    }
}

fn parts(path: &Path) -> (&Path, String) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    (path.parent().unwrap_or(Path::new("")), name)
}

/// Whether a call takes place, or how far it gets when the process crashes in it.
enum Strike {
    No,
    Crash,
}

impl MemoryDisk {
    /// An empty disk with a root directory `/`; `seed` decides what crashes leave.
    pub fn new(seed: u64) -> Self {
        let state = State {
            incarnation: 0,
            crashed: false,
            calls: 0,
            read_bytes: 0,
            crash_at: None,
            crash_at_site: None,
            crash_site: None,
            errors: Vec::new(),
            sites: BTreeSet::new(),
            sync_polls: 0,
            inodes: Vec::new(),
            dirs: BTreeMap::from([(PathBuf::from("/"), Names::default())]),
            locks: BTreeMap::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        Self { state: Arc::new(Mutex::new(state)), incarnation: 0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the disk is locked")
    }

    /// The process crashes in its `nth` change from now on (0 is the next), which is done in part.
    pub fn crash_at(&self, nth: u64) {
        let mut state = self.state();
        (state.crash_at, state.crash_at_site) = (Some(state.calls + nth), None);
    }

    /// The process crashes in its next call at `site`, which may be one that only reads.
    pub fn crash_at_site(&self, site: Site) {
        let mut state = self.state();
        (state.crash_at, state.crash_at_site) = (None, Some(site));
    }

    /// Where the last crash came.
    pub fn crash_site(&self) -> Option<Site> {
        self.state().crash_site
    }

    /// The next call at `site` fails, and does nothing.
    pub fn fail_next(&self, site: Site, error: impl Into<io::Error>) {
        self.state().errors.push((site, error.into()));
    }

    /// From now on a file's sync waits this often before it happens.
    pub fn delay_syncs(&self, polls: u32) {
        self.state().sync_polls = polls;
    }

    /// How many changes were made or begun.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many bytes of files were read.
    pub fn read_bytes(&self) -> u64 {
        self.state().read_bytes
    }

    /// Bytes of all files that were ever there.
    pub fn size_bytes(&self) -> u64 {
        self.state().inodes.iter().map(|inode| inode.visible.len() as u64).sum()
    }

    /// How many files there are.
    pub fn file_count(&self) -> usize {
        let files =
            |names: &Names| names.visible.values().filter(|node| matches!(node, Node::File(_))).count();
        self.state().dirs.values().map(files).sum()
    }

    /// The sites that made a call.
    pub fn sites(&self) -> BTreeSet<Site> {
        self.state().sites.clone()
    }

    /// Ends this process and starts the next, which sees everything.
    pub fn restart_process(&self) -> Self {
        let mut state = self.state();
        state.incarnation += 1;
        state.crashed = false;
        (state.crash_at, state.crash_at_site) = (None, None);
        state.errors.clear();
        state.locks.clear();
        let incarnation = state.incarnation;
        drop(state);
        Self { state: self.state.clone(), incarnation }
    }

    /// Cuts the power and starts the next process, which sees what was durable and what survived by luck.
    pub fn restart_machine(&self, mode: PowerLoss) -> Self {
        self.state().lose_power(mode);
        self.restart_process()
    }

    /// All bytes of a file, for tests that look at the disk itself.
    pub fn bytes(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        match state.node(path.as_ref())? {
            Some(Node::File(inode)) => Ok(state.inodes[inode as usize].visible.clone()),
            _ => Err(not_found(path.as_ref())),
        }
    }

    /// Replaces a file's bytes, durably and behind everyone's back: bit rot, or a file of an older version.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let (dir, name) = parts(path.as_ref());
        let inode = Inode { visible: bytes.to_vec(), durable: bytes.to_vec(), pending: Vec::new() };
        state.inodes.push(inode);
        let node = Node::File(state.inodes.len() as u64 - 1);
        let names = state.names(dir).expect("the directory exists");
        names.visible.insert(name.clone(), node);
        names.durable.insert(name, node);
    }

    fn access(&self, site: Site) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.crashed || state.incarnation != self.incarnation {
            return Err(crashed());
        }
        state.sites.insert(site);
        if let Some(index) = state.errors.iter().position(|(at, _)| *at == site) {
            return Err(state.errors.remove(index).1);
        }
        Ok(state)
    }

    fn read_access(&self, site: Site) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.access(site)?;
        if state.crash_at_site == Some(site) {
            (state.crashed, state.crash_site) = (true, Some(site));
            return Err(crashed());
        }
        Ok(state)
    }

    fn write_access(&self, site: Site) -> io::Result<(MutexGuard<'_, State>, Strike)> {
        let mut state = self.access(site)?;
        let call = state.calls;
        state.calls += 1;
        if state.crash_at != Some(call) && state.crash_at_site != Some(site) {
            return Ok((state, Strike::No));
        }
        (state.crashed, state.crash_site) = (true, Some(site));
        Ok((state, Strike::Crash))
    }

    /// A change of names happens whole or, in a crash, by chance not at all.
    fn change(&self, site: Site, change: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let (mut state, strike) = self.write_access(site)?;
        match strike {
            Strike::No => change(&mut state),
            Strike::Crash => {
                if state.draw(2) == 0 {
                    let _ = change(&mut state);
                }
                Err(crashed())
            }
        }
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn create(&self, site: Site, path: &Path) -> io::Result<MemoryFile> {
        let mut inode = 0;
        self.change(site, |state| {
            if state.node(path)?.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            state.inodes.push(Inode::default());
            inode = state.inodes.len() as u64 - 1;
            let (dir, name) = parts(path);
            state.change_names(dir, vec![(name, Some(Node::File(inode)))])
        })?;
        Ok(MemoryFile { disk: self.clone(), inode, writable: true })
    }

    fn open(&self, site: Site, path: &Path, mode: OpenMode) -> io::Result<MemoryFile> {
        match self.read_access(site)?.node(path)? {
            Some(Node::File(inode)) => {
                Ok(MemoryFile { disk: self.clone(), inode, writable: mode == OpenMode::Write })
            }
            Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
            None => Err(not_found(path)),
        }
    }

    fn rename(&self, site: Site, from: &Path, to: &Path) -> io::Result<()> {
        self.change(site, |state| {
            let node = state.node(from)?.ok_or_else(|| not_found(from))?;
            let ((from_dir, from_name), (to_dir, to_name)) = (parts(from), parts(to));
            if node == Node::Dir {
                let moved: Vec<PathBuf> =
                    state.dirs.keys().filter(|dir| dir.starts_with(from)).cloned().collect();
                for dir in moved {
                    let names = state.dirs.remove(&dir).expect("listed");
                    let rest = dir.strip_prefix(from).expect("filtered");
                    state.dirs.insert(if rest == Path::new("") { to.into() } else { to.join(rest) }, names);
                }
            }
            if from_dir == to_dir {
                return state.change_names(to_dir, vec![(from_name, None), (to_name, Some(node))]);
            }
            state.change_names(to_dir, vec![(to_name, Some(node))])?;
            state.change_names(from_dir, vec![(from_name, None)])
        })
    }

    fn remove_file(&self, site: Site, path: &Path) -> io::Result<()> {
        self.change(site, |state| {
            let (dir, name) = parts(path);
            match state.node(path)? {
                Some(Node::File(_)) => state.change_names(dir, vec![(name, None)]),
                Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
                None => Err(not_found(path)),
            }
        })
    }

    fn create_dir(&self, site: Site, path: &Path) -> io::Result<()> {
        self.change(site, |state| {
            if state.node(path)?.is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            let (dir, name) = parts(path);
            state.change_names(dir, vec![(name, Some(Node::Dir))])?;
            state.dirs.insert(path.into(), Names::default());
            Ok(())
        })
    }

    fn remove_dir(&self, site: Site, path: &Path) -> io::Result<()> {
        self.change(site, |state| {
            if !state.names(path)?.visible.is_empty() {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            let (dir, name) = parts(path);
            state.change_names(dir, vec![(name, None)])
        })
    }

    fn list(&self, site: Site, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.read_access(site)?;
        let visible = state.names(path)?.visible.clone();
        let entry = |(name, node)| match node {
            Node::File(inode) => {
                DirEntry { name, is_dir: false, len: state.inodes[inode as usize].visible.len() as u64 }
            }
            Node::Dir => DirEntry { name, is_dir: true, len: 0 },
        };
        Ok(visible.into_iter().map(entry).collect())
    }

    async fn sync_dir(&self, site: Site, path: &Path) -> io::Result<()> {
        self.change(site, |state| {
            let names = state.names(path)?;
            names.durable = names.visible.clone();
            names.pending.clear();
            Ok(())
        })
    }

    fn lock(&self, site: Site, dir: &Path) -> io::Result<MemoryLock> {
        let mut state = self.read_access(site)?;
        state.names(dir)?;
        if state.locks.contains_key(dir) {
            return Err(ErrorKind::WouldBlock.into());
        }
        state.locks.insert(dir.into(), self.incarnation);
        Ok(MemoryLock { disk: self.clone(), dir: dir.into() })
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.locks.get(&self.dir) == Some(&self.disk.incarnation) {
            state.locks.remove(&self.dir);
        }
    }
}
