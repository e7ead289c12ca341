use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::env::memory::MemoryDisk;
use crate::env::one_node::OneNode;
use crate::env::{Clock, Env, File, Lane, Task};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicPartition, Uuid};
use crate::log::dir::LogDir;
use crate::log::{TimestampType, sites};
use crate::museum::Switches;
use crate::purgatory::{Mark, Wakeup};
use crate::record::batch::Batch;
use crate::record::builder::{BatchBuilder, set_producer};
use crate::record::compression::Codec;
use crate::replica::producers::ProducerError;
use crate::sync::Arc;
use crate::time::{Instant, Timestamp};

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
    let opened = env.block_on(LogDir::open(disk.clone(), PathBuf::from("/d"), Switches::default())).unwrap();
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
    batch_of(|builder| {
        builder.producer(ProducerId(7), ProducerEpoch(0), sequence);
        builder.append(Timestamp(500), None, Some(b"value"), &[]);
    })
}

impl Scene {
    fn append(&self, batch: &Batch) -> Result<Appended, AppendError> {
        self.partition.append_as_leader(&self.env, batch, LeaderEpoch::NONE, NOW)
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
        self.env.block_on(self.partition.flush(&self.env));
    }

    fn find(&self, spec: OffsetSpec) -> FoundOffset {
        self.partition.find_offset(spec, Isolation::ReadUncommitted, LeaderEpoch::NONE).unwrap()
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

#[test]
fn offsets_are_dense_and_what_was_appended_is_read_back() {
    let scene = leader(page_cache());
    let first = scene.append(&batch(3)).unwrap();
    let second = scene.append(&batch(2)).unwrap();
    assert_eq!((first.base_offset, first.end), (Offset(0), Offset(3)));
    assert_eq!((second.base_offset, second.end), (Offset(3), Offset(5)));
    let mut bytes = scene.bytes_from(0);
    for (base, appended) in [(0, batch(3)), (3, batch(2))] {
        let read = Batch::split_from(&mut bytes).unwrap();
        assert_eq!((read.header().base_offset, read.header().leader_epoch), (Offset(base), EPOCH));
        assert_eq!(read.bytes()[16..], appended.bytes()[16..]);
    }
    assert!(bytes.is_empty());
}

#[test]
fn with_the_page_cache_trusted_records_are_committed_at_once() {
    let scene = leader(page_cache());
    let appended = scene.append(&batch(3)).unwrap();
    assert_eq!(scene.high_watermark(), 3);
    for acks in [Acks::Leader, Acks::All] {
        assert!(matches!(scene.partition.acknowledge(&appended, acks), Acknowledgement::Given));
    }
}

#[test]
fn with_flush_messages_1_nothing_counts_before_it_is_flushed() {
    let scene = leader(flush_first());
    let appended = scene.append(&batch(3)).unwrap();
    assert_eq!(scene.high_watermark(), 0);
    assert!(scene.bytes_from(0).is_empty(), "consumers do not see it");
    assert_eq!(awaits(scene.partition.acknowledge(&appended, Acks::All)).mark, Mark::HighWatermark);
    assert_eq!(awaits(scene.partition.acknowledge(&appended, Acks::Leader)).mark, Mark::Flushed);
    scene.flush();
    assert_eq!(scene.high_watermark(), 3);
    assert!(matches!(scene.partition.acknowledge(&appended, Acks::All), Acknowledgement::Given));
    assert_eq!(scene.bytes_from(0).len(), batch(3).bytes().len());
}

#[test]
fn a_flush_proves_only_what_was_appended_before_it_began() {
    let scene = leader(flush_first());
    scene.append(&batch(1)).unwrap();
    let mut flush = std::pin::pin!(scene.partition.flush(&scene.env));
    // The first poll ends at the checkpoint before the flush, the second one at the one behind the sync.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    scene.append(&batch(1)).unwrap();
    scene.env.block_on(flush);
    assert_eq!(scene.high_watermark(), 1);
    scene.flush();
    assert_eq!(scene.high_watermark(), 2);
}

#[test]
fn the_flusher_serves_all_who_ask_and_wakes_them() {
    let scene = leader(flush_first());
    let _flusher = scene.flusher();
    for _ in 0..3 {
        let appended = scene.append(&batch(2)).unwrap();
        let need = awaits(scene.partition.acknowledge(&appended, Acks::All));
        let parked = scene.directory.parked();
        let wakeup = scene.env.block_on(parked.wait_for_offsets(&[need], scene.soon()));
        assert_eq!(wakeup, Wakeup::Satisfied);
        assert!(matches!(scene.partition.acknowledge(&appended, Acks::All), Acknowledgement::Given));
    }
    assert_eq!(scene.high_watermark(), 6);
}

#[test]
fn a_repeated_batch_gets_the_old_offset_and_waits_like_the_original() {
    let scene = leader(flush_first());
    let original = scene.append(&idempotent(0)).unwrap();
    scene.append(&idempotent(1)).unwrap();
    let repeated = scene.append(&idempotent(0)).unwrap();
    assert!(repeated.duplicate);
    assert_eq!((repeated.base_offset, repeated.end), (original.base_offset, original.end));
    assert_eq!(awaits(scene.partition.acknowledge(&repeated, Acks::All)).offset, original.end);
    scene.flush();
    assert!(matches!(scene.partition.acknowledge(&repeated, Acks::All), Acknowledgement::Given));
    assert_eq!(scene.partition.progress().snapshot().log_end, Offset(2), "nothing was appended again");
}

#[test]
fn a_gap_in_the_sequence_is_refused() {
    let scene = leader(page_cache());
    scene.append(&idempotent(0)).unwrap();
    let error = scene.append(&idempotent(2)).unwrap_err();
    assert!(matches!(error, AppendError::Producer(ProducerError::OutOfOrderSequence { .. })), "{error}");
}

#[test]
fn only_the_leader_appends_and_only_in_the_epoch_expected() {
    let scene = follower(page_cache());
    assert_eq!(scene.append(&batch(1)).unwrap_err(), LeadershipError::NotLeader.into());
    scene.partition.become_leader(&scene.env, EPOCH).unwrap();
    let append = |epoch| scene.partition.append_as_leader(&scene.env, &batch(1), LeaderEpoch(epoch), NOW);
    assert!(append(3).is_ok());
    let fenced = LeadershipError::Fenced { offered: LeaderEpoch(2), current: EPOCH };
    assert_eq!(append(2).unwrap_err(), fenced.into());
    let unknown = LeadershipError::Unknown { offered: LeaderEpoch(4), current: EPOCH };
    assert_eq!(append(4).unwrap_err(), unknown.into());
}

#[test]
fn a_batch_above_the_topics_limit_is_refused() {
    let scene = leader(Settings { message_bytes_max: 80, ..page_cache() });
    let error = scene.append(&batch(3)).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { bytes_max: 80, .. }), "{error}");
    assert_eq!(scene.partition.progress().snapshot().log_end, Offset(0));
}

