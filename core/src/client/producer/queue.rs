//! The batches of one partition on their way to its leader. Pure: time is an argument, and who is called back is
//! returned.
//!
//! The rules that make a repeat recognisable (KIP-98, KIP-360):
//! - a batch keeps its producer id, epoch and sequence for as long as an earlier attempt may have been appended;
//! - at most five batches are in flight, for a broker remembers that many;
//! - a batch that is sent again goes alone, first in the queue, so that later ones cannot overtake it;
//! - the first batch of an identity goes alone, for a broker that knows nothing of it takes any sequence as the first;
//! - without an identity one batch is in flight at a time;
//! - after a gap in the sequences the partition waits until nothing is in flight, and goes on in a new epoch. Only
//!   batches that were certainly never appended go along; of the others the outcome is unknown.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use super::{Delivered, SendError, Unsent};
use crate::error::ErrorCode;
use crate::ids::{Offset, ProducerEpoch, ProducerId};
use crate::record::builder::set_producer;
use crate::time::Instant;
use crate::wire::codec::StrBytes;

/// Who the producer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
}

impl Identity {
    /// The same producer in the next epoch, or `None` when the epochs are used up and a new id is needed.
    fn bumped(self) -> Option<Self> {
        let epoch = self.epoch.0.checked_add(1).filter(|&epoch| epoch < i16::MAX)?;
        Some(Self { epoch: ProducerEpoch(epoch), ..self })
    }
}

/// Whom to tell, and what.
pub(super) type Resolution = (oneshot::Sender<Result<Delivered, SendError>>, Result<Delivered, SendError>);

/// What became of an attempt.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Appended, now or by an earlier attempt.
    Appended(Delivered),
    /// Refused by the broker.
    Refused(ErrorCode),
    /// No answer; `sent` when the broker may have got it.
    Lost { sent: bool, cause: Arc<str> },
}

struct Batch {
    number: u64,
    bytes: Bytes,
    record_count: i32,
    deadline: Instant,
    attempts: u32,
    in_flight: bool,
    /// An earlier attempt may have been appended.
    maybe_appended: bool,
    sequenced: bool,
    last_error: Option<Unsent>,
    /// `None` once the sender was told.
    done: Option<oneshot::Sender<Result<Delivered, SendError>>>,
}

/// The batches of one partition, in the order in which they were given.
pub(super) struct PartitionQueue {
    pub(super) topic: Arc<str>,
    /// The topic's name as requests carry it.
    pub(super) wire_name: StrBytes,
    pub(super) partition: i32,
    /// Bytes of batches that have left the queue and were not yet asked for.
    released_bytes: usize,
    batches: VecDeque<Batch>,
    next_number: u64,
    in_flight: usize,
    identity: Option<Identity>,
    next_sequence: i32,
    /// Whether the identity has been accepted here.
    acknowledged: bool,
    /// There is a gap in the sequences.
    broken: bool,
    failures: u32,
    not_before: Instant,
}

/// What [`PartitionQueue::take_sendable`] needs to know.
#[derive(Clone, Copy)]
pub(super) struct SendRules {
    pub(super) now: Instant,
    pub(super) max_in_flight: usize,
    /// `None` for a producer that is not idempotent.
    pub(super) identity: Option<Identity>,
}

/// What the partition may send next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sendable {
    /// This batch, which now counts as in flight.
    Batch { number: u64, bytes: Bytes },
    /// Nothing before this time.
    Later(Instant),
    /// Nothing until something that is in flight comes back.
    Nothing,
}

impl PartitionQueue {
    pub(super) fn new(topic: Arc<str>, partition: i32) -> Self {
        Self {
            wire_name: StrBytes::from(&topic[..]),
            topic,
            partition,
            released_bytes: 0,
            batches: VecDeque::new(),
            next_number: 0,
            in_flight: 0,
            identity: None,
            next_sequence: 0,
            acknowledged: false,
            broken: false,
            failures: 0,
            not_before: Instant::default(),
        }
    }

    pub(super) fn push(
        &mut self,
        bytes: Bytes,
        record_count: i32,
        deadline: Instant,
        done: oneshot::Sender<Result<Delivered, SendError>>,
    ) {
        self.next_number += 1;
        self.batches.push_back(Batch {
            number: self.next_number,
            bytes,
            record_count,
            deadline,
            attempts: 0,
            in_flight: false,
            maybe_appended: false,
            sequenced: false,
            last_error: None,
            done: Some(done),
        });
    }

