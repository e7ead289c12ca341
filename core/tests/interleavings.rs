//! A partition under every interleaving of its locks that chance finds: appenders, a deletion, a flush and readers.
//!
//! The simulator schedules between awaits; what happens between two locks of one poll it cannot see. Run with
//! `cargo test -p jangbu-core --features shuttle --test interleavings`.
#![cfg(feature = "shuttle")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jangbu_core::env::memory::MemoryDisk;
use jangbu_core::env::one_node::OneNode;
use jangbu_core::env::{Clock, Env, File, FileSlice, Site};
use jangbu_core::ids::{LeaderEpoch, Offset, TopicPartition, Uuid};
use jangbu_core::log::FlushScope;
use jangbu_core::log::dir::LogDir;
use jangbu_core::partition::{
    Acknowledgement, Acks, Appended, Directory, Isolation, Parked, Partition, ReadError, ReadRequest,
    Settings,
};
use jangbu_core::purgatory::Wakeup;
use jangbu_core::record::batch::Batch;
use jangbu_core::record::builder::BatchBuilder;
use jangbu_core::record::compression::Codec;
use jangbu_core::sync::Arc;
use jangbu_core::time::Timestamp;
use shuttle::{future, thread};

const ROUNDS: usize = 2_000;
const BATCHES: usize = 4;
const NOW: Timestamp = Timestamp(1_000);
const TEST_READ: Site = Site::new("test.read");

type Hosted = Arc<Partition<OneNode<MemoryDisk>>>;

#[derive(Clone)]
struct Scene {
    env: OneNode<MemoryDisk>,
    partition: Hosted,
}

/// A leader with small segments, so that appends roll.
fn scene(flush_messages: u64) -> Scene {
    let disk = MemoryDisk::new(1);
    let env = OneNode::new(disk.clone());
    let mut settings = Settings { flush_messages, ..Settings::default() };
    settings.log.segment_bytes = 250;
    let opened = future::block_on(LogDir::open(disk, PathBuf::from("/d"), settings.log.switches));
    let log_dir = opened.expect("an empty disk").dir;
    let id = TopicPartition::new(Uuid([9; 16]), 0);
    let log = log_dir.create_log(id, settings.log, Offset::ZERO, NOW).expect("a new log");
    let directory = Arc::new(Directory::new(Arc::new(log_dir), Arc::new(Parked::default())));
    let partition = Arc::new(Partition::new(id, log, Offset::ZERO, settings, directory));
    partition.become_leader(&env, LeaderEpoch(0)).expect("the disk works");
    Scene { env, partition }
}

fn batch(count: usize) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..count {
        builder.append(NOW, None, Some(b"value"), &[]);
    }
    Batch::split_from(&mut builder.build()).expect("a built batch")
}

impl Scene {
    fn append(&self, count: usize) -> Appended {
        let appended =
            self.partition.append_as_leader(&self.env, &batch(count), Acks::All, LeaderEpoch::NONE, NOW);
        appended.expect("the leader appends")
    }

    fn appender(&self, count: usize) -> thread::JoinHandle<Vec<Appended>> {
        let scene = self.clone();
        thread::spawn(move || (0..BATCHES).map(|_| scene.append(count)).collect())
    }

    /// Reads once from `from`; what it returns was checked against the bounds of the same answer.
    fn read(&self, from: Offset) -> (Offset, Offset) {
        let request = ReadRequest {
            from,
            bytes_max: 1 << 20,
            at_least_one_batch: true,
            isolation: Isolation::ReadUncommitted,
            current_leader_epoch: LeaderEpoch::NONE,
        };
        let outcome = match self.partition.read(&self.env, request) {
            Ok(outcome) => outcome,
            Err(ReadError::OutOfRange { from, log_start, log_end, high_watermark }) => {
                assert!(from < log_start, "a reader that follows is never ahead");
                assert!(log_start <= high_watermark && high_watermark <= log_end);
                return (log_start, high_watermark);
            }
            Err(error) => panic!("{error}"),
        };
        assert!(outcome.log_start <= outcome.high_watermark);
        let mut next = from;
        if let Some(slice) = outcome.slice.bytes {
            let mut bytes = bytes_of(&slice);
            while !bytes.is_empty() {
                let batch = Batch::split_from(&mut bytes).expect("whole batches with right checksums");
                let header = batch.header();
                assert!(header.base_offset <= next, "no gap");
                assert_eq!(header.leader_epoch, LeaderEpoch(0));
                next = header.next_offset().expect("in range");
            }
        }
        assert!(next <= outcome.high_watermark, "read {next} beyond {}", outcome.high_watermark);
        (next, outcome.high_watermark)
    }

    /// A consumer that follows until it has read `end`.
    fn reader(&self, end: Offset) -> thread::JoinHandle<()> {
        let scene = self.clone();
        thread::spawn(move || {
            let (mut next, mut bound) = (Offset::ZERO, Offset::ZERO);
            while next < end {
                let (read, high_watermark) = scene.read(next);
                assert!(read >= next && high_watermark >= bound, "nothing that was visible is taken back");
                (next, bound) = (read, high_watermark);
                thread::yield_now();
            }
        })
    }
}

