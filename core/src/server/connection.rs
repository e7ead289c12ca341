//! One connection: what is read when, what is sent when, and when it ends.
//!
//! Requests are handled in order, on this task. One that must wait (a produce for its replicas, a fetch for records)
//! keeps its place in the [`Line`], and later requests go on meanwhile, up to a bound; responses leave strictly in
//! the order of requests, as Kafka's clients demand. While responses are being written nothing is read: a client
//! that does not read its answers is not listened to, and costs a bounded line. One that reads them slowly is served
//! for as long as it moves.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Shared;
use super::complaints::Printable;
use super::dispatch::{self, Handled, Refusal};
use super::incoming::{Incoming, Next, Wait};
use super::line::Line;
use super::memory::Budget;
use crate::env::{Clock, Disk, Env, Net, Stream};
use crate::sync::Arc;
use crate::time::Instant;
use crate::wire::frame::FrameError;

/// While others wait for memory, a connection that holds some moves this often or ends.
const STALLED_MAX: Duration = Duration::from_secs(10);
/// How much counts as a move then; less is a drip.
const STALLED_BYTES: u64 = 64 << 10;

type File<E> = <<E as Env>::Disk as Disk>::File;
type Socket<E> = <<E as Env>::Net as Net>::Stream;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("{0}")]
    Network(#[from] io::Error),
    #[error("the server stops")]
    ByServer,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Request(Refusal),
    #[error("nothing moved for connections.max.idle.ms")]
    Idle,
    #[error("others wait for the memory it holds, and it hardly moves")]
    Stalled,
}

/// Watches that a connection moves. One timer per connection, set again only when it fires.
struct Patience {
    idle_max: Duration,
    last_moved: Instant,
    bytes: u64,
    last_look: (Instant, u64),
}

impl Patience {
    fn moved(&mut self, now: Instant, bytes: usize) {
        self.last_moved = now;
        self.bytes += bytes as u64;
    }

    /// Judges the connection. `holds` says whether it holds memory that only its peer can free.
    fn look(&mut self, now: Instant, holds: bool, budget: &Budget) -> Result<(), Closed> {
        if now.saturating_since(self.last_moved) >= self.idle_max {
            return Err(Closed::Idle);
        }
        let (looked, bytes) = self.last_look;
        let hardly_moves = now.saturating_since(looked) >= STALLED_MAX && self.bytes - bytes < STALLED_BYTES;
        if holds && hardly_moves && budget.is_exhausted() {
            return Err(Closed::Stalled);
        }
        self.last_look = (now, self.bytes);
        Ok(())
    }

    fn next_look(&self, now: Instant, budget: &Budget) -> Instant {
        let idle = self.last_moved + self.idle_max;
        if budget.is_limited() { idle.min(now + STALLED_MAX) } else { idle }
    }
}

pub(super) struct Connection<E: Env> {
    shared: Arc<Shared<E>>,
    incoming: Incoming<<Socket<E> as Stream>::Reader>,
    writer: <Socket<E> as Stream>::Writer,
    line: Line<File<E>>,
    patience: Patience,
    peer: String,
    /// Whether a request was taken and its response not yet sent.
    busy: Arc<AtomicBool>,
}

impl<E: Env> Connection<E> {
    pub(super) fn new(
        shared: Arc<Shared<E>>,
        stream: Socket<E>,
        peer: String,
        busy: Arc<AtomicBool>,
    ) -> Self {
        let (reader, writer) = stream.split();
        let incoming = Incoming::new(reader, shared.settings.request_bytes_max, shared.budget.clone());
        let now = shared.services.env.clock().now();
        let idle_max = shared.settings.idle_max.unwrap_or(Duration::MAX);
        let patience = Patience { idle_max, last_moved: now, bytes: 0, last_look: (now, 0) };
        let line = Line::new(shared.budget.clone());
        Self { shared, incoming, writer, line, patience, peer, busy }
    }

