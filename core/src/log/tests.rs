use std::io::ErrorKind;
use std::path::PathBuf;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, Bytes, BytesMut};

use super::recovery::Checkpointed;
use super::*;
use crate::env::memory::MemoryDisk;
use crate::env::{Disk, File, Step, Stepper};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::record::batch::{Batch, CRC_START, crc32c};
use crate::time::Timestamp;

mod dir;
mod failures;
mod gaps;
mod golden;
mod model;
#[cfg(feature = "museum")]
mod museum;
mod trial;

pub(super) const EPOCH: LeaderEpoch = LeaderEpoch(0);
pub(super) const NOW: Timestamp = Timestamp(1_000_000);

/// A batch as a client sends it; its records are noise, for nobody here looks at them.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) count: i32,
    pub(super) payload_len: usize,
    pub(super) timestamp: i64,
    pub(super) producer: i64,
    pub(super) sequence: i32,
}

pub(super) const ONE: Sent = Sent { count: 1, payload_len: 39, timestamp: 5, producer: -1, sequence: -1 };

impl Sent {
    pub(super) fn batch(self) -> Batch {
        let mut bytes = BytesMut::new();
        bytes.put_i64(0);
        bytes.put_i32(49 + self.payload_len as i32);
        bytes.put_i32(-1);
        bytes.put_i8(2);
        bytes.put_u32(0);
        bytes.put_i16(0);
        bytes.put_i32(self.count - 1);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.timestamp);
        bytes.put_i64(self.producer);
        bytes.put_i16(if self.producer < 0 { -1 } else { 0 });
        bytes.put_i32(self.sequence);
        bytes.put_i32(self.count);
        bytes.extend((0..self.payload_len).map(|at| (at as i64 + self.timestamp) as u8));
        let crc = crc32c(&bytes[CRC_START..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        Batch::split_from(&mut bytes.freeze()).expect("a good batch")
    }
}

/// A leader's batch: with the offset and the epoch it has there.
pub(super) fn at(sent: Sent, base_offset: Offset, epoch: LeaderEpoch) -> Batch {
    let batch = sent.batch();
    let mut bytes = BytesMut::from(&batch.bytes()[..]);
    bytes[..16].copy_from_slice(&batch.patched_prefix(base_offset, epoch));
    Batch::split_from(&mut bytes.freeze()).expect("only the prefix changed")
}

/// Futures of the in-memory disk never wait.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the in-memory disk does not wait"),
    }
}

pub(super) fn path() -> PathBuf {
    PathBuf::from("/p")
}

pub(super) fn small() -> Settings {
    Settings { segment_bytes: 1000, index_interval_bytes: 200, ..Settings::default() }
}

fn create(disk: &MemoryDisk, settings: Settings) -> Log<MemoryDisk> {
    Log::create(disk.clone(), path(), settings, Offset::ZERO, NOW).expect("an empty disk")
}

fn append(log: &mut Log<MemoryDisk>, sent: Sent) -> Appended {
    log.append(&sent.batch(), EPOCH, NOW).expect("the disk works")
}

fn append_many(log: &mut Log<MemoryDisk>, count: usize) {
    for _ in 0..count {
        append(log, ONE);
    }
}

pub(super) fn flush(log: &mut Log<MemoryDisk>) -> Option<Offset> {
    let flush = log.begin_flush(FlushScope::Everything);
    now(flush.sync()).expect("the disk works");
    log.end_flush(flush)
}

pub(super) fn recover(
    disk: &MemoryDisk,
    settings: Settings,
    checkpointed: Checkpointed,
    clean: bool,
) -> Result<Recovered<MemoryDisk>, LogError> {
    let mut recovery = Recovery::new(disk.clone(), path(), settings, checkpointed, clean, NOW);
    loop {
        if let Step::Done(recovered) = recovery.step() {
            return recovered;
        }
    }
}

