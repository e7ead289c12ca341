//! Calls that fail, and files that are open or cannot be.

use super::*;

#[test]
fn after_a_failed_write_nothing_is_written() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append(&mut log, ONE);
    disk.fail_next(sites::APPEND_WRITE, ErrorKind::StorageFull);
    let failed = log.append(&ONE.batch(), EPOCH, NOW);
    assert!(matches!(failed, Err(AppendError::Disk(error)) if error.site == sites::APPEND_WRITE));
    assert!(matches!(log.append(&ONE.batch(), EPOCH, NOW), Err(AppendError::Offline)));
    assert_eq!(log.log_end(), Offset(1));
    assert_eq!(read_all(&log.view(), Offset::ZERO, 1000).len(), 1);
}

#[test]
fn an_index_that_cannot_be_written_gives_no_offset_away_twice() {
    // KAFKA-7866.
    let disk = MemoryDisk::new(0);
    let settings = Settings { segment_bytes: 1 << 20, index_interval_bytes: 0, ..small() };
    let mut log = create(&disk, settings);
    append_many(&mut log, 256);
    disk.fail_next(sites::INDEX_WRITE, ErrorKind::StorageFull);
    assert!(matches!(log.append(&ONE.batch(), EPOCH, NOW), Err(AppendError::Disk(_))));
    assert_eq!(log.log_end(), Offset(257), "the batch is in the log, whatever became of the index");
    assert!(log.has_failed());
}

fn open_files(log: &Log<MemoryDisk>) -> usize {
    log.segments.iter().filter(|segment| segment.open_file().is_some()).count()
}

/// A client that reads through a log of small segments would use up the descriptors of the process.
#[test]
fn reading_a_long_log_leaves_no_file_open_but_the_active_one() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 35);
    flush(&mut log);
    read_all(&log.view(), Offset::ZERO, 1000);
    log.view().offset_for_timestamp(Timestamp(5)).expect("the disk works");
    assert_eq!(open_files(&log), 1);
}

/// A failed write-back is told to who had the file open: opened again for the sync, it may count as synced.
#[test]
fn a_sealed_segment_stays_open_until_it_is_synced() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 35);
    assert_eq!((open_files(&log), log.unsynced_segments()), (4, 3));
    let flush = log.begin_flush(FlushScope::Sealed);
    now(flush.sync()).expect("the disk works");
    assert_eq!(open_files(&log), 4);
    log.end_flush(flush);
    assert_eq!((open_files(&log), log.unsynced_segments()), (1, 0));
}

fn out_of_files() -> std::io::Error {
    std::io::Error::from_raw_os_error(24)
}

#[test]
fn a_roll_without_a_free_descriptor_fails_its_append_alone_and_is_made_up_for() {
    for site in [sites::INDEX_CREATE, sites::SNAPSHOT_CREATE, sites::SEGMENT_CREATE] {
        let disk = MemoryDisk::new(0);
        let mut log = create(&disk, small());
        append_many(&mut log, 9);
        disk.fail_next(site, out_of_files());
        let large = Sent { payload_len: 239, ..ONE }.batch();
        assert!(matches!(log.append(&large, EPOCH, NOW), Err(AppendError::Disk(_))), "{site}");
        assert!(!log.has_failed());
        // One that would have had room in the old segment, which is perhaps sealed.
        append(&mut log, ONE);
        append_many(&mut log, 12);
        flush(&mut log);
        assert_eq!(read_all(&log.view(), Offset::ZERO, 1000).len(), 22, "{site}");
        let checkpointed = Checkpointed { recovery_point: log.recovery_point(), ..Checkpointed::default() };
        let recovered =
            recover(&disk.restart_process(), small(), checkpointed, false).expect("the disk works");
        assert_eq!((recovered.log.log_end(), recovered.cut_bytes), (Offset(22), 0), "{site}");
        assert_eq!(read_all(&recovered.log.view(), Offset::ZERO, 1000).len(), 22, "{site}");
    }
}

#[test]
fn index_entries_that_find_no_free_descriptor_wait_for_the_next_time() {
    let disk = MemoryDisk::new(0);
    let settings = Settings { segment_bytes: 1 << 20, index_interval_bytes: 0, ..small() };
    let mut log = create(&disk, settings);
    append_many(&mut log, 256);
    disk.fail_next(sites::INDEX_OPEN, out_of_files());
    append_many(&mut log, 10);
    log.close().expect("the disk works");
    assert_eq!(disk.bytes(path().join("00000000000000000000.index")).expect("there").len(), 265 * 8);
}

#[test]
fn a_segment_is_rolled_when_an_index_has_no_room() {
    let disk = MemoryDisk::new(0);
    let settings =
        Settings { segment_bytes: 1 << 20, index_interval_bytes: 0, index_bytes_max: 80, ..small() };
    let mut log = create(&disk, settings);
    for timestamp in 0..50 {
        append(&mut log, Sent { timestamp, ..ONE });
    }
    log.close().expect("the disk works");
    for entry in disk.list(sites::RECOVERY_LIST, &path()).expect("there") {
        assert!(!entry.name.ends_with("index") || entry.len <= 80, "{entry:?}");
    }
    assert_eq!(read_all(&log.view(), Offset::ZERO, 1000).len(), 50);
}

#[test]
fn a_log_that_has_failed_is_not_closed_cleanly() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    disk.fail_next(sites::APPEND_WRITE, ErrorKind::Other);
    log.append(&ONE.batch(), EPOCH, NOW).expect_err("it was told to fail");
    assert!(matches!(log.close(), Err(LogError::Failed)));
}

#[test]
fn a_cut_that_could_not_read_what_is_left_keeps_the_log_from_being_closed_cleanly() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 5);
    let name = path().join("00000000000000000000.log");
    let mut bytes = disk.bytes(&name).expect("there");
    bytes[216] = 9;
    let damaged = disk.open(sites::SEGMENT_OPEN, &name, crate::env::OpenMode::Write).expect("there");
    damaged.write_at(sites::APPEND_WRITE, &[std::io::IoSlice::new(&bytes)], 0).expect("the disk works");
    assert!(matches!(log.truncate_to(Offset(4), NOW), Err(LogError::Read(_))));
    assert!(matches!(log.close(), Err(LogError::Failed)));
}

#[test]
fn a_disk_without_space_to_reserve_still_takes_what_fits() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { preallocate: true, ..small() });
    disk.fail_next(sites::APPEND_ALLOCATE, ErrorKind::StorageFull);
    append_many(&mut log, 25);
    assert!(!log.has_failed());
    assert_eq!(read_all(&log.view(), Offset::ZERO, 1000).len(), 25);
}
