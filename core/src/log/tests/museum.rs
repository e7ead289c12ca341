//! Each guard, taken away: what it prevents happens then.

use super::*;
use crate::env::memory::PowerLoss;
use crate::log::dir::LogDir;
use crate::museum::{Switch, Switches};

fn without(guard: Switch) -> Settings {
    Settings { switches: Switches::default().with(guard), ..small() }
}

#[test]
fn c1_the_marker_survives_a_crash_during_the_loading() {
    let disk = MemoryDisk::new(0);
    let open = |disk: &MemoryDisk, switches| {
        now(LogDir::open(disk.clone(), "/data".into(), switches)).expect("works")
    };
    now(open(&disk, Switches::default()).dir.mark_clean(crate::ids::BrokerEpoch(1))).expect("works");
    let switches = Switches::default().with(Switch::MarkerDeleteLate);
    assert!(open(&disk.restart_process(), switches).clean);
    let opened = open(&disk.restart_process(), switches);
    assert!(opened.clean);
    now(opened.dir.finish_loading()).expect("works");
    assert!(!open(&disk.restart_process(), switches).clean);
}

#[test]
fn c1_a_node_that_serves_while_it_loads_keeps_the_marker_until_it_has_written() {
    let open = |disk: &MemoryDisk, switches| {
        now(LogDir::open(disk.clone(), "/data".into(), switches)).expect("works")
    };
    let serving = Switches::default().with(Switch::ServeWhileLoading);
    for (switches, survives) in [(serving, false), (serving.with(Switch::MarkerDeleteLate), true)] {
        let disk = MemoryDisk::new(0);
        now(open(&disk, Switches::default()).dir.mark_clean(crate::ids::BrokerEpoch(1))).expect("works");
        now(open(&disk.restart_process(), switches).dir.finish_loading()).expect("works");
        let opened = open(&disk.restart_process(), switches);
        assert_eq!(opened.clean, survives, "alone it is harmless");
        now(opened.dir.write_recovery_points(&Default::default())).expect("works");
        assert!(!open(&disk.restart_process(), switches).clean);
    }
}

#[test]
fn c2_the_recovery_point_runs_ahead_of_the_flush() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, without(Switch::RecoveryPointEager));
    append(&mut log, ONE);
    assert_eq!((log.recovery_point(), log.flushed()), (Offset(1), Offset(0)));
}

#[test]
fn c3_a_checkpoint_does_not_survive_a_loss_of_power() {
    let disk = MemoryDisk::new(0);
    let switches = Switches::default().with(Switch::CheckpointNoFsync);
    now(checkpoint::replace(&disk, "/c".as_ref(), b"new", switches)).expect("works");
    assert!(disk.restart_machine(PowerLoss::Everything).bytes("/c").is_err());
    let disk = disk.restart_process();
    now(checkpoint::replace(&disk, "/c".as_ref(), b"new", Switches::default())).expect("works");
    assert!(disk.restart_machine(PowerLoss::Everything).bytes("/c").is_ok());
}

#[test]
fn c3_spares_the_identity_of_the_directory() {
    let disk = MemoryDisk::new(0);
    let switches = Switches::default().with(Switch::CheckpointNoFsync);
    let open = |disk: &MemoryDisk| now(LogDir::open(disk.clone(), "/data".into(), switches)).expect("works");
    let (node_id, directory_id) = (crate::ids::BrokerId(1), crate::ids::Uuid([1; 16]));
    let meta = crate::log::meta_properties::MetaProperties { cluster_id: "c".into(), node_id, directory_id };
    let opened = open(&disk);
    now(opened.dir.format(&meta)).expect("works");
    now(opened.dir.write_recovery_points(&Default::default())).expect("works");
    let disk = disk.restart_machine(PowerLoss::Everything);
    assert_eq!(open(&disk).meta, Some(meta));
    assert!(disk.bytes("/data/recovery-point-offset-checkpoint").is_err());
}

#[test]
fn c3_a_producer_snapshot_does_not_survive_a_loss_of_power() {
    let kept = |settings| {
        let disk = MemoryDisk::new(0);
        let mut log = create(&disk, settings);
        append_many(&mut log, 2);
        log.roll(NOW).expect("works");
        flush(&mut log);
        let disk = disk.restart_machine(PowerLoss::Everything);
        disk.bytes("/p/00000000000000000002.snapshot").is_ok_and(|bytes| !bytes.is_empty())
    };
    assert!(kept(small()) && !kept(without(Switch::CheckpointNoFsync)));
}

#[test]
fn c4_appends_go_on_after_a_failed_write() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, without(Switch::IgnoreIoError));
    disk.fail_next(sites::APPEND_WRITE, ErrorKind::StorageFull);
    let Err(AppendError::Disk(error)) = log.append(&ONE.batch(), EPOCH, NOW) else { panic!("it failed") };
    assert_eq!(append(&mut log, ONE).base_offset, Offset(0));
    let opened = now(LogDir::open(disk, "/data".into(), log.settings().switches)).expect("works");
    assert!(!opened.dir.fail(&error) && !opened.dir.is_offline());
}

#[test]
fn c5_an_offset_is_given_twice_when_the_index_fails() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { index_interval_bytes: 0, ..without(Switch::LogEndAfterIndex) });
    append(&mut log, ONE);
    disk.fail_next(sites::INDEX_WRITE, ErrorKind::StorageFull);
    assert!(log.append(&ONE.batch(), EPOCH, NOW).is_err());
    assert_eq!(append(&mut log, ONE).base_offset, Offset(1));
    let bytes = disk.bytes("/p/00000000000000000000.log").expect("there");
    assert_eq!(bytes.len(), 300);
    assert_eq!(bytes[100..108], bytes[200..208], "two batches with one offset");
}

#[test]
fn c6_a_damaged_index_is_trusted() {
    let settings = without(Switch::TrustIndex);
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, settings);
    append_many(&mut log, 15);
    disk.put("/p/00000000000000000000.index", &[0; 24]);
    let recovered = recover(&disk.restart_process(), settings, Checkpointed::default(), false);
    assert_eq!(recovered.expect("works").log.log_end(), Offset(15));
    assert_eq!(disk.bytes("/p/00000000000000000000.index").expect("there"), [0; 24]);
}

#[test]
fn c7_a_torn_batch_is_kept() {
    let settings = without(Switch::NoCrcRecovery);
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, settings);
    append_many(&mut log, 2);
    let mut bytes = disk.bytes("/p/00000000000000000000.log").expect("there");
    bytes[170..].fill(0);
    disk.put("/p/00000000000000000000.log", &bytes);
    let end = |settings| {
        let recovered = recover(&disk.restart_process(), settings, Checkpointed::default(), false);
        recovered.expect("works").log.log_end()
    };
    assert_eq!(end(settings), Offset(2));
    assert_eq!(end(small()), Offset(1));
}

#[test]
fn c12_the_death_of_the_process_takes_what_was_accepted() {
    for (settings, survive) in [(without(Switch::UserBuffer), 2), (small(), 4)] {
        let disk = MemoryDisk::new(0);
        let mut log = create(&disk, settings);
        append_many(&mut log, 2);
        flush(&mut log);
        append_many(&mut log, 2);
        let recovered = recover(&disk.restart_process(), small(), Checkpointed::default(), false);
        assert_eq!(recovered.expect("works").log.log_end(), Offset(survive));
        // What is read has been written before.
        let disk = MemoryDisk::new(0);
        let mut log = create(&disk, settings);
        append_many(&mut log, 15);
        assert_eq!(read_all(&log.view(), Offset::ZERO, 1000).len(), 15);
    }
}
