use super::*;

#[test]
fn a_read_outside_the_log_is_out_of_range_and_one_at_its_end_is_empty() {
    let scene = leader(page_cache());
    scene.append(&batch(3)).unwrap();
    assert!(scene.read(3).unwrap().slice.is_empty());
    assert!(matches!(scene.read(4), Err(ReadError::OutOfRange { .. })));
    assert!(matches!(scene.read(-1), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn a_read_above_the_high_watermark_but_in_the_log_is_empty() {
    let scene = leader(flush_first());
    scene.append(&batch(3)).unwrap();
    assert!(scene.read(2).unwrap().slice.is_empty());
}

#[test]
fn a_reader_with_another_epoch_is_fenced() {
    let scene = leader(page_cache());
    let read = |epoch| {
        let request = ReadRequest { current_leader_epoch: LeaderEpoch(epoch), ..request(0) };
        scene.partition.read(&scene.env, request).err()
    };
    assert_eq!(read(3), None);
    assert!(matches!(read(2), Some(ReadError::Leadership(LeadershipError::Fenced { .. }))));
    assert!(matches!(read(4), Some(ReadError::Leadership(LeadershipError::Unknown { .. }))));
    scene.partition.resign(&scene.env);
    assert!(matches!(read(-1), Some(ReadError::Leadership(LeadershipError::NotLeader))));
}

#[test]
fn a_parked_fetch_is_woken_when_enough_bytes_became_readable() {
    let scene = leader(flush_first());
    let need = scene.read(0).unwrap().need;
    let size = batch(1).bytes().len() as u64;
    let waiting = scene.directory.parked().wait_for_bytes(&[need], size + 1, scene.soon());
    scene.append(&batch(1)).unwrap();
    scene.flush();
    assert_eq!(scene.directory.parked().len(), 1, "one batch is not enough");
    scene.append(&batch(1)).unwrap();
    assert_eq!(scene.directory.parked().len(), 1, "what is not flushed does not count");
    scene.flush();
    assert_eq!(scene.env.block_on(waiting), Wakeup::Satisfied);
}
