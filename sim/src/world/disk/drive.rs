//! One disk, and the gate which every call on it passes: strikes, errors, delays, counts and the trace.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_core::env::Site;
use jangbu_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::armed::{Armed, DiskFault};
use super::file::{Holder, Inode};
use super::names::{DirectoryId, Names};
use super::{Failure, PowerLoss, SimDisk, SyncLie};
use crate::rng::Rng;
use crate::trace::{Kind, hash_bytes};
use crate::world::control::Exit;
use crate::world::node::Crash;
use crate::world::{FaultId, SiteCount, World, lock};

/// What is chosen once for the disks of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// The least time a sync takes, in nanoseconds.
    pub sync_ns_min: u64,
    /// The longest time an undisturbed sync takes, in nanoseconds.
    pub sync_ns_max: u64,
    /// What survives or is lost as a unit when the power goes.
    pub sector_bytes: usize,
}

impl Default for DiskSettings {
    fn default() -> Self {
        Self { sync_ns_min: 200_000, sync_ns_max: 2_000_000, sector_bytes: 512 }
    }
}

/// Kinds of disk calls, as faults tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Reading bytes, lengths and names; opening.
    Read,
    /// Writing, cutting and reserving.
    Write,
    /// Making files or directories durable.
    Sync,
    /// Creating, renaming, removing and locking.
    Name,
}

/// When, relative to a disk call, a crash comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strike {
    /// Before anything has happened.
    Before,
    /// A write has written some of its bytes; a sync has begun; anything else has not happened.
    Halfway,
    /// It has happened, and the caller will never know.
    After,
}

/// How much of a call happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All.
    Whole,
    /// Of a write, some bytes. Of anything else, nothing.
    Random,
}

/// What a sync makes durable: everything before the mark.
#[derive(Clone)]
pub(super) enum Synced {
    File(Arc<Inode>, u64),
    Directory(DirectoryId, u64),
}

pub(crate) struct Drive {
    settings: DiskSettings,
    pub(super) state: Mutex<DriveState>,
    /// A file was closed since the bytes were counted last.
    pub(super) closed: AtomicBool,
    /// Pages of failed syncs were forgotten, and nobody has asked.
    evicted: AtomicBool,
}

#[derive(Default)]
pub(super) struct DriveState {
    pub(super) names: Names,
    pub(super) holders: BTreeMap<PathBuf, Holder>,
    pub(super) calls: u64,
    /// Calls of the present life that failed with an error of the disk.
    pub(super) failed_calls: u64,
    pub(super) armed: Armed,
    /// The bytes that the disk holds when nothing is wrong with it; `None` for any number.
    pub(super) capacity_bytes: Option<u64>,
    /// What the files take, counted along while the capacity is bounded; `None` when it must be counted anew.
    used_bytes: Option<u64>,
    /// What lying syncs left for later.
    pub(super) promised: Vec<(Instant, Synced)>,
}

/// What the gate says to a call that may go on.
pub(super) struct Admitted {
    strike: Option<(Strike, Crash)>,
    error: Option<Failure>,
}

/// An error of the simulated disk.
pub(super) fn error(kind: ErrorKind, text: &'static str) -> io::Error {
    io::Error::new(kind, text)
}

/// Tells errors apart, for the trace.
fn error_word(error: &io::Error) -> u64 {
    match error.raw_os_error() {
        Some(number) => number as u64,
        None => hash_bytes(0, error.to_string().as_bytes()),
    }
}

/// What every call of an incarnation gets that is over.
pub(crate) fn crashed() -> io::Error {
    error(ErrorKind::Other, "the process has crashed")
}

/// What a write gets that the disk has no room for.
pub(super) fn no_space() -> io::Error {
    io::Error::from_raw_os_error(28)
}

pub(super) fn input_output_error() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl Drive {
    pub(crate) fn new(settings: DiskSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            closed: AtomicBool::new(false),
            evicted: AtomicBool::new(false),
        }
    }

    /// Another process begins, none of whose calls has failed.
    pub(crate) fn begin_life(&self) {
        lock(&self.state).failed_calls = 0;
    }

    /// The power goes; says in words what was lost.
    pub(crate) fn lose_power(&self, now: Instant, loss: PowerLoss, rng: &mut Rng) -> String {
        let mut state = lock(&self.state);
        for (due, synced) in std::mem::take(&mut state.promised) {
            if due <= now {
                state.make_durable(&synced);
            }
        }
        // Also the files whose names are about to come back: their removal was not durable.
        let files = state.names.inodes_with_remains();
        let names = state.names.lose_power(loss, rng);
        let sector_bytes = self.settings.sector_bytes;
        let bytes: u64 = files
            .iter()
            .map(|(inode, remains)| inode.lose_power(loss, remains.as_deref(), sector_bytes, rng))
            .sum();
        state.holders.clear();
        state.recount();
        format!("{bytes} changes of files and {names} of names")
    }

    /// The process is gone: the kernel may forget any clean page, and those of a failed sync count as clean. Returns how
    /// many now read as before.
    pub(crate) fn evict(&self, rng: &mut Rng) -> u64 {
        let files = lock(&self.state).names.all_inodes();
        let evicted = files.iter().map(|inode| inode.evict(rng)).sum();
        self.evicted.fetch_or(evicted > 0, Ordering::Relaxed);
        evicted
    }

    /// Whether pages of failed syncs were forgotten since this was asked last.
    pub(crate) fn take_evicted(&self) -> bool {
        self.evicted.swap(false, Ordering::Relaxed)
    }
}

