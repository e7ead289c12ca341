use super::*;

#[test]
fn offsets_are_dense_and_what_was_appended_is_read_back() {
    let scene = leader(page_cache());
    let first = scene.append(&batch(3)).unwrap();
    let second = scene.append(&batch(2)).unwrap();
    assert_eq!((first.base_offset, first.end), (Offset(0), Offset(3)));
    assert_eq!((second.base_offset, second.end), (Offset(3), Offset(5)));
    let mut bytes = scene.bytes_from(0);
    for (base, appended) in [(0, batch(3)), (3, batch(2))] {
        let read = Batch::split_from(&mut bytes).unwrap();
        assert_eq!((read.header().base_offset, read.header().leader_epoch), (Offset(base), EPOCH));
        assert_eq!(read.bytes()[16..], appended.bytes()[16..]);
    }
    assert!(bytes.is_empty());
}

#[test]
fn with_the_page_cache_trusted_records_are_committed_at_once() {
    let scene = leader(page_cache());
    let appended = scene.append(&batch(3)).unwrap();
    assert_eq!(scene.high_watermark(), 3);
    for acks in [Acks::Leader, Acks::All] {
        assert!(matches!(scene.partition.acknowledge(&appended, acks), Acknowledgement::Given));
    }
}

#[test]
fn a_repeated_batch_gets_the_old_offset_and_waits_like_the_original() {
    let scene = leader(flush_first());
    let original = scene.append(&idempotent(0)).unwrap();
    scene.append(&idempotent(1)).unwrap();
    let repeated = scene.append(&idempotent(0)).unwrap();
    assert!(repeated.duplicate);
    assert_eq!((repeated.base_offset, repeated.end), (original.base_offset, original.end));
    assert_eq!(awaits(scene.partition.acknowledge(&repeated, Acks::All)).offset, original.end);
    scene.flush();
    assert!(matches!(scene.partition.acknowledge(&repeated, Acks::All), Acknowledgement::Given));
    assert_eq!(scene.partition.progress().snapshot().log_end, Offset(2), "nothing was appended again");
}

#[test]
fn a_gap_in_the_sequence_is_refused() {
    let scene = leader(page_cache());
    scene.append(&idempotent(0)).unwrap();
    let error = scene.append(&idempotent(2)).unwrap_err();
    assert!(matches!(error, AppendError::Producer(ProducerError::OutOfOrderSequence { .. })), "{error}");
}

#[test]
fn only_the_leader_appends_and_only_in_the_epoch_expected() {
    let scene = follower(page_cache());
    assert_eq!(scene.append(&batch(1)).unwrap_err(), LeadershipError::NotLeader.into());
    scene.partition.become_leader(&scene.env, EPOCH).unwrap();
    let append = |epoch| {
        scene.partition.append_as_leader(&scene.env, &batch(1), Acks::Leader, LeaderEpoch(epoch), NOW)
    };
    assert!(append(3).is_ok());
    let fenced = LeadershipError::Fenced { offered: LeaderEpoch(2), current: EPOCH };
    assert_eq!(append(2).unwrap_err(), fenced.into());
    let unknown = LeadershipError::Unknown { offered: LeaderEpoch(4), current: EPOCH };
    assert_eq!(append(4).unwrap_err(), unknown.into());
}

#[test]
fn a_batch_above_the_topics_limit_is_refused() {
    let scene = leader(Settings { message_bytes_max: 80, ..page_cache() });
    let error = scene.append(&batch(3)).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { bytes_max: 80, .. }), "{error}");
    assert_eq!(scene.partition.progress().snapshot().log_end, Offset(0));
}

#[test]
fn a_topic_with_log_append_time_stamps_its_batches() {
    let mut settings = page_cache();
    settings.log.timestamp_type = TimestampType::LogAppendTime;
    let scene = leader(settings);
    let appended = scene.append(&idempotent(0)).unwrap();
    assert_eq!(appended.log_append_time, NOW);
    let read = Batch::split_from(&mut scene.bytes_from(0)).unwrap();
    assert_eq!((read.header().max_timestamp, read.header().attributes), (NOW, 8));
    let later = Timestamp(NOW.0 + 5);
    let repeated = scene
        .partition
        .append_as_leader(&scene.env, &idempotent(0), Acks::Leader, LeaderEpoch::NONE, later)
        .unwrap();
    assert_eq!(repeated.log_append_time, NOW, "the original's");
}

