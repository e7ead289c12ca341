//! The directories of one disk: what processes see, and what would be left if the power went now.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::file::Inode;
use super::power::{Keep, PowerLoss};
use crate::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DirectoryId(u64);

/// So many removed files are remembered that nobody has open.
const NAMELESS_KEPT: usize = 16;

const ROOT: DirectoryId = DirectoryId(0);

#[derive(Clone)]
pub(super) enum Entry {
    File(Arc<Inode>),
    Directory(DirectoryId),
}

#[derive(Clone, Default)]
struct Directory {
    current: BTreeMap<String, Entry>,
    durable: BTreeMap<String, Entry>,
}

/// Edits that happen together or not at all: a rename is two.
struct Change(Vec<Edit>);

struct Edit {
    directory: DirectoryId,
    name: String,
    entry: Option<Entry>,
}

pub(super) struct Names {
    directories: BTreeMap<DirectoryId, Directory>,
    directories_made: u64,
    pending: Vec<Change>,
    changes_made: u64,
    /// Files that have lost their last name, with the directory it was in: they take room while they are open, and
    /// what they held stays on the medium until something is written over it.
    nameless: Vec<(DirectoryId, Arc<Inode>)>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            directories: BTreeMap::from([(ROOT, Directory::default())]),
            directories_made: 1,
            pending: Vec::new(),
            changes_made: 0,
            nameless: Vec::new(),
        }
    }
}

