//! A log directory as this revision wrote it: later ones must be able to open it (they may write another one).
#![allow(clippy::disallowed_methods)] // the data lies in the repository

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::env::Disk;
use crate::ids::{BrokerEpoch, BrokerId, TopicPartition, Uuid};
use crate::log::checkpoint::Offsets;
use crate::log::dir::LogDir;
use crate::log::meta_properties::MetaProperties;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/golden-log-v1");
const PARTITION: TopicPartition =
    TopicPartition { topic_id: Uuid([0x5a; 16]), partition: crate::ids::PartitionIndex(3) };

/// Three segments in two epochs by two producers, the first four records deleted, shut down cleanly.
fn write(disk: &MemoryDisk) {
    let opened = now(LogDir::open(disk.clone(), "/golden".into(), Default::default())).expect("works");
    let dir = opened.dir;
    let meta = MetaProperties {
        cluster_id: "golden-cluster".into(),
        node_id: BrokerId(1),
        directory_id: Uuid([0x42; 16]),
    };
    now(dir.format(&meta)).expect("works");
    let mut log = dir.create_log(PARTITION, small(), Offset::ZERO, NOW).expect("works");
    for n in 0..25 {
        let producer = i64::from(n % 2);
        let sent = Sent { count: 2, timestamp: i64::from(100 + n), producer, sequence: 2 * (n / 2), ..ONE };
        log.append(&sent.batch(), LeaderEpoch(n / 9), NOW).expect("works");
    }
    log.advance_log_start(Offset(4));
    log.close().expect("works");
    flush(&mut log);
    let one = |offset| Offsets::from([(PARTITION, offset)]);
    now(dir.write_recovery_points(&one(log.recovery_point()))).expect("works");
    now(dir.write_log_starts(&one(log.log_start()))).expect("works");
    now(dir.write_high_watermarks(&one(log.log_end()))).expect("works");
    now(dir.mark_clean(BrokerEpoch(12))).expect("works");
}

fn files(disk: &MemoryDisk, dir: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in disk.list(sites::DIR_LIST, dir).expect("works") {
        let path = dir.join(entry.name);
        if entry.is_dir {
            files(disk, &path, into);
        } else {
            into.insert(path.clone(), disk.bytes(&path).expect("listed"));
        }
    }
}

fn golden_files(dir: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("the golden directory is in the repository") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            golden_files(&path, into);
        } else {
            let name = Path::new("/golden").join(path.strip_prefix(GOLDEN).expect("inside"));
            into.insert(name, fs::read(&path).expect("readable"));
        }
    }
}

fn golden() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut there = BTreeMap::new();
    golden_files(Path::new(GOLDEN), &mut there);
    there
}

fn check(clean: bool) {
    let disk = MemoryDisk::new(0);
    for dir in [Path::new("/golden"), &Path::new("/golden").join(PARTITION.to_string())] {
        disk.create_dir(sites::DIR_CREATE, dir).expect("an empty disk");
    }
    for (path, bytes) in golden() {
        if clean || !path.ends_with(".kafka_cleanshutdown") {
            disk.put(path, &bytes);
        }
    }
    let opened = now(LogDir::open(disk.clone(), "/golden".into(), Default::default())).expect("works");
    let meta = opened.meta.expect("it was formatted");
    assert_eq!((meta.cluster_id.as_str(), meta.node_id), ("golden-cluster", BrokerId(1)));
    assert_eq!((opened.clean, opened.partitions), (clean, vec![PARTITION]));
    let path = opened.dir.partition_path(PARTITION);
    let checkpointed = opened.checkpoints.of(PARTITION);
    let mut recovery = Recovery::new(disk, path, small(), checkpointed, clean, NOW);
    let recovered = loop {
        if let Step::Done(recovered) = recovery.step() {
            break recovered.expect("works");
        }
    };
    assert!(recovered.clean == clean && recovered.lost.is_none() && recovered.cut_bytes == 0);
    let log = recovered.log;
    assert_eq!((log.log_start(), log.log_end(), log.segment_count()), (Offset(4), Offset(50), 3));
    assert_eq!(read_all(&log.view(), Offset(4), 300).len(), 23);
    let epochs: Vec<_> = log.epochs().entries().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect();
    assert_eq!(epochs, [(0, 4), (1, 18), (2, 36)]);
    let last = |id| log.producers().get(ProducerId(id)).and_then(|producer| producer.batches.back()).copied();
    assert_eq!(last(0).map(|batch| (batch.last_sequence, batch.last_offset)), Some((25, Offset(49))));
    assert_eq!(last(1).map(|batch| (batch.last_sequence, batch.last_offset)), Some((23, Offset(47))));
}

#[test]
fn the_golden_directory_opens_after_a_clean_shutdown() {
    check(true);
}

#[test]
fn the_golden_directory_opens_after_a_crash() {
    check(false);
}

#[test]
fn this_revision_still_writes_the_golden_directory_byte_for_byte() {
    let disk = MemoryDisk::new(0);
    write(&disk);
    let mut written = BTreeMap::new();
    files(&disk, Path::new("/golden"), &mut written);
    assert_eq!(written, golden());
}

/// Writes the golden directory of a new format version: `cargo test -p jangbu-core golden -- --ignored`.
#[test]
#[ignore = "writes into the repository"]
fn write_the_golden_directory() {
    let disk = MemoryDisk::new(0);
    write(&disk);
    let mut written = BTreeMap::new();
    files(&disk, Path::new("/golden"), &mut written);
    for (path, bytes) in written {
        let path = Path::new(GOLDEN).join(path.strip_prefix("/golden").expect("inside"));
        fs::create_dir_all(path.parent().expect("inside")).expect("writable");
        fs::write(path, bytes).expect("writable");
    }
}