    /// How many bytes have left the queue since this was last called.
    pub(super) fn take_released_bytes(&mut self) -> usize {
        std::mem::take(&mut self.released_bytes)
    }

    fn remove(&mut self, index: usize) -> Option<Batch> {
        let batch = self.batches.remove(index)?;
        self.released_bytes += batch.bytes.len();
        Some(batch)
    }

    /// Whether a batch waits to be sent.
    pub(super) fn has_waiting(&self) -> bool {
        self.in_flight < self.batches.len()
    }

    /// Whether [`PartitionQueue::take_sendable`] would give a batch now, and if not, when.
    pub(super) fn poll_sendable(&self, rules: SendRules) -> Result<usize, Sendable> {
        let Some(index) = self.batches.iter().position(|batch| !batch.in_flight) else {
            return Err(Sendable::Nothing);
        };
        // A batch without a sequence that is sent again would be appended behind one that was in flight with it.
        let idempotent = rules.identity.is_some();
        let max_in_flight = match idempotent && self.acknowledged {
            true => rules.max_in_flight,
            false => 1,
        };
        let repeat_ahead = self.batches[index].attempts > 0 || self.batches[0].attempts > 1;
        if self.broken || self.in_flight >= max_in_flight || (index > 0 && repeat_ahead) {
            return Err(Sendable::Nothing);
        }
        if rules.now < self.not_before {
            return Err(Sendable::Later(self.not_before));
        }
        Ok(index)
    }

    /// Takes the next batch that may be sent now.
    pub(super) fn take_sendable(&mut self, rules: SendRules) -> Sendable {
        let index = match self.poll_sendable(rules) {
            Ok(index) => index,
            Err(nothing) => return nothing,
        };
        if let Some(current) = rules.identity {
            self.assign_sequence(index, current);
        }
        let batch = &mut self.batches[index];
        batch.in_flight = true;
        batch.attempts += 1;
        self.in_flight += 1;
        Sendable::Batch { number: batch.number, bytes: batch.bytes.clone() }
    }

    fn assign_sequence(&mut self, index: usize, current: Identity) {
        if self.batches[index].sequenced {
            return;
        }
        if self.identity != Some(current) && !self.batches.iter().any(|batch| batch.sequenced) {
            (self.identity, self.next_sequence, self.acknowledged) = (Some(current), 0, false);
        }
        let identity = self.identity.expect("sequenced batches have an identity");
        let batch = &mut self.batches[index];
        // No copy, unless someone else still holds the bytes.
        let mut bytes = BytesMut::from(std::mem::take(&mut batch.bytes));
        set_producer(&mut bytes, identity.id, identity.epoch, self.next_sequence);
        batch.bytes = bytes.freeze();
        batch.sequenced = true;
        // Sequences wrap from 2^31-1 to 0 (KIP-98).
        self.next_sequence = self.next_sequence.wrapping_add(batch.record_count) & i32::MAX;
    }

    /// Takes in what became of an attempt. `backoff` says how long to wait after so many failures in a row.
    pub(super) fn on_outcome(
        &mut self,
        number: u64,
        outcome: Outcome,
        backoff: impl FnOnce(u32) -> Instant,
    ) -> Option<Resolution> {
        let index = self.batches.iter().position(|batch| batch.number == number)?;
        self.in_flight -= 1;
        self.batches[index].in_flight = false;
        let batch = &mut self.batches[index];
        let (retry, refusal) = match outcome {
            Outcome::Appended(delivered) => {
                self.failures = 0;
                self.acknowledged = true;
                let batch = self.remove(index)?;
                return batch.done.map(|done| (done, Ok(delivered)));
            }
            Outcome::Lost { sent, cause } => {
                batch.maybe_appended |= sent;
                (true, Unsent::Disconnected(cause))
            }
            Outcome::Refused(code) => {
                batch.maybe_appended |= !never_appended(code);
                let sequence_error = is_sequence_error(code);
                // Behind a batch that is still to be repeated, an error of sequence is only its consequence. At the
                // front it says that the broker has lost what it knew, and only a new epoch helps.
                self.broken |= sequence_error && index == 0 && batch.sequenced;
                (sequence_error || code.is_retriable(), Unsent::Refused(code))
            }
        };
        batch.last_error = Some(refusal.clone());
        // A sender that was told of a timeout waits no more; nobody repeats for it.
        if retry && batch.done.is_some() {
            self.failures += 1;
            self.not_before = backoff(self.failures);
            return None;
        }
        self.give_up(index, refusal)
    }

