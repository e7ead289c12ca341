use std::path::PathBuf;

use super::*;
use crate::env::memory::{MemoryDisk, PowerLoss};
use crate::epochs::EpochStart;
use crate::ids::LeaderEpoch;
use crate::log::sites;
use crate::log::tests::{EPOCH, NOW, ONE, Sent, flush, now, path, read_all, recover, small};

/// A disk with a log of `count` batches of 100 bytes, ten to a segment; the first `flushed` are durable.
fn disk_with(count: usize, flushed: usize) -> MemoryDisk {
    let disk = MemoryDisk::new(0);
    let mut log = Log::create(disk.clone(), path(), small(), Offset::ZERO, NOW).expect("an empty disk");
    for n in 0..count {
        let sent = Sent { producer: 1, sequence: n as i32, timestamp: n as i64, ..ONE };
        log.append(&sent.batch(), EPOCH, NOW).expect("the disk works");
        if n + 1 == flushed {
            flush(&mut log);
        }
    }
    disk
}

fn flushed(offset: i64) -> Checkpointed {
    Checkpointed { recovery_point: Offset(offset), ..Checkpointed::default() }
}

fn file(base: i64, extension: &str) -> PathBuf {
    path().join(format!("{base:020}.{extension}"))
}

fn unclean(disk: &MemoryDisk, checkpointed: Checkpointed) -> Recovered<MemoryDisk> {
    recover(disk, small(), checkpointed, false).expect("the disk works")
}

/// The log holds the first `count` batches, and everything derived from them is right.
fn check(recovered: &mut Recovered<MemoryDisk>, count: i64) {
    let log = &mut recovered.log;
    assert_eq!(log.log_end(), Offset(count));
    let batches = read_all(&log.view(), log.log_start(), 250);
    let expect: Vec<i64> = (log.log_start().0..count).collect();
    assert_eq!(batches.iter().map(|batch| batch.header().base_offset.0).collect::<Vec<_>>(), expect);
    let mut producers = Producers::default();
    batches.iter().for_each(|batch| producers.apply(batch.header()));
    if log.log_start() == Offset::ZERO {
        assert_eq!(*log.producers(), producers);
    }
    for (offset, batch) in
        batches.iter().enumerate().map(|(at, batch)| (at as i64 + log.log_start().0, batch))
    {
        let found = log.view().offset_for_timestamp(batch.header().max_timestamp).expect("works");
        assert_eq!(found.map(|found| found.offset), Some(Offset(offset)));
    }
    let appended = log.append(&ONE.batch(), LeaderEpoch(1), NOW).expect("it takes appends");
    assert_eq!(appended.base_offset, Offset(count));
}

#[test]
fn after_a_clean_shutdown_nothing_is_scanned_and_nothing_waits_for_a_flush() {
    let disk = disk_with(25, 0);
    let mut log = unclean(&disk, flushed(0)).log;
    log.close().expect("the disk works");
    assert_eq!(flush(&mut log), Some(Offset(25)));
    let disk = disk.restart_machine(PowerLoss::Everything);
    let mut recovered = recover(&disk, small(), flushed(25), true).expect("the disk works");
    assert!(recovered.clean && recovered.lost.is_none());
    assert!(!recovered.log.wants_flush());
    assert_eq!(recovered.log.flushed(), Offset(25));
    check(&mut recovered, 25);
}

#[test]
fn after_the_death_of_the_process_everything_is_there_but_no_more_counts_as_flushed() {
    let disk = disk_with(25, 15).restart_process();
    let mut recovered = unclean(&disk, flushed(15));
    assert!(!recovered.clean && recovered.lost.is_none());
    assert_eq!(recovered.cut_bytes, 0);
    assert_eq!(recovered.log.flushed(), Offset(15), "KAFKA-10101");
    check(&mut recovered, 25);
}

#[test]
fn after_a_loss_of_power_everything_that_was_flushed_is_there() {
    let disk = disk_with(25, 15).restart_machine(PowerLoss::Everything);
    let mut recovered = unclean(&disk, flushed(15));
    assert!(recovered.lost.is_none());
    check(&mut recovered, 15);
}