fn bytes_of<F: File>(slice: &FileSlice<F>) -> Bytes {
    let mut bytes = vec![0; slice.len as usize];
    let read = slice.file.read_at(TEST_READ, &mut bytes, slice.position).expect("the disk works");
    assert_eq!(read, bytes.len(), "a slice is all there");
    bytes.into()
}

/// Offsets are given once each, without a gap, and rise for each appender.
fn assert_dense(appenders: Vec<Vec<Appended>>) -> Offset {
    let mut all = Vec::new();
    for appended in appenders {
        assert!(appended.windows(2).all(|pair| pair[0].end <= pair[1].base_offset));
        all.extend(appended.iter().map(|appended| (appended.base_offset, appended.end)));
    }
    all.sort();
    let end = all.iter().fold(Offset::ZERO, |next, (base, end)| {
        assert_eq!(*base, next, "offsets are dense and unique");
        *end
    });
    assert_eq!(end, Offset(3 * BATCHES as i64));
    end
}

#[test]
fn appenders_a_deletion_and_a_reader() {
    shuttle::check_random(
        || {
            let scene = scene(u64::MAX);
            let appenders = [scene.appender(1), scene.appender(2)];
            let reader = scene.reader(Offset(3 * BATCHES as i64));
            let deleter = {
                let scene = scene.clone();
                thread::spawn(move || {
                    let mut start = Offset::ZERO;
                    for _ in 0..3 {
                        let moved = scene.partition.delete_records(&scene.env, Offset(-1)).expect("allowed");
                        assert!(moved >= start, "the log start never moves back");
                        start = moved;
                        scene.partition.retain(&scene.env, NOW).expect("the disk works");
                    }
                })
            };
            let appended = appenders.map(|appender| appender.join().expect("no panic"));
            let end = assert_dense(appended.into());
            deleter.join().expect("no panic");
            reader.join().expect("no panic");
            assert_eq!(scene.partition.progress().snapshot().log_end, end);
        },
        ROUNDS,
    );
}

#[test]
fn producers_that_wait_for_a_flush_are_woken_and_readers_see_only_what_is_flushed() {
    shuttle::check_random(
        || {
            let scene = scene(1);
            let reader = scene.reader(Offset(3 * BATCHES as i64));
            let producers = [1, 2].map(|count| {
                let scene = scene.clone();
                thread::spawn(move || (0..BATCHES).map(|_| scene.produce(count)).collect::<Vec<_>>())
            });
            let flusher = {
                let scene = scene.clone();
                thread::spawn(move || {
                    while scene.partition.progress().snapshot().flushed < Offset(3 * BATCHES as i64) {
                        future::block_on(scene.partition.flush(&scene.env, FlushScope::Everything));
                        thread::yield_now();
                    }
                })
            };
            assert_dense(producers.map(|producer| producer.join().expect("no panic")).into());
            flusher.join().expect("no panic");
            reader.join().expect("no panic");
            assert!(scene.partition.directory().parked().is_empty());
        },
        ROUNDS,
    );
}

#[test]
fn a_parked_fetch_is_never_forgotten() {
    shuttle::check_random(
        || {
            let scene = scene(u64::MAX);
            let request = |from| ReadRequest {
                from,
                bytes_max: 1 << 20,
                at_least_one_batch: true,
                isolation: Isolation::ReadUncommitted,
                current_leader_epoch: LeaderEpoch::NONE,
            };
            let consumer = {
                let scene = scene.clone();
                thread::spawn(move || {
                    let mut next = Offset::ZERO;
                    while next < Offset(2) {
                        let outcome = scene.partition.read(&scene.env, request(next)).expect("in range");
                        match outcome.slice.is_empty() {
                            false => next = outcome.slice.next_offset,
                            true => {
                                let later = scene.env.clock().now() + Duration::from_secs(60);
                                let parked = scene.partition.directory().parked();
                                let wakeup =
                                    future::block_on(parked.wait_for_bytes(&[outcome.need], 1, later));
                                assert_eq!(wakeup, Wakeup::Satisfied);
                            }
                        }
                    }
                })
            };
            let appender = {
                let scene = scene.clone();
                thread::spawn(move || (0..2).for_each(|_| drop(scene.append(1))))
            };
            appender.join().expect("no panic");
            consumer.join().expect("a fetch that is forgotten is a deadlock here");
        },
        ROUNDS,
    );
}

impl Scene {
    /// Appends and waits until acks=all may be answered.
    fn produce(&self, count: usize) -> Appended {
        let appended = self.append(count);
        let later = self.env.clock().now() + Duration::from_secs(60);
        loop {
            match self.partition.acknowledge(&appended, Acks::All) {
                Acknowledgement::Given => break,
                Acknowledgement::Awaits(need) => {
                    let parked = self.partition.directory().parked();
                    assert_eq!(future::block_on(parked.wait_for_offsets(&[need], later)), Wakeup::Satisfied);
                }
                Acknowledgement::Lost(error) => panic!("{error}"),
            }
        }
        assert!(
            self.partition.progress().snapshot().flushed >= appended.end,
            "acknowledged before it was flushed"
        );
        appended
    }
}
