//! Walks the batch headers of a segment's file.

use std::io;

use crate::env::{File, Site};
use crate::record::batch::{BatchError, BatchHeader, HEADER_LEN};

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum ScanError {
    /// The read failed.
    Io(io::Error),
    /// There is no batch at this position.
    Batch(u64, BatchError),
}

/// A walk over headers: bodies are skipped, CRCs are not checked.
pub(super) struct HeaderScan<'a, F> {
    file: &'a F,
    site: Site,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_position: u64,
    window_len: usize,
    read_bytes: usize,
}

impl<'a, F: File> HeaderScan<'a, F> {
    /// Walks from `position`, where a batch begins, to `end`; reads `window_len` bytes at once.
    pub(super) fn new(file: &'a F, site: Site, position: u64, end: u64, window_len: usize) -> Self {
        debug_assert!(window_len >= HEADER_LEN);
        Self {
            file,
            site,
            position,
            end,
            window: Vec::new(),
            window_position: position,
            window_len,
            read_bytes: 0,
        }
    }

    /// The next header and where its batch begins, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, BatchHeader)>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let header = self.header_at(position).map_err(ScanError::Io)?;
        let header = BatchHeader::parse(header).map_err(|error| ScanError::Batch(position, error))?;
        let needed = header.size_bytes();
        let there = self.end - position;
        if needed as u64 > there {
            let error = BatchError::Truncated { needed, there: there as usize };
            return Err(ScanError::Batch(position, error));
        }
        self.position += needed as u64;
        Ok(Some((position, header)))
    }

    /// How much was read so far.
    pub(super) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    fn header_at(&mut self, position: u64) -> io::Result<&[u8]> {
        let inside = |at: u64, len: usize| {
            at >= self.window_position && at + HEADER_LEN as u64 <= self.window_position + len as u64
        };
        if !inside(position, self.window.len()) {
            let len = (self.end - position).min(self.window_len as u64) as usize;
            self.window.resize(len, 0);
            let read = self.file.read_at(self.site, &mut self.window, position)?;
            self.window.truncate(read);
            self.read_bytes += read;
            self.window_position = position;
        }
        let start = ((position - self.window_position) as usize).min(self.window.len());
        let end = (start + HEADER_LEN).min(self.window.len());
        Ok(&self.window[start..end])
    }
}
