use super::*;
use crate::ids::LeaderEpoch;
use crate::record::batch::{CONTROL, TRANSACTIONAL};

const ID: ProducerId = ProducerId(7);

fn header(base_offset: i64, sequence: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(base_offset),
        batch_length: 49,
        leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: 0,
        last_offset_delta: count - 1,
        base_timestamp: Timestamp(0),
        max_timestamp: Timestamp(base_offset),
        producer_id: ID,
        producer_epoch: ProducerEpoch(0),
        base_sequence: sequence,
        record_count: count,
    }
}

fn in_epoch(header: BatchHeader, epoch: i16) -> BatchHeader {
    BatchHeader { producer_epoch: ProducerEpoch(epoch), ..header }
}

fn marker(header: BatchHeader) -> BatchHeader {
    BatchHeader { attributes: CONTROL | TRANSACTIONAL, base_sequence: -1, ..header }
}

fn fold(headers: &[BatchHeader]) -> Producers {
    let mut producers = Producers::default();
    headers.iter().for_each(|header| producers.apply(header));
    producers
}

#[test]
fn a_batch_that_follows_is_new() {
    let producers = fold(&[header(0, 0, 3)]);
    assert_eq!(producers.check(&header(9, 3, 1)), Ok(Admission::New));
}

#[test]
fn an_unknown_producer_may_begin_anywhere() {
    assert_eq!(Producers::default().check(&header(0, 42, 1)), Ok(Admission::New));
}

#[test]
fn each_of_the_last_five_batches_is_recognised() {
    let batches: Vec<_> = (0..7).map(|n| header(100 + 2 * i64::from(n), 2 * n, 2)).collect();
    let producers = fold(&batches);
    for (n, batch) in batches.iter().enumerate() {
        let admission = producers.check(batch);
        if n < 2 {
            assert!(matches!(admission, Err(ProducerError::OutOfOrderSequence { expected: 14, .. })));
        } else {
            let (base_offset, timestamp) = (batch.base_offset, batch.max_timestamp);
            let last_offset = base_offset.next();
            assert_eq!(admission, Ok(Admission::Duplicate { base_offset, last_offset, timestamp }));
        }
    }
}

#[test]
fn a_gap_is_refused() {
    let producers = fold(&[header(0, 0, 1)]);
    let expect = ProducerError::OutOfOrderSequence { producer_id: ID, offered: 2, expected: 1 };
    assert_eq!(producers.check(&header(1, 2, 1)), Err(expect));
}

#[test]
fn a_batch_with_a_known_sequence_but_another_length_is_no_duplicate() {
    let producers = fold(&[header(0, 0, 2)]);
    assert!(producers.check(&header(2, 0, 1)).is_err());
}

#[test]
fn sequences_go_round_to_zero() {
    let producers = fold(&[header(0, i32::MAX - 1, 2)]);
    assert_eq!(producers.check(&header(2, 0, 1)), Ok(Admission::New));
    let producers = fold(&[header(0, i32::MAX, 3)]);
    assert_eq!(producers.get(ID).expect("written").batches[0].last_sequence, 1);
    assert_eq!(producers.check(&header(3, 2, 1)), Ok(Admission::New));
    assert!(matches!(producers.check(&header(3, i32::MAX, 3)), Ok(Admission::Duplicate { .. })));
}

#[test]
fn a_zombie_is_fenced() {
    let producers = fold(&[in_epoch(header(0, 0, 1), 3)]);
    assert!(matches!(producers.check(&in_epoch(header(1, 1, 1), 2)), Err(ProducerError::Fenced { .. })));
}

#[test]
fn a_new_epoch_begins_with_sequence_zero() {
    let producers = fold(&[header(0, 0, 5)]);
    assert_eq!(producers.check(&in_epoch(header(5, 0, 1), 1)), Ok(Admission::New));
    let refused = ProducerError::OutOfOrderSequence { producer_id: ID, offered: 5, expected: 0 };
    assert_eq!(producers.check(&in_epoch(header(5, 5, 1), 1)), Err(refused));
}

