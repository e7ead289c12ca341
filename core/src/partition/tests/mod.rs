//! One partition on a disk in memory.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::env::memory::MemoryDisk;
use crate::env::one_node::OneNode;
use crate::env::{Clock, Env, File, Lane, Task};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicPartition, Uuid};
use crate::log::FlushScope;
use crate::log::dir::LogDir;
use crate::log::{TimestampType, sites};
use crate::purgatory::{Mark, Wakeup};
use crate::record::batch::Batch;
use crate::record::builder::{BatchBuilder, set_producer};
use crate::record::compression::Codec;
use crate::replica::producers::ProducerError;
use crate::sync::Arc;
use crate::time::{Instant, Timestamp};

mod append;
mod background;
mod flush;
mod lookup;
mod read;
mod retention;

type TestEnv = OneNode<MemoryDisk>;

const EPOCH: LeaderEpoch = LeaderEpoch(3);
const NOW: Timestamp = Timestamp(1_000_000);

struct Scene {
    env: TestEnv,
    disk: MemoryDisk,
    partition: Arc<Partition<TestEnv>>,
    table: Arc<Table<TestEnv>>,
    directory: Arc<Directory<MemoryDisk>>,
}

fn page_cache() -> Settings {
    Settings::default()
}

fn flush_first() -> Settings {
    Settings { flush_messages: 1, ..Settings::default() }
}

fn follower(settings: Settings) -> Scene {
    let disk = MemoryDisk::new(1);
    let env = OneNode::new(disk.clone());
    env.keep_facts();
    let id = TopicPartition::new(Uuid([9; 16]), 0);
    let opened =
        env.block_on(LogDir::open(disk.clone(), PathBuf::from("/d"), settings.log.switches)).unwrap();
    let log = opened.dir.create_log(id, settings.log, Offset::ZERO, NOW).unwrap();
    let directory = Arc::new(Directory::new(Arc::new(opened.dir), Arc::new(Parked::default())));
    let partition = Arc::new(Partition::new(id, log, Offset::ZERO, settings, directory.clone()));
    let table = Arc::new(Table::default());
    table.insert(partition.clone());
    Scene { env, disk, partition, table, directory }
}

fn leader(settings: Settings) -> Scene {
    let scene = follower(settings);
    scene.partition.become_leader(&scene.env, EPOCH).unwrap();
    scene
}

fn batch_of(build: impl FnOnce(&mut BatchBuilder)) -> Batch {
    let mut builder = BatchBuilder::new(Codec::None);
    build(&mut builder);
    Batch::split_from(&mut builder.build()).unwrap()
}

/// A batch whose records have these timestamps.
fn batch_at(timestamps: &[i64]) -> Batch {
    batch_of(|builder| {
        for &timestamp in timestamps {
            builder.append(Timestamp(timestamp), None, Some(b"value"), &[]);
        }
    })
}

fn batch(count: usize) -> Batch {
    batch_at(&vec![500; count])
}

fn idempotent(sequence: i32) -> Batch {
    idempotent_at(sequence, Timestamp(500))
}

fn idempotent_at(sequence: i32, timestamp: Timestamp) -> Batch {
    batch_of(|builder| {
        builder.producer(ProducerId(7), ProducerEpoch(0), sequence);
        builder.append(timestamp, None, Some(b"value"), &[]);
    })
}

impl Scene {
    fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.partition.append_as_leader(&self.env, batch, Acks::All, LeaderEpoch::NONE, NOW)
    }

    fn read(&self, from: i64) -> Result<ReadOutcome<MemoryDisk>, ReadError> {
        self.partition.read(&self.env, request(from))
    }

    fn bytes_from(&self, from: i64) -> Bytes {
        let Some(slice) = self.read(from).unwrap().slice.bytes else { return Bytes::new() };
        let mut bytes = vec![0; slice.len as usize];
        let read = slice.file.read_at(LOOKUP_READ, &mut bytes, slice.position).unwrap();
        assert_eq!(read, bytes.len());
        bytes.into()
    }

    fn flush(&self) {
        self.env.block_on(self.partition.flush(&self.env, FlushScope::Everything));
    }

    fn find(&self, spec: OffsetSpec) -> FoundOffset {
        let mut budget = LookupBudget::new(usize::MAX);
        self.partition.find_offset(spec, Isolation::ReadUncommitted, LeaderEpoch::NONE, &mut budget).unwrap()
    }

    fn high_watermark(&self) -> i64 {
        self.partition.progress().snapshot().high_watermark.0
    }

    fn soon(&self) -> Instant {
        self.env.clock().now() + Duration::from_secs(1)
    }

    fn flusher(&self) -> Task {
        let flusher = self.new_flusher();
        self.env.spawn(Lane::Data, "flusher", flusher.run())
    }

    fn background(&self, settings: FlusherSettings) -> Task {
        let (env, directory, table) = (self.env.clone(), self.directory.clone(), self.table.clone());
        let flusher = Arc::new(Flusher::new(env, directory, table, settings));
        self.env.spawn(Lane::Data, "background", flusher.run_background())
    }

    fn new_flusher(&self) -> Arc<Flusher<TestEnv>> {
        let (env, directory, table) = (self.env.clone(), self.directory.clone(), self.table.clone());
        Arc::new(Flusher::new(env, directory, table, FlusherSettings::default()))
    }
}

fn request(from: i64) -> ReadRequest {
    ReadRequest {
        from: Offset(from),
        bytes_max: 1 << 20,
        at_least_one_batch: true,
        isolation: Isolation::ReadUncommitted,
        current_leader_epoch: LeaderEpoch::NONE,
    }
}

fn awaits(acknowledgement: Acknowledgement) -> OffsetNeed {
    match acknowledgement {
        Acknowledgement::Awaits(need) => need,
        Acknowledgement::Given => panic!("acknowledged at once"),
        Acknowledgement::Lost(error) => panic!("lost: {error}"),
    }
}

fn sleep(scene: &Scene, wait: Duration) {
    let clock = scene.env.clock();
    scene.env.block_on(clock.sleep_until(clock.now() + wait));
}