#[test]
fn a_topic_with_log_append_time_stamps_its_batches() {
    let mut settings = page_cache();
    settings.log.timestamp_type = TimestampType::LogAppendTime;
    let scene = leader(settings);
    let appended = scene.append(&idempotent(0)).unwrap();
    assert_eq!(appended.log_append_time, NOW);
    let read = Batch::split_from(&mut scene.bytes_from(0)).unwrap();
    assert_eq!((read.header().max_timestamp, read.header().attributes), (NOW, 8));
    let later = Timestamp(NOW.0 + 5);
    let repeated =
        scene.partition.append_as_leader(&scene.env, &idempotent(0), LeaderEpoch::NONE, later).unwrap();
    assert_eq!(repeated.log_append_time, NOW, "the original's");
}

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

#[test]
fn a_new_leadership_wakes_producers_and_never_acknowledges_for_the_old_one() {
    let scene = leader(flush_first());
    let appended = scene.append(&batch(1)).unwrap();
    let need = awaits(scene.partition.acknowledge(&appended, Acks::All));
    let waiting = scene.directory.parked().wait_for_offsets(&[need], scene.soon());
    scene.partition.become_leader(&scene.env, LeaderEpoch(4)).unwrap();
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
    scene.flush();
    let lost = scene.partition.acknowledge(&appended, Acks::All);
    assert!(matches!(lost, Acknowledgement::Lost(AppendError::Leadership(LeadershipError::NotLeader))));
}

#[test]
fn an_older_epoch_does_not_replace_a_newer_one() {
    let scene = leader(page_cache());
    scene.partition.become_leader(&scene.env, LeaderEpoch(2)).unwrap();
    assert_eq!(scene.partition.progress().snapshot().role, Role::Leader(EPOCH));
}

#[test]
fn the_first_and_the_latest_offset_are_listed_with_their_epochs() {
    let scene = leader(page_cache());
    let none = Timestamp::NONE;
    let earliest = FoundOffset { offset: Offset(0), timestamp: none, leader_epoch: LeaderEpoch::NONE };
    assert_eq!(scene.find(OffsetSpec::Earliest), earliest, "an empty log has no record, and no epoch of one");
    scene.append(&batch(2)).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(5)).unwrap();
    let earliest = FoundOffset { offset: Offset(0), timestamp: none, leader_epoch: EPOCH };
    assert_eq!(scene.find(OffsetSpec::Earliest), earliest);
    let latest = FoundOffset { offset: Offset(2), timestamp: none, leader_epoch: LeaderEpoch(5) };
    assert_eq!(scene.find(OffsetSpec::Latest), latest);
    assert_eq!(scene.find(OffsetSpec::LatestTiered), FoundOffset::NONE);
}