    /// Serves the connection until it ends.
    pub(super) async fn run(mut self) {
        let Err(closed) = self.serve().await;
        match closed {
            Closed::Network(_) | Closed::ByServer | Closed::Idle => {
                tracing::debug!(peer = self.peer, "connection closed: {closed}");
            }
            Closed::Frame(_) | Closed::Request(_) | Closed::Stalled => {
                let now = self.shared.services.env.clock().now();
                let peer = Printable(&self.peer);
                self.shared.complaints.warn(now, format_args!("closing the connection of {peer}: {closed}"));
            }
        }
    }

    async fn serve(&mut self) -> Result<Infallible, Closed> {
        let clock = self.shared.services.env.clock().clone();
        let budget = self.shared.budget.clone();
        let mut timer = pin!(clock.sleep_until(self.patience.next_look(clock.now(), &budget)));
        // What ends the connection does so after the responses to the requests before it, those that wait included.
        let mut ended = None;
        loop {
            let wait = match ended {
                None => self.take_requests().await.unwrap_or_else(|closed| {
                    ended = Some(closed);
                    Some(Wait::Nothing)
                }),
                Some(_) => Some(Wait::Nothing),
            };
            let Self { incoming, writer, line, patience, .. } = self;
            let holds = line.holds_charge();
            for piece in line.ready().pieces() {
                let bytes = piece.len();
                let mut sending = pin!(piece.send(writer));
                loop {
                    tokio::select! {
                        biased;
                        sent = &mut sending => break sent?,
                        () = &mut timer => {
                            let now = clock.now();
                            patience.look(now, holds, &budget)?;
                            timer.set(clock.sleep_until(patience.next_look(now, &budget)));
                        }
                    }
                }
                patience.moved(clock.now(), bytes);
            }
            line.sent();
            let Some(wait) = wait else { continue };
            if !line.is_waiting() {
                if let Some(closed) = ended {
                    return Err(closed);
                }
                self.busy.store(false, Ordering::Release);
                if self.shared.closing.load(Ordering::Acquire) {
                    return Err(Closed::ByServer);
                }
            }
            tokio::select! {
                biased;
                () = line.advance(), if line.is_waiting() => {}
                bytes = incoming.proceed(wait) => patience.moved(clock.now(), bytes?),
                () = &mut timer => {
                    let now = clock.now();
                    // Who waits for this broker is not to blame for what it holds meanwhile.
                    let holds = wait == Wait::Bytes && incoming.holds_charge();
                    patience.look(now, holds, &budget)?;
                    incoming.settle();
                    timer.set(clock.sleep_until(patience.next_look(now, &budget)));
                }
            }
        }
    }

    /// Handles the requests that have arrived, as far as there is room; returns what to wait for before the next,
    /// or `None` when it is enough to send what is ready.
    async fn take_requests(&mut self) -> Result<Option<Wait>, Closed> {
        while self.line.has_room() {
            if self.line.wants_to_send() {
                return Ok(None);
            }
            if self.shared.closing.load(Ordering::Relaxed) {
                return Ok(Some(Wait::Nothing));
            }
            match self.incoming.next()? {
                Next::Frame(frame, charge) => {
                    self.take(frame).await?;
                    // The handler has let go of the frame, also when the answer is still to come.
                    drop(charge);
                }
                Next::Read => return Ok(Some(Wait::Bytes)),
                Next::Charge => return Ok(Some(Wait::Memory)),
            }
        }
        Ok(if self.line.is_waiting() { Some(Wait::Nothing) } else { None })
    }

    async fn take(&mut self, frame: bytes::Bytes) -> Result<(), Closed> {
        self.busy.store(true, Ordering::Release);
        let mut outgoing = self.line.next_response();
        match dispatch::handle(&self.shared.services, frame, &mut outgoing).await {
            Handled::Done => self.line.done(outgoing),
            Handled::Waiting(pending) => self.line.waits(outgoing, pending),
            Handled::Refused(refusal) => {
                self.line.done(outgoing);
                return Err(Closed::Request(refusal));
            }
        }
        Ok(())
    }
}
