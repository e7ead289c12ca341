use super::*;

#[test]
fn deleted_records_are_gone_and_only_committed_ones_can_be_deleted() {
    let scene = leader(flush_first());
    scene.append(&batch(4)).unwrap();
    let delete = |offset| scene.partition.delete_records(&scene.env, Offset(offset));
    assert!(matches!(delete(1), Err(DeleteRecordsError::OutOfRange { .. })));
    scene.flush();
    assert!(matches!(delete(5), Err(DeleteRecordsError::OutOfRange { .. })));
    assert!(matches!(delete(-2), Err(DeleteRecordsError::OutOfRange { .. })));
    assert_eq!(delete(2), Ok(Offset(2)));
    assert_eq!(delete(1), Ok(Offset(2)), "the start never moves back");
    assert!(matches!(scene.read(1), Err(ReadError::OutOfRange { .. })));
    assert_eq!(delete(-1), Ok(Offset(4)), "-1 is the high watermark");
    assert_eq!(scene.append(&batch(1)).unwrap().base_offset, Offset(4));
}

#[test]
fn retention_moves_the_start_and_wakes_who_waits() {
    let mut settings = page_cache();
    settings.log.segment_bytes = 100;
    settings.log.retention_bytes = 100;
    let scene = leader(settings);
    for _ in 0..5 {
        scene.append(&batch(1)).unwrap();
    }
    let waiting = scene.directory.parked().wait_for_bytes(&[scene.read(0).unwrap().need], 1, scene.soon());
    scene.partition.retain(&scene.env, NOW).unwrap();
    let snapshot = scene.partition.progress().snapshot();
    assert!(snapshot.log_start > Offset(0));
    assert!(snapshot.log_start <= snapshot.high_watermark);
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
}