#[test]
fn a_new_leader_lists_no_latest_offset_before_it_knows_what_is_committed() {
    let scene = leader(flush_first());
    scene.append(&batch(2)).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(5)).unwrap();
    let latest =
        || scene.partition.find_offset(OffsetSpec::Latest, Isolation::ReadUncommitted, LeaderEpoch::NONE);
    assert!(matches!(latest(), Err(LookupError::NotAvailable { .. })));
    scene.flush();
    assert_eq!(latest().unwrap().offset, Offset(2));
}

#[test]
fn a_timestamp_finds_the_first_record_that_is_not_older() {
    let scene = leader(page_cache());
    scene.append(&batch_at(&[100, 110])).unwrap();
    scene.append(&batch_at(&[130, 120, 140])).unwrap();
    let found = |timestamp| {
        let found = scene.find(OffsetSpec::Timestamp(Timestamp(timestamp)));
        (found.offset.0, found.timestamp.0, found.leader_epoch)
    };
    assert_eq!(found(0), (0, 100, EPOCH));
    assert_eq!(found(105), (1, 110, EPOCH));
    assert_eq!(found(111), (2, 130, EPOCH));
    assert_eq!(found(135), (4, 140, EPOCH));
    assert_eq!(found(141), (-1, -1, LeaderEpoch::NONE));
}

#[test]
fn the_largest_timestamp_finds_its_record() {
    let scene = leader(page_cache());
    assert_eq!(scene.find(OffsetSpec::MaxTimestamp), FoundOffset::NONE);
    scene.append(&batch_at(&[100, 300, 200])).unwrap();
    scene.append(&batch_at(&[250, 260])).unwrap();
    let found = FoundOffset { offset: Offset(1), timestamp: Timestamp(300), leader_epoch: EPOCH };
    assert_eq!(scene.find(OffsetSpec::MaxTimestamp), found);
}

#[test]
fn records_below_the_log_start_are_not_found_by_time() {
    let scene = leader(page_cache());
    scene.append(&batch_at(&[100, 200])).unwrap();
    scene.append(&batch_at(&[150, 120])).unwrap();
    scene.partition.delete_records(&scene.env, Offset(1)).unwrap();
    assert_eq!(scene.find(OffsetSpec::Timestamp(Timestamp(50))).offset, Offset(1));
    scene.partition.delete_records(&scene.env, Offset(3)).unwrap();
    assert_eq!(scene.find(OffsetSpec::Timestamp(Timestamp(50))).offset, Offset(3));
}

#[test]
fn malformed_records_are_survived_by_a_lookup() {
    let scene = leader(page_cache());
    let mut bytes = BytesMut::from(&batch_at(&[100, 110]).bytes()[..]);
    bytes[61..].fill(0xff);
    set_producer(&mut bytes, ProducerId::NONE, ProducerEpoch::NONE, -1);
    let malformed = Batch::split_from(&mut bytes.freeze()).unwrap();
    scene.append(&malformed).unwrap();
    let found = scene.find(OffsetSpec::Timestamp(Timestamp(105)));
    assert_eq!((found.offset, found.timestamp), (Offset(0), Timestamp(110)), "the batch as a whole");
}

#[test]
fn the_end_of_an_epoch_is_where_the_next_one_begins() {
    let scene = leader(page_cache());
    scene.append(&batch(2)).unwrap();
    scene.partition.become_leader(&scene.env, LeaderEpoch(5)).unwrap();
    scene.append(&batch(2)).unwrap();
    let end = |epoch| {
        let end = scene.partition.end_of_epoch(LeaderEpoch(epoch), LeaderEpoch::NONE).unwrap();
        end.map(|end| (end.epoch.0, end.end.0))
    };
    assert_eq!(end(3), Some((3, 2)));
    assert_eq!(end(4), Some((3, 2)));
    assert_eq!(end(5), Some((5, 4)));
    assert_eq!(end(6), None);
}

