use super::*;

#[test]
fn with_flush_messages_1_nothing_counts_before_it_is_flushed() {
    let scene = leader(flush_first());
    let appended = scene.append(&batch(3)).unwrap();
    assert_eq!(scene.high_watermark(), 0);
    assert!(scene.bytes_from(0).is_empty(), "consumers do not see it");
    assert_eq!(awaits(scene.partition.acknowledge(&appended, Acks::All)).mark, Mark::HighWatermark);
    assert_eq!(awaits(scene.partition.acknowledge(&appended, Acks::Leader)).mark, Mark::Flushed);
    scene.flush();
    assert_eq!(scene.high_watermark(), 3);
    assert!(matches!(scene.partition.acknowledge(&appended, Acks::All), Acknowledgement::Given));
    assert_eq!(scene.bytes_from(0).len(), batch(3).bytes().len());
}

#[test]
fn a_flush_proves_only_what_was_appended_before_it_began() {
    let scene = leader(flush_first());
    scene.append(&batch(1)).unwrap();
    let mut flush = std::pin::pin!(scene.partition.flush(&scene.env, FlushScope::Everything));
    // The first poll ends at the checkpoint before the flush, the second one at the one behind the sync.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    scene.append(&batch(1)).unwrap();
    scene.env.block_on(flush);
    assert_eq!(scene.high_watermark(), 1);
    scene.flush();
    assert_eq!(scene.high_watermark(), 2);
}

#[test]
fn the_flusher_serves_all_who_ask_and_wakes_them() {
    let scene = leader(flush_first());
    let _flusher = scene.flusher();
    for _ in 0..3 {
        let appended = scene.append(&batch(2)).unwrap();
        let need = awaits(scene.partition.acknowledge(&appended, Acks::All));
        let parked = scene.directory.parked();
        let wakeup = scene.env.block_on(parked.wait_for_offsets(&[need], scene.soon()));
        assert_eq!(wakeup, Wakeup::Satisfied);
        assert!(matches!(scene.partition.acknowledge(&appended, Acks::All), Acknowledgement::Given));
    }
    assert_eq!(scene.high_watermark(), 6);
}

#[test]
fn a_checkpointed_high_watermark_acknowledges_nothing_that_is_not_flushed() {
    // Damage had cut the log below the checkpoint; it grew again, and the process died before the next one.
    let scene = follower(flush_first());
    let id = TopicPartition::new(Uuid([8; 16]), 0);
    let mut log = scene.directory.log_dir().create_log(id, flush_first().log, Offset::ZERO, NOW).unwrap();
    log.append(&idempotent(0), LeaderEpoch(2), NOW).unwrap();
    let partition = Partition::<TestEnv>::new(id, log, Offset(100), flush_first(), scene.directory.clone());
    partition.become_leader(&scene.env, EPOCH).unwrap();
    let repeat =
        partition.append_as_leader(&scene.env, &idempotent(0), Acks::All, LeaderEpoch::NONE, NOW).unwrap();
    assert!(repeat.duplicate);
    assert_eq!(awaits(partition.acknowledge(&repeat, Acks::All)).mark, Mark::HighWatermark);
    scene.env.block_on(partition.flush(&scene.env, FlushScope::Everything));
    assert!(matches!(partition.acknowledge(&repeat, Acks::All), Acknowledgement::Given));
}

#[test]
fn the_high_watermark_does_not_fall_when_a_topic_begins_to_flush_first() {
    let scene = leader(page_cache());
    scene.append(&batch(3)).unwrap();
    scene.partition.update_settings(&scene.env, flush_first());
    assert_eq!(scene.high_watermark(), 3);
    scene.append(&batch(1)).unwrap();
    assert_eq!(scene.high_watermark(), 3);
    scene.flush();
    assert_eq!(scene.high_watermark(), 4);
    scene.append(&batch(1)).unwrap();
    scene.partition.update_settings(&scene.env, page_cache());
    assert_eq!(scene.high_watermark(), 5, "and it rises when the topic stops to");
}

