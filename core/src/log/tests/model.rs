//! The log against a model: whatever was done, and wherever the process or the power went, what is found afterwards
//! is a prefix of what was written, no shorter than promised, and everything derived from it is right.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::env::Site;
use crate::env::memory::PowerLoss;
use crate::epochs::Epochs;
use crate::ids::{BrokerEpoch, TopicPartition};
use crate::log::checkpoint::Offsets;
use crate::log::dir::{LogDir, Opened};
use crate::log::recovery::Lost;
use crate::record::batch::BatchHeader;
use crate::replica::producers::Producers;

const PARTITION: TopicPartition = TopicPartition::METADATA;

#[derive(Clone, Copy, Debug)]
enum Op {
    Append { count: i32, payload_len: usize, timestamp: i64, producer: i64 },
    Replicate { gap: i64, count: i32, payload_len: usize },
    Roll,
    BeginEpoch,
    Truncate { percent: i64 },
    AdvanceStart { percent: i64 },
    Retain { bytes: i64 },
    RemoveFiles,
    Flush(FlushScope),
    Checkpoint,
    CleanRestart,
    Kill,
    CutPower(PowerLoss),
    CrashAt { call: u64, power: Option<PowerLoss> },
    CrashInCut { site: Site, percent: i64, power: Option<PowerLoss> },
    BeginAnew { ahead: i64 },
    CrashAndBeginAnew { call: u64, ahead: i64, power: Option<PowerLoss> },
}