#[test]
fn deleted_records_are_gone_and_only_committed_ones_can_be_deleted() {
    let scene = leader(flush_first());
    scene.append(&batch(4)).unwrap();
    let delete = |offset| scene.partition.delete_records(&scene.env, Offset(offset));
    assert!(matches!(delete(1), Err(DeleteRecordsError::OutOfRange { .. })));
    scene.flush();
    assert!(matches!(delete(5), Err(DeleteRecordsError::OutOfRange { .. })));
    assert!(matches!(delete(-2), Err(DeleteRecordsError::OutOfRange { .. })));
    assert_eq!(delete(2), Ok(Offset(2)));
    assert_eq!(delete(1), Ok(Offset(2)), "the start never moves back");
    assert!(matches!(scene.read(1), Err(ReadError::OutOfRange { .. })));
    assert_eq!(delete(-1), Ok(Offset(4)), "-1 is the high watermark");
    assert_eq!(scene.append(&batch(1)).unwrap().base_offset, Offset(4));
}

#[test]
fn retention_moves_the_start_and_wakes_who_waits() {
    let mut settings = page_cache();
    settings.log.segment_bytes = 100;
    settings.log.retention_bytes = 100;
    let scene = leader(settings);
    for _ in 0..5 {
        scene.append(&batch(1)).unwrap();
    }
    let waiting = scene.directory.parked().wait_for_bytes(&[scene.read(0).unwrap().need], 1, scene.soon());
    scene.partition.retain(&scene.env, NOW).unwrap();
    let snapshot = scene.partition.progress().snapshot();
    assert!(snapshot.log_start > Offset(0));
    assert!(snapshot.log_start <= snapshot.high_watermark);
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
}

#[test]
fn a_failed_write_takes_the_whole_directory_offline_for_good() {
    let scene = leader(page_cache());
    let before = scene.append(&batch(1)).unwrap();
    let waiting = scene.directory.parked().wait_for_bytes(&[scene.read(1).unwrap().need], 1, scene.soon());
    scene.disk.fail_next(sites::APPEND_WRITE, std::io::ErrorKind::Other);
    assert!(matches!(scene.append(&batch(1)), Err(AppendError::Storage(_))));
    assert!(matches!(scene.append(&batch(1)), Err(AppendError::Storage(_))), "and it is not tried again");
    assert!(matches!(scene.read(0), Err(ReadError::Storage(_))));
    assert!(matches!(
        scene.partition.delete_records(&scene.env, Offset(1)),
        Err(DeleteRecordsError::Storage(_))
    ));
    assert!(matches!(
        scene.partition.acknowledge(&before, Acks::All),
        Acknowledgement::Lost(AppendError::Storage(_))
    ));
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
    scene.env.block_on(scene.directory.failed());
    let offline = scene.env.take_facts().into_iter().filter(|fact| *fact == Fact::DirectoryOffline);
    assert_eq!(offline.count(), 1);
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_is_never_tried_again() {
    let scene = leader(flush_first());
    let _flusher = scene.flusher();
    let appended = scene.append(&batch(1)).unwrap();
    scene.disk.fail_next(sites::FLUSH_SYNC_ACTIVE, std::io::ErrorKind::Other);
    let need = awaits(scene.partition.acknowledge(&appended, Acks::All));
    let waiting = scene.directory.parked().wait_for_offsets(&[need], scene.soon());
    assert_eq!(scene.env.block_on(waiting), Wakeup::Changed);
    assert!(matches!(
        scene.partition.acknowledge(&appended, Acks::All),
        Acknowledgement::Lost(AppendError::Storage(_))
    ));
    let calls = scene.disk.calls();
    scene.flush();
    assert_eq!(scene.disk.calls(), calls);
}

#[test]
fn facts_tell_what_is_on_disk_and_what_became_visible() {
    let scene = leader(page_cache());
    scene.env.take_facts();
    scene.append(&batch(1)).unwrap();
    let facts = scene.env.take_facts();
    let [Fact::Appended { batches, log_end, .. }, Fact::HighWatermark { high_watermark, .. }] = &facts[..]
    else {
        panic!("{facts:?}")
    };
    assert_eq!((*log_end, *high_watermark), (Offset(1), Offset(1)));
    assert_eq!(*batches, scene.bytes_from(0));
    let fetched = Fact::Fetched { partition: scene.partition.id(), from: Offset(0), bound: Offset(1) };
    assert_eq!(scene.env.take_facts(), [fetched]);
}

#[test]
fn the_high_watermark_does_not_fall_when_a_topic_begins_to_flush_first() {
    let scene = leader(page_cache());
    scene.append(&batch(3)).unwrap();
    scene.partition.update_settings(&scene.env, flush_first());
    assert_eq!(scene.high_watermark(), 3);
    scene.append(&batch(1)).unwrap();
    assert_eq!(scene.high_watermark(), 3);
    scene.flush();
    assert_eq!(scene.high_watermark(), 4);
    scene.append(&batch(1)).unwrap();
    scene.partition.update_settings(&scene.env, page_cache());
    assert_eq!(scene.high_watermark(), 5, "and it rises when the topic stops to");
}
