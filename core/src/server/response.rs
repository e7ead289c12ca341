//! What waits to be sent on a connection: encoded bytes, with ranges of files between them.
//!
//! Consecutive responses share one buffer, so that the answers to pipelined requests leave in one write, and the
//! buffer is used again when it has been written: in the steady state a response costs no allocation.

use std::io;
use std::iter::Peekable;
use std::vec::Drain;

use bytes::{Bytes, BytesMut};

use crate::env::{File, FileSlice, StreamWriter};

/// Bytes of memory that are sent at a time: what a connection must move while others wait for memory that it holds.
const PIECE_INLINE_BYTES: usize = 64 << 10;
/// Bytes of a file that are sent at a time. They hold no memory, and larger pieces cost fewer system calls.
const PIECE_SLICE_BYTES: u32 = 1 << 20;
/// The largest buffer that is kept for the next responses.
const KEPT_BYTES_MAX: usize = 128 << 10;

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

    /// Takes everything, in the pieces in which it is sent. All must be sent, in their order.
    pub fn pieces(&mut self) -> Pieces<'_, F> {
        let inline = if self.inline.is_empty() {
            BytesMut::new()
        } else if self.inline.len() > KEPT_BYTES_MAX {
            // One large response would otherwise cost its memory for as long as the connection lives.
            std::mem::take(&mut self.inline)
        } else {
            self.inline.split()
        };
        self.slice_bytes = 0;
        Pieces { inline: inline.freeze(), taken: 0, slices: self.slices.drain(..).peekable(), rest: None }
    }
}

/// What waits to be sent, piece by piece.
pub struct Pieces<'a, F> {
    inline: Bytes,
    /// Inline bytes that were handed out.
    taken: usize,
    slices: Peekable<Drain<'a, (usize, FileSlice<F>)>>,
    /// What is left of a slice that is larger than a piece.
    rest: Option<FileSlice<F>>,
}

impl<F: File> Pieces<'_, F> {
    fn has_more(&mut self) -> bool {
        !self.inline.is_empty() || self.rest.is_some() || self.slices.peek().is_some()
    }

    fn next_slice(&mut self) -> Option<FileSlice<F>> {
        let mut slice = self.rest.take().or_else(|| self.slices.next().map(|(_, slice)| slice))?;
        if slice.len > PIECE_SLICE_BYTES {
            let position = slice.position + u64::from(PIECE_SLICE_BYTES);
            let len = slice.len - PIECE_SLICE_BYTES;
            self.rest = Some(FileSlice { file: slice.file.clone(), position, len });
            slice.len = PIECE_SLICE_BYTES;
        }
        Some(slice)
    }
}

impl<F: File> Iterator for Pieces<'_, F> {
    type Item = Piece<F>;

    fn next(&mut self) -> Option<Piece<F>> {
        let head_len = match self.slices.peek() {
            _ if self.rest.is_some() => 0,
            Some((at, _)) => at - self.taken,
            None => self.inline.len(),
        };
        let what = if head_len > 0 {
            let head = self.inline.split_to(head_len.min(PIECE_INLINE_BYTES));
            self.taken += head.len();
            What::Inline(head)
        } else {
            What::Slice(self.next_slice()?)
        };
        Some(Piece { what, more: self.has_more() })
    }
}

/// So much of the responses that a peer who reads at all takes it soon.
pub struct Piece<F> {
    what: What<F>,
    /// Whether another piece follows.
    more: bool,
}

enum What<F> {
    Inline(Bytes),
    Slice(FileSlice<F>),
}

impl<F> Piece<F> {
    /// How many bytes.
    pub fn len(&self) -> usize {
        match &self.what {
            What::Inline(bytes) => bytes.len(),
            What::Slice(slice) => slice.len as usize,
        }
    }