/// What a slice's bytes are.
pub(super) fn bytes_of(slice: &Slice<<MemoryDisk as Disk>::File>) -> Bytes {
    let Some(slice) = &slice.bytes else { return Bytes::new() };
    let mut bytes = vec![0; slice.len as usize];
    let read = slice.file.read_at(sites::LOCATE_READ, &mut bytes, slice.position).expect("the disk works");
    assert_eq!(read, bytes.len(), "the slice is in the file");
    bytes.into()
}

/// All batches from `from` on, read bit by bit.
pub(super) fn read_all(view: &View<MemoryDisk>, mut from: Offset, bytes_max: u32) -> Vec<Batch> {
    let mut batches = Vec::new();
    while from < view.log_end() {
        let slice = view.read(from, view.log_end(), bytes_max, true).expect("the log is whole");
        assert!(slice.next_offset > from && !slice.is_empty(), "a read makes progress");
        let mut bytes = bytes_of(&slice);
        while !bytes.is_empty() {
            batches.push(Batch::split_from(&mut bytes).expect("a slice holds whole batches"));
        }
        from = slice.next_offset;
    }
    batches
}

#[test]
fn an_append_assigns_offsets_and_epoch_and_touches_nothing_else() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append(&mut log, Sent { count: 3, ..ONE });
    let batch = Sent { count: 2, ..ONE }.batch();
    let appended = log.append(&batch, LeaderEpoch(7), NOW).expect("the disk works");
    assert_eq!(
        (appended.base_offset, appended.last_offset, appended.log_end),
        (Offset(3), Offset(4), Offset(5))
    );

    let batches = read_all(&log.view(), Offset::ZERO, 1 << 20);
    assert_eq!(batches[1].header().base_offset, Offset(3));
    assert_eq!(batches[1].header().leader_epoch, LeaderEpoch(7));
    assert_eq!(batches[1].bytes()[16..], batch.bytes()[16..]);
    assert_eq!(*batches[1].bytes(), appended.on_disk(&batch));
    assert_eq!(log.epochs().end_of(EPOCH, log.log_end()).expect("known").end, Offset(3));
}

#[test]
fn an_append_is_one_write() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings::default());
    let before = disk.calls();
    append_many(&mut log, 10);
    assert_eq!(disk.calls() - before, 10);
}

#[test]
fn log_append_time_is_stamped_and_the_checksum_follows() {
    let disk = MemoryDisk::new(0);
    let settings = Settings { timestamp_type: TimestampType::LogAppendTime, ..small() };
    let mut log = create(&disk, settings);
    let appended = append(&mut log, ONE);
    assert_eq!(appended.log_append_time, NOW);
    let batches = read_all(&log.view(), Offset::ZERO, 1 << 20);
    assert_eq!(batches[0].header().max_timestamp, NOW);
    assert_eq!(batches[0].header().attributes, 0b1000);
    assert_eq!(*batches[0].bytes(), appended.on_disk(&ONE.batch()));
}

#[test]
fn a_follower_keeps_offsets_and_may_leave_a_gap_but_never_overlap() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 2);
    let batch = at(ONE, Offset(9), EPOCH);
    assert_eq!(log.append_as_follower(&batch, NOW).expect("it follows").log_end, Offset(10));
    assert!(matches!(log.append_as_follower(&batch, NOW), Err(AppendError::NotAtEnd { .. })));
    let slice = log.view().read(Offset(5), Offset(10), 1000, true).expect("inside");
    assert_eq!(slice.first_offset, Offset(9));
}

#[test]
fn impossible_batches_are_refused() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    let large = Sent { payload_len: 2000, ..ONE }.batch();
    assert!(matches!(log.append(&large, EPOCH, NOW), Err(AppendError::LargerThanSegment { .. })));
    let backwards = Sent { count: -4, ..ONE }.batch();
    assert!(matches!(log.append(&backwards, EPOCH, NOW), Err(AppendError::Offsets { .. })));
    let mut log = Log::create(disk, "/q".into(), small(), Offset(i64::MAX - 2), NOW).expect("an empty disk");
    append_many(&mut log, 2);
    assert!(matches!(log.append(&ONE.batch(), EPOCH, NOW), Err(AppendError::Offsets { .. })));
}

