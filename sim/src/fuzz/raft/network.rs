//! The bag of messages: anything in it may arrive next, twice, or never.

use std::collections::VecDeque;

use jangbu_core::raft::messages::{Request, Response};

use super::disk::{Entry, Image};

/// The most entries in one response.
pub const BATCH_ENTRIES: usize = 4;
/// More messages than this are not kept: the oldest is lost.
const MESSAGES_MAX: usize = 96;

/// What is in a message, for schedules and their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Vote, or a pre-vote
    Vote,
    /// BeginQuorumEpoch
    Begin,
    /// EndQuorumEpoch
    End,
    /// Fetch
    Fetch,
    /// FetchSnapshot
    Snapshot,
    /// The answer to a Vote
    VoteReply,
    /// The answer to a BeginQuorumEpoch or EndQuorumEpoch
    EpochReply,
    /// The answer to a Fetch
    FetchReply,
    /// The answer to a FetchSnapshot
    SnapshotReply,
}

impl Kind {
    /// All kinds and their names.
    pub const ALL: &'static [(&'static str, Kind)] = &[
        ("vote", Kind::Vote),
        ("begin", Kind::Begin),
        ("end", Kind::End),
        ("fetch", Kind::Fetch),
        ("snapshot", Kind::Snapshot),
        ("vote-reply", Kind::VoteReply),
        ("epoch-reply", Kind::EpochReply),
        ("fetch-reply", Kind::FetchReply),
        ("snapshot-reply", Kind::SnapshotReply),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// The records in a response to a fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// How many.
    pub count: u8,
    /// The first of these count.
    pub entries: [Entry; BATCH_ENTRIES],
}

impl Records {
    /// Becomes the same as another; what does not count is not copied.
    #[inline]
    pub fn copy_from(&mut self, other: &Self) {
        self.count = other.count;
        let count = usize::from(other.count);
        self.entries[..count].copy_from_slice(&other.entries[..count]);
    }
}

/// What a message says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A question.
    Request(Request),
    /// An answer; the records or the snapshot that belong to it are beside it.
    Response(Response),
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who sent it.
    pub from: u8,
    /// To whom.
    pub to: u8,
    /// The incarnation that asked, for an answer: a connection dies with the process at either end.
    pub incarnation: u32,
    /// Its number.
    pub sequence: u32,
    /// What kind it is.
    pub kind: Kind,
    /// What it says.
    pub body: Body,
    /// What was fetched.
    pub records: Records,
    /// The snapshot of which this brings a piece, all of it: pieces of one snapshot do not differ here.
    pub image: Option<Image>,
}

impl Message {
    /// What kind of message says this.
    pub fn kind_of(body: &Body) -> Kind {
        match body {
            Body::Request(request) => match request {
                Request::Vote(_) => Kind::Vote,
                Request::BeginQuorumEpoch(_) => Kind::Begin,
                Request::EndQuorumEpoch(_) => Kind::End,
                Request::Fetch(_) => Kind::Fetch,
                Request::FetchSnapshot(_) => Kind::Snapshot,
            },
            Body::Response(response) => match response {
                Response::Vote(_) => Kind::VoteReply,
                Response::Epoch(_) => Kind::EpochReply,
                Response::Fetch(_) => Kind::FetchReply,
                Response::FetchSnapshot(_) => Kind::SnapshotReply,
            },
        }
    }
}

/// Names a message in a schedule, so that the name still fits when earlier steps are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageName {
    /// Who sent it.
    pub from: u8,
    /// To whom.
    pub to: u8,
    /// Of which kind.
    pub kind: Kind,
    /// How many such messages that are older are passed over.
    pub nth: u8,
}

/// A message that is not under way: not yet, or not any more. To be sent or given back.
#[derive(Debug)]
pub struct Held(u16);

/// The messages under way and the links that are cut.
///
/// Messages stay where they were written, and only their places are moved about: a message is larger than all that a
/// step otherwise touches.
#[derive(Clone, Debug, Default)]
pub struct Network {
    slots: Vec<Message>,
    /// Slots of the messages under way.
    order: VecDeque<u16>,
    /// Slots of no message.
    free: Vec<u16>,
    /// For each sender the receivers, as bits, whom it cannot reach.
    cut: [u16; 16],
    next_sequence: u32,
}

impl Network {
    /// No messages, no cuts.
    pub fn clear(&mut self) {
        self.order.clear();
        self.free.clear();
        self.free.extend((0..self.slots.len() as u16).rev());
        self.cut = [0; 16];
        self.next_sequence = 0;
    }

