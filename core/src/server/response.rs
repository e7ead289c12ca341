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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::memory::{MemoryDisk, MemoryFile};
    use crate::env::{Disk, File, Site};

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
        file.truncate(SITE, 100).expect("a healthy disk");
        FileSlice { file, position, len }
    }

    fn sent(outgoing: &mut Outgoing<MemoryFile>) -> Vec<Sent> {
        let mut recorder = Recorder::default();
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        let sent = std::pin::pin!(outgoing.send(&mut recorder)).poll(&mut context);
        assert!(matches!(sent, std::task::Poll::Ready(Ok(()))));
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
