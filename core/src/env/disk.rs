use std::fmt;
use std::io::{self, IoSlice};
use std::path::Path;

/// The place in the code that makes a disk call. The simulator strikes at sites and counts which were struck;
/// every site stands in a list of the module that owns it, so that one which was never struck is noticed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(&'static str);

impl Site {
    /// Names a site, such as `log.append.write`. Used only to declare constants.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without the directory.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_dir: bool,
    /// Bytes of a file; 0 for a directory.
    pub len: u64,
}

/// How a file that exists is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading alone.
    Read,
    /// For reading and writing.
    Write,
}

/// A node's file system, as truthful as a page cache: everything is visible to this process at once and survives
/// the process; what survives a loss of power is only what was synced, files by [`File::sync`] and names by
/// [`Disk::sync_dir`].
///
/// Every call may fail with any error at any time. After a failed write or sync the state of the pages is unknown:
/// callers take the directory offline and never try again (the "fsyncgate" of 2018).
///
/// A sync whose future is dropped goes on all the same, and nobody learns how it ends: a failure is told once, so that
/// the next sync of the same file may succeed although the pages never reached the disk. Who drops one must count what
/// it should have made durable as unknown for ever.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// Holds a directory against other processes until it is dropped or the process ends in any way.
    type Lock: Send + Sync + 'static;

    /// Creates a file and opens it for reading and writing; fails with `AlreadyExists` when the name is taken.
    fn create(&self, site: Site, path: &Path) -> io::Result<Self::File>;

    /// Opens a file that exists.
    fn open(&self, site: Site, path: &Path, mode: OpenMode) -> io::Result<Self::File>;

    /// Gives a file or directory another name, at once and whole; a file of that name is replaced.
    fn rename(&self, site: Site, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Who has it open can go on reading.
    fn remove_file(&self, site: Site, path: &Path) -> io::Result<()>;

    /// Creates one directory; its parent must exist. `AlreadyExists` when the name is taken.
    fn create_dir(&self, site: Site, path: &Path) -> io::Result<()>;

    /// Removes a directory, which must be empty.
    fn remove_dir(&self, site: Site, path: &Path) -> io::Result<()>;

    /// The names in a directory, in byte order.
    fn list(&self, site: Site, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Makes the names in a directory durable: creations, renames and removals that were done before the call.
    fn sync_dir(&self, site: Site, path: &Path) -> impl Future<Output = io::Result<()>> + Send;

    /// Takes a directory for this process, by a file named `.lock` in it; fails with `WouldBlock` when another process has it.
    fn lock(&self, site: Site, dir: &Path) -> io::Result<Self::Lock>;
}

/// An open file. Clones share it, and it stays readable after its name is gone.
pub trait File: Clone + Send + Sync + 'static {
    /// Writes all buffers, one behind the other, from `position` on. A write beyond the end fills the gap with
    /// zeros. On an error any part of the bytes may have been written.
    fn write_at(&self, site: Site, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()>;

    /// Reads from `position` until `into` is full or the file ends; returns how many bytes were read.
    fn read_at(&self, site: Site, into: &mut [u8], position: u64) -> io::Result<usize>;

    /// Cuts the file, or lengthens it with zeros.
    fn truncate(&self, site: Site, len: u64) -> io::Result<()>;

    /// Reserves space on the disk up to `len` bytes without changing the length, so that appends cost less. A
    /// world without such a call does nothing.
    fn allocate(&self, site: Site, len: u64) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self, site: Site) -> io::Result<u64>;

    /// Makes durable what was written to the file before the call, its length included.
    fn sync(&self, site: Site) -> impl Future<Output = io::Result<()>> + Send;
}

/// A range of bytes in an open file: what a fetch hands to the network without reading it.
///
/// It keeps the file open, so retention may remove the name meanwhile. A truncation may shorten the file: then the
/// send comes up short, the connection closes and the client tries again.
#[derive(Clone, Debug)]
pub struct FileSlice<F> {
    /// The file.
    pub file: F,
    /// The first byte.
    pub position: u64,
    /// How many bytes.
    pub len: u32,
}

impl<F> crate::wire::api::fetch::Slice for FileSlice<F> {
    fn len_bytes(&self) -> usize {
        self.len as usize
    }
}