impl DriveState {
    pub(super) fn make_durable(&mut self, synced: &Synced) {
        match synced {
            Synced::File(inode, mark) => inode.make_durable(*mark),
            Synced::Directory(directory, mark) => self.names.make_durable(*directory, *mark),
        }
    }

    /// Takes room for a file that grows; returns how many bytes are missing.
    pub(super) fn take_room(&mut self, growth: u64) -> u64 {
        let shortage = self.armed.capacity();
        let least = shortage.map(|(_, capacity_bytes)| capacity_bytes);
        let Some(capacity) = self.capacity_bytes.into_iter().chain(least).min() else { return 0 };
        let used = self.used_bytes.unwrap_or_else(|| self.names.used_bytes());
        let granted = growth.min(capacity.saturating_sub(used));
        self.used_bytes = Some(used + granted);
        if let Some((id, capacity_bytes)) = shortage
            && granted < growth
            && capacity_bytes == capacity
        {
            self.armed.meet(id);
        }
        growth - granted
    }

    /// The files take another number of bytes than was counted along.
    pub(super) fn recount(&mut self) {
        self.used_bytes = None;
    }
}

impl SimDisk {
    /// Lets a call through the gate. `words` says what the call is about, for the trace.
    pub(super) fn call<T>(
        &self,
        site: Site,
        operation: Operation,
        path: &Path,
        words: u64,
        action: impl FnOnce(Part) -> io::Result<T>,
    ) -> io::Result<T> {
        let admitted = self.admit(site, operation, path, words)?;
        let result = self.noting_failure(match (admitted.strike, admitted.error) {
            (None, Some(failure)) => {
                let _ = action(Part::Random);
                Err(failure.error())
            }
            (None, None) => action(Part::Whole),
            (Some((strike, crash)), _) => {
                let _ = match strike {
                    Strike::Before => None,
                    Strike::Halfway => Some(action(Part::Random)),
                    Strike::After => Some(action(Part::Whole)),
                };
                self.die(crash);
                Err(crashed())
            }
        });
        // What a call gives or writes is added where it is known.
        self.world.mix(result.as_ref().err().map_or(0, error_word));
        result
    }

    /// Counts a call that fails because the disk does, and not because there is nothing of that name.
    fn noting_failure<T>(&self, result: io::Result<T>) -> io::Result<T> {
        let code = result.as_ref().err().and_then(io::Error::raw_os_error);
        if [input_output_error(), no_space()]
            .iter()
            .any(|error| code.is_some() && error.raw_os_error() == code)
        {
            lock(&self.node.drive.state).failed_calls += 1;
        }
        result
    }

    fn die(&self, crash: Crash) {
        self.world.end_incarnation(&self.node, Exit::Crashed(crash));
    }

    fn admit(&self, site: Site, operation: Operation, path: &Path, words: u64) -> io::Result<Admitted> {
        if self.incarnation.is_over() {
            return Err(crashed());
        }
        let now = self.world.now();
        let admitted = {
            let mut state = lock(&self.node.drive.state);
            state.calls += 1;
            if operation == Operation::Name {
                state.recount();
            }
            if operation != Operation::Sync {
                let begin = Instant(now.0 + self.incarnation.debt_ns());
                let delay_ns =
                    state.armed.delay_ns(false) + state.armed.stalled_until(begin).0.saturating_sub(begin.0);
                if delay_ns != 0 {
                    self.incarnation.charge(delay_ns);
                }
            }
            let strike = state.armed.take_strike(site);
            let error = if strike.is_none() { state.armed.take_error(operation, path) } else { None };
            Admitted { strike, error }
        };
        self.meet();
        self.world.count_site(site, &admitted);
        let first = hash_bytes(u64::from(self.node.id.0), site.name().as_bytes());
        let fate = match (&admitted.strike, admitted.error) {
            (Some((strike, _)), _) => 1 + *strike as u64,
            (None, Some(failure)) => 4 + failure as u64,
            (None, None) => 0,
        };
        let second = hash_bytes(words ^ fate << 60, path.as_os_str().as_encoded_bytes());
        self.world.note(Kind::Disk, first, second, || {
            let fate = match (&admitted.strike, admitted.error) {
                (Some((strike, _)), _) => format!(", crash {strike:?}"),
                (None, Some(failure)) => format!(", {}", failure.error()),
                (None, None) => String::new(),
            };
            format!("{}: {site} {}{fate}", self.node.name, path.display())
        });
        Ok(admitted)
    }

