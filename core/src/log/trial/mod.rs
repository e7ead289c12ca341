//! What must hold of a recovery whatever it finds: any bytes as the files of a log directory.
//!
//! The fuzz target `recovery` feeds it, and a test the seeds that are kept. An input says which log was there, what
//! became of its files (`found.rs`), and how the recovery is cut short. Then no step may panic or take longer than its
//! due, what was verified is whole, a second recovery finds the same as the first, and one can go on appending.

mod found;

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use self::found::{Found, Input, batch_of};
use super::dir::LogDir;
use super::recovery::{Recovered, Recovery};
use super::{AppendError, FlushScope, Log, LogError, ReadError, Settings, View, sites};
use crate::env::memory::{MemoryDisk, PowerLoss};
use crate::env::{Disk, File, Step, Stepper};
use crate::epochs::Epochs;
use crate::ids::{LeaderEpoch, Offset, TopicPartition, Uuid};
use crate::record::batch::Batch;
use crate::replica::producers::Producers;
use crate::time::Timestamp;

/// The partition of every trial: that of `core/testdata/golden-log-v1`.
const PARTITION: TopicPartition =
    TopicPartition { topic_id: Uuid([0x5a; 16]), partition: crate::ids::PartitionIndex(3) };
const DIRECTORY: &str = "/trial";
const NOW: Timestamp = Timestamp(1_000_000);
/// What one step may read of batches: the megabyte of its contract, and a window more. Other files it reads whole.
const STEP_READ_BYTES_MAX: u64 = (1 << 20) + (64 << 10);
/// What one step may change: the files of one segment.
const STEP_CHANGES_MAX: u64 = 8;

/// What a recovery made of a directory.
#[derive(Debug, PartialEq)]
struct Outcome {
    log_start: Offset,
    log_end: Offset,
    /// Where the log should have ended at least, if it ends before.
    lost: Option<Offset>,
    epochs: Epochs,
    producers: Producers,
    /// As far as they can be read; to the end, where recovery verified all of it.
    batches: Vec<Bytes>,
}

/// A log directory that was opened, and the one log in it.
struct Opened {
    dir: LogDir<MemoryDisk>,
    recovered: Recovered<MemoryDisk>,
    /// Whether there was a marker of a clean shutdown.
    marked: bool,
    /// What lies at or above was verified, or must be whole for another reason.
    verified_from: Offset,
}

/// Runs one input through.
///
/// # Panics
/// When something does not hold.
pub fn run(input: &[u8]) {
    let mut input = Input::new(input);
    let found = Found::take(&mut input);
    let interrupted_at = input.chance(4).then(|| u64::from(input.byte()));
    let (cut_to, append) = (input.offset(), batch_of(&mut input, 1 << 12));

    let disk = found.build();
    let Some(first) = open(&disk, found.settings) else { return };
    let marked = first.marked;
    let outcome = judge(&first);
    drop(first);
    if !marked && let Some(call) = interrupted_at {
        let again = reopen_after_crash(&found, call);
        assert_eq!(again, outcome, "a recovery that was cut short at change {call} leaves another log");
    }
    // The marker is gone: from here on everything that is not flushed is verified.
    let second = open(&disk.restart_process(), found.settings).expect("it opened before");
    let outcome = if marked { judge(&second) } else { outcome };
    assert_eq!(judge(&second), outcome, "the second recovery found another log than the first");
    drop(second);
    let disk = disk.restart_process();
    let third = open(&disk, found.settings).expect("it opened before");
    assert_eq!(third.recovered.cut_bytes, 0, "what a recovery leaves is whole");
    assert_eq!(judge(&third), outcome, "the third recovery found another log than the second");
    go_on(third, &disk, &found, cut_to, &append);
}