fn power_loss() -> impl Strategy<Value = PowerLoss> {
    prop_oneof![
        Just(PowerLoss::Everything),
        Just(PowerLoss::Nothing),
        Just(PowerLoss::Prefix),
        Just(PowerLoss::Subset)
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let append =
        (1..4i32, 0..300usize, -1..100i64, -1..3i64).prop_map(|(count, payload_len, timestamp, producer)| {
            Op::Append { count, payload_len, timestamp, producer }
        });
    prop_oneof![
        20 => append,
        4 => (0..40i64, 1..4i32, 0..300usize)
            .prop_map(|(gap, count, payload_len)| Op::Replicate { gap, count, payload_len }),
        2 => Just(Op::Roll),
        1 => Just(Op::BeginEpoch),
        2 => (0..110i64).prop_map(|percent| Op::Truncate { percent }),
        1 => (0..100i64).prop_map(|percent| Op::AdvanceStart { percent }),
        1 => (0..3000i64).prop_map(|bytes| Op::Retain { bytes }),
        1 => Just(Op::RemoveFiles),
        1 => Just(Op::Flush(FlushScope::Names)),
        2 => Just(Op::Flush(FlushScope::Sealed)),
        4 => Just(Op::Flush(FlushScope::Everything)),
        2 => Just(Op::Checkpoint),
        1 => Just(Op::CleanRestart),
        1 => Just(Op::Kill),
        1 => power_loss().prop_map(Op::CutPower),
        4 => (0..30u64, proptest::option::of(power_loss())).prop_map(|(call, power)| Op::CrashAt { call, power }),
        2 => (prop::sample::select(sites::TRUNCATION), 0..110i64, proptest::option::of(power_loss()))
            .prop_map(|(site, percent, power)| Op::CrashInCut { site, percent, power }),
        1 => (0..40i64).prop_map(|ahead| Op::BeginAnew { ahead }),
        2 => (0..20u64, 0..40i64, proptest::option::of(power_loss()))
            .prop_map(|(call, ahead, power)| Op::CrashAndBeginAnew { call, ahead, power }),
    ]
}

/// What the log must be.
struct World {
    disk: MemoryDisk,
    dir: LogDir<MemoryDisk>,
    log: Log<MemoryDisk>,
    settings: Settings,
    epoch: LeaderEpoch,
    /// All batches that are in the log, or may be when an append was struck.
    batches: Vec<Batch>,
    /// What the log was before cuts that may be undone by a loss of power.
    earlier: Vec<Vec<Batch>>,
    /// A cut was struck: even the death of the process may leave any part of it.
    cutting: bool,
    /// Batches below survive the death of the process.
    written: Offset,
    /// Batches below survive a loss of power.
    promised: Offset,
    /// Promised before a cut that was struck, which perhaps did nothing.
    struck: Offset,
    /// The largest start there was: below it there was nothing to promise.
    start_max: Offset,
    /// What happens when the armed crash strikes.
    armed: Option<Option<PowerLoss>>,
    producers_whole: bool,
    producers_known: bool,
    /// Where armed crashes struck, and whether the power went with the process.
    strikes: Strikes,
}

type Strikes = BTreeSet<(Site, bool)>;

fn next_of(batches: &[Batch]) -> Option<Offset> {
    batches.last().and_then(|batch| batch.header().next_offset())
}

impl World {
    fn new(seed: u64) -> Self {
        let disk = MemoryDisk::new(seed);
        let settings = Settings { retention_ms: -1, ..small() };
        let opened =
            now(LogDir::open(disk.clone(), "/data".into(), Default::default())).expect("an empty disk");
        let log = opened.dir.create_log(PARTITION, settings, Offset::ZERO, NOW).expect("an empty disk");
        let mut world = Self {
            disk,
            dir: opened.dir,
            log,
            settings,
            epoch: LeaderEpoch(0),
            batches: Vec::new(),
            earlier: Vec::new(),
            cutting: false,
            written: Offset::ZERO,
            promised: Offset::ZERO,
            struck: Offset::ZERO,
            start_max: Offset::ZERO,
            armed: None,
            producers_whole: true,
            producers_known: true,
            strikes: Strikes::new(),
        };
        world.flush(FlushScope::Everything).expect("an empty disk");
        world
    }

    fn apply(&mut self, op: Op) {
        let done = match op {
            Op::Append { count, payload_len, timestamp, producer } => {
                self.append(Sent { count, payload_len, timestamp, producer, sequence: 0 })
            }
            Op::Replicate { gap, count, payload_len } => {
                self.replicate(gap, Sent { count, payload_len, ..ONE })
            }
            Op::Roll => self.log.roll(NOW).map_err(drop),
            Op::BeginEpoch => {
                self.epoch.0 += 1;
                self.log.begin_epoch(self.epoch);
                Ok(())
            }
            Op::Truncate { percent } => self.truncate(percent),
            Op::AdvanceStart { percent } => {
                let (start, end) = (self.log.log_start().0, self.log.log_end().0);
                self.log.advance_log_start(Offset(start + (end - start) * percent / 100));
                Ok(())
            }
            Op::Retain { bytes } => {
                self.log.set_settings(Settings { retention_bytes: bytes, ..self.settings });
                self.log.delete_old_segments(NOW, self.log.log_end()).map(drop).map_err(drop)
            }
            Op::RemoveFiles => self.remove_files(),
            Op::Flush(scope) => self.flush(scope),
            Op::Checkpoint => self.checkpoint(),
            Op::CleanRestart => self.close().map(|()| self.reopen(None, true)),
            Op::Kill => {
                self.reopen(None, false);
                Ok(())
            }
            Op::CutPower(mode) => {
                self.reopen(Some(mode), false);
                Ok(())
            }
            Op::CrashAt { call, power } => {
                self.disk.crash_at(call);
                self.armed = Some(power);
                Ok(())
            }
            Op::CrashInCut { site, percent, power } => {
                self.disk.crash_at_site(site);
                self.armed = Some(power);
                self.truncate(percent)
            }
            Op::BeginAnew { ahead } => self.begin_anew(ahead),
            Op::CrashAndBeginAnew { call, ahead, power } => {
                self.disk.crash_at(call);
                self.armed = Some(power);
                self.begin_anew(ahead)
            }
        };
        if done.is_err() {
            let power = self.armed.take().expect("only the armed crash fails calls");
            let site = self.disk.crash_site().expect("only the armed crash fails calls");
            self.strikes.insert((site, power.is_some()));
            self.reopen(power, false);
        } else {
            self.cutting = false;
        }
    }

    /// Appends what a leader sent, behind a gap that compaction left.
    fn replicate(&mut self, gap: i64, sent: Sent) -> Result<(), ()> {
        let batch = at(sent, Offset(self.log.log_end().0 + gap), self.epoch);
        self.batches.push(batch.clone());
        let appended = self.log.append_as_follower(&batch, NOW).map_err(drop)?;
        self.written = appended.log_end;
        Ok(())
    }

    fn append(&mut self, sent: Sent) -> Result<(), ()> {
        let sent = self.with_sequence(sent);
        let batch = at(sent, self.log.log_end(), self.epoch);
        let sent = sent.batch();
        // An append that a roll's crash precedes never began; it does no harm in the model.
        self.batches.push(batch);
        let appended = self.log.append(&sent, self.epoch, NOW).map_err(drop)?;
        self.written = appended.log_end;
        Ok(())
    }

    fn with_sequence(&self, sent: Sent) -> Sent {
        let last =
            self.log.producers().get(ProducerId(sent.producer)).and_then(|producer| producer.batches.back());
        Sent { sequence: last.map_or(0, |batch| batch.last_sequence + 1), ..sent }
    }

    fn truncate(&mut self, percent: i64) -> Result<(), ()> {
        let (start, end) = (self.log.log_start().0, self.log.log_end().0);
        let target = Offset(start + (end - start) * percent / 100);
        let kept = self.batches.partition_point(|batch| batch.header().next_offset() <= Some(target));
        if kept < self.batches.len() {
            self.earlier.push(self.batches.clone());
            self.batches.truncate(kept);
        }
        let cut = next_of(&self.batches).unwrap_or(Offset::ZERO);
        self.written = self.written.min(cut);
        let promised = self.promised;
        self.promised = promised.min(cut);
        self.struck = self.struck.max(promised);
        self.cutting = true;
        // A new leader's first batches come in a new epoch.
        self.epoch.0 += 1;
        if let Some(end) = self.log.end_of_cut(target).map_err(drop)? {
            now(self.dir.lower_recovery_point(PARTITION, end)).map_err(drop)?;
        }
        let log_end = self.log.truncate_to(target, NOW).map_err(drop)?;
        assert_eq!(log_end, cut.max(Offset(start)));
        self.written = log_end;
        self.struck = self.struck.min(log_end);
        Ok(())
    }

    /// What a follower does whose leader has a snapshot only: the log is cut to nothing, then begins behind its end.
    fn begin_anew(&mut self, ahead: i64) -> Result<(), ()> {
        let target = Offset(self.log.log_end().0 + ahead);
        self.truncate(0)?;
        self.flush(FlushScope::Everything)?;
        (self.written, self.promised) = (Offset::ZERO, Offset::ZERO);
        self.log.begin_anew_at(target, NOW).map_err(drop)?;
        assert_eq!((self.log.log_start(), self.log.log_end()), (target, target));
        assert!(self.log.producers().iter().next().is_none() && self.log.latest_epoch().is_none());
        self.written = target;
        Ok(())
    }

    fn remove_files(&mut self) -> Result<(), ()> {
        let Some(mut removal) = self.log.take_removal() else { return Ok(()) };
        loop {
            if let Step::Done(removed) = removal.step() {
                return removed.map_err(drop);
            }
        }
    }

    fn flush(&mut self, scope: FlushScope) -> Result<(), ()> {
        let flush = self.log.begin_flush(scope);
        now(flush.sync()).map_err(drop)?;
        self.promised = self.log.end_flush(flush).expect("no cut came between");
        if scope == FlushScope::Everything {
            assert_eq!(self.promised, self.log.log_end());
            self.earlier.clear();
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), ()> {
        let checkpointed = Checkpointed {
            recovery_point: self.log.recovery_point(),
            log_start: self.log.log_start(),
            high_watermark: self.log.log_end(),
        };
        let one = |offset| Offsets::from([(PARTITION, offset)]);
        now(self.dir.write_recovery_points(&one(checkpointed.recovery_point))).map_err(drop)?;
        now(self.dir.write_log_starts(&one(checkpointed.log_start))).map_err(drop)?;
        now(self.dir.write_high_watermarks(&one(checkpointed.high_watermark))).map_err(drop)?;
        Ok(())
    }

    fn close(&mut self) -> Result<(), ()> {
        self.log.close().map_err(drop)?;
        self.flush(FlushScope::Everything)?;
        self.checkpoint()?;
        now(self.dir.mark_clean(BrokerEpoch(7))).map_err(drop)
    }

    fn reopen(&mut self, power: Option<PowerLoss>, clean: bool) {
        self.armed = None;
        self.disk = match power {
            Some(mode) => self.disk.restart_machine(mode),
            None => self.disk.restart_process(),
        };
        let opened = now(LogDir::open(self.disk.clone(), "/data".into(), Default::default()));
        let Opened { dir, clean: marked, checkpoints, partitions, .. } =
            opened.expect("the disk works again");
        assert!(marked || !clean, "the marker was durable");
        assert_eq!(partitions, [PARTITION]);
        let checkpointed = checkpoints.of(PARTITION);
        let path = dir.partition_path(PARTITION);
        let settings = Settings { retention_bytes: -1, ..self.settings };
        let mut recovery = Recovery::new(self.disk.clone(), path, settings, checkpointed, marked, NOW);
        let recovered = loop {
            if let Step::Done(recovered) = recovery.step() {
                break recovered.expect("the disk works");
            }
        };
        assert!(recovered.clean || !clean, "a clean shutdown is recognised");
        now(recovered.settle()).expect("the disk works");
        self.dir = dir;
        self.check_recovered(recovered, checkpointed, power.is_some());
        now(self.dir.lower_recovery_point(PARTITION, self.log.recovery_point())).expect("the disk works");
        now(self.dir.finish_loading()).expect("the disk works");
        // Every leadership has an epoch of its own, a restarted broker's too.
        self.epoch.0 += 1;
        self.cutting = false;
    }

    fn check_recovered(&mut self, recovered: Recovered<MemoryDisk>, checkpointed: Checkpointed, power: bool) {
        let Recovered { log, lost, .. } = recovered;
        self.start_max = self.start_max.max(self.log.log_start());
        let promised = self.promised.max(self.struck).max(self.start_max);
        self.log = log;
        assert!(self.cutting || checkpointed.recovery_point <= promised, "a recovery point is a promise");
        let expected =
            checkpointed.recovery_point.max(checkpointed.high_watermark).max(checkpointed.log_start);
        let (start, end) = (self.log.log_start(), self.log.log_end());

        self.check_lost(lost, end, expected);
        let promised = if power { self.promised } else { self.written };
        assert!(end >= promised, "the log ends at {end} but {promised} was promised");
        let found = read_all(&self.log.view(), start, 700);
        let batches = self.explain(&found, start, end, power);
        // Where nothing can be read, nobody can tell which of several histories the producers are from.
        self.producers_known &= start != end;
        // What recovery repaired is no more durable than a cut.
        self.earlier.push(std::mem::replace(&mut self.batches, batches));
        self.written = end;
        self.promised = self.promised.min(end);
        self.check_derived();
    }

    /// A loss is reported exactly when the log ends before something that was checkpointed. When the start was behind
    /// all that was left, the log begins there anew, and the report names what was left.
    fn check_lost(&self, reported: Option<Lost>, end: Offset, expected: Offset) {
        match reported {
            Some(lost) => {
                assert!(lost.expected >= expected && lost.log_end < lost.expected);
                assert!(lost.log_end == end || self.log.log_start() == end);
            }
            None => assert!(end >= expected),
        }
    }

    /// The batches up to the end that was found: of what the log was last, or of what a lost cut brought back.
    fn explain(&self, found: &[Batch], start: Offset, end: Offset, power: bool) -> Vec<Batch> {
        let earlier: &[Vec<Batch>] = if power || self.cutting { &self.earlier } else { &[] };
        for version in std::iter::once(&self.batches).chain(earlier.iter().rev()) {
            let ends = version.partition_point(|batch| batch.header().next_offset() <= Some(end));
            let begins = version.partition_point(|batch| batch.header().next_offset() <= Some(start));
            // Where nothing can be read, the start may lie inside a batch, or behind all that was left.
            let ends_there = start == end || next_of(&version[..ends]) == Some(end);
            if ends_there && begins <= ends && version[begins..ends] == *found {
                return version[..ends].to_vec();
            }
        }
        let offsets = |batches: &[Batch]| {
            batches
                .iter()
                .map(|batch| (batch.header().base_offset.0, batch.header().leader_epoch.0))
                .collect::<Vec<_>>()
        };
        panic!(
            "{start} to {end} is no prefix of what was written: found {:?}, written {:?}, earlier {:?}",
            offsets(found),
            offsets(&self.batches),
            earlier.iter().map(|version| offsets(version)).collect::<Vec<_>>()
        );
    }

    /// Indexes, epochs and producers are a fold of the batches.
    fn check_derived(&mut self) {
        let log = &self.log;
        let (start, end) = (log.log_start(), log.log_end());
        let view = log.view();
        let readable: Vec<&BatchHeader> = self
            .batches
            .iter()
            .map(|batch| batch.header())
            .filter(|header| header.next_offset() > Some(start))
            .collect();
        for header in &readable {
            let from = header.last_offset().expect("appended").max(start);
            let slice = view.read(from, end, 1, true).expect("inside");
            assert_eq!(
                (slice.first_offset, Some(slice.next_offset)),
                (header.base_offset, header.next_offset())
            );
        }
        for target in [0, 7, 30, 60, 99] {
            let found = view.offset_for_timestamp(Timestamp(target)).expect("the disk works");
            let expect = readable.iter().find(|header| header.max_timestamp >= Timestamp(target));
            assert_eq!(found.map(|found| found.offset), expect.map(|header| header.base_offset.max(start)));
        }
        let mut epochs = Epochs::default();
        let mut producers = Producers::default();
        for batch in &self.batches {
            epochs.assign(batch.header().leader_epoch, batch.header().base_offset);
            producers.apply(batch.header());
        }
        epochs.truncate_from_start(start);
        epochs.truncate_from_end(end);
        let mut there = log.epochs().clone();
        there.truncate_from_end(end);
        // To which epoch a gap belongs only the leader knows that began one in it.
        let without_gaps = |epochs: &Epochs| {
            let mut moved = Epochs::default();
            for entry in epochs.entries() {
                let behind =
                    readable.iter().map(|header| header.base_offset).find(|base| *base >= entry.start);
                moved.assign(entry.epoch, behind.unwrap_or(end));
            }
            moved
        };
        assert_eq!(without_gaps(&there), without_gaps(&epochs));
        self.check_producers(&producers);
    }

    /// After a loss of power that took the snapshots, what only removed segments knew of producers is gone.
    fn check_producers(&mut self, whole: &Producers) {
        let producers = self.log.producers();
        if producers == whole || !self.producers_known {
            self.producers_whole = producers == whole;
            return;
        }
        let first = self.log.segments[0].base_offset;
        let mut left = Producers::default();
        for batch in self.batches.iter().filter(|batch| batch.header().base_offset >= first) {
            left.apply(batch.header());
        }
        assert!(
            first > Offset::ZERO || !self.producers_whole,
            "nothing was removed, so nothing may be forgotten: {producers:?} is not {whole:?}"
        );
        let known = left.iter().all(|(id, expect)| {
            producers.get(id).is_some_and(|there| {
                there.batches.iter().rev().zip(expect.batches.iter().rev()).all(|(a, b)| a == b)
            })
        });
        assert!(known, "{producers:?} does not know of {left:?}");
        self.producers_whole = false;
    }
}

/// Returns where crashes struck.
fn run(seed: u64, ops: &[Op]) -> Strikes {
    let mut world = World::new(seed);
    for &op in ops {
        world.apply(op);
    }
    world.check_derived();
    world.reopen(None, false);
    world.reopen(Some(PowerLoss::Subset), false);
    world.reopen(Some(PowerLoss::Everything), false);
    world.strikes
}

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(400), failure_persistence: None, ..default }
}

