use std::collections::BTreeMap;
use std::ops::AddAssign;

use jangbu_core::env::Site;
use serde::{Deserialize, Serialize};

use super::{World, lock};
use crate::trace::Kind;

/// How often a disk site was passed, and how often a crash or an error struck there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteCount {
    /// Calls.
    pub calls: u64,
    /// Crashes inside a call.
    pub crashes: u64,
    /// Injected errors.
    pub errors: u64,
}

impl AddAssign for SiteCount {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.crashes += other.crashes;
        self.errors += other.errors;
    }
}

/// What was counted in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Facts told by living nodes.
    pub facts: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Rare states, by mark.
    pub marks: BTreeMap<&'static str, u64>,
    /// Disk sites.
    pub sites: BTreeMap<Site, SiteCount>,
    /// Bytes that were read from connections.
    pub bytes_delivered: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Syncs of files and directories that succeeded.
    pub syncs: u64,
}

impl World {
    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Counts a fault that took effect, and adds it to the trace.
    pub fn count_fault(&self, kind: &str) {
        *lock(&self.tally).faults.entry(kind.to_owned()).or_default() += 1;
        self.note(Kind::Fault, crate::trace::hash_bytes(0, kind.as_bytes()), 0, || kind.to_owned());
    }

    /// Counts a rare state.
    pub fn count_mark(&self, mark: &'static str) {
        *lock(&self.tally).marks.entry(mark).or_default() += 1;
    }
}