    /// A sync of a file or a directory: takes its time, and may fail, lie, or never come back.
    pub(super) async fn sync_call(&self, site: Site, path: &Path, synced: Synced) -> io::Result<()> {
        let admitted = self.admit(site, Operation::Sync, path, super::path_hash(path))?;
        if let Some((Strike::Before, crash)) = admitted.strike {
            self.die(crash);
            return Err(crashed());
        }
        let wait_ns = self.sync_time_ns();
        let halfway = matches!(admitted.strike, Some((Strike::Halfway, _)));
        let due = self.world.now() + Duration::from_nanos(wait_ns);
        let mut in_flight =
            SyncInFlight { disk: self, synced: &synced, due, admitted: &admitted, is_over: false };
        self.world.sleep(Duration::from_nanos(if halfway { wait_ns / 2 } else { wait_ns })).await;
        self.wait_out_stalls().await;
        in_flight.is_over = true;
        if self.incarnation.is_over() {
            return Err(crashed());
        }
        if let (true, Some((_, crash))) = (halfway, admitted.strike) {
            self.die(crash);
            return Err(crashed());
        }
        let result = self.noting_failure(self.finish_sync(&synced, admitted.error));
        self.meet();
        // A sync ends long after it began, which is an event of its own.
        let word = result.as_ref().err().map_or(0, error_word);
        self.world.note(Kind::Disk, super::path_hash(path), word, || {
            format!("{}: {site} {} ends", self.node.name, path.display())
        });
        if let Some((_, crash)) = admitted.strike {
            self.die(crash);
            return Err(crashed());
        }
        result
    }

    /// A sync under way when a stall begins returns as little as any other call.
    async fn wait_out_stalls(&self) {
        loop {
            let now = self.world.now();
            let until = lock(&self.node.drive.state).armed.stalled_until(now);
            self.meet();
            if until <= now || self.incarnation.is_over() {
                return;
            }
            self.world.sleep_until(until).await;
        }
    }

    /// Counts the faults that the call in progress has met.
    pub(super) fn meet(&self) {
        let met = lock(&self.node.drive.state).armed.take_met();
        met.into_iter().for_each(|id| self.world.fault_met(id));
    }

    fn sync_time_ns(&self) -> u64 {
        let now = self.world.now();
        let settings = &self.node.drive.settings;
        let ordinary = lock(&self.world.disk_draws).within(settings.sync_ns_min..settings.sync_ns_max);
        let mut state = lock(&self.node.drive.state);
        // The calls before it in this poll come first.
        let begin = Instant(now.0 + self.incarnation.debt_ns());
        let stalled = state.armed.stalled_until(begin).0.saturating_sub(begin.0);
        begin.0 - now.0 + ordinary + state.armed.delay_ns(true) + stalled
    }

    fn finish_sync(&self, synced: &Synced, error: Option<Failure>) -> io::Result<()> {
        let mut state = lock(&self.node.drive.state);
        if let Some(failure) = error {
            // The pages count as clean from now on; the next sync succeeds and does not write them.
            synced.lose_pages();
            return Err(failure.error());
        }
        match state.armed.lie() {
            None => state.make_durable(synced),
            Some(SyncLie::Never) => {}
            Some(SyncLie::Later { delay_ns }) => {
                let due = Instant(self.world.now().0 + delay_ns);
                state.promised.push((due, synced.clone()));
            }
        }
        lock(&self.world.tally).syncs += 1;
        Ok(())
    }
}

/// A sync that has begun. The disk finishes it also when nobody waits for it any more.
struct SyncInFlight<'a> {
    disk: &'a SimDisk,
    synced: &'a Synced,
    due: Instant,
    admitted: &'a Admitted,
    is_over: bool,
}

impl Drop for SyncInFlight<'_> {
    fn drop(&mut self) {
        if self.is_over || self.disk.incarnation.is_over() {
            return;
        }
        let mut state = lock(&self.disk.node.drive.state);
        if let Some((_, crash)) = &self.admitted.strike {
            // Its crash is not forgotten: it comes with the next call.
            let (strike, crash) = (Strike::Before, *crash);
            let id = state.armed.take_struck_by().unwrap_or(FaultId::NONE);
            state.armed.push(id, DiskFault::Crash { site: None, calls_before: 0, strike, crash });
        }
        let delay_ns = match (self.admitted.error, state.armed.lie()) {
            (Some(_), _) => return self.synced.lose_pages(),
            (None, None) => 0,
            (None, Some(SyncLie::Never)) => return,
            (None, Some(SyncLie::Later { delay_ns })) => delay_ns,
        };
        state.promised.push((Instant(self.due.0 + delay_ns), self.synced.clone()));
    }
}

impl Synced {
    /// The sync failed: the pages count as clean from now on; the next sync succeeds and does not write them.
    fn lose_pages(&self) {
        if let Self::File(inode, mark) = self {
            inode.lose_pages(*mark);
        }
    }
}

impl World {
    fn count_site(&self, site: Site, admitted: &Admitted) {
        let (crashes, errors) = (u64::from(admitted.strike.is_some()), u64::from(admitted.error.is_some()));
        *lock(&self.tally).sites.entry(site).or_default() += SiteCount { calls: 1, crashes, errors };
    }
}
