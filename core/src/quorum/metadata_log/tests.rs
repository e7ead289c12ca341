//! The log and its snapshots over crashes: whatever call was struck, what is opened is the old state or the new one.

use std::path::PathBuf;

use super::*;
use crate::env::memory::{MemoryDisk, PowerLoss};
use crate::env::one_node::OneNode;
use crate::metadata::control::ControlRecord;
use crate::record::compression::Codec;
use crate::time::Timestamp;

type World = OneNode<MemoryDisk>;
type Opened = MetadataLog<World>;

const POWER: [Option<PowerLoss>; 5] = [
    None,
    Some(PowerLoss::Everything),
    Some(PowerLoss::Nothing),
    Some(PowerLoss::Prefix),
    Some(PowerLoss::Subset),
];

fn world(disk: &MemoryDisk) -> World {
    OneNode::new(disk.clone())
}

async fn try_open(env: &World) -> Result<Opened, OpenError> {
    let dir = LogDir::open(env.disk().clone(), PathBuf::from("/d"), Switches::default()).await;
    let dir = dir.unwrap_or_else(|error| panic!("{error}"));
    let checkpointed = dir.checkpoints.of(TopicPartition::METADATA);
    MetadataLog::open(env.clone(), Arc::new(dir.dir), (checkpointed, false), Default::default()).await
}

async fn open(env: &World) -> Opened {
    try_open(env).await.unwrap_or_else(|error| panic!("{error}"))
}

fn batch(records: i32) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Codec::None);
    for record in 0..records {
        builder.append(Timestamp(5), None, Some(&[record as u8; 10]), &[]);
    }
    builder
}

/// Appends batches of one record in an epoch, durably.
async fn fill(log: &mut Opened, epoch: i32, records: i64) {
    for _ in 0..records {
        log.append(&mut batch(1), LeaderEpoch(epoch)).expect("the disk works");
    }
    log.flush().await.expect("the disk works");
}

fn id(end: i64, epoch: i32) -> SnapshotId {
    SnapshotId { end: Offset(end), epoch: LeaderEpoch(epoch) }
}

fn piece(snapshot: SnapshotId, position: u64, length: u64, size: u64) -> SnapshotChunk {
    SnapshotChunk { snapshot, position, length, size }
}

/// Start, end, the epoch before the start, and the newest snapshot.
fn state(log: &Opened) -> (i64, i64, i32, Option<SnapshotId>) {
    (log.log_start().0, log.log_end().0, log.epoch_before_start().0, log.latest_snapshot())
}

/// A snapshot with some records in it, in bytes.
fn whole_snapshot() -> Vec<u8> {
    let header = ControlRecord::SnapshotHeader { last_contained: Timestamp(5) };
    let batches = [header.batch(Timestamp(5)), batch(3), ControlRecord::SnapshotFooter.batch(Timestamp(5))];
    batches.into_iter().flat_map(|mut batch| batch.build()).collect()
}

async fn fetch_and_install(log: &mut Opened, snapshot: SnapshotId) -> Result<(), MetadataLogError> {
    install(log, snapshot, &whole_snapshot()).await
}

async fn install(log: &mut Opened, snapshot: SnapshotId, bytes: &[u8]) -> Result<(), MetadataLogError> {
    let (size, half) = (bytes.len() as u64, bytes.len() / 2);
    log.stage(&piece(snapshot, 0, half as u64, size), &bytes[..half])?;
    log.stage(&piece(snapshot, half as u64, size - half as u64, size), &bytes[half..])?;
    log.install(snapshot).await
}

