use super::*;
use crate::env::memory::PowerLoss;
use crate::log::dir::Checkpoints;
use crate::log::recovery::Checkpointed;

/// What the checkpoints say after a loss of power.
fn checkpoints(scene: &Scene) -> Checkpoints {
    let disk = scene.disk.restart_machine(PowerLoss::Everything);
    let env = OneNode::new(disk.clone());
    env.block_on(LogDir::open(disk, PathBuf::from("/d"), page_cache().log.switches)).unwrap().checkpoints
}

#[test]
fn an_orderly_end_leaves_everything_flushed_and_checkpointed() {
    let scene = leader(page_cache());
    scene.append(&batch(5)).unwrap();
    scene.partition.delete_records(&scene.env, Offset(2)).unwrap();
    scene.env.block_on(scene.new_flusher().finish()).unwrap();
    let expected =
        Checkpointed { recovery_point: Offset(5), log_start: Offset(2), high_watermark: Offset(5) };
    assert_eq!(checkpoints(&scene).of(scene.partition.id()), expected);
}

#[test]
fn records_whose_deletion_was_confirmed_do_not_come_back() {
    let scene = leader(page_cache());
    let _background = scene.background(FlusherSettings::default());
    scene.append(&batch(5)).unwrap();
    scene.partition.delete_records(&scene.env, Offset(2)).unwrap();
    scene.env.block_on(scene.directory.checkpoint_log_starts()).unwrap();
    assert_eq!(checkpoints(&scene).of(scene.partition.id()).log_start, Offset(2));
}

#[test]
fn checkpoints_keep_what_they_say_of_logs_outside_the_table() {
    let scene = leader(page_cache());
    let noted = Checkpointed { recovery_point: Offset(7), log_start: Offset(3), high_watermark: Offset(8) };
    scene.directory.note(TopicPartition::METADATA, noted);
    scene.env.block_on(scene.new_flusher().finish()).unwrap();
    assert_eq!(checkpoints(&scene).of(TopicPartition::METADATA), noted);
}

#[test]
fn checkpoints_are_written_from_time_to_time() {
    let scene = leader(page_cache());
    let _background = scene.background(FlusherSettings::default());
    scene.append(&batch(5)).unwrap();
    scene.flush();
    sleep(&scene, Duration::from_secs(61));
    let expected =
        Checkpointed { recovery_point: Offset(5), log_start: Offset(0), high_watermark: Offset(5) };
    assert_eq!(checkpoints(&scene).of(scene.partition.id()), expected);
}

#[test]
fn records_are_flushed_in_the_background_after_flush_ms() {
    let scene = leader(Settings { flush_interval: Some(Duration::from_secs(3)), ..page_cache() });
    scene.flush();
    let _background = scene.background(FlusherSettings::default());
    scene.append(&batch(5)).unwrap();
    sleep(&scene, Duration::from_secs(3));
    assert_eq!(scene.partition.progress().snapshot().flushed, Offset(0));
    sleep(&scene, Duration::from_secs(2));
    assert_eq!(scene.partition.progress().snapshot().flushed, Offset(5));
}

#[test]
fn a_sealed_segment_is_flushed_whatever_the_topic_asks_for() {
    let mut settings = page_cache();
    settings.log.segment_bytes = 100;
    let scene = leader(settings);
    let _background = scene.background(FlusherSettings::default());
    for _ in 0..3 {
        scene.append(&batch(1)).unwrap();
    }
    sleep(&scene, Duration::from_millis(999));
    assert_eq!(scene.partition.progress().snapshot().flushed, Offset(0), "they wait for the next round");
    sleep(&scene, Duration::from_millis(2));
    let flushed = scene.partition.progress().snapshot().flushed;
    assert!((Offset(1)..Offset(3)).contains(&flushed), "not the active one: {flushed}");
}

/// Each of them keeps a file open.
#[test]
fn many_sealed_segments_are_flushed_before_the_next_round() {
    let mut settings = page_cache();
    settings.log.segment_bytes = 100;
    let scene = leader(settings);
    let _flusher = scene.flusher();
    for _ in 0..20 {
        scene.append(&batch(1)).unwrap();
    }
    sleep(&scene, Duration::from_millis(1));
    assert!(scene.partition.progress().snapshot().flushed > Offset(10));
}

#[test]
fn retention_runs_from_time_to_time() {
    let mut settings = page_cache();
    settings.log.segment_bytes = 100;
    settings.log.retention_bytes = 100;
    let scene = leader(settings);
    let _background = scene.background(FlusherSettings::default());
    for _ in 0..5 {
        scene.append(&batch(1)).unwrap();
    }
    sleep(&scene, Duration::from_secs(301));
    assert!(scene.partition.progress().snapshot().log_start > Offset(0));
}

/// The first round takes segments out of the log, a flush makes the new start durable, the second round removes.
#[test]
fn files_of_old_segments_go_behind_a_flush_that_no_append_asked_for() {
    let mut settings = page_cache();
    settings.log.segment_bytes = 100;
    settings.log.retention_bytes = 100;
    let scene = leader(settings);
    let _flusher = scene.flusher();
    let retention_interval = Duration::from_secs(10);
    let never = Duration::from_secs(1_000_000);
    let _background = scene.background(FlusherSettings {
        retention_interval,
        flush_check_interval: never,
        ..FlusherSettings::default()
    });
    for _ in 0..5 {
        scene.append(&batch(1)).unwrap();
    }
    let first =
        scene.directory.log_dir().partition_path(scene.partition.id()).join("00000000000000000000.log");
    sleep(&scene, Duration::from_secs(11));
    assert!(scene.disk.bytes(&first).is_ok(), "its successor's name is perhaps not durable");
    sleep(&scene, Duration::from_secs(10));
    assert!(scene.disk.bytes(&first).is_err());
}

#[test]
fn a_partition_that_is_deleted_during_a_flush_does_no_harm() {
    let scene = leader(flush_first());
    scene.append(&batch(1)).unwrap();
    let mut flush = std::pin::pin!(scene.partition.flush(&scene.env, FlushScope::Everything));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    scene.disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::NotFound);
    assert!(flush.as_mut().poll(&mut context).is_pending());
    scene.partition.retire(&scene.env);
    scene.directory.log_dir().delete_log(scene.partition.id()).unwrap();
    scene.env.block_on(flush);
    assert_eq!(scene.directory.check(), Ok(()));
    scene.partition.retain(&scene.env, NOW).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(9)).unwrap();
    assert_eq!(scene.append(&batch(1)).unwrap_err(), LeadershipError::NotLeader.into());
}

#[test]
fn a_producer_that_was_silent_for_a_day_is_forgotten() {
    let scene = leader(page_cache());
    let _background = scene.background(FlusherSettings::default());
    let now = scene.env.clock().wall();
    scene.append(&idempotent_at(0, now)).unwrap();
    sleep(&scene, Duration::from_secs(23 * 60 * 60));
    assert!(matches!(scene.append(&idempotent(5)), Err(AppendError::Producer(_))), "it is remembered");
    sleep(&scene, Duration::from_secs(2 * 60 * 60));
    assert_eq!(scene.append(&idempotent(5)).unwrap().base_offset, Offset(1), "any sequence may be its first");
}