impl Names {
    fn current(&self, directory: DirectoryId) -> io::Result<&BTreeMap<String, Entry>> {
        self.directories
            .get(&directory)
            .map(|directory| &directory.current)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// The entry of a path; `None` when only the last name is missing.
    pub(super) fn find(&self, path: &Path) -> io::Result<Option<Entry>> {
        let mut at = Some(Entry::Directory(ROOT));
        for component in path.components() {
            let name = match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name.to_str().ok_or(ErrorKind::InvalidInput)?,
                Component::ParentDir | Component::Prefix(_) => return Err(ErrorKind::InvalidInput.into()),
            };
            at = match at {
                Some(Entry::Directory(directory)) => self.current(directory)?.get(name).cloned(),
                Some(Entry::File(_)) => return Err(ErrorKind::NotADirectory.into()),
                None => return Err(ErrorKind::NotFound.into()),
            };
        }
        Ok(at)
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<Inode>> {
        match self.find(path)? {
            Some(Entry::File(inode)) => Ok(inode),
            Some(Entry::Directory(_)) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<DirectoryId> {
        match self.find(path)? {
            Some(Entry::Directory(directory)) => Ok(directory),
            Some(Entry::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn parent_and_name(&self, path: &Path) -> io::Result<(DirectoryId, String)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        Ok((self.directory(path.parent().unwrap_or(Path::new("")))?, name.to_owned()))
    }

    pub(super) fn add_file(&mut self, path: &Path, inode: Arc<Inode>) -> io::Result<()> {
        self.add(path, Entry::File(inode))
    }

    pub(super) fn add_directory(&mut self, path: &Path) -> io::Result<()> {
        let id = DirectoryId(self.directories_made);
        self.add(path, Entry::Directory(id))?;
        self.directories_made += 1;
        self.directories.insert(id, Directory::default());
        Ok(())
    }

    fn add(&mut self, path: &Path, entry: Entry) -> io::Result<()> {
        let (directory, name) = self.parent_and_name(path)?;
        if self.current(directory)?.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.change(vec![Edit { directory, name, entry: Some(entry) }]);
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path, is_directory: bool) -> io::Result<()> {
        match self.find(path)? {
            None => return Err(ErrorKind::NotFound.into()),
            Some(Entry::File(_)) if is_directory => return Err(ErrorKind::NotADirectory.into()),
            Some(Entry::Directory(_)) if !is_directory => return Err(ErrorKind::IsADirectory.into()),
            Some(Entry::Directory(directory)) if !self.current(directory)?.is_empty() => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            Some(_) => {}
        }
        let (directory, name) = self.parent_and_name(path)?;
        self.change(vec![Edit { directory, name, entry: None }]);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let moved = self.find(from)?.ok_or(ErrorKind::NotFound)?;
        match (&moved, self.find(to)?) {
            (Entry::Directory(_), Some(Entry::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Entry::File(_), Some(Entry::Directory(_))) => return Err(ErrorKind::IsADirectory.into()),
            (Entry::Directory(_), Some(Entry::Directory(target))) if !self.current(target)?.is_empty() => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        if matches!(moved, Entry::Directory(_)) && to.starts_with(from) && to != from {
            return Err(ErrorKind::InvalidInput.into());
        }
        let (from_directory, from_name) = self.parent_and_name(from)?;
        let (to_directory, to_name) = self.parent_and_name(to)?;
        if (from_directory, &from_name) == (to_directory, &to_name) {
            return Ok(());
        }
        self.change(vec![
            Edit { directory: from_directory, name: from_name, entry: None },
            Edit { directory: to_directory, name: to_name, entry: Some(moved) },
        ]);
        Ok(())
    }

    fn change(&mut self, edits: Vec<Edit>) {
        let mut moved = None;
        for edit in &edits {
            if let Some(directory) = self.directories.get_mut(&edit.directory) {
                let replaced = edit.apply(&mut directory.current);
                // The first edit of a rename takes the name away from the file that the second names again.
                if let Some(Entry::File(inode)) = replaced {
                    moved.get_or_insert(inode.clone());
                    self.nameless.push((edit.directory, inode));
                }
            }
            if let (Some(Entry::File(named)), Some(moved)) = (&edit.entry, &moved)
                && Arc::ptr_eq(named, moved)
            {
                self.nameless.retain(|(_, inode)| !Arc::ptr_eq(inode, named));
            }
        }
        self.pending.push(Change(edits));
        self.changes_made += 1;
        if self.nameless.len() > 2 * NAMELESS_KEPT {
            let mut surplus = self.nameless.len() - NAMELESS_KEPT;
            self.nameless.retain(|(_, inode)| {
                let goes = surplus > 0 && !inode.is_open();
                surplus -= usize::from(goes);
                !goes
            });
        }
    }

    /// Which changes a sync of a directory that starts now covers: all but those made later.
    pub(super) fn mark(&self) -> u64 {
        self.changes_made
    }

    /// The changes of a directory before the mark reach the disk, and with them whatever they rest on.
    pub(super) fn make_durable(&mut self, directory: DirectoryId, mark: u64) {
        let first = self.changes_made - self.pending.len() as u64;
        let covered = usize::try_from(mark.saturating_sub(first)).unwrap_or(0).min(self.pending.len());
        // A rename that becomes durable takes along the earlier changes of its other directory; otherwise one of
        // those could come back to life later.
        let mut directories = BTreeSet::from([directory]);
        let mut chosen = vec![false; covered];
        for (index, change) in self.pending[..covered].iter().enumerate().rev() {
            if change.0.iter().any(|edit| directories.contains(&edit.directory)) {
                directories.extend(change.0.iter().map(|edit| edit.directory));
                chosen[index] = true;
            }
        }
        self.settle(&chosen);
    }

    /// Moves the chosen ones of the first pending changes to the disk; the others stay pending.
    fn settle(&mut self, chosen: &[bool]) {
        let pending = std::mem::take(&mut self.pending);
        for (index, change) in pending.into_iter().enumerate() {
            if chosen.get(index).copied().unwrap_or(false) {
                change.apply_durable(&mut self.directories);
                // The numbers of the pending changes are counted from the end; a gap would shift them.
                self.pending.push(Change(Vec::new()));
            } else {
                self.pending.push(change);
            }
        }
        let settled = self.pending.iter().take_while(|change| change.0.is_empty()).count();
        self.pending.drain(..settled);
    }

    /// Everything so far is durable.
    pub(super) fn settle_all(&mut self) {
        self.settle(&vec![true; self.pending.len()]);
    }

    /// The power goes. Returns how many changes were lost.
    pub(super) fn lose_power(&mut self, loss: PowerLoss, rng: &mut Rng) -> u64 {
        let mut lost: BTreeSet<(DirectoryId, String)> = BTreeSet::new();
        let mut count = 0;
        for change in std::mem::take(&mut self.pending) {
            if change.0.is_empty() {
                continue;
            }
            // What rests on a lost change is lost too, so that no name is given twice or taken from nobody.
            let rests_on_lost =
                change.0.iter().any(|edit| lost.contains(&(edit.directory, edit.name.clone())));
            if loss.keep == Keep::Nothing || rests_on_lost || rng.chance(0.5) {
                lost.extend(change.0.into_iter().map(|edit| (edit.directory, edit.name)));
                count += 1;
            } else {
                change.apply_durable(&mut self.directories);
            }
        }
        let reachable = self.reachable();
        self.directories.retain(|id, _| reachable.contains(id));
        for directory in self.directories.values_mut() {
            directory.current = directory.durable.clone();
        }
        let named: BTreeSet<usize> =
            self.all_inodes().iter().map(|inode| Arc::as_ptr(inode) as usize).collect();
        self.nameless.retain(|(_, inode)| !named.contains(&(Arc::as_ptr(inode) as usize)));
        count
    }

    fn reachable(&self) -> BTreeSet<DirectoryId> {
        let mut seen = BTreeSet::new();
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            if seen.insert(id)
                && let Some(directory) = self.directories.get(&id)
            {
                open.extend(directory.durable.values().filter_map(|entry| match entry {
                    Entry::Directory(id) => Some(*id),
                    Entry::File(_) => None,
                }));
            }
        }
        seen
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(String, Entry)>> {
        let entries = self.current(self.directory(path)?)?;
        Ok(entries.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect())
    }

    /// All files that have a name or may have one after a loss of power, each once, in a fixed order: those that processes
    /// see, those on the medium, and those that only changes name which the medium may or may not get.
    pub(super) fn all_inodes(&self) -> Vec<Arc<Inode>> {
        let named = self
            .directories
            .values()
            .flat_map(|directory| directory.current.values().chain(directory.durable.values()));
        let pending = self.pending.iter().flat_map(|change| &change.0).filter_map(|edit| edit.entry.as_ref());
        // The address tells whether it is the same; it decides no order.
        let mut seen = BTreeSet::new();
        let is_new = |inode: &&Arc<Inode>| seen.insert(Arc::as_ptr(inode) as usize);
        named.chain(pending).filter_map(Entry::as_file).filter(is_new).cloned().collect()
    }

    /// The files whose names are durable in a directory of this name, whose own name is too, in their order.
    pub(super) fn durable_files_in(&self, directory: &str) -> Vec<(String, Arc<Inode>)> {
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            for (name, entry) in self.directories.get(&id).into_iter().flat_map(|found| &found.durable) {
                let Entry::Directory(id) = entry else { continue };
                if name != directory {
                    open.push(*id);
                    continue;
                }
                let inside = self.directories.get(id).into_iter().flat_map(|found| &found.durable);
                return inside
                    .filter_map(|(name, entry)| match entry {
                        Entry::File(inode) => Some((name.clone(), inode.clone())),
                        Entry::Directory(_) => None,
                    })
                    .collect();
            }
        }
        Vec::new()
    }

    /// Bytes that all files take: those with a name, and those without one that somebody has open.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.directories.values().flat_map(|directory| directory.current.values());
        let open = self.nameless.iter().map(|(_, inode)| inode).filter(|inode| inode.is_open());
        named.filter_map(Entry::as_file).chain(open).map(|inode| inode.len()).sum()
    }

    /// All files as [`Names::all_inodes`], each with one whose blocks it may have got: what was removed from its directory
    /// stays on the medium until something is written over it.
    pub(super) fn inodes_with_remains(&self) -> Vec<(Arc<Inode>, Option<Arc<Inode>>)> {
        let mut directories: BTreeMap<usize, DirectoryId> = BTreeMap::new();
        for (id, directory) in &self.directories {
            for inode in directory.current.values().filter_map(Entry::as_file) {
                directories.insert(Arc::as_ptr(inode) as usize, *id);
            }
        }
        let remains = |inode: &Arc<Inode>| {
            let directory = directories.get(&(Arc::as_ptr(inode) as usize))?;
            let mut removed = self.nameless.iter().rev().filter(|(of, _)| of == directory);
            removed
                .find(|(_, other)| !other.is_open() && !Arc::ptr_eq(other, inode))
                .map(|(_, other)| other.clone())
        };
        self.all_inodes().into_iter().map(|inode| (inode.clone(), remains(&inode))).collect()
    }

    /// All files below the root, by path.
    pub(super) fn files(&self) -> Vec<(PathBuf, Arc<Inode>)> {
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, id)) = open.pop() {
            for (name, entry) in
                self.directories.get(&id).into_iter().flat_map(|directory| &directory.current)
            {
                match entry {
                    Entry::File(inode) => found.push((path.join(name), inode.clone())),
                    Entry::Directory(id) => open.push((path.join(name), *id)),
                }
            }
        }
        found.sort_by(|(left, _), (right, _)| left.cmp(right));
        found
    }
}

impl Entry {
    fn as_file(&self) -> Option<&Arc<Inode>> {
        match self {
            Self::File(inode) => Some(inode),
            Self::Directory(_) => None,
        }
    }
}

impl Edit {
    /// Returns what had the name before.
    fn apply(&self, names: &mut BTreeMap<String, Entry>) -> Option<Entry> {
        match &self.entry {
            Some(entry) => names.insert(self.name.clone(), entry.clone()),
            None => names.remove(&self.name),
        }
    }
}

impl Change {
    fn apply_durable(&self, directories: &mut BTreeMap<DirectoryId, Directory>) {
        for edit in &self.0 {
            if let Some(directory) = directories.get_mut(&edit.directory) {
                edit.apply(&mut directory.durable);
            }
        }
    }
}

#[cfg(test)]
mod tests;
