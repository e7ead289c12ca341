//! One direction of a connection: what is on its way, when it arrives, and who waits for that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::{Buf, Bytes, BytesMut};
use jangbu_core::time::Instant;

use super::LinkSettings;
use crate::rng::Rng;
use crate::world::disk::Inode;
use crate::world::timers::TimerKey;
use crate::world::{World, lock};

/// A moment that does not come before something changes.
pub(super) const NEVER: u64 = u64::MAX;

pub(super) struct Direction {
    pub(super) link: LinkSettings,
    pub(super) cut: bool,
    pub(super) queue: VecDeque<Chunk>,
    /// Sent, and not yet known to have been read.
    pub(super) unacknowledged: usize,
    /// Of these, read while the acknowledgements could not get back.
    pub(super) held_back: usize,
    pub(super) last_arrival: u64,
    last_write: u64,
    pub(super) fin: Option<u64>,
    pub(super) reset: Option<u64>,
    pub(super) reader: Option<Waiter>,
    pub(super) writer: Option<Waker>,
}

pub(super) struct Waiter {
    pub(super) waker: Waker,
    pub(super) timer: Option<TimerKey>,
}

pub(super) struct Chunk {
    pub(super) arrival: u64,
    pub(super) data: Data,
}

/// Bytes on their way. Those of a file are read when they are delivered, as a network card would.
pub(super) enum Data {
    Bytes(Bytes),
    File { inode: Arc<Inode>, position: u64, len: usize },
}

impl Data {
    pub(super) fn len(&self) -> usize {
        match self {
            Data::Bytes(bytes) => bytes.len(),
            Data::File { len, .. } => *len,
        }
    }

    pub(super) fn split_to(&mut self, at: usize) -> Data {
        match self {
            Data::Bytes(bytes) => Data::Bytes(bytes.split_to(at)),
            Data::File { inode, position, len } => {
                let front = Data::File { inode: inode.clone(), position: *position, len: at };
                *position += at as u64;
                *len -= at;
                front
            }
        }
    }

    /// Nothing that becomes of the file can change the bytes any more.
    fn leave(&mut self) {
        if matches!(self, Data::File { .. }) {
            let mut bytes = BytesMut::new();
            let len = self.len();
            self.deliver(len, &mut bytes);
            *self = Data::Bytes(bytes.freeze());
        }
    }

    /// Moves the first `len` bytes behind `into`. What a file no longer has arrives as zeros.
    pub(super) fn deliver(&mut self, len: usize, into: &mut BytesMut) {
        match self {
            Data::Bytes(bytes) => {
                into.extend_from_slice(&bytes[..len]);
                bytes.advance(len);
            }
            Data::File { .. } => {
                let Data::File { inode, position, .. } = self.split_to(len) else { return };
                let end = into.len() + len;
                inode.with_range(position, len, |bytes| into.extend_from_slice(bytes));
                into.resize(end, 0);
            }
        }
    }
}

impl Direction {
    pub(super) fn new(link: LinkSettings, cut: bool, now: u64) -> Self {
        Self {
            link,
            cut,
            queue: VecDeque::new(),
            unacknowledged: 0,
            held_back: 0,
            last_arrival: now,
            last_write: NEVER,
            fin: None,
            reset: None,
            reader: None,
            writer: None,
        }
    }

    /// When something sent now arrives, behind all that was sent before.
    pub(super) fn arrival(&mut self, now: u64, len: usize, draws: &Mutex<Rng>) -> u64 {
        if self.cut {
            return NEVER;
        }
        let transmission = self.link.transmission_ns(len);
        // What is written in one go travels together.
        let arrival = if self.last_write == now && self.last_arrival > now {
            self.last_arrival + transmission
        } else {
            self.last_arrival.max(now + self.link.delay_ns(&mut lock(draws))) + transmission
        };
        self.last_write = now;
        self.last_arrival = arrival;
        arrival
    }