#[test]
fn a_torn_zeroed_or_garbled_tail_is_cut_off() {
    for tail in
        [vec![0; 300], vec![0xa5; 40], ONE.batch().bytes()[..99].to_vec(), ONE.batch().bytes().to_vec()]
    {
        let disk = disk_with(25, 25);
        let mut bytes = disk.bytes(file(20, "log")).expect("there");
        bytes.extend(&tail);
        disk.put(file(20, "log"), &bytes);
        let mut recovered = unclean(&disk.restart_process(), flushed(25));
        assert_eq!(recovered.cut_bytes, tail.len() as u64);
        assert!(recovered.lost.is_none());
        check(&mut recovered, 25);
    }
}

#[test]
fn a_tail_whose_cut_a_failed_sync_lost_does_not_come_back_in_a_sealed_segment_and_hide_what_follows() {
    let disk = disk_with(25, 25);
    let mut bytes = disk.bytes(file(20, "log")).expect("there");
    bytes.extend([0xa5; 2000]);
    disk.put(file(20, "log"), &bytes);
    let disk = disk.restart_process();
    disk.fail_next(sites::RECOVERY_SYNC, std::io::ErrorKind::Other);
    assert!(now(unclean(&disk, flushed(20)).settle()).is_err());
    // The page cache shows the file as it was cut.
    let disk = disk.restart_process();
    let mut recovered = unclean(&disk, flushed(20));
    assert_eq!(recovered.cut_bytes, 0);
    now(recovered.settle()).expect("the disk works");
    for _ in 0..20 {
        recovered.log.append(&ONE.batch(), LeaderEpoch(0), NOW).expect("it takes appends");
    }
    flush(&mut recovered.log);
    let disk = disk.restart_machine(PowerLoss::Everything);
    assert_eq!(unclean(&disk, flushed(20)).log.log_end(), Offset(45));
}

#[test]
fn a_damaged_batch_below_the_recovery_point_is_reported() {
    let disk = disk_with(25, 25);
    let mut bytes = disk.bytes(file(20, "log")).expect("there");
    bytes[170] ^= 1;
    disk.put(file(20, "log"), &bytes);
    let mut recovered = unclean(&disk.restart_process(), flushed(25));
    assert_eq!(recovered.lost, Some(Lost { log_end: Offset(21), expected: Offset(25) }));
    assert_eq!(recovered.cut_bytes, 400);
    check(&mut recovered, 21);
}

#[test]
fn a_cut_below_the_high_watermark_is_reported_though_nothing_was_flushed() {
    let disk = disk_with(25, 15).restart_machine(PowerLoss::Everything);
    let checkpointed = Checkpointed { high_watermark: Offset(18), ..flushed(15) };
    let mut recovered = unclean(&disk, checkpointed);
    assert_eq!(recovered.lost, Some(Lost { log_end: Offset(15), expected: Offset(18) }));
    check(&mut recovered, 15);
}

#[test]
fn damage_in_the_middle_takes_everything_behind_it() {
    let disk = disk_with(45, 0);
    let mut bytes = disk.bytes(file(10, "log")).expect("there");
    bytes[555] ^= 1;
    disk.put(file(10, "log"), &bytes);
    let mut recovered = unclean(&disk.restart_process(), flushed(0));
    assert_eq!(recovered.cut_bytes, 500 + 2500);
    check(&mut recovered, 15);
    assert!(disk.bytes(file(20, "log")).is_err());
}

#[test]
fn a_missing_segment_takes_everything_behind_it() {
    let disk = disk_with(45, 0).restart_process();
    disk.remove_file(sites::RECOVERY_REMOVE, &file(20, "log")).expect("there");
    let mut recovered = unclean(&disk, Checkpointed { high_watermark: Offset(40), ..flushed(0) });
    assert!(recovered.lost.is_some());
    check(&mut recovered, 20);
    assert!(disk.bytes(file(20, "index")).is_err(), "an index without its segment goes too");
}

#[test]
fn an_empty_directory_is_an_empty_log_and_reported_if_it_should_not_be() {
    let disk = MemoryDisk::new(0);
    disk.create_dir(sites::CREATE_DIRECTORY, &path()).expect("an empty disk");
    assert!(unclean(&disk, flushed(0)).lost.is_none());
    let disk = MemoryDisk::new(0);
    disk.create_dir(sites::CREATE_DIRECTORY, &path()).expect("an empty disk");
    let mut recovered = unclean(&disk, flushed(7));
    assert_eq!(recovered.lost, Some(Lost { log_end: Offset(0), expected: Offset(7) }));
    check(&mut recovered, 0);
}