/// The log is the only thing that this replica has until it is sure of another.
#[test]
fn a_snapshot_that_is_damaged_or_not_whole_replaces_nothing() {
    let whole = whole_snapshot();
    let footer_len = ControlRecord::SnapshotFooter.batch(Timestamp(5)).build().len();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let without_footer = whole[..whole.len() - footer_len].to_vec();
    let footer_alone = whole[whole.len() - footer_len..].to_vec();
    for wrong in [flipped, whole[..whole.len() - 1].to_vec(), without_footer, footer_alone] {
        let env = world(&MemoryDisk::new(1));
        env.block_on(async {
            let mut log = open(&env).await;
            fill(&mut log, 3, 4).await;
            let installed = install(&mut log, id(10, 7), &wrong).await;
            assert!(matches!(installed, Err(MetadataLogError::Damaged { .. })), "{installed:?}");
            drop(log);
            let mut log = open(&env).await;
            assert_eq!(state(&log), (0, 4, 0, None));
            install(&mut log, id(10, 7), &whole).await.expect("it is whole now");
        });
    }
}

#[test]
fn an_empty_directory_begins_an_empty_log_which_is_there_again() {
    let env = world(&MemoryDisk::new(1));
    env.block_on(async {
        let mut log = open(&env).await;
        assert_eq!(state(&log), (0, 0, 0, None));
        fill(&mut log, 3, 4).await;
        log.append(&mut batch(2), LeaderEpoch(4)).expect("the disk works");
        assert_eq!((log.flushed(), log.log_end()), (Offset(4), Offset(6)));
        drop(log);
        let log = open(&env).await;
        assert_eq!((state(&log), log.flushed()), ((0, 6, 0, None), Offset(6)));
        assert_eq!(log.epochs().at(Offset(4)), Some(LeaderEpoch(4)));
    });
}

#[test]
fn what_a_leader_reads_a_follower_appends() {
    let (one, other) = (world(&MemoryDisk::new(1)), world(&MemoryDisk::new(2)));
    let bytes = one.block_on(async {
        let mut log = open(&one).await;
        fill(&mut log, 3, 2).await;
        fill(&mut log, 5, 2).await;
        let slice = log.read(Offset(1), Offset(3), 1 << 20).expect("it is there");
        let range = slice.bytes.expect("two batches");
        let mut bytes = vec![0; range.len as usize];
        range.file.read_at(SNAPSHOT_READ, &mut bytes, range.position).expect("the disk works");
        Bytes::from(bytes)
    });
    other.block_on(async {
        let mut log = open(&other).await;
        fill(&mut log, 3, 1).await;
        log.append_fetched(bytes.clone()).expect("they continue the log");
        assert_eq!((log.log_end(), log.epochs().at(Offset(2))), (Offset(3), Some(LeaderEpoch(5))));
        let again = log.append_fetched(bytes);
        assert!(matches!(again, Err(MetadataLogError::Append(AppendError::NotAtEnd { .. }))));
    });
}

/// The recovery point was written at a clean stop: it must not vouch for what is appended behind the cut.
#[test]
fn a_cut_below_the_recovery_point_survives_a_loss_of_power_at_any_call() {
    for power in POWER {
        for call in 0.. {
            let disk = MemoryDisk::new(call);
            let env = world(&disk);
            let done = env.block_on(async {
                let mut log = open(&env).await;
                fill(&mut log, 3, 6).await;
                let points = [(TopicPartition::METADATA, log.flushed())];
                log.log_dir.write_recovery_points(&points.into()).await.expect("the disk works");
                disk.crash_at(call);
                log.truncate(Offset(2)).await.is_ok()
                    && log.append(&mut batch(1), LeaderEpoch(4)).is_ok()
                    && log.flush().await.is_ok()
            });
            let env = world(&restart(&disk, power));
            env.block_on(async {
                let log = open(&env).await;
                let epoch = log.epochs().at(Offset(2));
                assert!(log.log_end() >= Offset(2), "{power:?} at {call}: the log ends at {}", log.log_end());
                match log.log_end().0 {
                    2 => assert!(!done),
                    3 if epoch == Some(LeaderEpoch(4)) => {}
                    _ => assert!(!done && epoch == Some(LeaderEpoch(3)), "{power:?} at {call}: {epoch:?}"),
                }
            });
            if done {
                break;
            }
        }
    }
}

fn restart(disk: &MemoryDisk, power: Option<PowerLoss>) -> MemoryDisk {
    power.map_or_else(|| disk.restart_process(), |mode| disk.restart_machine(mode))
}

