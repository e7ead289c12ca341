//! 2.4: what a producer is told.

use super::*;
use crate::record::batch::BatchHeader;
use crate::replica::idempotence::{admit, note_append};
use crate::replica::producers::{Admission, Producers};

fn waiting(script: &Script, end: i64, acks: Acks) -> Pending {
    Pending { end: Offset(end), leader_epoch: script.replica.leader_epoch(), acks, is_duplicate: false }
}

fn told(script: &Script, pending: &Pending) -> Acknowledgement {
    script.replica.acknowledgement(pending, &script.log)
}

#[test]
fn acks_all_is_refused_before_the_append_when_too_few_are_in_sync() {
    let script = Script::new().lead(1, &[1]);
    let refusal = Refusal::NotEnoughReplicas { in_sync: 1, needed: 2 };
    assert_eq!(script.replica.handle_append(Acks::All), Err(refusal));
    assert_eq!(script.replica.handle_append(Acks::Leader), Ok(LeaderEpoch(1)));
    assert_eq!(script.replica.handle_append(Acks::None), Ok(LeaderEpoch(1)));
}

#[test]
fn only_a_leader_appends() {
    let mut script = Script::new();
    assert_eq!(script.replica.handle_append(Acks::None), Err(Refusal::NotLeader));
    script.metadata(2, 1, &[1, 2]);
    assert_eq!(script.replica.handle_append(Acks::None), Err(Refusal::NotLeader));
}

#[test]
fn acks_all_is_given_when_the_high_watermark_passed_the_last_record() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(2);
    let pending = waiting(&script, 2, Acks::All);
    script.fetch(2, 1);
    assert_eq!(told(&script, &pending), Acknowledgement::Awaits);
    script.fetch(2, 2);
    assert_eq!(told(&script, &pending), Acknowledgement::Given);
}

#[test]
fn committed_but_on_too_few_is_an_unknown_outcome() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    let pending = waiting(&script, 1, Acks::All);
    script.fetch(2, 1);
    script.metadata(1, 1, &[1]);
    assert_eq!(told(&script, &pending), Acknowledgement::NotEnoughReplicas);
}

#[test]
fn a_leadership_that_ends_makes_the_outcome_unknown_though_the_records_stay() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    let pending = waiting(&script, 1, Acks::All);
    script.metadata(2, 2, &[1, 2]);
    assert_eq!(told(&script, &pending), Acknowledgement::Lost);
    let script = script.lead(3, &[1, 2]);
    assert_eq!(told(&script, &pending), Acknowledgement::Lost);
}

#[test]
fn acks_1_is_given_after_the_append_and_acks_0_at_once() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    assert_eq!(told(&script, &waiting(&script, 1, Acks::Leader)), Acknowledgement::Given);
    assert_eq!(told(&script, &waiting(&script, 1, Acks::None)), Acknowledgement::Given);
}

#[test]
fn acks_1_with_flush_messages_1_waits_for_the_leaders_disk() {
    let mut script = Script::with_settings(&[], true).lead(1, &[1, 2]);
    script.append(1);
    assert_eq!(told(&script, &waiting(&script, 1, Acks::Leader)), Acknowledgement::Awaits);
    script.flush();
    assert_eq!(told(&script, &waiting(&script, 1, Acks::Leader)), Acknowledgement::Given);
}

#[test]
fn a_repeated_batch_waits_like_its_original() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    let pending = Pending { is_duplicate: true, ..waiting(&script, 1, Acks::All) };
    assert_eq!(told(&script, &pending), Acknowledgement::Awaits);
    script.fetch(2, 1);
    assert_eq!(told(&script, &pending), Acknowledgement::Given);
}

fn batch(sequence: i32, offset: i64) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(offset),
        batch_length: 49,
        leader_epoch: LeaderEpoch(1),
        crc: 0,
        attributes: 0,
        last_offset_delta: 0,
        base_timestamp: crate::time::Timestamp(0),
        max_timestamp: crate::time::Timestamp(0),
        producer_id: crate::ids::ProducerId(9),
        producer_epoch: crate::ids::ProducerEpoch(0),
        base_sequence: sequence,
        record_count: 1,
    }
}

#[test]
fn a_repetition_among_the_last_five_gets_the_original_offset_on_every_replica() {
    for is_leader in [true, false] {
        let mut producers = Producers::default();
        for sequence in 0..7 {
            note_append(
                &mut producers,
                &batch(sequence, 10 + i64::from(sequence)),
                is_leader,
                Switches::default(),
            );
        }
        let admitted = admit(&producers, &batch(3, -1), Offset(0), Switches::default());
        assert!(matches!(admitted, Ok(Admission::Duplicate { base_offset: Offset(13), .. })), "{admitted:?}");
        assert!(admit(&producers, &batch(1, -1), Offset(0), Switches::default()).is_err(), "too long ago");
        assert_eq!(admit(&producers, &batch(7, -1), Offset(0), Switches::default()), Ok(Admission::New));
    }
}

#[test]
fn an_unknown_producer_begins_with_sequence_0_unless_the_logs_head_is_gone() {
    let producers = Producers::default();
    assert!(admit(&producers, &batch(1, -1), Offset(0), Switches::default()).is_err());
    assert_eq!(admit(&producers, &batch(0, -1), Offset(0), Switches::default()), Ok(Admission::New));
    assert_eq!(admit(&producers, &batch(1, -1), Offset(4), Switches::default()), Ok(Admission::New));
}
