//! One connection: two directions, each a queue of chunks that know when they arrive.
//!
//! Nothing runs on behalf of a connection. Who reads looks at the head of the queue; if it has not arrived, the
//! reader's own waker is armed for that moment.

use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::BytesMut;
use jangbu_core::time::Instant;

use super::LinkSettings;
use super::direction::{Chunk, Data, Direction, NEVER};
use super::frames::Frames;
use crate::trace::{Kind, hash_bytes};
use crate::world::control::NodeId;
use crate::world::{World, lock};

pub(crate) struct Connection {
    pub(super) id: u64,
    pub(super) nodes: [NodeId; 2],
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// Direction 0 is written by end 0 and read by end 1.
    pub(super) directions: [Direction; 2],
    pub(super) ends: [End; 2],
    frames: Frames,
}

/// Whether anything answers at an end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// A process has it.
    Open,
    /// Its process or its owner has let go; the kernel resets whoever goes on sending.
    Closed,
    /// The machine has no power: nothing answers.
    Silent,
}

pub(super) struct End {
    pub(super) presence: Presence,
    /// How many halves their owner still has.
    pub(super) halves: u8,
    /// Whether it may still write.
    pub(super) writable: bool,
}

/// What a look at a direction yields.
pub(super) enum Read {
    Bytes(usize),
    Ended,
    Reset,
    Wait,
}

pub(super) enum Write {
    Done,
    Broken,
    Wait,
}

impl Connection {
    pub(super) fn new(
        id: u64,
        nodes: [NodeId; 2],
        links: [(LinkSettings, bool); 2],
        now: Instant,
    ) -> Arc<Self> {
        let end = || End { presence: Presence::Open, halves: 2, writable: true };
        let directions = links.map(|(link, cut)| Direction::new(link, cut, now.0));
        Arc::new(Self {
            id,
            nodes,
            state: Mutex::new(State { directions, ends: [end(), end()], frames: Frames::default() }),
        })
    }

    /// Moves what has arrived at `side` behind `into`, at most `limit` bytes, or has `waker` woken when something does.
    pub(super) fn read(
        &self,
        world: &World,
        side: usize,
        into: &mut BytesMut,
        limit: usize,
        waker: &Waker,
    ) -> Read {
        let now = world.now().0;
        let mut state = lock(&self.state);
        let acknowledgements_cut = state.directions[side].cut;
        let incoming = &mut state.directions[1 - side];
        let mut taken = 0;
        while let Some(chunk) = incoming.queue.front_mut()
            && chunk.arrival <= now
            && taken < limit
        {
            let len = chunk.data.len().min(limit - taken);
            chunk.data.deliver(len, into);
            taken += len;
            if chunk.data.len() == 0 {
                incoming.queue.pop_front();
            }
        }
        if taken > 0 {
            if acknowledgements_cut {
                incoming.held_back += taken;
            } else {
                incoming.acknowledge(taken);
            }
            if let Some(timer) = incoming.reader.take().and_then(|waiter| waiter.timer) {
                world.disarm(timer);
            }
            return Read::Bytes(taken);
        }
        if incoming.has_reset(now) {
            return Read::Reset;
        }
        if incoming.queue.is_empty() && incoming.fin.is_some_and(|fin| fin <= now) {
            return Read::Ended;
        }
        incoming.wait_to_read(world, waker);
        Read::Wait
    }

    /// Sends as much of `data` as the window takes, or has `waker` woken when it takes more.
    pub(super) fn write(&self, world: &World, side: usize, data: &mut Data, waker: &Waker) -> Write {
        let now = world.now().0;
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if !state.ends[side].writable || state.directions[1 - side].has_reset(now) {
            state.ends[side].writable = false;
            return Write::Broken;
        }
        let outgoing = &mut state.directions[side];
        let room = outgoing.link.window_bytes.saturating_sub(outgoing.unacknowledged);
        if room == 0 && data.len() > 0 {
            outgoing.writer = Some(waker.clone());
            if let Some(reset) = state.directions[1 - side].reset.filter(|reset| *reset != NEVER) {
                world.arm(Instant(reset), waker.clone());
            }
            return Write::Wait;
        }
        let len = room.min(data.len());
        let mut part = data.split_to(len);
        outgoing.unacknowledged += len;
        if let Some(message) = state.frames.pass(side, &part)
            && let Some(delay_ns) = world.network.hold_ns(self.nodes[side], self.nodes[1 - side], message)
        {
            outgoing.hold_until(now + delay_ns);
            world.count_fault("message_held");
        }
        let draws = &world.network.draws;
        while part.len() > 0 {
            let piece_len = outgoing.link.piece_len(part.len(), &mut lock(draws));
            let piece = part.split_to(piece_len);
            let arrival = outgoing.arrival(now, piece_len, draws);
            note_send(world, self, side, &piece, arrival);
            outgoing.queue.push_back(Chunk { arrival, data: piece });
        }
        outgoing.rearm(world);
        if state.ends[1 - side].presence == Presence::Closed {
            state.answer_with_reset(world, side, now);
        }
        Write::Done
    }

    /// This end will write no more.
    pub(super) fn finish(&self, world: &World, side: usize) {
        let now = world.now();
        let mut state = lock(&self.state);
        state.ends[side].writable = false;
        if state.ends[side].presence != Presence::Open || state.directions[side].fin.is_some() {
            return;
        }
        state.send_fin(world, side, now.0);
        world.note(Kind::Send, self.id << 1 | side as u64, 0, || {
            format!("connection {}: end {side} sends its end", self.id)
        });
    }