#[test]
fn a_segment_is_rolled_before_it_would_be_too_large() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 25);
    assert_eq!(log.segment_count(), 3);
    let names: Vec<String> = disk
        .list(sites::RECOVERY_LIST, &path())
        .expect("there")
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(
        names,
        [
            "00000000000000000000.index",
            "00000000000000000000.log",
            "00000000000000000000.timeindex",
            "00000000000000000010.index",
            "00000000000000000010.log",
            "00000000000000000010.snapshot",
            "00000000000000000010.timeindex",
            "00000000000000000020.log",
            "00000000000000000020.snapshot",
        ]
    );
}

#[test]
fn a_segment_is_rolled_when_its_first_batch_is_old() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { segment_ms: 100, ..small() });
    for timestamp in [1000, 1100, 1101] {
        append(&mut log, Sent { timestamp, ..ONE });
    }
    assert_eq!(log.segment_count(), 2);
    let mut log = Log::create(disk, "/q".into(), Settings { segment_ms: 100, ..small() }, Offset::ZERO, NOW)
        .expect("a new name");
    for later in [0, 100, 101] {
        let sent = Sent { timestamp: -1, ..ONE };
        log.append(&sent.batch(), EPOCH, Timestamp(NOW.0 + later)).expect("the disk works");
    }
    assert_eq!(log.segment_count(), 2);
}

#[test]
fn reads_give_whole_batches_within_their_limits() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings::default());
    for _ in 0..20 {
        append(&mut log, Sent { count: 2, ..ONE });
    }
    let view = log.view();
    let check = |from, bound, bytes_max, at_least_one, expect: (i64, i64, u32)| {
        let slice = view.read(Offset(from), Offset(bound), bytes_max, at_least_one).expect("inside");
        assert_eq!((slice.first_offset.0, slice.next_offset.0, slice.len()), expect);
    };
    check(0, 40, 10_000, false, (0, 40, 2000));
    check(5, 40, 10_000, false, (4, 40, 1800));
    check(4, 40, 350, false, (4, 10, 300));
    check(4, 40, 300, false, (4, 10, 300));
    check(4, 40, 99, false, (4, 4, 0));
    check(4, 40, 99, true, (4, 6, 100));
    check(4, 8, 10_000, true, (4, 8, 200));
    check(4, 7, 10_000, true, (4, 6, 100));
    check(4, 4, 10_000, true, (4, 4, 0));
    check(40, 40, 10_000, true, (40, 40, 0));
    let out = view.read(Offset(41), Offset(40), 1, true);
    assert!(matches!(out, Err(ReadError::OutOfRange { log_end: Offset(40), .. })));
    assert!(matches!(view.read(Offset(-1), Offset(40), 1, true), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn a_view_shows_later_appends_and_its_slices_outlive_retention() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    let view = log.view();
    append_many(&mut log, 5);
    let slice = view.read(Offset::ZERO, Offset(5), 10_000, true).expect("inside");
    let bytes = bytes_of(&slice);
    append_many(&mut log, 20);
    log.set_settings(Settings { retention_bytes: 0, ..small() });
    let retained = log.delete_old_segments(NOW, Offset(25)).expect("the disk works");
    assert_eq!((retained.segments_removed, retained.log_start), (3, Offset(25)));
    assert_eq!(bytes_of(&slice), bytes);
    assert!(matches!(view.read(Offset(12), Offset(25), 100, true), Err(ReadError::CutMeanwhile)));
    assert!(matches!(log.view().read(Offset(12), Offset(25), 100, true), Err(ReadError::OutOfRange { .. })));
    assert_eq!(append(&mut log, ONE).base_offset, Offset(25));
}

#[test]
fn timestamps_are_found_by_batch() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    for timestamp in [10, 30, 20, 50, 40, 60, 70, 65, 80, 90, 100, 110, 95] {
        append(&mut log, Sent { timestamp, ..ONE });
    }
    let view = log.view();
    let find = |timestamp| {
        let found = view.offset_for_timestamp(Timestamp(timestamp)).expect("the disk works");
        found.map(|found| (found.timestamp.0, found.offset.0))
    };
    assert_eq!(find(0), Some((10, 0)));
    assert_eq!(find(11), Some((30, 1)));
    assert_eq!(find(55), Some((60, 5)));
    assert_eq!(find(96), Some((100, 10)));
    assert_eq!(find(111), None);
    let largest = view.max_timestamp().expect("there are batches");
    assert_eq!((largest.timestamp, largest.offset), (Timestamp(110), Offset(11)));
    assert_eq!(view.slice_of_max_timestamp().expect("works").expect("there").first_offset, Offset(11));
}

