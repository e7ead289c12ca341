//! W20: a log that was opened is exactly what its files hold, and a prefix of what was written.
//!
//! The files are read here, by the simulator: every batch has a right checksum, follows the one before it, and is the
//! one that was written at its offset. After the death of the process alone nothing is missing; after a loss of
//! power nothing below what was flushed.

use jangbu_core::fact::Fact;

use super::Check;
use crate::model::{Ledger, Replica, Scan, Seen, Written};

pub(super) struct RecoveryEqualsScan;

impl Check for RecoveryEqualsScan {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        let Seen::Recovered { node, fact, scan } = seen else { return Ok(()) };
        let Fact::Recovered { partition, clean, log_start, log_end } = fact else { return Ok(()) };
        let what = if *clean { "after a clean stop" } else { "after an unclean stop" };
        let replica = ledger.replica(*node, *partition);
        let rot = replica.and_then(|replica| replica.rot);
        // A log that was flushed is trusted and not read, so that damage to it is neither seen nor cut.
        let is_damage = rot.is_some_and(|rot| rot.unseen || scan.end().is_none_or(|end| end >= rot.from));
        if !is_damage {
            equals_files(scan, log_start.0, log_end.0)
                .map_err(|why| format!("{partition}, opened {what}: {why}"))?;
        }
        let Some(replica) = replica else { return Ok(()) };
        if replica.closed && !clean {
            return Err(format!("{partition} was closed in good order, and nobody knew of it at the next start"));
        }
        let floor = if replica.power_lost { replica.flushed } else { replica.log_end };
        let floor = rot.map_or(floor, |rot| if rot.unseen { 0 } else { floor.min(rot.from) });
        if log_end.0 < floor {
            let kept =
                if replica.power_lost { "flushed" } else { "written, and the page cache was not lost" };
            return Err(format!(
                "{partition}, opened {what}: the log ends at {log_end}, but up to {floor} everything was {kept}"
            ));
        }
        let rotten_from = rot.map_or(i64::MAX, |rot| if rot.unseen { 0 } else { rot.from });
        is_what_was_written(&scan.batches, replica, rotten_from)
            .map_err(|why| format!("{partition}, opened {what}: {why}"))
    }
}

fn equals_files(scan: &Scan, log_start: i64, log_end: i64) -> Result<(), String> {
    if let Some(damage) = &scan.damage {
        return Err(format!("its files hold {damage}"));
    }
    if scan.end().unwrap_or(log_start.max(0)) != log_end {
        return Err(format!("the log is said to end at {log_end}, its files end at {:?}", scan.end()));
    }
    let mut expected: Option<i64> = None;
    for batch in &scan.batches {
        if expected.is_some_and(|expected| expected != batch.base) {
            return Err(format!("after offset {expected:?} its files go on at {}", batch.base));
        }
        expected = Some(batch.end);
    }
    match scan.first_file {
        Some(first) if log_start < first => {
            Err(format!("the log is said to start at {log_start}, its files start at {first}"))
        }
        _ if log_start > log_end => Err(format!("the log starts at {log_start}, behind its end {log_end}")),
        _ => Ok(()),
    }
}

/// Both are in the order of offsets, and only those that both have can differ. One batch may have been written whose
/// fact was not told any more; it follows the others.
fn is_what_was_written(found: &[Written], replica: &Replica, rotten_from: i64) -> Result<(), String> {
    let mut written = replica.batches.iter().peekable();
    let mut untold = 0;
    for batch in found.iter().filter(|batch| batch.end <= rotten_from) {
        while written.next_if(|known| known.end <= batch.base).is_some() {}
        match written.peek() {
            Some(known) if known.base < batch.end && *known != batch => {
                return Err(format!(
                    "at offset {} it holds {batch:?}, but {known:?} was written",
                    batch.base
                ));
            }
            Some(known) if known == &batch => {}
            // What is below the start may be there or not.
            _ if batch.end <= replica.log_start => {}
            _ => {
                untold += 1;
                if batch.base != replica.log_end || untold > 1 {
                    return Err(format!("it holds {batch:?}, which nobody wrote, behind {}", replica.log_end));
                }
            }
        }
    }
    Ok(())
}