#[test]
fn a_cut_inside_a_batch_is_a_defect_that_is_told() {
    let env = world(&MemoryDisk::new(1));
    env.block_on(async {
        let mut log = open(&env).await;
        fill(&mut log, 3, 1).await;
        log.append(&mut batch(3), LeaderEpoch(3)).expect("the disk works");
        let cut = log.truncate(Offset(2)).await;
        assert!(
            matches!(cut, Err(MetadataLogError::CutInsideBatch { batch_start: Offset(1), .. })),
            "{cut:?}"
        );
        assert_eq!(log.log_end(), Offset(4), "and nothing was cut");
    });
}

#[test]
fn a_snapshot_in_pieces_takes_the_place_of_the_log() {
    let env = world(&MemoryDisk::new(1));
    env.block_on(async {
        let mut log = open(&env).await;
        fill(&mut log, 3, 4).await;
        fetch_and_install(&mut log, id(10, 7)).await.expect("the disk works");
        assert_eq!((state(&log), log.flushed()), ((10, 10, 7, Some(id(10, 7))), Offset(10)));
        let whole = whole_snapshot();
        let size = whole.len() as u64;
        assert_eq!(log.snapshot_size(id(10, 7)), Some(size));
        assert_eq!(log.read_snapshot(&piece(id(10, 7), 1, 3, size)).expect("it is there"), &whole[1..4]);
        fill(&mut log, 8, 1).await;
        drop(log);
        let log = open(&env).await;
        assert_eq!(state(&log), (10, 11, 7, Some(id(10, 7))));
    });
}

#[test]
fn pieces_come_in_their_order_and_a_new_first_one_begins_anew() {
    let env = world(&MemoryDisk::new(1));
    env.block_on(async {
        let mut log = open(&env).await;
        log.stage(&piece(id(10, 7), 0, 3, 5), b"abc").expect("the first");
        for wrong in [piece(id(10, 7), 2, 1, 5), piece(id(11, 7), 3, 2, 5)] {
            assert!(matches!(log.stage(&wrong, b"xy"), Err(MetadataLogError::NotNext { .. })));
        }
        let not_staged = log.install(id(11, 7)).await;
        assert!(matches!(not_staged, Err(MetadataLogError::NotNext { .. })));
        log.stage(&piece(id(12, 7), 0, 1, 1), b"z").expect("the first of another");
        drop(log);
        let log = open(&env).await;
        assert_eq!(state(&log), (0, 0, 0, None), "what was not whole is gone");
        let left = env.disk().list(snapshots::LIST, log.log.path()).expect("it is there");
        assert!(left.iter().all(|entry| !entry.name.ends_with(".part")), "{left:?}");
    });
}