#[test]
fn indexes_are_made_again_whatever_is_on_disk() {
    type Damage = fn(Vec<u8>) -> Option<Vec<u8>>;
    let damages: [Damage; 6] = [
        |_| None,
        |_| Some(Vec::new()),
        |bytes| Some(vec![0; bytes.len()]),
        |bytes| Some([bytes, vec![0; 64]].concat()),
        |bytes| Some(bytes[..bytes.len() / 2].to_vec()),
        |bytes| Some(bytes.iter().map(|byte| byte ^ 0xff).collect()),
    ];
    for (clean, damage) in damages.into_iter().flat_map(|damage| [(true, damage), (false, damage)]) {
        for extension in ["index", "timeindex"] {
            let disk = disk_with(25, 0);
            let mut log = unclean(&disk, flushed(0)).log;
            log.close().expect("the disk works");
            flush(&mut log);
            let disk = disk.restart_process();
            for base in [0, 20] {
                let bytes = disk.bytes(file(base, extension)).expect("closed");
                disk.remove_file(sites::RECOVERY_REMOVE, &file(base, extension)).expect("there");
                if let Some(bytes) = damage(bytes) {
                    disk.put(file(base, extension), &bytes);
                }
            }
            let mut recovered = recover(&disk, small(), flushed(25), clean).expect("the disk works");
            assert!(recovered.lost.is_none());
            check(&mut recovered, 25);
        }
    }
}

#[test]
fn a_bit_that_turns_over_in_an_index_while_the_log_is_open_leads_nobody_astray() {
    for extension in ["index", "timeindex"] {
        let disk = disk_with(25, 25);
        let whole = disk.bytes(file(0, extension)).expect("there");
        let log = recover(&disk, small(), flushed(25), false).expect("the disk works").log;
        for bit in 0..whole.len() * 8 {
            let mut rotten = whole.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            disk.put(file(0, extension), &rotten);
            for offset in (0..25).map(Offset) {
                let slice = log.view().read(offset, Offset(25), 250, true).expect("readable");
                assert_eq!(slice.first_offset, offset, "{extension} bit {bit}");
                let found = log.view().offset_for_timestamp(Timestamp(offset.0)).expect("works");
                assert_eq!(found.map(|found| found.offset), Some(offset), "{extension} bit {bit}");
            }
        }
    }
}

#[test]
fn epochs_and_snapshots_that_are_missing_or_damaged_are_folded_again() {
    for bytes in [None, Some(&b""[..]), Some(b"0\n9\n"), Some(&[0; 50])] {
        let disk = disk_with(35, 35).restart_process();
        let names = [
            path().join("leader-epoch-checkpoint"),
            file(10, "snapshot"),
            file(20, "snapshot"),
            file(30, "snapshot"),
        ];
        for name in names {
            disk.remove_file(sites::RECOVERY_REMOVE, &name).expect("flushed");
            bytes.iter().for_each(|bytes| disk.put(&name, bytes));
        }
        let mut recovered = unclean(&disk, flushed(35));
        assert_eq!(recovered.log.latest_epoch().map(|latest| latest.epoch), Some(EPOCH));
        check(&mut recovered, 35);
    }
}