#[test]
fn a_failed_write_takes_the_whole_directory_offline_for_good() {
    let scene = leader(page_cache());
    let before = scene.append(&batch(1)).unwrap();
    let waiting = scene.directory.parked().wait_for_bytes(&[scene.read(1).unwrap().need], 1, scene.soon());
    scene.disk.fail_next(sites::APPEND_WRITE, std::io::ErrorKind::Other);
    assert!(matches!(scene.append(&batch(1)), Err(AppendError::Storage(_))));
    assert!(matches!(scene.append(&batch(1)), Err(AppendError::Storage(_))), "and it is not tried again");
    assert!(matches!(scene.read(0), Err(ReadError::Storage(_))));
    assert!(matches!(
        scene.partition.delete_records(&scene.env, Offset(1)),
        Err(DeleteRecordsError::Storage(_))
    ));
    assert!(matches!(
        scene.partition.acknowledge(&before, Acks::All),
        Acknowledgement::Lost(AppendError::Storage(_))
    ));
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
    scene.env.block_on(scene.directory.failed());
    let offline = scene.env.take_facts().into_iter().filter(|fact| *fact == Fact::DirectoryOffline);
    assert_eq!(offline.count(), 1);
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_is_never_tried_again() {
    let scene = leader(flush_first());
    let _flusher = scene.flusher();
    let appended = scene.append(&batch(1)).unwrap();
    scene.disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
    let need = awaits(scene.partition.acknowledge(&appended, Acks::All));
    let waiting = scene.directory.parked().wait_for_offsets(&[need], scene.soon());
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
    assert!(matches!(
        scene.partition.acknowledge(&appended, Acks::All),
        Acknowledgement::Lost(AppendError::Storage(_))
    ));
    let calls = scene.disk.calls();
    scene.flush();
    assert_eq!(scene.disk.calls(), calls);
}

#[test]
fn a_partition_is_flushed_once_at_a_time_and_who_asks_meanwhile_is_served_next() {
    let scene = leader(flush_first());
    scene.append(&batch(1)).unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut first = std::pin::pin!(scene.partition.flush(&scene.env, FlushScope::Everything));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(first.as_mut().poll(&mut context).is_pending());
    scene.append(&batch(1)).unwrap();
    let calls = scene.disk.calls();
    scene.flush();
    assert_eq!(scene.disk.calls(), calls, "the second one left the disk alone");
    scene.env.block_on(first);
    let _flusher = scene.flusher();
    sleep(&scene, Duration::from_millis(1));
    assert_eq!(scene.high_watermark(), 2);
}

/// A sync whose future is dropped goes on, and tells nobody that it fails: one that is tried again could succeed
/// although the pages never reached the disk (KAFKA-10778 by the back door).
#[test]
fn a_flush_that_was_dropped_in_flight_is_not_tried_again_and_no_stop_calls_the_directory_clean() {
    let scene = leader(flush_first());
    scene.append(&batch(1)).unwrap();
    scene.disk.delay_syncs(1);
    scene.disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut dropped = Box::pin(scene.partition.flush(&scene.env, FlushScope::Everything));
    assert!(dropped.as_mut().poll(&mut context).is_pending());
    assert!(dropped.as_mut().poll(&mut context).is_pending());
    drop(dropped);
    scene.flush();
    assert_eq!(scene.high_watermark(), 0);
    assert!(scene.env.block_on(scene.new_flusher().finish()).is_err());
    assert_eq!(scene.high_watermark(), 0);
}

#[test]
fn a_flusher_that_is_to_stop_ends_the_sync_in_flight_and_sees_how_it_ends() {
    let scene = leader(flush_first());
    let flusher = scene.new_flusher();
    let task = scene.env.spawn(Lane::Data, "flusher", flusher.clone().run());
    scene.append(&batch(1)).unwrap();
    scene.disk.delay_syncs(10);
    scene.disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
    scene.env.block_on(async {
        // As far as into the sync.
        for _ in 0..5 {
            scene.env.checkpoint().await;
        }
        assert!(!task.is_finished());
        flusher.stop();
        scene.directory.failed().await;
    });
    assert!(scene.env.block_on(flusher.finish()).is_err());
}

/// What the guard prevents (KAFKA-10778): the sync that succeeds later says nothing about the pages of the first.
#[cfg(feature = "museum")]
#[test]
fn without_its_guard_a_failed_sync_is_tried_again_and_acknowledges() {
    use crate::museum::{Switch, Switches};

    let mut settings = flush_first();
    settings.log.switches = Switches::default().with(Switch::IgnoreIoError);
    let scene = leader(settings);
    let _flusher = scene.flusher();
    let _background = scene.background(FlusherSettings::default());
    let appended = scene.append(&batch(1)).unwrap();
    scene.disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
    sleep(&scene, Duration::from_secs(3));
    assert!(matches!(scene.partition.acknowledge(&appended, Acks::All), Acknowledgement::Given));
}