    /// One of the two halves was dropped. Returns whether both ends are gone now.
    pub(super) fn drop_half(&self, world: &World, side: usize) -> bool {
        let now = world.now().0;
        let mut state = lock(&self.state);
        state.ends[side].halves -= 1;
        if state.ends[side].halves == 0 && state.ends[side].presence == Presence::Open {
            state.close(world, side, now);
        }
        state.ends.iter().all(|end| end.halves == 0)
    }

    /// The process at `side` is gone, or its whole machine.
    pub(super) fn lose_end(&self, world: &World, side: usize, power: bool) {
        let now = world.now().0;
        let mut state = lock(&self.state);
        if power {
            // Also what a process left that was gone already: its kernel had still to send it.
            state.directions[side].lose_machine();
        }
        if state.ends[side].presence != Presence::Open {
            return;
        }
        if power {
            state.ends[side].presence = Presence::Silent;
        } else {
            state.close(world, side, now);
        }
    }

    /// The machine at `side` has power again and knows nothing of the connection: whoever still waits for an acknowledgement
    /// is told so at its next retransmission.
    pub(super) fn answer_again(&self, world: &World, side: usize) {
        let mut state = lock(&self.state);
        if state.ends[side].presence == Presence::Silent {
            state.ends[side].presence = Presence::Closed;
            if state.directions[1 - side].unacknowledged > 0 {
                let later = lock(&world.network.draws).below(3_000_000_000);
                state.answer_with_reset(world, 1 - side, world.now().0 + later);
            }
        }
    }

    /// Resets both ends now, wherever the network breaks.
    pub(super) fn reset(&self, world: &World) {
        let now = world.now().0;
        let mut state = lock(&self.state);
        for side in 0..2 {
            state.reset_at(world, side, now);
        }
    }

    /// Cuts or heals one direction.
    pub(super) fn set_cut(&self, world: &World, side: usize, cut: bool) {
        let now = world.now().0;
        let mut state = lock(&self.state);
        let direction = &mut state.directions[side];
        if direction.cut == cut {
            return;
        }
        if cut {
            direction.stall(now);
        } else {
            direction.unstall(now, &world.network.draws);
        }
        direction.rearm(world);
        if !cut {
            let resent = state.directions[side].last_arrival;
            let backward = &mut state.directions[1 - side];
            let held_back = std::mem::take(&mut backward.held_back);
            backward.acknowledge(held_back);
            if !backward.cut {
                backward.settle_ends(resent);
                backward.rearm(world);
            }
            state.wake_writers_at_reset(world);
        }
    }

    pub(super) fn set_link(&self, side: usize, link: LinkSettings) {
        lock(&self.state).directions[side].link = link;
    }
}

impl State {
    fn send_fin(&mut self, world: &World, side: usize, now: u64) {
        let outgoing = &mut self.directions[side];
        outgoing.fin = Some(outgoing.arrival(now, 0, &world.network.draws));
        outgoing.rearm(world);
    }

    /// The owner of an end lets go of it. As kernels do: who leaves bytes unread, or gets more later, resets.
    fn close(&mut self, world: &World, side: usize, now: u64) {
        self.ends[side].presence = Presence::Closed;
        self.ends[side].writable = false;
        if self.directions[side].fin.is_none() {
            self.send_fin(world, side, now);
        }
        let incoming = &mut self.directions[1 - side];
        incoming.reader = None;
        let unread = incoming.queue.front().map(|chunk| chunk.arrival);
        if let Some(arrival) = unread
            && arrival != NEVER
        {
            let outgoing = &mut self.directions[side];
            let delay = outgoing.link.delay_ns(&mut lock(&world.network.draws));
            let at = if outgoing.cut { NEVER } else { arrival.max(now) + delay };
            self.reset_at(world, 1 - side, at);
        }
    }

    /// What `side` has sent meets an end that is closed.
    fn answer_with_reset(&mut self, world: &World, side: usize, now: u64) {
        if self.directions.iter().any(|direction| direction.cut) {
            // Lost on one of the ways, until a retransmission meets a network that is whole.
            if self.directions[1 - side].reset.is_none() {
                self.directions[1 - side].reset = Some(NEVER);
            }
            return;
        }
        let there_and_back: u64 = {
            let mut draws = lock(&world.network.draws);
            self.directions.iter().map(|direction| direction.link.delay_ns(&mut draws)).sum()
        };
        self.reset_at(world, side, now + there_and_back);
    }

    /// Has the connection end for `side` with a reset at that moment; what arrives later is lost.
    fn reset_at(&mut self, world: &World, side: usize, at: u64) {
        let incoming = &mut self.directions[1 - side];
        if incoming.reset.is_some_and(|reset| reset <= at) {
            return;
        }
        incoming.reset = Some(at);
        if at != NEVER {
            incoming.lose_after(at);
        }
        incoming.rearm(world);
        self.wake_writers_at_reset(world);
    }

    fn wake_writers_at_reset(&self, world: &World) {
        for side in 0..2 {
            if let (Some(waker), Some(reset)) =
                (&self.directions[side].writer, self.directions[1 - side].reset)
                && reset != NEVER
            {
                world.arm(Instant(reset), waker.clone());
            }
        }
    }
}

fn note_send(world: &World, connection: &Connection, side: usize, data: &Data, arrival: u64) {
    let hash = match data {
        Data::Bytes(bytes) => hash_bytes(arrival, bytes),
        Data::File { position, len, .. } => arrival ^ position.rotate_left(20) ^ *len as u64,
    };
    world.note(Kind::Send, connection.id << 1 | side as u64, hash, || {
        let [from, to] =
            if side == 0 { connection.nodes } else { [connection.nodes[1], connection.nodes[0]] };
        let when = if arrival == NEVER { "stalled".to_owned() } else { format!("arrives at {arrival} ns") };
        format!("connection {}: {} bytes from node {from} to node {to}, {when}", connection.id, data.len())
    });
}
