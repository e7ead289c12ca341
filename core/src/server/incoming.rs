//! The incoming half of a connection: bytes become frames, and frames are charged before they are decoded.

use std::future::pending;
use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};

use super::memory::{Budget, Charge};
use crate::env::StreamReader;
use crate::wire::frame::{FrameError, FrameReader};

/// Bytes of a frame that may arrive before it is charged; less of it costs only the connection's own buffer.
const UNCHARGED_MAX: usize = 64 << 10;
/// The first read buffer. A connection earns a larger one by sending larger frames.
const READ_MIN: usize = 4 << 10;
/// The largest read buffer that is kept ready. Beyond [`UNCHARGED_MAX`] it is charged for as long as it is kept.
const READ_MAX: usize = 1 << 20;

/// Reads frames from `R`.
pub(super) struct Incoming<R> {
    reader: R,
    frames: FrameReader,
    frame_bytes_max: usize,
    buffer: BytesMut,
    budget: Budget,
    /// The charge of the frame that the buffer begins with.
    charge: Option<Charge>,
    charging: Option<Pin<Box<dyn Future<Output = Charge> + Send>>>,
    /// How much a read asks for: as much as one frame of this connection has filled before.
    read_bytes: usize,
    /// The charge of a read buffer of that size.
    standing: Charge,
    /// How much of a buffer was in use at once since [`Incoming::settle`].
    filled: usize,
}

/// What the bytes that have arrived allow.
pub(super) enum Next {
    /// A frame without its length, and what it holds of the budget.
    Frame(Bytes, Charge),
    /// Nothing before more bytes arrive.
    Read,
    /// Nothing before there is memory for the frame that the buffer begins with.
    Charge,
}

impl<R: StreamReader> Incoming<R> {
    pub(super) fn new(reader: R, frame_bytes_max: usize, budget: Budget) -> Self {
        Self {
            reader,
            frames: FrameReader::for_requests(frame_bytes_max),
            frame_bytes_max,
            buffer: BytesMut::new(),
            budget,
            charge: None,
            charging: None,
            read_bytes: READ_MIN,
            standing: Charge::default(),
            filled: 0,
        }
    }

    /// Whether part of a frame holds memory of the budget.
    pub(super) fn holds_charge(&self) -> bool {
        self.charge.is_some()
    }

    /// The next frame, or what it takes to get one.
    pub(super) fn next(&mut self) -> Result<Next, FrameError> {
        let Some(frame_bytes) = self.frame_bytes() else {
            return self.feed();
        };
        if frame_bytes > 4 + self.frame_bytes_max {
            return self.feed();
        }
        let is_whole = self.buffer.len() >= frame_bytes;
        if self.charge.is_none() && (is_whole || self.buffer.len() >= UNCHARGED_MAX) {
            if self.charging.is_some() {
                return Ok(Next::Charge);
            }
            let Some(charge) = self.budget.try_charge(frame_bytes) else {
                let budget = self.budget.clone();
                self.charging = Some(Box::pin(async move { budget.charge(frame_bytes).await }));
                return Ok(Next::Charge);
            };
            self.charge = Some(charge);
        }
        if is_whole {
            self.earn(frame_bytes.min(READ_MAX));
            let next = self.feed();
            if frame_bytes > self.read_bytes {
                // Its buffer was the frame's, and must go with it.
                self.renew();
            }
            return next;
        }
        Ok(Next::Read)
    }

    /// Makes reads as large as what came, if that is more than before and there is memory for it.
    fn earn(&mut self, bytes: usize) {
        self.filled = self.filled.max(bytes);
        if bytes <= self.read_bytes {
            return;
        }
        if bytes <= UNCHARGED_MAX {
            self.read_bytes = bytes;
        } else if let Some(charge) = self.budget.try_spare(bytes) {
            (self.read_bytes, self.standing) = (bytes, charge);
        }
    }

    /// Lets go of the memory behind the buffer, but for what is in it.
    fn renew(&mut self) {
        self.buffer = BytesMut::from(&self.buffer[..]);
    }

    /// Gives back a read buffer that was not made use of since the last call, or that others need more.
    pub(super) fn settle(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        let used = if self.budget.is_exhausted() { filled.min(UNCHARGED_MAX) } else { filled };
        let is_needed = self.charge.is_some() || self.buffer.len() > UNCHARGED_MAX;
        if is_needed || used.max(READ_MIN) > self.read_bytes / 2 {
            return;
        }
        (self.read_bytes, self.standing) = (READ_MIN, Charge::default());
        self.earn(used);
        self.filled = 0;
        self.renew();
    }

    /// Reads more bytes, or waits for memory; returns how many bytes arrived, and `UnexpectedEof` at the end.
    /// Cancellation loses nothing.
    pub(super) async fn proceed(&mut self, wait: Wait) -> io::Result<usize> {
        match wait {
            Wait::Bytes => {
                self.make_room();
                let bytes = self.reader.read(&mut self.buffer).await?;
                if bytes == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.filled = self.filled.max(self.buffer.len());
                if self.buffer.len() == self.buffer.capacity() {
                    // More was there than fitted: many small frames deserve a larger buffer too.
                    self.read_bytes = self.read_bytes.max((self.read_bytes * 2).min(UNCHARGED_MAX));
                }
                Ok(bytes)
            }
            Wait::Memory => {
                if let Some(charging) = &mut self.charging {
                    self.charge = Some(charging.await);
                    self.charging = None;
                }
                Ok(0)
            }
            Wait::Nothing => pending().await,
        }
    }

    fn feed(&mut self) -> Result<Next, FrameError> {
        let frame = self.frames.feed(&mut self.buffer)?;
        Ok(frame.map_or(Next::Read, |frame| Next::Frame(frame, self.charge.take().unwrap_or_default())))
    }

    /// Bytes of the frame that the buffer begins with, prefix included; `None` while the prefix is missing or negative.
    fn frame_bytes(&self) -> Option<usize> {
        let prefix: [u8; 4] = self.buffer.get(..4)?.try_into().ok()?;
        usize::try_from(i32::from_be_bytes(prefix)).ok()?.checked_add(4)
    }

    /// Makes room for what is expected, as far as this connection has shown that it comes.
    fn make_room(&mut self) {
        let there = self.buffer.len();
        let wanted = match self.frame_bytes() {
            // A charged frame doubles its buffer as its bytes arrive; what only claims to come gets no room.
            Some(frame_bytes) if self.charge.is_some() => {
                (frame_bytes - there).min(there.max(self.read_bytes))
            }
            Some(frame_bytes) => frame_bytes.saturating_sub(there).min(self.read_bytes),
            None => READ_MIN / 4,
        };
        if self.buffer.capacity() - there < wanted.max(1) {
            self.buffer.reserve(wanted.max(self.read_bytes));
        }
    }
}

/// What a connection waits for before it takes another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Bytes from the peer.
    Bytes,
    /// Memory of the budget.
    Memory,
    /// Its own line to move on.
    Nothing,
}
