//! Clients: they retry what was not answered, in order, and remember what they were told.

use jangbu_core::replica::Acks;
use jangbu_core::replica::producers::BATCHES_RETAINED;

use super::log::Entry;
use super::message::{ProduceResult, Produced};
use super::profile::ClientKind;

/// A batch that was not answered for good.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Its value.
    pub value: u32,
    /// Its sequence.
    pub sequence: i32,
    /// Whether an attempt ended without a definite failure: it may be in the log.
    pub is_unknown: bool,
    /// Whether an attempt is under way.
    pub is_sent: bool,
}

/// One client.
#[derive(Clone, Debug)]
pub struct Client {
    /// What it asks for.
    pub kind: ClientKind,
    number: u8,
    next_sequence: i32,
    producer_epoch: i16,
    /// Its batches under way, oldest first.
    pub window: Vec<Batch>,
    /// Its present connection; what comes on another is not heard.
    pub connection: u32,
    /// The broker at its other end.
    pub target: u8,
}

/// What an answer tells the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing for good.
    Nothing,
    /// A batch is at an offset.
    Acknowledged { value: u32, offset: i64 },
    /// A batch is nowhere, and never will be.
    Failed { value: u32 },
}

impl Client {
    /// Client `number`.
    pub fn new(kind: ClientKind, number: u8) -> Self {
        Self {
            kind,
            number,
            next_sequence: 0,
            producer_epoch: 0,
            window: Vec::new(),
            connection: 0,
            target: 0,
        }
    }

    /// What it waits for.
    pub fn acks(&self) -> Acks {
        match self.kind {
            ClientKind::Idempotent | ClientKind::All => Acks::All,
            ClientKind::Leader => Acks::Leader,
            ClientKind::None => Acks::None,
        }
    }

    /// A new batch.
    pub fn push(&mut self, value: u32) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.window.push(Batch { value, sequence, is_unknown: false, is_sent: false });
    }

    /// Whether the oldest batch under way is still among those that a broker remembers: like a real client it sends no
    /// more than five sequences ahead of what was confirmed (KIP-98).
    pub fn may_send_more(&self) -> bool {
        self.window
            .first()
            .is_none_or(|oldest| self.next_sequence - oldest.sequence < BATCHES_RETAINED as i32)
    }

    /// A batch as it is sent.
    pub fn produced(&self, batch: &Batch, fails: bool) -> Produced {
        let is_idempotent = self.kind == ClientKind::Idempotent;
        let entry = Entry {
            epoch: -1,
            value: batch.value,
            producer: if is_idempotent { i32::from(self.number) } else { -1 },
            producer_epoch: self.producer_epoch,
            sequence: if is_idempotent { batch.sequence } else { -1 },
        };
        Produced { entry, acks: self.acks(), fails }
    }

    /// The connection is given up: what was under way may have been carried out.
    pub fn give_up_connection(&mut self) {
        self.connection += 1;
        for batch in self.window.iter_mut().filter(|batch| batch.is_sent) {
            batch.is_unknown = true;
            batch.is_sent = false;
        }
    }

    /// An answer on the present connection.
    pub fn handle(&mut self, value: u32, result: ProduceResult) -> Told {
        let Some(index) = self.window.iter().position(|batch| batch.value == value) else {
            return Told::Nothing;
        };
        let batch = &mut self.window[index];
        batch.is_sent = false;
        match result {
            ProduceResult::Acknowledged(offset) => {
                self.window.remove(index);
                Told::Acknowledged { value, offset }
            }
            ProduceResult::Unknown => {
                batch.is_unknown = true;
                Told::Nothing
            }
            ProduceResult::NotEnoughReplicas | ProduceResult::NotLeader | ProduceResult::Failed
                if !batch.is_unknown && self.kind != ClientKind::Idempotent && value.is_multiple_of(2) =>
            {
                self.window.remove(index);
                Told::Failed { value }
            }
            _ => Told::Nothing,
        }
    }

    /// Beyond the budget a client whose sequence is lost begins anew, as real ones do.
    pub fn bump_epoch(&mut self) {
        self.producer_epoch += 1;
        for (sequence, batch) in (0..).zip(&mut self.window) {
            batch.sequence = sequence;
            batch.is_unknown |= batch.is_sent;
            batch.is_sent = false;
        }
        self.connection += 1;
        self.next_sequence = self.window.len() as i32;
    }
}