    /// What is sent from now on arrives no earlier than that.
    pub(super) fn hold_until(&mut self, moment: u64) {
        self.last_arrival = self.last_arrival.max(moment);
        self.last_write = NEVER;
    }

    /// The next moment at which a reader finds something new.
    pub(super) fn next_event(&self) -> u64 {
        let head = self.queue.front().map(|chunk| chunk.arrival);
        let fin = if self.queue.is_empty() { self.fin } else { None };
        [head, fin, self.reset].into_iter().flatten().min().unwrap_or(NEVER)
    }

    /// Sees to it that a waiting reader is woken in time.
    pub(super) fn rearm(&mut self, world: &World) {
        let due = self.next_event();
        let Some(waiter) = &mut self.reader else { return };
        if waiter.timer.is_some_and(|timer| timer.is_at(due)) {
            return;
        }
        if let Some(timer) = waiter.timer.take() {
            world.disarm(timer);
        }
        if due != NEVER {
            waiter.timer = Some(world.arm(Instant(due), waiter.waker.clone()));
        }
    }

    pub(super) fn wait_to_read(&mut self, world: &World, waker: &Waker) {
        match &mut self.reader {
            Some(waiter) if waiter.waker.will_wake(waker) => {}
            other => {
                if let Some(timer) = other.take().and_then(|waiter| waiter.timer) {
                    world.disarm(timer);
                }
                *other = Some(Waiter { waker: waker.clone(), timer: None });
            }
        }
        self.rearm(world);
    }

    pub(super) fn has_reset(&self, now: u64) -> bool {
        self.reset.is_some_and(|reset| reset <= now)
    }

    /// Takes back what has not arrived by `from`: it was lost.
    pub(super) fn lose_after(&mut self, from: u64) {
        while self.queue.back().is_some_and(|chunk| chunk.arrival > from) {
            self.queue.pop_back();
        }
    }

    /// The machine that sent is without power: what has left it is on its way as it was, the rest is lost.
    pub(super) fn lose_machine(&mut self) {
        self.lose_after(NEVER - 1);
        self.queue.iter_mut().for_each(|chunk| chunk.data.leave());
        for moment in [&mut self.fin, &mut self.reset] {
            *moment = moment.filter(|moment| *moment != NEVER);
        }
    }

    /// Nothing gets through any more, what is under way included.
    pub(super) fn stall(&mut self, now: u64) {
        self.cut = true;
        for chunk in self.queue.iter_mut().filter(|chunk| chunk.arrival > now) {
            chunk.arrival = NEVER;
        }
        for moment in [&mut self.fin, &mut self.reset].into_iter().flatten().filter(|moment| **moment > now) {
            *moment = NEVER;
        }
        self.last_arrival = self.last_arrival.min(now);
    }

    /// What was stalled is sent again.
    pub(super) fn unstall(&mut self, now: u64, draws: &Mutex<Rng>) {
        self.cut = false;
        let mut at = {
            let mut draws = lock(draws);
            now + self.link.delay_ns(&mut draws) + draws.below(self.link.retransmission_ns_max)
        };
        at = at.max(self.last_arrival);
        for chunk in self.queue.iter_mut().filter(|chunk| chunk.arrival == NEVER) {
            at += self.link.transmission_ns(chunk.data.len());
            chunk.arrival = at;
        }
        self.last_arrival = at;
        self.settle_ends(at);
    }

    /// Ends that got stuck come through at that moment.
    pub(super) fn settle_ends(&mut self, at: u64) {
        for moment in
            [&mut self.fin, &mut self.reset].into_iter().flatten().filter(|moment| **moment == NEVER)
        {
            *moment = at;
        }
    }

    /// The reader's acknowledgement of `len` bytes has reached the writer.
    pub(super) fn acknowledge(&mut self, len: usize) {
        self.unacknowledged -= len;
        // Not for every byte: a writer that waits has much to send.
        if self.unacknowledged <= self.link.window_bytes / 2
            && let Some(waker) = self.writer.take()
        {
            waker.wake();
        }
    }
}