#[test]
fn a_cut_that_was_lost_with_the_power_does_not_bring_old_batches_back_behind_new_ones() {
    // The cut file is long again and the removed one is back; the new one has batches up to where that begins.
    let disk = disk_with(15, 0);
    let (long, stale) =
        (disk.bytes(file(0, "log")).expect("there"), disk.bytes(file(10, "log")).expect("there"));
    let mut log = unclean(&disk, flushed(0)).log;
    assert_eq!(log.truncate_to(Offset(5), NOW).expect("works"), Offset(5));
    for _ in 5..10 {
        log.append(&ONE.batch(), LeaderEpoch(1), NOW).expect("the disk works");
    }
    let disk = disk.restart_process();
    disk.put(file(0, "log"), &long);
    disk.put(file(10, "log"), &stale);
    let recovered = unclean(&disk, flushed(0));
    assert_eq!(recovered.log.log_end(), Offset(10));
    let epochs: Vec<i32> = read_all(&recovered.log.view(), Offset::ZERO, 1000)
        .iter()
        .map(|batch| batch.header().leader_epoch.0)
        .collect();
    assert_eq!(epochs, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn a_whole_batch_that_recovery_cut_off_does_not_come_back_in_the_place_of_a_newer_one() {
    let disk = MemoryDisk::new(0);
    let mut log = Log::create(disk.clone(), path(), small(), Offset::ZERO, NOW).expect("an empty disk");
    for sent in [ONE, Sent { count: 3, ..ONE }] {
        log.append(&sent.batch(), EPOCH, NOW).expect("the disk works");
    }
    flush(&mut log);
    // An older segment, whose removal the power took: where it begins, the second batch is not over yet.
    disk.put(file(2, "log"), &ONE.batch().bytes().clone());
    let disk = disk.restart_process();
    let mut recovered = unclean(&disk, Checkpointed::default());
    assert_eq!(recovered.log.log_end(), Offset(1));
    now(recovered.settle()).expect("the disk works");
    // The removal is durable by chance; what is appended is not.
    now(disk.sync_dir(sites::FLUSH_SYNC_DIRECTORY, &path())).expect("the disk works");
    recovered.log.append(&ONE.batch(), LeaderEpoch(1), NOW).expect("the disk works");
    let disk = disk.restart_machine(PowerLoss::Everything);
    assert_eq!(unclean(&disk, Checkpointed::default()).log.log_end(), Offset(1));
}

#[test]
fn a_cut_that_was_lost_is_noticed_below_the_recovery_point_too() {
    let disk = disk_with(15, 15);
    let long = disk.bytes(file(0, "log")).expect("there");
    let mut log = unclean(&disk, flushed(15)).log;
    assert_eq!(log.truncate_to(Offset(5), NOW).expect("works"), Offset(5));
    let disk = disk.restart_process();
    disk.put(file(0, "log"), &long);
    let mut recovered = unclean(&disk, flushed(15));
    assert!(recovered.lost.is_some());
    check(&mut recovered, 5);
}

/// One batch of epoch 7, then five of epoch 3 behind it in the same segment: written by whoever had old metadata.
fn disk_with_falling_epochs() -> MemoryDisk {
    let disk = MemoryDisk::new(0);
    let mut log = Log::create(disk.clone(), path(), small(), Offset::ZERO, NOW).expect("an empty disk");
    for epoch in [7, 3, 3, 3, 3, 3] {
        log.append(&ONE.batch(), LeaderEpoch(epoch), NOW).expect("the disk works");
    }
    flush(&mut log);
    disk
}

#[test]
fn batches_behind_an_epoch_that_went_back_are_no_torn_end() {
    let disk = disk_with_falling_epochs().restart_process();
    let recovered = unclean(&disk, flushed(6));
    assert_eq!((recovered.cut_bytes, recovered.lost), (0, None));
    assert_eq!((recovered.log.log_start(), recovered.log.log_end()), (Offset(0), Offset(6)));
    let latest = recovered.log.latest_epoch().map(|latest| latest.epoch);
    assert_eq!(latest, Some(LeaderEpoch(7)), "so that nobody leads in an older one again");
}

/// The epochs on disk begin where the older epoch does. No record was ever deleted, so the start has not moved.
#[test]
fn epochs_that_contradict_the_batches_do_not_move_the_start() {
    for clean in [true, false] {
        let disk = disk_with_falling_epochs().restart_process();
        disk.put(path().join("leader-epoch-checkpoint"), b"0\n1\n3 4\n");
        let recovered = recover(&disk, small(), flushed(6), clean).expect("the disk works");
        assert_eq!(recovered.log.log_start(), Offset(0));
        assert_eq!(read_all(&recovered.log.view(), Offset::ZERO, 1000).len(), 6);
    }
}

/// A first segment that is too long has everything read, and neither the snapshot nor the epochs on disk are used, which
/// are wrong. Cut short after the segment is cut, the recovery leaves a log that looks whole: then they would be.
#[test]
fn what_was_not_believed_goes_before_what_spoke_against_it() {
    let mut stranger = Producers::default();
    stranger.apply(Sent { producer: 9, sequence: 0, ..ONE }.batch().header());
    let mut crashes = 0;
    for call in 0..40 {
        let disk = disk_with(35, 35).restart_process();
        let [first, second] = [0, 10].map(|base| disk.bytes(file(base, "log")).expect("flushed"));
        disk.put(file(0, "log"), &[first, second].concat());
        disk.put(file(30, "snapshot"), &stranger.encode());
        disk.put(path().join("leader-epoch-checkpoint"), b"0\n2\n0 0\n1 5\n");
        disk.crash_at(call);
        let is_cut_short = recover(&disk, small(), flushed(35), false).is_err();
        let mut recovered = unclean(&disk.restart_process(), flushed(35));
        assert_eq!(recovered.log.epochs().entries(), [EpochStart { epoch: EPOCH, start: Offset(0) }]);
        check(&mut recovered, 35);
        crashes += i32::from(is_cut_short);
    }
    assert!((5..40).contains(&crashes), "{crashes}");
}

#[test]
fn segments_below_the_start_go_unread_and_the_start_is_kept() {
    let disk = disk_with(45, 0);
    disk.put(file(10, "log"), &[0xff; 1000]);
    let mut recovered =
        unclean(&disk.restart_process(), Checkpointed { log_start: Offset(27), ..flushed(0) });
    assert_eq!(recovered.log.log_start(), Offset(27));
    assert_eq!(recovered.log.segment_count(), 3);
    check(&mut recovered, 45);
    assert!(disk.bytes(file(0, "log")).is_err());
}

#[test]
fn a_start_beyond_what_is_left_gives_no_offset_twice() {
    let disk = disk_with(15, 15);
    let mut recovered =
        unclean(&disk.restart_process(), Checkpointed { log_start: Offset(30), ..flushed(15) });
    assert_eq!(recovered.lost, Some(Lost { log_end: Offset(15), expected: Offset(30) }));
    assert_eq!(recovered.log.log_start(), Offset(30));
    check(&mut recovered, 30);
}

/// Recovery began the log anew at its start, and the power went before that was durable.
#[test]
fn a_log_of_which_no_segment_is_left_begins_where_its_epochs_do() {
    let disk = MemoryDisk::new(0);
    disk.create_dir(sites::CREATE_DIRECTORY, &path()).expect("an empty disk");
    disk.put(path().join("leader-epoch-checkpoint"), b"0\n1\n2 8\n");
    let mut recovered = unclean(&disk, flushed(0));
    assert_eq!(recovered.log.log_start(), Offset(8));
    check(&mut recovered, 8);
}

#[test]
fn strange_files_are_left_alone() {
    let disk = disk_with(5, 5).restart_process();
    disk.put(path().join("partition.metadata"), b"version: 0\n");
    disk.put(path().join("00000000000000000007.log.bak"), b"?");
    check(&mut unclean(&disk, flushed(5)), 5);
    assert!(disk.bytes(path().join("00000000000000000007.log.bak")).is_ok());
}

#[test]
fn a_step_reads_no_more_than_a_mebibyte() {
    let disk = MemoryDisk::new(0);
    let settings = Settings { segment_bytes: 16 << 20, ..small() };
    let mut log = Log::create(disk.clone(), path(), settings, Offset::ZERO, NOW).expect("an empty disk");
    for _ in 0..4 {
        let large = Sent { payload_len: 1_500_000, ..ONE };
        log.append(&large.batch(), EPOCH, NOW).expect("the disk works");
    }
    let disk = disk.restart_process();
    let mut recovery = Recovery::new(disk, path(), settings, flushed(0), false, NOW);
    let mut steps = 0;
    while let Step::More = recovery.step() {
        steps += 1;
    }
    assert!((6..20).contains(&steps), "{steps} steps for 6 MB");
}

#[test]
fn a_step_seals_one_segment_and_no_more() {
    let disk = disk_with(95, 0).restart_process();
    let mut recovery = Recovery::new(disk.clone(), path(), small(), flushed(0), false, NOW);
    let mut most = 0;
    loop {
        let before = disk.calls();
        let step = recovery.step();
        most = most.max(disk.calls() - before);
        if let Step::Done(recovered) = step {
            check(&mut recovered.expect("the disk works"), 95);
            break;
        }
    }
    assert!(most <= 4, "{most} changes in one step");
}

#[test]
fn a_segment_without_index_entries_is_trusted_a_mebibyte_at_a_time() {
    let disk = MemoryDisk::new(0);
    let settings = Settings { segment_bytes: 16 << 20, index_interval_bytes: u32::MAX, ..small() };
    let mut log = Log::create(disk.clone(), path(), settings, Offset::ZERO, NOW).expect("an empty disk");
    for _ in 0..400 {
        log.append(&Sent { payload_len: 10_000, ..ONE }.batch(), EPOCH, NOW).expect("the disk works");
    }
    log.close().expect("the disk works");
    flush(&mut log);
    let disk = disk.restart_process();
    let mut recovery = Recovery::new(disk.clone(), path(), settings, flushed(400), true, NOW);
    let mut most = 0;
    let recovered = loop {
        let before = disk.read_bytes();
        let step = recovery.step();
        most = most.max(disk.read_bytes() - before);
        if let Step::Done(recovered) = step {
            break recovered.expect("the disk works");
        }
    };
    assert!(recovered.clean && recovered.log.log_end() == Offset(400));
    assert!(most <= 1 << 20, "{most} bytes in one step");
}

#[test]
fn a_snapshot_from_before_the_first_segment_does_not_fence_a_producer_whose_batches_are_gone() {
    let disk = MemoryDisk::new(0);
    let mut log = Log::create(disk.clone(), path(), small(), Offset::ZERO, NOW).expect("an empty disk");
    for n in 0..35 {
        let producer = if n < 20 { 7 } else { 1 };
        log.append(&Sent { producer, sequence: n, ..ONE }.batch(), EPOCH, NOW).expect("the disk works");
    }
    flush(&mut log);
    let disk = disk.restart_process();
    for base in [20, 30] {
        disk.remove_file(sites::RECOVERY_REMOVE, &file(base, "snapshot")).expect("flushed");
    }
    // The snapshot at 10 knows of the first ten batches of producer 7, the second ten are below the start.
    let recovered = unclean(&disk, Checkpointed { log_start: Offset(20), ..flushed(35) });
    let next = Sent { producer: 7, sequence: 20, ..ONE }.batch();
    assert!(recovered.log.producers().check(next.header()).is_ok());
}

#[test]
fn a_recovery_that_is_cut_short_brings_nothing_back_that_a_newer_segment_superseded() {
    for call in 0..20 {
        // The first segment is cut and goes on in another, but the cut is lost; the start is beyond both.
        let disk = disk_with(15, 0);
        let long = disk.bytes(file(0, "log")).expect("there");
        let mut log = unclean(&disk, flushed(0)).log;
        assert_eq!(log.truncate_to(Offset(5), NOW).expect("works"), Offset(5));
        log.append(&ONE.batch(), LeaderEpoch(1), NOW).expect("the disk works");
        let disk = disk.restart_process();
        disk.put(file(0, "log"), &long);
        let checkpointed = Checkpointed { log_start: Offset(8), ..flushed(0) };
        disk.crash_at(call);
        let struck = recover(&disk, small(), checkpointed, false);
        let recovered = unclean(&disk.restart_process(), checkpointed);
        assert_eq!((recovered.log.log_start(), recovered.log.log_end()), (Offset(8), Offset(8)), "{call}");
        drop(struck);
    }
}

#[test]
fn a_start_beyond_what_is_left_has_the_same_epochs_at_every_recovery() {
    let disk = disk_with(15, 15);
    let checkpointed = Checkpointed { log_start: Offset(30), ..flushed(15) };
    let first = unclean(&disk.restart_process(), checkpointed).log;
    let second = unclean(&disk.restart_process(), checkpointed).log;
    assert_eq!(first.epochs(), second.epochs());
    assert_eq!(first.latest_epoch().map(|latest| latest.epoch), Some(EPOCH));
}

#[test]
fn a_directory_without_segments_begins_where_its_epochs_did_and_gives_no_offset_twice() {
    let disk = disk_with(5, 5).restart_process();
    disk.remove_file(sites::RECOVERY_REMOVE, &file(0, "log")).expect("flushed");
    disk.put(path().join("leader-epoch-checkpoint"), b"0\n1\n0 4\n");
    for _ in 0..2 {
        let log = unclean(&disk.restart_process(), flushed(0)).log;
        assert_eq!((log.log_start(), log.log_end()), (Offset(4), Offset(4)));
    }
}

#[test]
fn a_checkpoint_with_a_start_below_zero_does_not_count() {
    let disk = MemoryDisk::new(0);
    disk.create_dir(sites::CREATE_DIRECTORY, &path()).expect("an empty disk");
    let below = Checkpointed { log_start: Offset(-5), ..flushed(0) };
    check(&mut unclean(&disk, below), 0);
    check(&mut unclean(&disk.restart_process(), below), 1);
}
