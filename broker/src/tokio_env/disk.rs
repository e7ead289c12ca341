//! Files and directories of the machine. Reads and writes go to the page cache in the caller's thread, since handing
//! them to another thread costs more than they do; what waits for the device goes to the blocking pool.

use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use jangbu_core::env::{DirEntry, Disk, File, OpenMode, Site};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::task::on_blocking_pool;

/// The machine's file system.
#[derive(Clone, Copy, Debug)]
pub struct TokioDisk;

/// An open file.
#[derive(Clone, Debug)]
pub struct TokioFile(pub(super) Arc<std::fs::File>);

/// A locked directory.
#[derive(Debug)]
pub struct DirectoryLock {
    /// The lock belongs to the open file, and ends with it: also when the process is killed.
    _file: std::fs::File,
}

impl Disk for TokioDisk {
    type File = TokioFile;
    type Lock = DirectoryLock;

    fn create(&self, _site: Site, path: &Path) -> io::Result<TokioFile> {
        let file = std::fs::File::options().read(true).write(true).create_new(true).open(path)?;
        Ok(TokioFile(Arc::new(file)))
    }

    fn open(&self, _site: Site, path: &Path, mode: OpenMode) -> io::Result<TokioFile> {
        let file = std::fs::File::options().read(true).write(mode == OpenMode::Write).open(path)?;
        Ok(TokioFile(Arc::new(file)))
    }

    fn rename(&self, _site: Site, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, _site: Site, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir(&self, _site: Site, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn remove_dir(&self, _site: Site, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn list(&self, _site: Site, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            // Whatever lies here under a name that is no text is not ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since the directory was read.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let len = if metadata.is_dir() { 0 } else { metadata.len() };
            entries.push(DirEntry { name, is_dir: metadata.is_dir(), len });
        }
        entries.sort();
        Ok(entries)
    }

    async fn sync_dir(&self, _site: Site, path: &Path) -> io::Result<()> {
        let path = path.to_owned();
        on_blocking_pool(move || std::fs::File::open(&path)?.sync_all()).await
    }

    fn lock(&self, _site: Site, dir: &Path) -> io::Result<DirectoryLock> {
        let path = dir.join(".lock");
        let file = std::fs::File::options().write(true).create(true).truncate(false).open(path)?;
        file.try_lock()?;
        Ok(DirectoryLock { _file: file })
    }
}

impl File for TokioFile {
    fn write_at(&self, _site: Site, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let len: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if len == 0 {
            return Ok(());
        }
        let written = write_some(&self.0, buffers, position)?;
        if written == len { Ok(()) } else { write_rest(&self.0, buffers, position, written) }
    }

    fn read_at(&self, _site: Site, into: &mut [u8], position: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            match self.0.read_at(&mut into[read..], position + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn truncate(&self, _site: Site, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, _site: Site, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        match fallocate(&*self.0, FallocateFlags::KEEP_SIZE, 0, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            result => Ok(result?),
        }
    }

    fn len(&self, _site: Site) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    async fn sync(&self, _site: Site) -> io::Result<()> {
        let file = Arc::clone(&self.0);
        // fdatasync, which also makes durable a length that is needed to read the data back.
        on_blocking_pool(move || file.sync_data()).await
    }
}

/// One write; returns how many bytes it took.
fn write_some(file: &std::fs::File, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
    loop {
        match rustix::io::pwritev(file, buffers, position) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Goes on after a write that took `written` bytes: the system takes 1,024 buffers at a time, and a full disk less.
fn write_rest(
    file: &std::fs::File,
    buffers: &[IoSlice<'_>],
    position: u64,
    mut written: usize,
) -> io::Result<()> {
    let mut buffers = buffers.to_vec();
    let mut rest = buffers.as_mut_slice();
    let mut done = 0_u64;
    loop {
        done += written as u64;
        IoSlice::advance_slices(&mut rest, written);
        if rest.is_empty() {
            return Ok(());
        }
        written = write_some(file, rest, position + done)?;
    }
}