/// Opens the directory and recovers the log, step by step.
fn open(disk: &MemoryDisk, settings: Settings) -> Option<Opened> {
    let opened = now(LogDir::open(disk.clone(), DIRECTORY.into(), Default::default())).ok()?;
    assert_eq!(opened.partitions, [PARTITION]);
    let checkpointed = opened.checkpoints.of(PARTITION);
    let path = opened.dir.partition_path(PARTITION);
    let read_max = STEP_READ_BYTES_MAX + bytes_besides_batches(disk, &path);
    let mut recovery = Recovery::new(disk.clone(), path, settings, checkpointed, opened.clean, NOW);
    let steps_max = 16 + 8 * (disk.file_count() as u64 + disk.size_bytes() / (1 << 20));
    for _ in 0..steps_max {
        let (read, changes) = (disk.read_bytes(), disk.calls());
        let step = recovery.step();
        let (read, changes) = (disk.read_bytes() - read, disk.calls() - changes);
        assert!(read <= read_max, "one step read {read} bytes");
        assert!(changes <= STEP_CHANGES_MAX, "one step made {changes} changes");
        if let Step::Done(recovered) = step {
            // Nothing that bytes on a disk say is a reason to refuse a log, but a crash is.
            let recovered = recovered.ok()?;
            let verified_from = match opened.clean {
                true => recovered.log.log_end(),
                false => checkpointed.recovery_point.min(recovered.log.log_end()),
            };
            let (dir, marked) = (opened.dir, opened.clean);
            return Some(Opened { dir, recovered, marked, verified_from });
        }
    }
    panic!("no end after {steps_max} steps");
}

fn bytes_besides_batches(disk: &MemoryDisk, path: &Path) -> u64 {
    let entries = disk.list(sites::RECOVERY_LIST, path).expect("the disk works");
    entries.iter().filter(|entry| !entry.name.ends_with(".log")).map(|entry| entry.len).sum()
}

/// Recovers the same files, but the process crashes at a change; then again.
fn reopen_after_crash(found: &Found, call: u64) -> Outcome {
    let disk = found.build();
    disk.crash_at(call);
    let survived = open(&disk, found.settings).map(drop);
    let disk = match survived {
        Some(()) => disk,
        None => disk.restart_process(),
    };
    judge(&open(&disk.restart_process(), found.settings).expect("nothing crashes now"))
}

/// Checks what was recovered, and says what it is.
fn judge(opened: &Opened) -> Outcome {
    let log = &opened.recovered.log;
    let view = log.view();
    let (log_start, log_end) = (log.log_start(), log.log_end());
    assert!(log_start <= log_end && log_end == view.log_end() && log_start == view.log_start());
    assert!(log.recovery_point() <= log_end, "the recovery point is behind the end");
    if let Some(lost) = opened.recovered.lost {
        // Where the start was behind all that was left, the log begins there anew.
        assert!(lost.log_end < lost.expected && (lost.log_end == log_end || log_start == log_end));
    }
    let epochs = log.epochs();
    assert!(epochs.latest().is_none_or(|latest| latest.start < log_end || log_end == log_start));
    assert_eq!(epochs, view.epochs());
    assert!(epochs.entries().is_sorted_by(|a, b| a.epoch < b.epoch && a.start < b.start));
    let batches = read_to_end(&view, opened.verified_from);
    if opened.verified_from <= log_start {
        check_epochs(&batches, epochs, log_start);
    }
    look_up_times(&view, opened.verified_from);
    Outcome {
        log_start,
        log_end,
        lost: opened.recovered.lost.map(|lost| lost.expected).filter(|expected| *expected > log_end),
        epochs: epochs.clone(),
        producers: log.producers().clone(),
        batches: batches.iter().map(|batch| batch.bytes().clone()).collect(),
    }
}

/// All batches from the log's start on.
fn read_to_end(view: &View<MemoryDisk>, verified_from: Offset) -> Vec<Batch> {
    let verified_from = verified_from.max(view.log_start());
    let mut batches = read(view, (view.log_start(), verified_from), false);
    batches.extend(read(view, (verified_from, view.log_end()), true));
    batches
}

/// Batches of a range. What nobody verified may be anything but endless.
fn read(view: &View<MemoryDisk>, (mut from, end): (Offset, Offset), is_verified: bool) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let bytes_max = (view.size_bytes() / 16).max(1000) as u32;
    while from < end {
        let slice = match view.read(from, end, bytes_max, true) {
            Ok(slice) => slice,
            Err(ReadError::Corrupt { .. }) if !is_verified => return batches,
            Err(error) => panic!("at {from}: {error}"),
        };
        if !is_verified && (slice.is_empty() || slice.next_offset <= from) {
            return batches;
        }
        assert!(slice.next_offset > from && !slice.is_empty(), "a read at {from} makes no progress");
        let slice_bytes = slice.bytes.expect("it is not empty");
        let mut bytes = vec![0; slice_bytes.len as usize];
        let read = slice_bytes.file.read_at(sites::LOCATE_READ, &mut bytes, slice_bytes.position);
        assert_eq!(read.expect("the disk works"), bytes.len(), "the slice is in the file");
        let mut bytes = Bytes::from(bytes);
        while !bytes.is_empty() {
            match Batch::split_from(&mut bytes) {
                Ok(batch) => batches.push(batch),
                Err(_) if !is_verified => return batches,
                Err(error) => panic!("in the slice from {from}: {error}"),
            }
        }
        from = slice.next_offset;
    }
    batches
}