#[test]
fn after_a_cut_appends_go_to_a_new_file() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 25);
    let slice = log.view().read(Offset(10), Offset(25), 10_000, true).expect("inside");
    let truncated = log.truncate_to(Offset(13), NOW).expect("the disk works");
    assert_eq!(truncated, Offset(13));
    let cut = disk.bytes("/p/00000000000000000010.log").expect("it stays");
    log.append(&ONE.batch(), LeaderEpoch(1), NOW).expect("the disk works");
    assert_eq!(disk.bytes("/p/00000000000000000010.log").expect("it stays"), cut);
    assert_eq!(disk.bytes("/p/00000000000000000013.log").expect("it is new").len(), 100);
    // Who got a slice before finds it short, never with other bytes.
    let file = &slice.bytes.as_ref().expect("it was not empty").file;
    assert_eq!(file.len(sites::LOCATE_READ).expect("open"), 300);
    let batches = read_all(&log.view(), Offset::ZERO, 250);
    assert_eq!(batches.len(), 14);
    assert_eq!(batches[13].header().leader_epoch, LeaderEpoch(1));
}

#[test]
fn a_cut_takes_whole_batches_epochs_and_producers_with_it() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    for sequence in 0..30 {
        append(&mut log, Sent { producer: 7, sequence: 2 * sequence, count: 2, ..ONE });
    }
    log.begin_epoch(LeaderEpoch(3));
    assert_eq!(log.truncate_to(Offset(60), NOW).expect("works"), Offset(60));
    assert_eq!(log.latest_epoch().expect("written").epoch, EPOCH, "KAFKA-10706");
    assert_eq!(log.truncate_to(Offset(25), NOW).expect("works"), Offset(24));
    let last = log.producers().get(ProducerId(7)).expect("written").batches.back().copied();
    assert_eq!(last.expect("written").last_offset, Offset(23));
    assert_eq!(log.truncate_to(Offset(0), NOW).expect("works"), Offset(0));
    assert!(log.producers().is_empty() && log.epochs().entries().is_empty());
    assert_eq!(append(&mut log, ONE).base_offset, Offset(0));
}

#[test]
fn a_cut_below_the_start_begins_the_log_anew() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 25);
    assert!(log.advance_log_start(Offset(22)));
    log.delete_old_segments(NOW, Offset(25)).expect("the disk works");
    let truncated = log.truncate_to(Offset(5), NOW).expect("the disk works");
    assert_eq!((truncated, log.log_start(), log.segment_count()), (Offset(5), Offset(5), 1));
}

