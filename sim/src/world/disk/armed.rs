//! The faults that wait on a disk for the calls which they will meet.
//!
//! Each has a number, so that the end of one takes back no other, and so that it counts only once a call has met it.

use std::path::Path;

use jangbu_core::env::Site;
use jangbu_core::time::Instant;

use super::{DiskError, Failure, Operation, Strike, SyncLie};
use crate::world::FaultId;
use crate::world::node::Crash;

/// Something that calls on a disk meet until it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The node crashes inside a call.
    Crash {
        /// Only calls of this site count; `None` for any.
        site: Option<String>,
        /// How many calls it comes behind.
        calls_before: u64,
        /// When, relative to the call.
        strike: Strike,
        /// How the node goes down.
        crash: Crash,
    },
    /// Calls fail.
    Error(DiskError),
    /// Calls take longer.
    Slow {
        /// What each call takes more, in nanoseconds; a sync is none of them.
        call_ns: u64,
        /// What each sync takes more, in nanoseconds.
        sync_ns: u64,
    },
    /// No call returns before this moment.
    Stall {
        /// In the world's time.
        until: Instant,
    },
    /// There is room for so many bytes and no more.
    Full {
        /// Bytes of all files together.
        capacity_bytes: u64,
    },
    /// Syncs are said to be done, and are not.
    Lie(SyncLie),
}

/// What waits on one disk, in the order in which it was armed.
#[derive(Default)]
pub(super) struct Armed {
    faults: Vec<(FaultId, DiskFault)>,
    met: Vec<FaultId>,
    /// Whose crash brought the node down last.
    struck_by: Option<FaultId>,
}

impl Armed {
    pub(super) fn push(&mut self, id: FaultId, fault: DiskFault) {
        self.faults.push((id, fault));
    }

    pub(super) fn end(&mut self, ends: impl Fn(FaultId, &DiskFault) -> bool) {
        self.faults.retain(|(id, fault)| !ends(*id, fault));
    }

    /// The faults that a call has met since this was asked last.
    pub(super) fn take_met(&mut self) -> Vec<FaultId> {
        std::mem::take(&mut self.met)
    }

    pub(super) fn take_struck_by(&mut self) -> Option<FaultId> {
        self.struck_by.take()
    }

    /// Counts a call towards all crashes that are planned; the first whose call this is strikes. Another that comes due
    /// at the same call strikes at the next.
    pub(super) fn take_strike(&mut self, called: Site) -> Option<(Strike, Crash)> {
        let mut due = None;
        for (index, (_, fault)) in self.faults.iter_mut().enumerate() {
            let DiskFault::Crash { site, calls_before, .. } = fault else { continue };
            if site.as_ref().is_some_and(|wanted| wanted != called.name()) {
                continue;
            }
            match calls_before.checked_sub(1) {
                Some(left) => *calls_before = left,
                None => due = due.or(Some(index)),
            }
        }
        let (id, fault) = self.faults.remove(due?);
        let DiskFault::Crash { strike, crash, .. } = fault else { return None };
        self.met.push(id);
        self.struck_by = Some(id);
        Some((strike, crash))
    }

    /// The first error that comes at this call; one that comes once is used up.
    pub(super) fn take_error(&mut self, operation: Operation, path: &Path) -> Option<Failure> {
        let due = self.faults.iter_mut().position(|(_, fault)| match fault {
            DiskFault::Error(error) if error.hits(operation, path) => {
                let comes = error.calls_before == 0;
                error.calls_before = error.calls_before.saturating_sub(1);
                comes
            }
            _ => false,
        })?;
        let (id, DiskFault::Error(error)) = &self.faults[due] else { return None };
        let failure = error.failure;
        self.met.push(*id);
        if !error.sticky {
            self.faults.remove(due);
        }
        Some(failure)
    }

    /// Until when no call returns.
    pub(super) fn stalled_until(&mut self, now: Instant) -> Instant {
        let mut latest = Instant::default();
        for (id, fault) in &self.faults {
            if let DiskFault::Stall { until } = fault
                && *until > now
            {
                latest = latest.max(*until);
                self.met.push(*id);
            }
        }
        latest
    }

    /// What a call takes beyond the ordinary, without stalls.
    pub(super) fn delay_ns(&mut self, is_sync: bool) -> u64 {
        let mut sum = 0;
        for (id, fault) in &self.faults {
            let DiskFault::Slow { call_ns, sync_ns } = fault else { continue };
            let delay_ns = if is_sync { *sync_ns } else { *call_ns };
            if delay_ns > 0 {
                sum += delay_ns;
                self.met.push(*id);
            }
        }
        sum
    }

    /// The least room that any fault leaves.
    pub(super) fn capacity(&self) -> Option<(FaultId, u64)> {
        let full = |(id, fault): &(FaultId, DiskFault)| match fault {
            DiskFault::Full { capacity_bytes } => Some((*id, *capacity_bytes)),
            _ => None,
        };
        self.faults.iter().filter_map(full).min_by_key(|(_, capacity_bytes)| *capacity_bytes)
    }

    pub(super) fn meet(&mut self, id: FaultId) {
        self.met.push(id);
    }

    /// The lie that a sync is answered with.
    pub(super) fn lie(&mut self) -> Option<SyncLie> {
        let (id, lie) = self.faults.iter().rev().find_map(|(id, fault)| match fault {
            DiskFault::Lie(lie) => Some((*id, *lie)),
            _ => None,
        })?;
        self.met.push(id);
        Some(lie)
    }
}
