use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use jangbu_core::env::{FileSlice, Stream, StreamReader, StreamWriter};

use super::connection::{Connection, Read, Write};
use super::direction::Data;
use super::{World, lock};
use crate::trace::{Kind, hash_bytes};
use crate::world::disk::{SimFile, crashed};
use crate::world::node::Incarnation;

/// One end of a connection.
pub struct SimStream {
    reader: SimReader,
    writer: SimWriter,
}

/// What both halves of an end have.
struct Half {
    world: Arc<World>,
    connection: Arc<Connection>,
    incarnation: Arc<Incarnation>,
    side: usize,
}

/// The incoming half of an end.
pub struct SimReader(Half);

/// The outgoing half of an end.
pub struct SimWriter {
    half: Half,
    /// A call has failed or was given up: part of its bytes may have been sent, and nothing sensible can follow.
    broken: bool,
}

impl SimStream {
    /// Both ends of a connection, each of an incarnation.
    pub(super) fn pair(
        world: &Arc<World>,
        connection: &Arc<Connection>,
        owners: [Arc<Incarnation>; 2],
    ) -> (Self, Self) {
        let [here, there] = owners;
        let end = |side: usize, incarnation: Arc<Incarnation>| {
            let half = || Half {
                world: world.clone(),
                connection: connection.clone(),
                incarnation: incarnation.clone(),
                side,
            };
            SimStream { reader: SimReader(half()), writer: SimWriter { half: half(), broken: false } }
        };
        (end(0, here), end(1, there))
    }
}

impl Stream for SimStream {
    type File = SimFile;
    type Reader = SimReader;
    type Writer = SimWriter;

    fn split(self) -> (SimReader, SimWriter) {
        (self.reader, self.writer)
    }
}

impl Half {
    fn alive(&self) -> io::Result<()> {
        if self.incarnation.is_over() { Err(crashed()) } else { Ok(()) }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        if self.connection.drop_half(&self.world, self.side) {
            lock(&self.world.network.state).connections.remove(&self.connection.id);
        }
    }
}

impl StreamReader for SimReader {
    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        let half = &self.0;
        std::future::poll_fn(|context| {
            half.alive()?;
            let spare = into.capacity() - into.len();
            let limit = if spare == 0 { 4096 } else { spare };
            let start = into.len();
            match half.connection.read(&half.world, half.side, into, limit, context.waker()) {
                Read::Bytes(len) => {
                    note_delivery(half, &into[start..]);
                    Poll::Ready(Ok(len))
                }
                Read::Ended => Poll::Ready(Ok(0)),
                Read::Reset => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                Read::Wait => Poll::Pending,
            }
        })
        .await
    }
}

fn note_delivery(half: &Half, bytes: &[u8]) {
    lock(&half.world.tally).bytes_delivered += bytes.len() as u64;
    // Most bytes were hashed when they were sent; those of files are known only here.
    half.world.note(Kind::Deliver, half.connection.id << 1 | half.side as u64, hash_bytes(0, bytes), || {
        format!(
            "connection {}: node {} reads {} bytes",
            half.connection.id,
            half.connection.nodes[half.side],
            bytes.len()
        )
    });
}

impl SimWriter {
    /// Begins a call: until it ends well, the half is broken.
    fn begin(&mut self) -> io::Result<()> {
        self.half.alive()?;
        if std::mem::replace(&mut self.broken, true) { Err(ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    async fn send(&mut self, mut data: Data) -> io::Result<()> {
        let half = &self.half;
        std::future::poll_fn(|context| {
            loop {
                half.alive()?;
                match half.connection.write(&half.world, half.side, &mut data, context.waker()) {
                    Write::Done if data.len() == 0 => return Poll::Ready(Ok(())),
                    Write::Done => {}
                    Write::Broken => return Poll::Ready(Err(ErrorKind::BrokenPipe.into())),
                    Write::Wait => return Poll::Pending,
                }
            }
        })
        .await
    }
}

/// How many bytes of a file one call gives to the socket.
const FILE_CHUNK_BYTES: usize = 64 * 1024;

impl StreamWriter for SimWriter {
    type File = SimFile;

    async fn write(&mut self, bytes: Bytes, _more: bool) -> io::Result<()> {
        self.begin()?;
        self.send(Data::Bytes(bytes)).await?;
        self.broken = false;
        Ok(())
    }

    async fn send_file(&mut self, slice: &FileSlice<SimFile>, _more: bool) -> io::Result<()> {
        self.begin()?;
        let (mut position, mut left) = (slice.position, slice.len as usize);
        while left > 0 {
            let len = left.min(FILE_CHUNK_BYTES);
            let inode = slice.file.inode().clone();
            // A truncation may have overtaken the slice; what is missing can no longer be sent as promised.
            if inode.with_range(position, len, <[u8]>::len) < len {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.send(Data::File { inode, position, len }).await?;
            position += len as u64;
            left -= len;
        }
        self.broken = false;
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.begin()?;
        self.half.connection.finish(&self.half.world, self.half.side);
        self.broken = false;
        Ok(())
    }
}

impl Drop for SimWriter {
    fn drop(&mut self) {
        if !self.half.incarnation.is_over() {
            self.half.connection.finish(&self.half.world, self.half.side);
        }
    }
}