    fn give_up(&mut self, index: usize, cause: Unsent) -> Option<Resolution> {
        let batch = self.remove(index)?;
        self.broken |= batch.sequenced;
        let error = match batch.maybe_appended {
            true => SendError::Unknown(cause),
            false => SendError::NotAppended(cause),
        };
        batch.done.map(|done| (done, Err(error)))
    }

    /// Gives up batches whose time is over. One that is in flight stays in the queue until its attempt comes back,
    /// for the ones behind it depend on what became of it. `obstacle` is what kept a batch that was never tried.
    pub(super) fn expire(&mut self, now: Instant, obstacle: &Unsent, resolutions: &mut Vec<Resolution>) {
        let mut index = 0;
        while let Some(batch) = self.batches.get_mut(index).filter(|batch| batch.deadline <= now) {
            let cause = batch.last_error.clone().unwrap_or_else(|| obstacle.clone());
            if batch.in_flight {
                resolutions.extend(batch.done.take().map(|done| (done, Err(SendError::Unknown(cause)))));
                index += 1;
            } else {
                resolutions.extend(self.give_up(index, cause));
            }
        }
    }

    /// After a gap, once nothing is in flight, lets the partition go on in a new epoch, which becomes the current
    /// one when this partition used the current one. `None` in `current` asks for a new producer id.
    pub(super) fn mend(&mut self, current: &mut Option<Identity>, resolutions: &mut Vec<Resolution>) {
        if !self.broken || self.in_flight > 0 {
            return;
        }
        let mut index = 0;
        while let Some(batch) = self.batches.get_mut(index) {
            if batch.maybe_appended {
                let cause = batch.last_error.clone().unwrap_or(Unsent::TimedOut);
                resolutions.extend(self.give_up(index, cause));
            } else {
                batch.sequenced = false;
                // It is a new batch to the broker.
                batch.attempts = 0;
                index += 1;
            }
        }
        if self.identity.is_some() && self.identity == *current {
            *current = current.and_then(Identity::bumped);
        }
        (self.identity, self.acknowledged, self.broken) = (None, false, false);
    }

    /// When [`PartitionQueue::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.batches.iter().find(|batch| batch.done.is_some()).map(|batch| batch.deadline)
    }
}

/// Codes that a broker gives before it appends anything. All others may come when the batch is already in the log,
/// while it waits for its replicas.
fn never_appended(code: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(
        code,
        CorruptMessage
            | InvalidFetchSize
            | MessageTooLarge
            | InvalidTopicException
            | RecordListTooLarge
            | NotEnoughReplicas
            | InvalidRequiredAcks
            | TopicAuthorizationFailed
            | ClusterAuthorizationFailed
            | TransactionalIdAuthorizationFailed
            | InvalidTimestamp
            | UnsupportedVersion
            | UnsupportedForMessageFormat
            | PolicyViolation
            | InvalidRequest
            | OutOfOrderSequenceNumber
            | InvalidProducerEpoch
            | UnknownProducerId
            | ProducerFenced
            | InvalidTxnState
            | InvalidProducerIdMapping
            | UnsupportedCompressionType
            | InvalidRecord
            | ThrottlingQuotaExceeded
    )
}

fn is_sequence_error(code: ErrorCode) -> bool {
    use ErrorCode::*;
    matches!(code, OutOfOrderSequenceNumber | UnknownProducerId | InvalidProducerEpoch)
}

/// What an answer means. DUPLICATE_SEQUENCE_NUMBER, which Kafka no longer sends, means that the broker has the batch
/// but tells no offset.
pub(super) fn outcome_of(error_code: i16, base_offset: i64) -> Outcome {
    match ErrorCode::from_code(error_code) {
        Some(ErrorCode::None) => Outcome::Appended(Delivered { base_offset: Offset(base_offset) }),
        Some(ErrorCode::DuplicateSequenceNumber) => {
            Outcome::Appended(Delivered { base_offset: Offset::UNKNOWN })
        }
        Some(code) => Outcome::Refused(code),
        None => Outcome::Refused(ErrorCode::UnknownServerError),
    }
}

#[cfg(test)]
mod tests;