#[test]
fn a_batch_of_an_earlier_epoch_is_never_a_duplicate() {
    let producers = fold(&[header(0, 0, 1), in_epoch(header(1, 0, 1), 1)]);
    assert!(matches!(producers.check(&header(2, 0, 1)), Err(ProducerError::Fenced { .. })));
    assert!(matches!(
        producers.check(&in_epoch(header(2, 0, 1), 1)),
        Ok(Admission::Duplicate { base_offset: Offset(1), .. })
    ));
}

#[test]
fn a_transaction_is_open_from_its_first_batch_to_its_marker() {
    let transactional = |header| BatchHeader { attributes: TRANSACTIONAL, ..header };
    let mut producers = fold(&[transactional(header(5, 0, 2)), transactional(header(7, 2, 1))]);
    assert_eq!(producers.get(ID).expect("written").transaction_start, Some(Offset(5)));
    producers.expire(Timestamp(i64::MAX), 1);
    assert_eq!(producers.len(), 1);
    producers.apply(&marker(header(8, 0, 1)));
    assert_eq!(producers.get(ID).expect("written").transaction_start, None);
    assert_eq!(producers.check(&header(9, 3, 1)), Ok(Admission::New));
}

#[test]
fn idle_producers_are_forgotten() {
    let mut producers = fold(&[header(1000, 0, 1)]);
    producers.expire(Timestamp(1500), 1000);
    producers.expire(Timestamp(2499), 1000);
    assert_eq!(producers.len(), 1, "what was written since the last time counts as written now");
    producers.expire(Timestamp(2500), 1000);
    assert!(producers.is_empty());
}

/// Clients exist that leave the timestamp unset, and others that replay old records.
#[test]
fn a_producer_whose_batches_are_old_or_have_no_time_is_remembered_as_long_as_any_other() {
    for timestamp in [Timestamp::NONE, Timestamp(3)] {
        let mut producers = fold(&[BatchHeader { max_timestamp: timestamp, ..header(0, 0, 1) }]);
        producers.expire(Timestamp(1_000_000), 1000);
        assert_eq!(producers.len(), 1);
        producers.apply(&BatchHeader { max_timestamp: timestamp, ..header(1, 1, 1) });
        producers.expire(Timestamp(1_000_999), 1000);
        producers.expire(Timestamp(1_001_998), 1000);
        assert_eq!(producers.len(), 1, "it wrote again");
        producers.expire(Timestamp(1_001_999), 1000);
        assert!(producers.is_empty());
    }
}

#[test]
fn batches_without_a_producer_are_not_followed() {
    let producers = fold(&[BatchHeader { producer_id: ProducerId::NONE, ..header(0, -1, 1) }]);
    assert!(producers.is_empty());
}

#[test]
fn a_snapshot_keeps_everything() {
    let mut batches: Vec<_> = (0..7).map(|n| header(i64::from(n), n, 1)).collect();
    batches.push(BatchHeader { producer_id: ProducerId(8), ..in_epoch(header(7, 0, 9), 2) });
    batches.push(BatchHeader { producer_id: ProducerId(9), ..marker(header(16, 0, 1)) });
    let producers = fold(&batches);
    assert_eq!(Producers::decode(&producers.encode()), Ok(producers));
    assert_eq!(Producers::decode(&Producers::default().encode()), Ok(Producers::default()));
}

#[test]
fn a_snapshot_is_laid_out_as_kafka_does() {
    // Version 1, CRC-32C of what follows it, count, then id, epoch, last sequence, last offset, delta, timestamp,
    // coordinator epoch, start of the open transaction.
    let bytes = fold(&[header(0x0102, 3, 2)]).encode();
    assert_eq!(bytes[..2], [0, 1]);
    assert_eq!(bytes[6..10], [0, 0, 0, 1]);
    let entry: [u8; ENTRY_LEN] = [
        0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 2,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    ];
    assert_eq!(bytes[10..], entry);
}

#[test]
fn damaged_snapshots_are_refused_and_never_panic() {
    let bytes = fold(&[header(0, 0, 1)]).encode();
    for len in 0..bytes.len() {
        assert!(Producers::decode(&bytes[..len]).is_err());
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x80;
        assert!(Producers::decode(&damaged).is_err());
    }
    assert!(Producers::decode(&[0; 1000]).is_err());
}
