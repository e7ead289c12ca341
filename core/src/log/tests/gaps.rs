//! Offsets that compaction took away.

use super::*;

/// Recovery takes a gap between two segments for a segment that was lost, and removes everything behind it.
#[test]
fn a_gap_at_a_roll_is_inside_the_new_segment_and_no_recovery_stumbles_over_it() {
    for clean in [true, false] {
        let disk = MemoryDisk::new(0);
        let mut log = create(&disk, small());
        append_many(&mut log, 10);
        log.append_as_follower(&at(ONE, Offset(50), EPOCH), NOW).expect("it follows");
        assert_eq!(log.segments.last().map(|segment| segment.base_offset), Some(Offset(10)));
        log.close().expect("the disk works");
        flush(&mut log);
        let checkpointed = Checkpointed { recovery_point: Offset(51), ..Checkpointed::default() };
        let recovered = recover(&disk.restart_process(), small(), checkpointed, clean).expect("works");
        assert_eq!((recovered.lost, recovered.cut_bytes), (None, 0));
        assert_eq!(recovered.log.log_end(), Offset(51));
        assert_eq!(read_all(&recovered.log.view(), Offset::ZERO, 1000).len(), 11);
    }
}

#[test]
fn a_cut_behind_a_gap_ends_the_log_with_the_batch_before_it() {
    for target in [20, 50, 51] {
        let disk = MemoryDisk::new(0);
        let mut log = create(&disk, small());
        append_many(&mut log, 5);
        let batch = at(Sent { count: 2, ..ONE }, Offset(50), EPOCH);
        log.append_as_follower(&batch, NOW).expect("it follows");
        assert_eq!(log.truncate_to(Offset(target), NOW).expect("works"), Offset(5), "{target}");
        append(&mut log, ONE);
        let disk = disk.restart_process();
        let recovered = recover(&disk, small(), Checkpointed::default(), false).expect("works");
        assert_eq!(recovered.log.log_end(), Offset(6), "{target}");
    }
}

#[test]
fn a_gap_that_no_segment_can_span_is_refused() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 2);
    let beyond = at(ONE, Offset(3 + i64::from(i32::MAX)), EPOCH);
    assert!(matches!(log.append_as_follower(&beyond, NOW), Err(AppendError::Offsets { .. })));
}
