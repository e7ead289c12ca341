//! What the tests of the checks are made of.

use std::collections::BTreeMap;

use bytes::Bytes;
use jangbu_core::fact::Fact;
use jangbu_core::ids::{LeaderEpoch, Offset, TopicPartition, Uuid};

use super::{ClientEvent, Durable, Ledger, Policy, Scan, Seen, SegmentScan, Written};
use crate::check::Check;
use crate::world::disk::PowerLoss;
use crate::world::{Crash, Exit, NodeId};

pub(crate) const NODE: NodeId = NodeId(0);
pub(crate) const POWER: Exit = Exit::Crashed(Crash::Power(PowerLoss::EVERYTHING));
pub(crate) const KILLED: Exit = Exit::Crashed(Crash::Process);
/// The partition of the topic whose acknowledgements need not wait for the disk.
pub(crate) const CACHED: (usize, i32) = (0, 0);
/// That of the topic whose acknowledgements wait for it.
pub(crate) const FLUSHED: (usize, i32) = (1, 0);

pub(crate) fn partition() -> TopicPartition {
    partition_of(CACHED)
}

pub(crate) fn partition_of(slot: (usize, i32)) -> TopicPartition {
    TopicPartition::new(Uuid([slot.0 as u8 + 1; 16]), slot.1)
}

/// A batch with these offsets.
pub(crate) fn written(base: i64, end: i64) -> Written {
    Written {
        base,
        end,
        epoch: 0,
        crc: (base * 1_000 + end) as u32,
        size: 100,
        max_timestamp: base,
        producer_id: -1,
        producer_epoch: -1,
        sequence: -1,
    }
}

/// One file with these batches.
pub(crate) fn scan(base: i64, batches: Vec<Written>) -> Scan {
    let segments = vec![SegmentScan { base, ..SegmentScan::default() }];
    Scan { batches, first_file: Some(base), segments, ..Scan::default() }
}

/// A check and its ledger: two topics, the second flushes first; retention leaves 250 bytes of the first.
pub(crate) struct Scene<C> {
    pub(crate) check: C,
    pub(crate) ledger: Ledger,
}

impl<C: Check> Scene<C> {
    pub(crate) fn new(check: C) -> Self {
        let cached = Policy { retention_bytes: Some(250), ..Policy::default() };
        let flushed = Policy { flushes_before_ack: true, ..Policy::default() };
        let mut scene = Self { check, ledger: Ledger::new(vec![cached, flushed]) };
        for slot in [CACHED, FLUSHED] {
            let topic_id = partition_of(slot).topic_id;
            scene.tell(ClientEvent::TopicCreated { topic: slot.0, topic_id }).expect("nothing is wrong yet");
            scene
                .recover(slot, false, 0, &Scan { first_file: Some(0), ..Scan::default() })
                .expect("it is new");
        }
        scene
    }

    pub(crate) fn see(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        let result = self.check.see(seen, &self.ledger);
        self.ledger.update(seen);
        result
    }

    pub(crate) fn tell(&mut self, event: ClientEvent) -> Result<(), String> {
        self.see(&Seen::Client(&event))
    }

    pub(crate) fn fact(&mut self, fact: &Fact) -> Result<(), String> {
        self.see(&Seen::Fact { node: NODE, fact })
    }

    pub(crate) fn end(&mut self, exit: &Exit) -> Result<(), String> {
        self.see(&Seen::Ended { node: NODE, exit })
    }

    /// Appends whole batches, as they would be on the disk.
    pub(crate) fn append(&mut self, slot: (usize, i32), bytes: Vec<u8>) -> Result<(), String> {
        let batches = Bytes::from(bytes);
        let headers = super::headers(&batches);
        let (first, last) = (headers[0], headers[headers.len() - 1]);
        self.fact(&Fact::Appended {
            partition: partition_of(slot),
            base_offset: Offset(first.base),
            log_end: Offset(last.end),
            leader_epoch: LeaderEpoch(first.epoch),
            batches,
        })
    }

    pub(crate) fn flush(&mut self, slot: (usize, i32), flushed: i64) -> Result<(), String> {
        let durable = Durable { start: Some(0), end: flushed };
        let fact = Fact::Flushed { partition: partition_of(slot), flushed: Offset(flushed) };
        self.see(&Seen::Flushed { node: NODE, fact: &fact, durable })
    }

    /// The log is opened as its files are, from `log_start` on.
    pub(crate) fn recover(
        &mut self,
        slot: (usize, i32),
        clean: bool,
        log_start: i64,
        scan: &Scan,
    ) -> Result<(), String> {
        let fact = Fact::Recovered {
            partition: partition_of(slot),
            clean,
            log_start: Offset(log_start),
            log_end: Offset(scan.end().unwrap_or(log_start).max(log_start)),
        };
        self.see(&Seen::Recovered { node: NODE, fact: &fact, scan })
    }

    /// What a producer was told, after the broker has told it.
    pub(crate) fn ack(
        &mut self,
        slot: (usize, i32),
        (producer, number, count): (usize, u64, u64),
        base: i64,
    ) -> Result<(), String> {
        let end = base + count as i64;
        self.fact(&acked(slot, base, end))?;
        let first = crate::check::value_of(producer, number);
        self.tell(ClientEvent::Acked { producer, slot, first, count, base_offset: Some(base) })
    }
}

pub(crate) fn acked(slot: (usize, i32), base: i64, end: i64) -> Fact {
    Fact::Acked { partition: partition_of(slot), base_offset: Offset(base), end: Offset(end), acks: -1 }
}

/// A producer of a snapshot: its id and epoch, and its last sequence number and offset.
pub(crate) type Entry = (i64, i16, i32, i64);

/// Snapshots of producers at these offsets.
pub(crate) fn snapshots(of: &[(i64, &[Entry])]) -> BTreeMap<i64, Option<super::Fold>> {
    of.iter()
        .map(|(offset, entries)| (*offset, super::snapshot::read(&super::snapshot::tests::bytes(entries))))
        .collect()
}
