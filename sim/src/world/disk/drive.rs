//! One disk, and the gate which every call on it passes: strikes, errors, delays, counts and the trace.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_core::env::Site;
use jangbu_core::time::Instant;
use serde::{Deserialize, Serialize};

use super::file::{Holder, Inode};
use super::names::{DirectoryId, Names};
use super::{DiskError, Failure, PowerLoss, SimDisk, SyncLie};
use crate::rng::Rng;
use crate::trace::{Kind, hash_bytes};
use crate::world::control::Exit;
use crate::world::node::Crash;
use crate::world::{SiteCount, World, lock};

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
}

#[derive(Default)]
pub(super) struct DriveState {
    pub(super) names: Names,
    pub(super) holders: BTreeMap<PathBuf, Holder>,
    pub(super) calls: u64,
    /// The crashes that are to come: one for each site, and one for calls of any.
    pub(super) planned: Vec<Planned>,
    pub(super) errors: Vec<DiskError>,
    pub(super) call_delay_ns: u64,
    pub(super) sync_delay_ns: u64,
    pub(super) stalled_until: Instant,
    pub(super) capacity_bytes: Option<u64>,
    /// What the files take, counted along while the capacity is bounded; `None` when it must be counted anew.
    used_bytes: Option<u64>,
    pub(super) lie: Option<SyncLie>,
    /// What lying syncs left for later.
    pub(super) promised: Vec<(Instant, Synced)>,
}

/// A crash at a disk call to come.
pub(super) struct Planned {
    /// Only calls of this site count.
    pub(super) site: Option<String>,
    /// How many calls it comes behind.
    pub(super) calls_before: u64,
    pub(super) strike: Strike,
    pub(super) crash: Crash,
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
        Self { settings, state: Mutex::default() }
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
        let files = state.names.all_inodes();
        let names = state.names.lose_power(loss, rng);
        let bytes: u64 =
            files.iter().map(|inode| inode.lose_power(loss, self.settings.sector_bytes, rng)).sum();
        state.holders.clear();
        state.recount();
        format!("{bytes} changes of files and {names} of names")
    }
}

impl DriveState {
    pub(super) fn make_durable(&mut self, synced: &Synced) {
        match synced {
            Synced::File(inode, mark) => inode.make_durable(*mark),
            Synced::Directory(directory, mark) => self.names.make_durable(*directory, *mark),
        }
    }

    /// The first error that comes at this call; one that comes once is used up.
    fn take_error(&mut self, operation: Operation, path: &Path) -> Option<Failure> {
        let due = self.errors.iter_mut().position(|error| {
            let hits = error.hits(operation, path);
            if hits && error.calls_before > 0 {
                error.calls_before -= 1;
                return false;
            }
            hits
        })?;
        let failure = self.errors[due].failure;
        if !self.errors[due].sticky {
            self.errors.remove(due);
        }
        Some(failure)
    }

    /// Takes room for a file that grows; returns how many bytes are missing.
    pub(super) fn take_room(&mut self, growth: u64) -> u64 {
        let Some(capacity) = self.capacity_bytes else { return 0 };
        let used = self.used_bytes.unwrap_or_else(|| self.names.used_bytes());
        let granted = growth.min(capacity.saturating_sub(used));
        self.used_bytes = Some(used + granted);
        growth - granted
    }

    /// The files take another number of bytes than was counted along.
    pub(super) fn recount(&mut self) {
        self.used_bytes = None;
    }

    /// Plans a crash, in the place of one that waits for the same calls.
    pub(super) fn plan(&mut self, planned: Planned) {
        self.planned.retain(|other| other.site != planned.site);
        self.planned.push(planned);
    }

    /// Counts a call towards the planned crashes; one is taken out when its call has come.
    fn take_strike(&mut self, site: Site) -> Option<(Strike, Crash)> {
        let mut due = None;
        for (index, planned) in self.planned.iter_mut().enumerate() {
            if planned.site.as_ref().is_some_and(|wanted| wanted != site.name()) {
                continue;
            }
            match planned.calls_before.checked_sub(1) {
                Some(left) => planned.calls_before = left,
                None => due = due.or(Some(index)),
            }
        }
        let planned = self.planned.remove(due?);
        Some((planned.strike, planned.crash))
    }

    /// The delay of a call beyond the ordinary.
    fn delay_ns(&self, now: Instant) -> u64 {
        self.call_delay_ns + self.stalled_until.0.saturating_sub(now.0)
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
        match (admitted.strike, admitted.error) {
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
        }
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
                let delay_ns = state.delay_ns(Instant(now.0 + self.incarnation.debt_ns()));
                if delay_ns != 0 {
                    self.incarnation.charge(delay_ns);
                }
            }
            let strike = state.take_strike(site);
            let error = if strike.is_none() { state.take_error(operation, path) } else { None };
            Admitted { strike, error }
        };
        self.world.count_site(site, &admitted);
        let first = hash_bytes(u64::from(self.node.id.0), site.name().as_bytes());
        self.world.note(Kind::Disk, first, words, || {
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
        self.world.sleep(Duration::from_nanos(if halfway { wait_ns / 2 } else { wait_ns })).await;
        if self.incarnation.is_over() {
            return Err(crashed());
        }
        if let (true, Some((_, crash))) = (halfway, admitted.strike) {
            self.die(crash);
            return Err(crashed());
        }
        let result = self.finish_sync(&synced, admitted.error);
        if let Some((_, crash)) = admitted.strike {
            self.die(crash);
            return Err(crashed());
        }
        result
    }

    fn sync_time_ns(&self) -> u64 {
        let now = self.world.now();
        let settings = &self.node.drive.settings;
        let ordinary = lock(&self.world.disk_draws).within(settings.sync_ns_min..settings.sync_ns_max);
        let state = lock(&self.node.drive.state);
        // The calls before it in this poll come first.
        let debt_ns = self.incarnation.debt_ns();
        debt_ns + ordinary + state.sync_delay_ns + state.stalled_until.0.saturating_sub(now.0 + debt_ns)
    }

    fn finish_sync(&self, synced: &Synced, error: Option<Failure>) -> io::Result<()> {
        let mut state = lock(&self.node.drive.state);
        if let Some(failure) = error {
            // The pages count as clean from now on; the next sync succeeds and does not write them.
            if let Synced::File(inode, mark) = synced {
                inode.lose_pages(*mark);
            }
            return Err(failure.error());
        }
        match state.lie {
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

impl World {
    fn count_site(&self, site: Site, admitted: &Admitted) {
        let (crashes, errors) = (u64::from(admitted.strike.is_some()), u64::from(admitted.error.is_some()));
        *lock(&self.tally).sites.entry(site).or_default() += SiteCount { calls: 1, crashes, errors };
    }
}
