//! TCP.

use std::io::{self, ErrorKind};

use bytes::{Buf, Bytes, BytesMut};
use jangbu_core::env::{FileSlice, Listener, Net, Stream, StreamReader, StreamWriter};
use rustix::net::{SendFlags, send};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::disk::TokioFile;
use super::send_file;

/// The machine's network.
#[derive(Clone, Copy, Debug)]
pub struct TokioNet {
    sendfile: bool,
}

impl TokioNet {
    pub(super) fn new(sendfile: bool) -> Self {
        Self { sendfile }
    }
}

impl Net for TokioNet {
    type File = TokioFile;
    type Listener = TokioListener;
    type Stream = TokioStream;

    async fn listen(&self, address: &str) -> io::Result<TokioListener> {
        let listener = TcpListener::bind(address).await?;
        let port = listener.local_addr()?.port();
        Ok(TokioListener { listener, port, net: *self })
    }

    async fn connect(&self, address: &str) -> io::Result<TokioStream> {
        TokioStream::new(TcpStream::connect(address).await?, *self)
    }
}

/// A listening socket.
#[derive(Debug)]
pub struct TokioListener {
    listener: TcpListener,
    port: u16,
    net: TokioNet,
}

impl Listener for TokioListener {
    type Stream = TokioStream;

    fn local_port(&self) -> u16 {
        self.port
    }

    async fn accept(&mut self) -> io::Result<(TokioStream, String)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((TokioStream::new(stream, self.net)?, peer.to_string()))
    }
}

/// A connection.
#[derive(Debug)]
pub struct TokioStream {
    stream: TcpStream,
    net: TokioNet,
}

impl TokioStream {
    fn new(stream: TcpStream, net: TokioNet) -> io::Result<Self> {
        // Pieces of one response are held together by MSG_MORE, and nothing else may be held back.
        stream.set_nodelay(true)?;
        Ok(Self { stream, net })
    }
}

impl Stream for TokioStream {
    type File = TokioFile;
    type Reader = TokioReader;
    type Writer = TokioWriter;

    fn split(self) -> (TokioReader, TokioWriter) {
        let (reader, writer) = self.stream.into_split();
        (TokioReader(reader), TokioWriter { half: writer, net: self.net, broken: false })
    }
}

/// The incoming half.
#[derive(Debug)]
pub struct TokioReader(OwnedReadHalf);

/// What a read makes room for when there is none.
const READ_BYTES: usize = 4096;

impl StreamReader for TokioReader {
    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        if into.len() == into.capacity() {
            // A reserve may give more than was asked for, but no read takes more.
            into.reserve(READ_BYTES);
            let mut limited = bytes::BufMut::limit(into, READ_BYTES);
            return self.0.read_buf(&mut limited).await;
        }
        self.0.read_buf(into).await
    }
}

/// The outgoing half.
#[derive(Debug)]
pub struct TokioWriter {
    half: OwnedWriteHalf,
    net: TokioNet,
    /// Part of something may have been sent: set while a call is under way, so that one which is dropped or fails leaves it set.
    broken: bool,
}

impl TokioWriter {
    fn begin(&mut self) -> io::Result<()> {
        if self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.broken = true;
        Ok(())
    }
}

impl StreamWriter for TokioWriter {
    type File = TokioFile;

    async fn write(&mut self, bytes: Bytes, more: bool) -> io::Result<()> {
        self.begin()?;
        write_all(self.half.as_ref(), bytes, more).await?;
        self.broken = false;
        Ok(())
    }

    async fn send_file(&mut self, slice: &FileSlice<TokioFile>, more: bool) -> io::Result<()> {
        self.begin()?;
        if self.net.sendfile {
            send_file::send(self.half.as_ref(), slice, more).await?;
        } else {
            send_file::copy(self.half.as_ref(), slice, more).await?;
        }
        self.broken = false;
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.begin()?;
        self.half.shutdown().await?;
        self.broken = false;
        Ok(())
    }
}

/// Writes all bytes.
pub(super) async fn write_all(stream: &TcpStream, mut bytes: Bytes, more: bool) -> io::Result<()> {
    // A peer that is gone is an error of the call, never a signal.
    let flags = if more { SendFlags::NOSIGNAL | SendFlags::MORE } else { SendFlags::NOSIGNAL };
    while !bytes.is_empty() {
        let sent = stream.async_io(Interest::WRITABLE, || Ok(send(stream, &bytes, flags)?)).await;
        match sent {
            Ok(sent) => bytes.advance(sent),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
