//! What a partition knows of its producers (KIP-98): a pure fold of the batches in its log.
//!
//! It tells a batch that was sent twice from a new one, and a zombie from its successor. Every replica keeps it, so
//! that each can take over as leader.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::ids::{Offset, ProducerEpoch, ProducerId};
use crate::record::batch::{BatchHeader, crc32c};
use crate::time::Timestamp;

/// How many batches of a producer are remembered: a client may have this many in flight (KIP-98).
pub const BATCHES_RETAINED: usize = 5;

const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEADER_LEN: usize = 2 + 4;
const ENTRY_LEN: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// One batch of a producer, as it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducedBatch {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Records before the last one.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: Timestamp,
}

impl ProducedBatch {
    /// Sequence of its first record. Sequences go round from `i32::MAX` to 0.
    pub fn base_sequence(&self) -> i32 {
        advance_sequence(self.last_sequence, -i64::from(self.offset_delta))
    }

    /// Offset of its first record.
    pub fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0 - i64::from(self.offset_delta))
    }
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// The epoch of its latest batch or marker.
    pub epoch: ProducerEpoch,
    /// Its latest batches in this epoch, oldest first; at most [`BATCHES_RETAINED`].
    pub batches: VecDeque<ProducedBatch>,
    /// The largest timestamp of its latest batch or marker.
    pub last_timestamp: Timestamp,
    /// When [`Producers::expire`] first saw this batch or marker; in memory alone. Timestamps are the client's, and may
    /// be missing or old.
    pub seen: Option<Timestamp>,
    /// The epoch of the coordinator that wrote its latest marker, or -1.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            batches: VecDeque::new(),
            last_timestamp: Timestamp::NONE,
            seen: None,
            coordinator_epoch: -1,
            transaction_start: None,
        }
    }

    fn push(&mut self, batch: ProducedBatch) {
        if self.batches.len() == BATCHES_RETAINED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }

    fn enter_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

/// What is to be done with a batch that a producer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Append it.
    New,
    /// It is in the log already: answer with these, when they are committed.
    Duplicate {
        /// Offset of its first record.
        base_offset: Offset,
        /// Offset of its last record.
        last_offset: Offset,
        /// Its largest timestamp, which is the append time where the topic asks for that.
        timestamp: Timestamp,
    },
}

/// Why a batch cannot follow what its producer wrote before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// A successor with the same producer id has written already: the sender is a zombie (INVALID_PRODUCER_EPOCH).
    #[error("producer {producer_id} sent epoch {offered} but epoch {current} has begun")]
    Fenced {
        /// Who.
        producer_id: ProducerId,
        /// The epoch it sent.
        offered: ProducerEpoch,
        /// The epoch in the log.
        current: ProducerEpoch,
    },
    /// A batch before this one is missing (OUT_OF_ORDER_SEQUENCE_NUMBER).
    #[error("producer {producer_id} sent sequence {offered} where {expected} follows")]
    OutOfOrderSequence {
        /// Who.
        producer_id: ProducerId,
        /// The sequence it sent.
        offered: i32,
        /// The one that follows.
        expected: i32,
    },
}

/// The bytes are not a producer snapshot, or a damaged one. It is derived data: the log has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Too short, or too long, for what it says it holds.
    #[error("a producer snapshot of {0} bytes is not whole")]
    Length(usize),
    /// A version this code does not know.
    #[error("producer snapshot version {0} is not known: only 1 is")]
    Version(i16),
    /// The checksum does not match.
    #[error("the producer snapshot's checksum is {computed:#010x} but it says {stored:#010x}")]
    Crc {
        /// In the file.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
}

/// The sequence `count` after `sequence`, going round from `i32::MAX` to 0.
fn advance_sequence(sequence: i32, count: i64) -> i32 {
    (i64::from(sequence) + count).rem_euclid(1 << 31) as i32
}

/// All producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<ProducerId, Producer>,
}

