//! What waits to be sent on a connection: encoded bytes, with ranges of files between them.
//!
//! Consecutive responses share one buffer, so that the answers to pipelined requests leave in one write, and the
//! buffer is used again when it has been written: in the steady state a response costs no allocation.

use std::io;

use bytes::{Bytes, BytesMut};

use crate::env::{FileSlice, StreamWriter};

/// Responses in the order of their requests, ready to be sent.
#[derive(Debug)]
pub struct Outgoing<F> {
    inline: BytesMut,
    /// Each slice, and how many inline bytes go before it.
    slices: Vec<(usize, FileSlice<F>)>,
    slice_bytes: u64,
}

impl<F> Default for Outgoing<F> {
    fn default() -> Self {
        Self { inline: BytesMut::new(), slices: Vec::new(), slice_bytes: 0 }
    }
}

impl<F> Outgoing<F> {
    /// The buffer behind what was pushed so far. Only ever append to it.
    pub fn inline(&mut self) -> &mut BytesMut {
        &mut self.inline
    }

    /// Appends a range of a file.
    pub fn push_slice(&mut self, slice: FileSlice<F>) {
        self.slice_bytes += u64::from(slice.len);
        self.slices.push((self.inline.len(), slice));
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.inline.is_empty() && self.slices.is_empty()
    }

    /// Bytes of memory that wait: files cost none.
    pub fn inline_len(&self) -> usize {
        self.inline.len()
    }

    /// How many ranges of files wait.
    pub fn slices_len(&self) -> usize {
        self.slices.len()
    }

    /// Bytes to send in sum.
    pub fn len(&self) -> u64 {
        self.inline.len() as u64 + self.slice_bytes
    }

    /// Appends `later`, which is empty afterwards.
    pub fn append(&mut self, later: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, later);
            return;
        }
        let before = self.inline.len();
        self.inline.extend_from_slice(&later.inline);
        later.inline.clear();
        self.slices.extend(later.slices.drain(..).map(|(at, slice)| (before + at, slice)));
        self.slice_bytes += std::mem::take(&mut later.slice_bytes);
    }

    /// Sends everything. After an error, or a cancellation, part of it was sent and the connection must close.
    ///
    /// # Errors
    /// Those of the writer.
    pub async fn send<W: StreamWriter<File = F>>(&mut self, writer: &mut W) -> io::Result<()> {
        let mut inline = self.inline.split().freeze();
        if self.slices.is_empty() {
            return writer.write(inline, false).await;
        }
        let mut written = 0;
        self.slice_bytes = 0;
        let mut slices = self.slices.drain(..).peekable();
        while let Some((at, slice)) = slices.next() {
            let head: Bytes = inline.split_to(at - written);
            written = at;
            if !head.is_empty() {
                writer.write(head, true).await?;
            }
            let more = !inline.is_empty() || slices.peek().is_some();
            writer.send_file(&slice, more).await?;
        }
        if inline.is_empty() { Ok(()) } else { writer.write(inline, false).await }
    }
}
