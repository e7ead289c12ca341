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

/// The number of a fault in its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u64);

impl FaultId {
    /// Of what is done to the world by hand: nobody counts it.
    pub const NONE: Self = Self(0);
}

/// A fault that was armed: its kind, and whether anything has met it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmedFault {
    /// Its kind.
    pub kind: &'static str,
    /// Whether it took effect: it brought a node down, or a call met it.
    pub met: bool,
}

/// What was counted in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Facts told by living nodes.
    pub facts: u64,
    /// Faults that took effect, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Every fault that was armed, in the order of their numbers, which begin at 1.
    pub armed: Vec<ArmedFault>,
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

    /// A number for a fault that is about to be armed.
    pub fn arm_fault(&self, kind: &'static str) -> FaultId {
        let mut tally = lock(&self.tally);
        tally.armed.push(ArmedFault { kind, met: false });
        FaultId(tally.armed.len() as u64)
    }

    /// The fault that was numbered last has found its target in no state to be struck.
    pub fn skip_fault(&self, id: FaultId) {
        let mut tally = lock(&self.tally);
        if tally.armed.len() as u64 == id.0 {
            tally.armed.pop();
        }
    }

    /// A fault has taken effect; it counts once.
    pub fn fault_met(&self, id: FaultId) {
        let kind = {
            let mut tally = lock(&self.tally);
            let fault = id.0.checked_sub(1).and_then(|index| tally.armed.get_mut(index as usize));
            match fault {
                Some(fault) if !fault.met => {
                    fault.met = true;
                    fault.kind
                }
                _ => return,
            }
        };
        self.count_fault(kind);
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