/// The old log, or the snapshot and nothing else; and in both cases the replica goes on.
#[test]
fn a_crash_at_any_call_of_an_installation_leaves_the_log_or_the_snapshot() {
    // Behind the snapshot's end the log may have gone another way; or it ends before it, with a snapshot of its own.
    for (own, records, snapshot) in
        [(None, 4, id(10, 7)), (Some(id(2, 3)), 4, id(10, 7)), (None, 8, id(5, 4))]
    {
        for power in POWER {
            for call in 0.. {
                let disk = MemoryDisk::new(call);
                let env = world(&disk);
                let done = env.block_on(async {
                    let mut log = open(&env).await;
                    fill(&mut log, 3, records).await;
                    if let Some(own) = own {
                        log.write_snapshot(own, b"own").await.expect("the disk works");
                        log.trim_to(own).await.expect("the disk works");
                    }
                    let points = [(TopicPartition::METADATA, log.flushed())];
                    log.log_dir.write_recovery_points(&points.into()).await.expect("the disk works");
                    disk.crash_at(call);
                    fetch_and_install(&mut log, snapshot).await.is_ok()
                        && log.append(&mut batch(1), LeaderEpoch(7)).is_ok()
                        && log.flush().await.is_ok()
                });
                let env = world(&restart(&disk, power));
                env.block_on(async {
                    let mut log = open(&env).await;
                    let (old_start, old_epoch) = own.map_or((0, 0), |own| (own.end.0, own.epoch.0));
                    let old = (old_start, records, old_epoch, own);
                    let new = |end| (snapshot.end.0, end, snapshot.epoch.0, Some(snapshot));
                    let found = state(&log);
                    let is_new = found == new(snapshot.end.0) || found == new(snapshot.end.0 + 1);
                    assert!(found == old || is_new, "{power:?} at {call}: {found:?}");
                    assert!(!done || found == new(snapshot.end.0 + 1), "{power:?} at {call}: {found:?}");
                    fill(&mut log, 8, 1).await;
                    let before = state(&log);
                    drop(log);
                    assert_eq!(state(&open(&env).await), before);
                });
                if done {
                    assert!(call > 10, "{call} calls");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_crash_at_any_call_of_a_trim_leaves_a_start_whose_epoch_is_known() {
    for power in POWER {
        for call in 0.. {
            let disk = MemoryDisk::new(call);
            let env = world(&disk);
            let done = env.block_on(async {
                let mut log = open(&env).await;
                fill(&mut log, 3, 4).await;
                log.write_snapshot(id(3, 3), b"one").await.expect("the disk works");
                log.trim_to(id(3, 3)).await.expect("the disk works");
                fill(&mut log, 5, 4).await;
                disk.crash_at(call);
                log.write_snapshot(id(6, 5), b"two").await.is_ok() && log.trim_to(id(6, 5)).await.is_ok()
            });
            let env = world(&restart(&disk, power));
            env.block_on(async {
                let log = open(&env).await;
                let (start, end, epoch, newest) = state(&log);
                assert_eq!(end, 8, "{power:?} at {call}");
                assert!([(3, 3), (6, 5)].contains(&(start, epoch)), "{power:?} at {call}: {start} {epoch}");
                assert!(!done || (start, newest) == (6, Some(id(6, 5))), "{power:?} at {call}: {start}");
            });
            if done {
                assert!(call > 10, "{call} calls");
                break;
            }
        }
    }
}

/// A follower may know more to be committed than it has synced; a snapshot of that survives what the log loses.
#[test]
fn a_log_that_lost_what_its_snapshot_holds_begins_where_the_snapshot_ends() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.block_on(async {
        let mut log = open(&env).await;
        fill(&mut log, 3, 2).await;
        for _ in 0..3 {
            log.append(&mut batch(1), LeaderEpoch(3)).expect("the disk works");
        }
        log.write_snapshot(id(4, 3), b"one").await.expect("the disk works");
    });
    let env = world(&disk.restart_machine(PowerLoss::Everything));
    env.block_on(async {
        assert_eq!(state(&open(&env).await), (4, 4, 3, Some(id(4, 3))));
    });
}

#[test]
fn what_was_flushed_and_is_gone_is_refused() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.block_on(async {
        let mut log = open(&env).await;
        fill(&mut log, 3, 4).await;
        let points = [(TopicPartition::METADATA, Offset(6))];
        log.log_dir.write_recovery_points(&points.into()).await.expect("the disk works");
        drop(log);
        for _ in 0..2 {
            let opened = try_open(&env).await;
            assert!(matches!(opened, Err(OpenError::Lost { expected: Offset(6), .. })), "each time");
        }
    });
}

#[test]
fn a_log_that_begins_behind_its_snapshots_is_refused() {
    let disk = MemoryDisk::new(1);
    let env = world(&disk);
    env.block_on(async {
        let mut log = open(&env).await;
        fill(&mut log, 3, 4).await;
        log.write_snapshot(id(3, 3), b"one").await.expect("the disk works");
        log.trim_to(id(3, 3)).await.expect("the disk works");
        let path = log.snapshot_path(id(3, 3));
        drop(log);
        env.disk().remove_file(snapshots::REMOVE, &path).expect("it is there");
        let opened = try_open(&env).await;
        assert!(matches!(opened, Err(OpenError::Gap { log_start: Offset(3), snapshot_end: Offset(0) })));
    });
}