#[test]
fn a_new_leadership_wakes_producers_and_never_acknowledges_for_the_old_one() {
    let scene = leader(flush_first());
    let appended = scene.append(&batch(1)).unwrap();
    let need = awaits(scene.partition.acknowledge(&appended, Acks::All));
    let waiting = scene.directory.parked().wait_for_offsets(&[need], scene.soon());
    scene.partition.become_leader(&scene.env, LeaderEpoch(4)).unwrap();
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
    scene.flush();
    let lost = scene.partition.acknowledge(&appended, Acks::All);
    assert!(matches!(lost, Acknowledgement::Lost(AppendError::Leadership(LeadershipError::NotLeader))));
}

#[test]
fn an_older_epoch_does_not_replace_a_newer_one() {
    let scene = leader(page_cache());
    scene.partition.become_leader(&scene.env, LeaderEpoch(2)).unwrap();
    assert_eq!(scene.partition.progress().snapshot().role, Role::Leader(EPOCH));
}

#[test]
fn facts_tell_what_is_on_disk_and_what_became_visible() {
    let scene = leader(page_cache());
    scene.env.take_facts();
    scene.append(&batch(1)).unwrap();
    let facts = scene.env.take_facts();
    let [Fact::Appended { batches, log_end, .. }, Fact::HighWatermark { high_watermark, .. }] = &facts[..]
    else {
        panic!("{facts:?}")
    };
    assert_eq!((*log_end, *high_watermark), (Offset(1), Offset(1)));
    assert_eq!(*batches, scene.bytes_from(0));
    let fetched = Fact::Fetched { partition: scene.partition.id(), from: Offset(0), bound: Offset(1) };
    assert_eq!(scene.env.take_facts(), [fetched]);
}

/// min.insync.replicas: acks=all would promise copies that nobody has.
#[test]
fn acks_all_is_refused_where_fewer_replicas_are_in_sync_than_the_topic_asks_for() {
    let scene = leader(Settings { in_sync_min: 2, ..page_cache() });
    let error = scene.append(&batch(1)).unwrap_err();
    assert_eq!(error, AppendError::NotEnoughReplicas { in_sync: 1, in_sync_min: 2 });
    assert_eq!(scene.partition.progress().snapshot().log_end, Offset(0), "and nothing is in the log");
    let append = |acks| scene.partition.append_as_leader(&scene.env, &batch(1), acks, LeaderEpoch::NONE, NOW);
    let appended = append(Acks::Leader).expect("who asks for the leader's copy alone gets what he asks for");
    assert!(matches!(scene.partition.acknowledge(&appended, Acks::Leader), Acknowledgement::Given));
    scene.partition.update_settings(&scene.env, page_cache());
    assert!(append(Acks::All).is_ok());
}

#[test]
fn a_batch_is_not_acknowledged_when_the_topic_asks_for_more_replicas_meanwhile() {
    let scene = leader(flush_first());
    let appended = scene.append(&batch(1)).unwrap();
    scene.partition.update_settings(&scene.env, Settings { in_sync_min: 2, ..flush_first() });
    awaits(scene.partition.acknowledge(&appended, Acks::All));
    scene.flush();
    let lost = scene.partition.acknowledge(&appended, Acks::All);
    assert!(matches!(lost, Acknowledgement::Lost(AppendError::NotEnoughReplicasAfterAppend)));
}

/// KIP-937: nanoseconds for milliseconds would keep a segment for ever.
#[test]
fn a_batch_whose_header_tells_a_time_the_topic_does_not_allow_is_refused() {
    let timestamp_bounds = TimestampBounds { before_max_ms: 1000, after_max_ms: 10 };
    let scene = leader(Settings { timestamp_bounds, ..page_cache() });
    let at = |offset: i64| NOW.0 + offset;
    for good in [&[at(-1000)][..], &[at(10)], &[at(0), at(10)], &[at(-1000), at(0)], &[-1]] {
        assert!(scene.append(&batch_at(good)).is_ok(), "{good:?}");
    }
    for bad in [&[at(-1001)][..], &[at(11)], &[at(0), at(11)], &[at(-1001), at(0)], &[at(0) * 1_000_000]] {
        let error = scene.append(&batch_at(bad)).unwrap_err();
        assert!(matches!(error, AppendError::Timestamp { .. }), "{bad:?}: {error}");
    }
    let mut stamped = Settings { timestamp_bounds, ..page_cache() };
    stamped.log.timestamp_type = TimestampType::LogAppendTime;
    scene.partition.update_settings(&scene.env, stamped);
    assert!(scene.append(&batch_at(&[0])).is_ok(), "the broker's own stamp counts");
    let kafka = leader(page_cache());
    assert!(kafka.append(&batch_at(&[0])).is_ok(), "by default any past is allowed");
    assert!(kafka.append(&batch_at(&[at(60 * 60 * 1000 + 1)])).is_err(), "and an hour of the future");
}
