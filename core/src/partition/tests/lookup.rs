use super::*;

#[test]
fn the_first_and_the_latest_offset_are_listed_with_their_epochs() {
    let scene = leader(page_cache());
    let none = Timestamp::NONE;
    let earliest = FoundOffset { offset: Offset(0), timestamp: none, leader_epoch: LeaderEpoch::NONE };
    assert_eq!(scene.find(OffsetSpec::Earliest), earliest, "an empty log has no record, and no epoch of one");
    scene.append(&batch(2)).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(5)).unwrap();
    let earliest = FoundOffset { offset: Offset(0), timestamp: none, leader_epoch: EPOCH };
    assert_eq!(scene.find(OffsetSpec::Earliest), earliest);
    let latest = FoundOffset { offset: Offset(2), timestamp: none, leader_epoch: LeaderEpoch(5) };
    assert_eq!(scene.find(OffsetSpec::Latest), latest);
    assert_eq!(scene.find(OffsetSpec::LatestTiered), FoundOffset::NONE);
}

#[test]
fn a_new_leader_lists_no_latest_offset_before_it_knows_what_is_committed() {
    let scene = leader(flush_first());
    scene.append(&batch(2)).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(5)).unwrap();
    let latest = || {
        let mut budget = LookupBudget::new(usize::MAX);
        scene.partition.find_offset(
            OffsetSpec::Latest,
            Isolation::ReadUncommitted,
            LeaderEpoch::NONE,
            &mut budget,
        )
    };
    assert!(matches!(latest(), Err(LookupError::NotAvailable { .. })));
    scene.flush();
    assert_eq!(latest().unwrap().offset, Offset(2));
}

#[test]
fn a_timestamp_finds_the_first_record_that_is_not_older() {
    let scene = leader(page_cache());
    scene.append(&batch_at(&[100, 110])).unwrap();
    scene.append(&batch_at(&[130, 120, 140])).unwrap();
    let found = |timestamp| {
        let found = scene.find(OffsetSpec::Timestamp(Timestamp(timestamp)));
        (found.offset.0, found.timestamp.0, found.leader_epoch)
    };
    assert_eq!(found(0), (0, 100, EPOCH));
    assert_eq!(found(105), (1, 110, EPOCH));
    assert_eq!(found(111), (2, 130, EPOCH));
    assert_eq!(found(135), (4, 140, EPOCH));
    assert_eq!(found(141), (-1, -1, LeaderEpoch::NONE));
}

#[test]
fn the_largest_timestamp_finds_its_record() {
    let scene = leader(page_cache());
    assert_eq!(scene.find(OffsetSpec::MaxTimestamp), FoundOffset::NONE);
    scene.append(&batch_at(&[100, 300, 200])).unwrap();
    scene.append(&batch_at(&[250, 260])).unwrap();
    let found = FoundOffset { offset: Offset(1), timestamp: Timestamp(300), leader_epoch: EPOCH };
    assert_eq!(scene.find(OffsetSpec::MaxTimestamp), found);
}

#[test]
fn records_below_the_log_start_are_not_found_by_time() {
    let scene = leader(page_cache());
    scene.append(&batch_at(&[100, 200])).unwrap();
    scene.append(&batch_at(&[150, 120])).unwrap();
    scene.partition.delete_records(&scene.env, Offset(1)).unwrap();
    assert_eq!(scene.find(OffsetSpec::Timestamp(Timestamp(50))).offset, Offset(1));
    scene.partition.delete_records(&scene.env, Offset(3)).unwrap();
    assert_eq!(scene.find(OffsetSpec::Timestamp(Timestamp(50))).offset, Offset(3));
}

#[test]
fn malformed_records_are_survived_by_a_lookup() {
    let scene = leader(page_cache());
    let mut bytes = BytesMut::from(&batch_at(&[100, 110]).bytes()[..]);
    bytes[61..].fill(0xff);
    set_producer(&mut bytes, ProducerId::NONE, ProducerEpoch::NONE, -1);
    let malformed = Batch::split_from(&mut bytes.freeze()).unwrap();
    scene.append(&malformed).unwrap();
    let found = scene.find(OffsetSpec::Timestamp(Timestamp(105)));
    assert_eq!((found.offset, found.timestamp), (Offset(0), Timestamp(110)), "the batch as a whole");
}

#[test]
fn the_end_of_an_epoch_is_where_the_next_one_begins() {
    let scene = leader(page_cache());
    scene.append(&batch(2)).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(5)).unwrap();
    scene.append(&batch(2)).unwrap();
    let end = |epoch| {
        let end = scene.partition.end_of_epoch(LeaderEpoch(epoch), LeaderEpoch::NONE).unwrap();
        end.map(|end| (end.epoch.0, end.end.0))
    };
    assert_eq!(end(3), Some((3, 2)));
    assert_eq!(end(4), Some((3, 2)));
    assert_eq!(end(5), Some((5, 4)));
    assert_eq!(end(6), None);
}

/// A batch whose header promises a record at `claimed`, which none of its records keeps.
fn lying_batch(codec: Codec, value_len: usize, claimed: i64) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    builder.append(Timestamp(100), None, Some(&vec![0; value_len]), &[]);
    let mut bytes = BytesMut::from(&builder.build()[..]);
    bytes[35..43].copy_from_slice(&claimed.to_be_bytes());
    set_producer(&mut bytes, ProducerId::NONE, ProducerEpoch::NONE, -1);
    Batch::split_from(&mut bytes.freeze()).unwrap()
}

#[test]
fn behind_batches_that_promise_a_time_they_do_not_hold_the_record_is_found_all_the_same() {
    let scene = leader(page_cache());
    for _ in 0..40 {
        scene.append(&lying_batch(Codec::None, 10, 500)).unwrap();
    }
    scene.append(&batch_at(&[400, 500])).unwrap();
    let found = scene.find(OffsetSpec::Timestamp(Timestamp(500)));
    assert_eq!((found.offset, found.timestamp), (Offset(41), Timestamp(500)));
    assert_eq!(scene.find(OffsetSpec::Timestamp(Timestamp(501))), FoundOffset::NONE);
}

/// Sixteen such batches were 256 MiB of work, and the answer was that there is no record.
#[test]
fn a_lookup_that_costs_too_much_answers_where_it_stopped_and_never_that_there_is_nothing() {
    let scene = leader(page_cache());
    for _ in 0..16 {
        scene.append(&lying_batch(Codec::Zstd, 15 << 20, 500)).unwrap();
    }
    scene.append(&batch_at(&[500])).unwrap();
    let find = |budget: &mut LookupBudget| {
        let spec = OffsetSpec::Timestamp(Timestamp(500));
        scene.partition.find_offset(spec, Isolation::ReadUncommitted, LeaderEpoch::NONE, budget).unwrap()
    };
    let mut budget = LookupBudget::new(usize::MAX);
    let found = find(&mut budget);
    assert_eq!(
        (found.offset, found.timestamp),
        (Offset(4), Timestamp(500)),
        "a start, not behind the record"
    );
    assert!(usize::MAX - budget.left() <= 64 << 20, "{} bytes", usize::MAX - budget.left());
    let mut budget = LookupBudget::new(20 << 20);
    assert_eq!(find(&mut budget).offset, Offset(1));
    assert_eq!(find(&mut budget).offset, Offset(0), "the budget is the request's");
}