#[test]
fn whatever_happens_the_log_is_a_prefix_of_what_was_written() {
    let struck = RefCell::new(Strikes::new());
    let mut runner = TestRunner::new(config());
    let ran = runner.run(&(any::<u64>(), prop::collection::vec(op(), 1..60)), |(seed, ops)| {
        struck.borrow_mut().append(&mut run(seed, &ops));
        Ok(())
    });
    if let Err(failure) = ran {
        panic!("{failure}");
    }
    // No whole node cuts its log yet, so that nobody else strikes here: process and machine each died at each site.
    let struck = struck.into_inner();
    let each = sites::TRUNCATION.iter().flat_map(|site| [(*site, false), (*site, true)]);
    let missed: Vec<_> = each.filter(|strike| !struck.contains(strike)).collect();
    assert!(missed.is_empty(), "never struck, with (true) or without (false) a loss of power: {missed:?}");
}

#[test]
fn the_marker_of_a_clean_shutdown_is_gone_before_anything_is_loaded() {
    let mut world = World::new(0);
    world.close().expect("the disk works");
    let disk = world.disk.restart_process();
    let opened = now(LogDir::open(disk.clone(), "/data".into(), Default::default())).expect("it is there");
    assert_eq!((opened.clean, opened.clean_broker_epoch), (true, Some(BrokerEpoch(7))));
    let disk = disk.restart_machine(PowerLoss::Everything);
    assert!(disk.bytes(Path::new("/data/.kafka_cleanshutdown")).is_err(), "KAFKA-10471");
}

