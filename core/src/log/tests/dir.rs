use super::*;
use crate::env::memory::PowerLoss;
use crate::env::{Step, Stepper};
use crate::ids::{BrokerId, TopicPartition, Uuid};
use crate::log::checkpoint::Offsets;
use crate::log::dir::{LogDir, OpenError, Opened};
use crate::log::meta_properties::MetaProperties;

fn open(disk: &MemoryDisk) -> Opened<MemoryDisk> {
    now(LogDir::open(disk.clone(), "/srv/data".into(), Default::default())).expect("the disk works")
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(Uuid([7; 16]), number)
}

#[test]
fn a_directory_is_created_formatted_and_found_again_after_a_loss_of_power() {
    let disk = MemoryDisk::new(0);
    let opened = open(&disk);
    assert_eq!((opened.meta, opened.clean, opened.partitions.len()), (None, false, 0));
    let meta = MetaProperties { cluster_id: "c".into(), node_id: BrokerId(1), directory_id: Uuid([1; 16]) };
    now(opened.dir.format(&meta)).expect("the disk works");
    let offsets = Offsets::from([(partition(0), Offset(5))]);
    now(opened.dir.write_high_watermarks(&offsets)).expect("the disk works");
    let mut log = opened.dir.create_log(partition(0), small(), Offset::ZERO, NOW).expect("the disk works");
    flush(&mut log);
    let opened = open(&disk.restart_machine(PowerLoss::Everything));
    assert_eq!((opened.meta, opened.partitions), (Some(meta), vec![partition(0)]));
    assert_eq!(opened.checkpoints.of(partition(0)).high_watermark, Offset(5));
    assert_eq!(opened.checkpoints.of(partition(1)), Checkpointed::default());
}

#[test]
fn a_directory_belongs_to_one_process() {
    let disk = MemoryDisk::new(0);
    let opened = open(&disk);
    let second = now(LogDir::open(disk.clone(), "/srv/data".into(), Default::default()));
    assert!(matches!(second, Err(OpenError::InUse(_))));
    drop(opened);
    open(&disk);
}

#[test]
fn a_directory_that_is_not_understood_is_not_touched() {
    let disk = MemoryDisk::new(0);
    drop(open(&disk));
    disk.put("/srv/data/meta.properties", b"version=9\n");
    let before = disk.list(sites::DIR_LIST, "/srv/data".as_ref()).expect("there");
    let refused = now(LogDir::open(disk.clone(), "/srv/data".into(), Default::default()));
    assert!(matches!(refused, Err(OpenError::MetaProperties(_))));
    assert_eq!(disk.list(sites::DIR_LIST, "/srv/data".as_ref()).expect("there"), before);
    assert_eq!(disk.bytes("/srv/data/meta.properties").expect("there"), b"version=9\n");
}

/// Its parent would be the working directory, which nobody would sync: the name of everything could be lost.
#[test]
fn a_relative_directory_is_refused_before_anything_is_created() {
    for path in ["data", "a/b", "./data", ""] {
        let disk = MemoryDisk::new(0);
        let refused = now(LogDir::open(disk.clone(), path.into(), Default::default()));
        assert!(matches!(refused, Err(OpenError::Relative(_))), "{path}");
        assert_eq!(disk.calls(), 0);
    }
}

#[test]
fn an_ancestor_on_a_file_system_that_syncs_no_directories_keeps_nobody_from_starting() {
    let disk = MemoryDisk::new(0);
    drop(open(&disk));
    let disk = disk.restart_process();
    disk.fail_next(sites::DIR_SYNC, ErrorKind::InvalidInput);
    open(&disk);
}

#[test]
fn a_damaged_checkpoint_counts_as_none() {
    let disk = MemoryDisk::new(0);
    drop(open(&disk));
    disk.put("/srv/data/recovery-point-offset-checkpoint", &[0; 99]);
    assert!(open(&disk).checkpoints.recovery_points.is_empty());
}

#[test]
fn a_deleted_partition_is_gone_at_once_and_its_files_go_step_by_step() {
    let disk = MemoryDisk::new(0);
    let opened = open(&disk);
    let mut log = opened.dir.create_log(partition(3), small(), Offset::ZERO, NOW).expect("the disk works");
    append_many(&mut log, 25);
    drop(opened.dir.delete_log(partition(3)).expect("the disk works"));
    let opened = open(&disk.restart_process());
    assert!(opened.partitions.is_empty());
    let mut removal = opened.dir.removal(opened.deleted[0].clone());
    let removed = loop {
        if let Step::Done(removed) = removal.step() {
            break removed;
        }
    };
    assert!(removed.is_ok());
    drop(opened);
    assert!(open(&disk.restart_process()).deleted.is_empty());
}

#[test]
fn one_failure_takes_the_directory_offline() {
    let disk = MemoryDisk::new(0);
    let dir = open(&disk).dir;
    disk.fail_next(sites::CHECKPOINT_SYNC, ErrorKind::Other);
    let error = now(dir.write_log_starts(&Offsets::new())).expect_err("it was told to fail");
    assert!(!dir.is_offline());
    assert!(dir.fail(&error) && dir.is_offline());
}

#[test]
fn a_missing_descriptor_fails_the_call_and_not_the_directory() {
    let disk = MemoryDisk::new(0);
    let dir = open(&disk).dir;
    for errno in [23, 24] {
        disk.fail_next(sites::CHECKPOINT_CREATE, std::io::Error::from_raw_os_error(errno));
        let error = now(dir.write_log_starts(&Offsets::new())).expect_err("it was told to fail");
        assert!(!dir.fail(&error) && !dir.is_offline());
        now(dir.write_log_starts(&Offsets::new())).expect("the disk works");
    }
}