    /// How many messages are under way.
    #[inline]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The messages.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.order.iter().map(|slot| &self.slots[*slot as usize])
    }

    /// Writes a message, without records and without a snapshot.
    #[inline]
    pub fn write(&mut self, from: u8, to: u8, incarnation: u32, body: Body) -> Held {
        let kind = Message::kind_of(&body);
        let Some(slot) = self.free.pop() else {
            let records = Records::default();
            self.slots.push(Message { from, to, incarnation, sequence: 0, kind, body, records, image: None });
            return Held(self.slots.len() as u16 - 1);
        };
        let message = &mut self.slots[slot as usize];
        (message.from, message.to, message.incarnation, message.kind) = (from, to, incarnation, kind);
        message.body = body;
        message.records.count = 0;
        message.image = None;
        Held(slot)
    }

    /// Sends what was written, unless the link is cut.
    #[inline]
    pub fn send(&mut self, held: Held) {
        let message = &self.slots[held.0 as usize];
        if self.is_cut(message.from, message.to) {
            return self.release(held);
        }
        if self.order.len() >= MESSAGES_MAX {
            self.free.extend(self.order.pop_front());
        }
        self.slots[held.0 as usize].sequence = self.next_sequence;
        self.next_sequence += 1;
        self.order.push_back(held.0);
    }

    /// Takes a message out. The oldest takes its place, so that place 0 always has an old one.
    #[inline]
    pub fn take(&mut self, index: usize) -> Option<Held> {
        self.order.swap_remove_front(index).map(Held)
    }

    /// What is held.
    #[inline]
    pub fn message(&self, held: &Held) -> &Message {
        &self.slots[held.0 as usize]
    }

    /// The same, to be written on.
    #[inline]
    pub fn message_mut(&mut self, held: &Held) -> &mut Message {
        &mut self.slots[held.0 as usize]
    }

    /// The message is done with.
    #[inline]
    pub fn release(&mut self, held: Held) {
        self.free.push(held.0);
    }

    /// Loses a message. Returns false when there is none at this place.
    pub fn lose(&mut self, index: usize) -> bool {
        let held = self.take(index);
        let is_lost = held.is_some();
        held.into_iter().for_each(|held| self.release(held));
        is_lost
    }

    /// Puts a second one of it into the bag. Returns false when there is none at this place.
    pub fn duplicate(&mut self, index: usize) -> bool {
        let Some(slot) = self.order.get(index).copied() else { return false };
        if self.order.len() < MESSAGES_MAX {
            let message = self.slots[slot as usize].clone();
            let copy = self.free.pop().unwrap_or(self.slots.len() as u16);
            match self.slots.get_mut(copy as usize) {
                Some(free) => *free = message,
                None => self.slots.push(message),
            }
            self.order.push_back(copy);
        }
        true
    }

    /// The name of the message at a place.
    pub fn name(&self, index: usize) -> Option<MessageName> {
        let message = self.messages().nth(index)?;
        let is_alike = |other: &&Message| {
            (other.from, other.to, other.kind) == (message.from, message.to, message.kind)
                && other.sequence < message.sequence
        };
        let nth = self.messages().filter(is_alike).count() as u8;
        Some(MessageName { from: message.from, to: message.to, kind: message.kind, nth })
    }

    /// The place of the message of a name.
    pub fn find(&self, name: MessageName) -> Option<usize> {
        let mut alike: Vec<(u32, usize)> = (self.messages().enumerate())
            .filter(|(_, other)| (other.from, other.to, other.kind) == (name.from, name.to, name.kind))
            .map(|(index, other)| (other.sequence, index))
            .collect();
        alike.sort_unstable();
        alike.get(name.nth as usize).map(|(_, index)| *index)
    }

    /// Whether messages from one node to another are lost.
    #[inline]
    pub fn is_cut(&self, from: u8, to: u8) -> bool {
        self.cut[from as usize] & (1 << to) != 0
    }

    /// Cuts a link in one direction.
    pub fn cut(&mut self, from: u8, to: u8) {
        self.cut[from as usize] |= 1 << to;
    }

    /// Mends all links.
    pub fn heal(&mut self) {
        self.cut = [0; 16];
    }

    /// Loses what is on its way over links that are cut.
    pub fn drop_cut(&mut self) {
        let Self { slots, order, free, cut, .. } = self;
        order.retain(|slot| {
            let message = &slots[*slot as usize];
            let is_cut = cut[message.from as usize] & (1 << message.to) != 0;
            if is_cut {
                free.push(*slot);
            }
            !is_cut
        });
    }
}