impl Producers {
    /// One producer.
    pub fn get(&self, producer_id: ProducerId) -> Option<&Producer> {
        self.by_id.get(&producer_id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_id.iter().map(|(id, producer)| (*id, producer))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether a leader may append a batch of a client. Changes nothing: [`Producers::apply`] follows when the batch
    /// is in the log (KAFKA-6683).
    ///
    /// # Errors
    /// See [`ProducerError`].
    pub fn check(&self, header: &BatchHeader) -> Result<Admission, ProducerError> {
        let Some(producer) = self.by_id.get(&header.producer_id) else {
            // Retention may have removed all it wrote, so any sequence may be the first one here (KIP-360).
            return Ok(Admission::New);
        };
        let producer_id = header.producer_id;
        if header.producer_epoch < producer.epoch {
            let (offered, current) = (header.producer_epoch, producer.epoch);
            return Err(ProducerError::Fenced { producer_id, offered, current });
        }
        let offered = header.base_sequence;
        let last = producer.batches.back().filter(|_| header.producer_epoch == producer.epoch);
        let Some(last) = last else {
            // The first batch of an epoch has sequence 0; after a marker alone, what came before is not known.
            return match offered == 0 || header.producer_epoch == producer.epoch {
                true => Ok(Admission::New),
                false => Err(ProducerError::OutOfOrderSequence { producer_id, offered, expected: 0 }),
            };
        };
        let same = |batch: &&ProducedBatch| {
            batch.base_sequence() == offered && batch.offset_delta == header.last_offset_delta
        };
        if let Some(batch) = producer.batches.iter().find(same) {
            return Ok(Admission::Duplicate {
                base_offset: batch.base_offset(),
                last_offset: batch.last_offset,
                timestamp: batch.timestamp,
            });
        }
        let expected = advance_sequence(last.last_sequence, 1);
        match offered == expected {
            true => Ok(Admission::New),
            false => Err(ProducerError::OutOfOrderSequence { producer_id, offered, expected }),
        }
    }

    /// Follows a batch that is in the log, with the offsets it has there.
    pub fn apply(&mut self, header: &BatchHeader) {
        if !header.is_idempotent() {
            return;
        }
        let producer =
            self.by_id.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.enter_epoch(header.producer_epoch);
        producer.last_timestamp = header.max_timestamp;
        producer.seen = None;
        if header.is_control() {
            producer.transaction_start = None;
            return;
        }
        let Some(last_offset) = header.last_offset().filter(|_| header.last_offset_delta >= 0) else {
            return;
        };
        producer.push(ProducedBatch {
            last_sequence: advance_sequence(header.base_sequence, header.last_offset_delta.into()),
            last_offset,
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        });
        if header.is_transactional() && producer.transaction_start.is_none() {
            producer.transaction_start = Some(header.base_offset);
        }
    }

    /// Forgets producers without an open transaction which wrote nothing for `expiration_ms`, by the time of their latest
    /// batch or by the clock, whichever is later. What was written since the last call counts as written now.
    pub fn expire(&mut self, now: Timestamp, expiration_ms: i64) {
        self.by_id.retain(|_, producer| {
            let seen = *producer.seen.get_or_insert(now);
            let latest = producer.last_timestamp.max(seen);
            producer.transaction_start.is_some() || now.0.saturating_sub(latest.0) < expiration_ms
        });
    }

    /// Kafka's `.snapshot` format, version 1.
    ///
    /// The format has one entry per producer with its latest batch alone. Here each remembered batch is an entry of
    /// its own, the latest last: Kafka's reader keeps the last entry of a producer, so it reads what it would have
    /// written, and our own loses nothing, so that a retry is recognised after a restart too.
    pub fn encode(&self) -> Bytes {
        let entries = self.by_id.values().map(|producer| producer.batches.len().max(1)).sum::<usize>();
        let mut bytes = BytesMut::with_capacity(SNAPSHOT_HEADER_LEN + 4 + entries * ENTRY_LEN);
        bytes.put_i16(SNAPSHOT_VERSION);
        bytes.put_u32(0);
        bytes.put_i32(entries as i32);
        for (&id, producer) in &self.by_id {
            let Some(last) = producer.batches.back() else {
                put_entry(&mut bytes, id, producer, None, producer.last_timestamp);
                continue;
            };
            for batch in producer.batches.iter().take(producer.batches.len() - 1) {
                put_entry(&mut bytes, id, producer, Some(batch), batch.timestamp);
            }
            put_entry(&mut bytes, id, producer, Some(last), producer.last_timestamp);
        }
        let crc = crc32c(&bytes[SNAPSHOT_HEADER_LEN..]);
        bytes[2..SNAPSHOT_HEADER_LEN].copy_from_slice(&crc.to_be_bytes());
        bytes.freeze()
    }

    /// Reads a snapshot, ours or Kafka's.
    ///
    /// # Errors
    /// See [`SnapshotError`]: never panics, and never takes more memory than the bytes justify.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, SnapshotError> {
        let len = bytes.len();
        if len < SNAPSHOT_HEADER_LEN + 4 {
            return Err(SnapshotError::Length(len));
        }
        let version = bytes.get_i16();
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version(version));
        }
        let stored = bytes.get_u32();
        let computed = crc32c(bytes);
        if stored != computed {
            return Err(SnapshotError::Crc { stored, computed });
        }
        let entries = bytes.get_i32();
        if i64::from(entries) * ENTRY_LEN as i64 != bytes.len() as i64 {
            return Err(SnapshotError::Length(len));
        }
        let mut producers = Self::default();
        for _ in 0..entries {
            producers.take_entry(&mut bytes);
        }
        Ok(producers)
    }

    fn take_entry(&mut self, bytes: &mut &[u8]) {
        let id = ProducerId(bytes.get_i64());
        let epoch = ProducerEpoch(bytes.get_i16());
        let last_sequence = bytes.get_i32();
        let last_offset = Offset(bytes.get_i64());
        let offset_delta = bytes.get_i32();
        let timestamp = Timestamp(bytes.get_i64());
        let coordinator_epoch = bytes.get_i32();
        let transaction_start = Some(Offset(bytes.get_i64())).filter(|start| *start >= Offset::ZERO);

        let producer = self.by_id.entry(id).or_insert_with(|| Producer::new(epoch));
        producer.enter_epoch(epoch);
        producer.last_timestamp = timestamp;
        producer.coordinator_epoch = coordinator_epoch;
        producer.transaction_start = transaction_start;
        if last_offset >= Offset::ZERO && offset_delta >= 0 && last_sequence >= 0 {
            producer.push(ProducedBatch { last_sequence, last_offset, offset_delta, timestamp });
        }
    }
}

fn put_entry(
    bytes: &mut BytesMut,
    id: ProducerId,
    producer: &Producer,
    batch: Option<&ProducedBatch>,
    timestamp: Timestamp,
) {
    bytes.put_i64(id.0);
    bytes.put_i16(producer.epoch.0);
    bytes.put_i32(batch.map_or(-1, |batch| batch.last_sequence));
    bytes.put_i64(batch.map_or(-1, |batch| batch.last_offset.0));
    bytes.put_i32(batch.map_or(0, |batch| batch.offset_delta));
    bytes.put_i64(timestamp.0);
    bytes.put_i32(producer.coordinator_epoch);
    bytes.put_i64(producer.transaction_start.map_or(-1, |start| start.0));
}

#[cfg(test)]
mod tests;