    /// Whether it is nothing, which no piece is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sends it. After an error, or a cancellation, part of it was sent and the connection must close.
    ///
    /// # Errors
    /// Those of the writer.
    pub async fn send<W: StreamWriter<File = F>>(self, writer: &mut W) -> io::Result<()> {
        match self.what {
            What::Inline(bytes) => writer.write(bytes, self.more).await,
            What::Slice(slice) => writer.send_file(&slice, self.more).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::memory::{MemoryDisk, MemoryFile};
    use crate::env::{Disk, Site};

    #[derive(Debug, PartialEq)]
    enum Sent {
        Bytes(Bytes, bool),
        Slice(u64, u32, bool),
    }

    #[derive(Default)]
    struct Recorder(Vec<Sent>);

    impl StreamWriter for Recorder {
        type File = MemoryFile;

        async fn write(&mut self, bytes: Bytes, more: bool) -> io::Result<()> {
            self.0.push(Sent::Bytes(bytes, more));
            Ok(())
        }

        async fn send_file(&mut self, slice: &FileSlice<MemoryFile>, more: bool) -> io::Result<()> {
            self.0.push(Sent::Slice(slice.position, slice.len, more));
            Ok(())
        }

        async fn shutdown(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slice(position: u64, len: u32) -> FileSlice<MemoryFile> {
        const SITE: Site = Site::new("test");
        let disk = MemoryDisk::new(1);
        let file = disk.create(SITE, "/f".as_ref()).expect("an empty disk takes a file");
        file.truncate(SITE, 3 << 20).expect("a healthy disk");
        FileSlice { file, position, len }
    }

    fn sent(outgoing: &mut Outgoing<MemoryFile>) -> Vec<Sent> {
        let mut recorder = Recorder::default();
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        for piece in outgoing.pieces() {
            let sent = std::pin::pin!(piece.send(&mut recorder)).poll(&mut context);
            assert!(matches!(sent, std::task::Poll::Ready(Ok(()))));
        }
        assert!(outgoing.is_empty());
        assert_eq!(outgoing.slice_bytes, 0);
        recorder.0
    }

    fn bytes(text: &'static str, more: bool) -> Sent {
        Sent::Bytes(Bytes::from_static(text.as_bytes()), more)
    }

    #[test]
    fn consecutive_responses_leave_in_one_write() {
        let mut outgoing = Outgoing::default();
        outgoing.inline().extend_from_slice(b"first");
        outgoing.inline().extend_from_slice(b"second");
        assert_eq!(sent(&mut outgoing), [bytes("firstsecond", false)]);
    }

    #[test]
    fn slices_stand_where_they_were_pushed_and_every_piece_but_the_last_announces_more() {
        let mut outgoing = Outgoing::default();
        outgoing.inline().extend_from_slice(b"a");
        outgoing.push_slice(slice(1, 10));
        outgoing.push_slice(slice(2, 20));
        outgoing.inline().extend_from_slice(b"b");
        let mut later = Outgoing::default();
        later.push_slice(slice(3, 30));
        outgoing.append(&mut later);
        assert_eq!(outgoing.len(), 62);
        let expected = [
            bytes("a", true),
            Sent::Slice(1, 10, true),
            Sent::Slice(2, 20, true),
            bytes("b", true),
            Sent::Slice(3, 30, false),
        ];
        assert_eq!(sent(&mut outgoing), expected);
        outgoing.inline().extend_from_slice(b"again");
        assert_eq!(sent(&mut outgoing), [bytes("again", false)]);
    }

    #[test]
    fn what_is_large_leaves_in_pieces_that_follow_each_other() {
        let mut outgoing = Outgoing::default();
        outgoing.inline().extend_from_slice(&[7; PIECE_INLINE_BYTES + 1]);
        outgoing.push_slice(slice(5, 2 * PIECE_SLICE_BYTES + 3));
        outgoing.inline().extend_from_slice(b"end");
        let inline = |len: usize| Sent::Bytes(vec![7; len].into(), true);
        let after = |pieces: u32| 5 + u64::from(pieces * PIECE_SLICE_BYTES);
        let expected = [
            inline(PIECE_INLINE_BYTES),
            inline(1),
            Sent::Slice(5, PIECE_SLICE_BYTES, true),
            Sent::Slice(after(1), PIECE_SLICE_BYTES, true),
            Sent::Slice(after(2), 3, true),
            bytes("end", false),
        ];
        assert_eq!(sent(&mut outgoing), expected);
    }

    #[test]
    fn the_buffer_of_one_large_response_is_not_kept() {
        let mut outgoing = Outgoing::<MemoryFile>::default();
        outgoing.inline().extend_from_slice(&[0; KEPT_BYTES_MAX + 1]);
        drop(sent(&mut outgoing));
        outgoing.inline().reserve(1);
        assert!(outgoing.inline().capacity() < 1000);
    }

    #[test]
    fn a_buffer_that_was_written_is_used_again() {
        let mut outgoing = Outgoing::<MemoryFile>::default();
        outgoing.inline().extend_from_slice(&[0; 1000]);
        drop(sent(&mut outgoing));
        outgoing.inline().extend_from_slice(&[0; 900]);
        let before = outgoing.inline().as_ptr();
        drop(sent(&mut outgoing));
        outgoing.inline().reserve(900);
        assert_eq!(outgoing.inline().as_ptr(), before);
    }
}