fn check_epochs(batches: &[Batch], epochs: &Epochs, log_start: Offset) {
    let headers = batches.iter().map(|batch| batch.header());
    // Of the batches below the log's start only the epochs tell.
    let mut latest = epochs.at(log_start).unwrap_or(LeaderEpoch::NONE);
    for header in headers.filter(|header| header.leader_epoch >= LeaderEpoch(0)) {
        if header.leader_epoch < latest {
            continue; // recovery warns of an epoch that falls inside a segment, and does not note it
        }
        latest = header.leader_epoch;
        let epoch = epochs.at(header.base_offset.max(log_start));
        assert_eq!(epoch, Some(header.leader_epoch), "{epochs:?} is not the epochs of {header:?}");
    }
}

fn look_up_times(view: &View<MemoryDisk>, verified_from: Offset) {
    for timestamp in [i64::MIN, -1, 0, 5, 100, i64::MAX] {
        let found = view.offset_for_timestamp(Timestamp(timestamp));
        assert!(found.is_ok() || verified_from > view.log_start(), "{found:?}");
    }
    let newest = view.slice_of_max_timestamp();
    assert!(newest.is_ok() || verified_from > view.log_start());
}

/// Appends, flushes, cuts the power, and cuts the log: the life after the recovery.
fn go_on(opened: Opened, disk: &MemoryDisk, found: &Found, cut_to: Offset, batch: &Batch) {
    let Opened { dir, recovered, verified_from, .. } = opened;
    let mut log = recovered.log;
    now(dir.lower_recovery_point(PARTITION, log.recovery_point())).expect("the disk works");
    let latest = log.latest_epoch().map_or(0, |latest| latest.epoch.0);
    let epoch = LeaderEpoch(latest.saturating_add(1));
    let appended = match log.append(batch, epoch, NOW) {
        Ok(appended) => appended,
        Err(AppendError::LargerThanSegment { .. } | AppendError::Offsets { .. }) => return,
        Err(error) => panic!("nothing was appended: {error}"),
    };
    let whole = |log: &Log<MemoryDisk>| {
        let there = read_to_end(&log.view(), verified_from.min(appended.base_offset));
        let last = there.last().expect("it was appended");
        assert_eq!(*last.bytes(), appended.on_disk(batch), "what was appended is read back");
    };
    if verified_from <= log.log_start() {
        whole(&log);
    }
    let flush = log.begin_flush(FlushScope::Everything);
    now(flush.sync()).expect("the disk works");
    assert_eq!(log.end_flush(flush), Some(appended.log_end));
    drop((log, dir));

    let disk = disk.restart_machine(PowerLoss::Everything);
    let opened = open(&disk, found.settings).expect("nothing fails");
    judge(&opened);
    let mut log = opened.recovered.log;
    if verified_from <= log.log_start() {
        assert_eq!(log.log_end(), appended.log_end, "what was flushed survives a loss of power");
        whole(&log);
    }
    now(opened.dir.lower_recovery_point(PARTITION, log.recovery_point())).expect("the disk works");
    let is_verified = opened.verified_from <= log.log_start();
    cut(&mut log, cut_to, is_verified);
}

fn cut(log: &mut Log<MemoryDisk>, cut_to: Offset, is_verified: bool) {
    let log_end = log.log_end();
    let expected = log.end_of_cut(cut_to).map(|end| end.unwrap_or(log_end));
    match log.truncate_to(cut_to, NOW) {
        Ok(truncated) => {
            assert!(truncated == log.log_end() && log.log_end() <= log_end.max(cut_to));
            assert_eq!(expected.ok(), Some(truncated), "the cut ends where it was said to");
            let retained = log.delete_old_segments(Timestamp(i64::MAX), log.log_end());
            assert!(retained.is_ok());
        }
        Err(LogError::Read(ReadError::Corrupt { .. })) if !is_verified => assert!(log.has_failed()),
        Err(error) => panic!("cutting to {cut_to}: {error}"),
    }
}

/// Futures of the in-memory disk never wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the in-memory disk does not wait"),
    }
}
