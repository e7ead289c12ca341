use std::io;

use bytes::{Bytes, BytesMut};

use super::disk::{File, FileSlice};

/// The network as seen from one node.
pub trait Net: Clone + Send + Sync + 'static {
    /// The files that streams can send.
    type File: File;
    /// A listening socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A connection.
    type Stream: Stream<File = Self::File>;

    /// Listens on `host:port`; port 0 takes a free one.
    fn listen(&self, address: &str) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects to `host:port`. May hang for as long as the network does: callers bring a deadline.
    fn connect(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A listening socket, which closes when dropped.
pub trait Listener: Send + 'static {
    /// What it accepts.
    type Stream: Stream;

    /// The port it listens on.
    fn local_port(&self) -> u16;

    /// The next connection and the peer's address, for logs. Cancellation loses no connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, String)>> + Send;
}

/// A connection: ordered bytes both ways. Dropping both halves closes it.
pub trait Stream: Send + 'static {
    /// The files it can send.
    type File: File;
    /// Its incoming half.
    type Reader: StreamReader;
    /// Its outgoing half.
    type Writer: StreamWriter<File = Self::File>;

    /// Parts the two directions.
    fn split(self) -> (Self::Reader, Self::Writer);
}

/// The incoming half of a connection.
pub trait StreamReader: Send + 'static {
    /// Appends whatever has arrived, at least one byte and at most the spare capacity of `into` (or 4 KiB when it has none), and returns how many
    /// bytes; 0 means that the peer closed its half. Chunks are arbitrary: they follow no frame. Cancellation
    /// loses no byte.
    fn read(&mut self, into: &mut BytesMut) -> impl Future<Output = io::Result<usize>> + Send;
}

/// The outgoing half of a connection. Dropping it, or shutting it down, tells the peer that nothing more will come.
pub trait StreamWriter: Send + 'static {
    /// The files it can send.
    type File: File;

    /// Writes all bytes; waits while the peer does not read. `more` says that more follows at once, so that small
    /// pieces share a packet. After an error, or when the future was dropped before its end, part of the bytes may
    /// have been sent, and every later call fails with `BrokenPipe`.
    fn write(&mut self, bytes: Bytes, more: bool) -> impl Future<Output = io::Result<()>> + Send;

    /// Sends a range of a file as if its bytes had been written, without copying them where the platform can.
    /// Fails with `UnexpectedEof` when the file is shorter; otherwise as [`StreamWriter::write`].
    fn send_file(
        &mut self,
        slice: &FileSlice<Self::File>,
        more: bool,
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Closes this half after everything written has been sent.
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}
