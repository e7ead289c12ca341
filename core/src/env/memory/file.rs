//! Reading and writing a file.

use std::io::{self, ErrorKind, IoSlice};

use super::{Change, MemoryFile, Strike, crashed, sync};
use crate::env::{File, Site};

impl MemoryFile {
    fn write(&self, site: Site, change: Change) -> io::Result<()> {
        if !self.writable {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let (mut state, strike) = self.disk.write_access(site)?;
        match (strike, change) {
            (Strike::No, change) => {
                state.write(self.inode, change);
                Ok(())
            }
            (Strike::Crash, Change::Write { position, mut bytes }) => {
                let torn = state.draw(bytes.len() + 1);
                bytes.truncate(torn);
                if !bytes.is_empty() {
                    state.write(self.inode, Change::Write { position, bytes });
                }
                Err(crashed())
            }
            (Strike::Crash, change) => {
                if state.draw(2) == 0 {
                    state.write(self.inode, change);
                }
                Err(crashed())
            }
        }
    }
}

impl File for MemoryFile {
    fn write_at(&self, site: Site, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let bytes = buffers.iter().map(|buffer| &buffer[..]).collect::<Vec<_>>().concat();
        self.write(site, Change::Write { position: position as usize, bytes })
    }

    fn read_at(&self, site: Site, into: &mut [u8], position: u64) -> io::Result<usize> {
        let mut state = self.disk.read_access(site)?;
        let visible = &state.inodes[self.inode as usize].visible;
        let there = visible.get(position as usize..).unwrap_or_default();
        let len = there.len().min(into.len());
        into[..len].copy_from_slice(&there[..len]);
        state.read_bytes += len as u64;
        Ok(len)
    }

    fn truncate(&self, site: Site, len: u64) -> io::Result<()> {
        self.write(site, Change::SetLen(len as usize))
    }

    fn allocate(&self, site: Site, _len: u64) -> io::Result<()> {
        self.disk.write_access(site).map(drop)
    }

    fn len(&self, site: Site) -> io::Result<u64> {
        Ok(self.disk.read_access(site)?.inodes[self.inode as usize].visible.len() as u64)
    }

    async fn sync(&self, site: Site) -> io::Result<()> {
        sync::sync(self, site).await
    }
}