#[test]
fn a_flush_that_a_cut_overtook_proves_nothing() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append_many(&mut log, 15);
    assert_eq!(flush(&mut log), Some(Offset(15)));
    append_many(&mut log, 5);
    let overtaken = log.begin_flush(FlushScope::Everything);
    assert_eq!(log.end_of_cut(Offset(12)).expect("works"), Some(Offset(12)), "below what was flushed");
    assert_eq!(log.truncate_to(Offset(12), NOW).expect("works"), Offset(12));
    append_many(&mut log, 8);
    now(overtaken.sync()).expect("the disk works");
    assert_eq!(log.end_flush(overtaken), None);
    assert_eq!((log.flushed(), log.recovery_point()), (Offset(12), Offset(12)));
    assert_eq!(flush(&mut log), Some(Offset(20)));
    assert!(!log.wants_flush());
}

#[test]
fn a_flush_at_rest_is_one_sync() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    append(&mut log, ONE);
    flush(&mut log);
    append(&mut log, ONE);
    let before = disk.calls();
    flush(&mut log);
    assert_eq!(disk.calls() - before, 1);
}

#[test]
fn retention_removes_the_oldest_but_nothing_above_the_high_watermark() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { retention_bytes: 1500, ..small() });
    append_many(&mut log, 35);
    assert_eq!(log.delete_old_segments(NOW, Offset(19)).expect("works").log_start, Offset(10));
    assert_eq!(log.delete_old_segments(NOW, Offset(35)).expect("works").log_start, Offset(20));
    assert_eq!(log.size_bytes(), 1500);
    assert_eq!(log.epochs().entries()[0].start, Offset(20));
}

#[test]
fn retention_removes_what_is_old() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { retention_ms: 100, retention_bytes: -1, ..small() });
    for timestamp in 0..25 {
        append(&mut log, Sent { timestamp: NOW.0 + 10 * timestamp, ..ONE });
    }
    let at = |later| Timestamp(NOW.0 + later);
    assert_eq!(log.delete_old_segments(at(190), Offset(25)).expect("works").segments_removed, 0);
    assert_eq!(log.delete_old_segments(at(191), Offset(25)).expect("works").log_start, Offset(10));
    assert_eq!(log.delete_old_segments(at(999), Offset(25)).expect("works").log_start, Offset(25));
    assert_eq!((log.segment_count(), log.size_bytes()), (1, 0));
}

#[test]
fn the_start_moves_at_once_and_files_go_with_retention() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { retention_ms: -1, ..small() });
    append_many(&mut log, 25);
    assert!(log.advance_log_start(Offset(15)));
    assert!(!log.advance_log_start(Offset(3)));
    assert!(matches!(log.view().read(Offset(14), Offset(25), 1, true), Err(ReadError::OutOfRange { .. })));
    assert_eq!(log.segment_count(), 3);
    assert_eq!(log.delete_old_segments(NOW, Offset(25)).expect("works").segments_removed, 1);
    assert_eq!(log.log_start(), Offset(15));
}

#[test]
fn space_is_reserved_ahead_and_given_back() {
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, Settings { preallocate: true, ..small() });
    for _ in 0..7 {
        append(&mut log, Sent { payload_len: 99, ..ONE });
    }
    assert!(disk.sites().contains(&sites::APPEND_ALLOCATE) && disk.sites().contains(&sites::SEGMENT_TRIM));
}

#[test]
fn producers_are_asked_before_and_follow_after() {
    use crate::replica::producers::Admission;
    let disk = MemoryDisk::new(0);
    let mut log = create(&disk, small());
    let batch = Sent { producer: 3, sequence: 0, count: 2, ..ONE }.batch();
    assert_eq!(log.producers().check(batch.header()), Ok(Admission::New));
    log.append(&batch, EPOCH, NOW).expect("the disk works");
    let duplicate = log.producers().check(batch.header());
    assert!(matches!(
        duplicate,
        Ok(Admission::Duplicate { base_offset: Offset(0), last_offset: Offset(1), .. })
    ));
    let zombie = log.producers().get(ProducerId(3)).expect("written").epoch;
    assert_eq!(zombie, ProducerEpoch(0));
}