/// A leader's log may begin with a gap. The follower that is cut inside its first batch is empty again, and the epochs
/// on disk must not say otherwise.
#[test]
fn a_log_that_was_cut_to_nothing_forgets_its_epochs_on_disk_too() {
    let mut world = World::new(0);
    world.apply(Op::Replicate { gap: 2, count: 3, payload_len: 0 });
    world.apply(Op::Flush(FlushScope::Names));
    world.apply(Op::Append { count: 1, payload_len: 0, timestamp: 0, producer: 0 });
    world.apply(Op::Truncate { percent: 50 });
    assert_eq!((world.log.log_start(), world.log.log_end()), (Offset::ZERO, Offset::ZERO));
    world.close().expect("the disk works");
    world.reopen(None, true);
    assert_eq!((world.log.log_start(), world.log.log_end()), (Offset::ZERO, Offset::ZERO));
}

/// A cut to nothing was cut short before the old files were gone, behind a start that DeleteRecords had moved: the
/// recovery cuts a segment off and then removes it. It is not looked for afterwards.
#[test]
fn a_segment_that_is_cut_and_then_removed_is_not_settled() {
    let mut world = World::new(0);
    world.apply(Op::Replicate { gap: 1, count: 2, payload_len: 0 });
    world.apply(Op::Roll);
    world.apply(Op::Flush(FlushScope::Sealed));
    world.apply(Op::AdvanceStart { percent: 67 });
    world.apply(Op::CrashAt { call: 3, power: None });
    world.apply(Op::Truncate { percent: 0 });
    world.check_derived();
}

/// Of a cut below what was flushed a loss of power may leave the part of the time index alone.
#[test]
fn a_cut_below_the_recovery_point_lowers_it_first() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for timestamp in [5, 60, 0, 0] {
            world.apply(Op::Append { count: 1, payload_len: 100, timestamp, producer: 0 });
        }
        world.apply(Op::Roll);
        world.apply(Op::Append { count: 1, payload_len: 100, timestamp: 0, producer: 0 });
        world.apply(Op::CleanRestart);
        world.apply(Op::CutPower(PowerLoss::Everything));
        let (site, power) = (sites::TRUNCATE_FOLD, Some(PowerLoss::Subset));
        world.apply(Op::CrashInCut { site, percent: 25, power });
        world.check_derived();
    }
}
