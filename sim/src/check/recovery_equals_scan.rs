//! W20: a log that was opened is exactly what its files hold, and a prefix of what was written.
//!
//! The files are read here, by the simulator: every batch has a right checksum, follows the one before it, and is the
//! one that was written at its offset. After the death of the process alone nothing is missing; after a loss of
//! power nothing below what was flushed.

use jangbu_core::fact::Fact;

use super::Check;
use crate::model::{Ledger, Scan, Seen, Written};

pub(super) struct RecoveryEqualsScan;

impl Check for RecoveryEqualsScan {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        let Seen::Recovered { node, fact, scan } = seen else { return Ok(()) };
        let Fact::Recovered { partition, clean, log_start, log_end } = fact else { return Ok(()) };
        let what = if *clean { "after a clean stop" } else { "after an unclean stop" };
        equals_files(scan, log_start.0, log_end.0)
            .map_err(|why| format!("{partition}, opened {what}: {why}"))?;
        let Some(replica) = ledger.replica(*node, *partition) else { return Ok(()) };
        let floor = if replica.power_lost { replica.flushed } else { replica.log_end };
        if log_end.0 < floor {
            let kept =
                if replica.power_lost { "flushed" } else { "written, and the page cache was not lost" };
            return Err(format!(
                "{partition}, opened {what}: the log ends at {log_end}, but up to {floor} everything was {kept}"
            ));
        }
        is_what_was_written(&scan.batches, &replica.batches)
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

/// Both are in the order of offsets, and only those that both have can differ.
fn is_what_was_written(found: &[Written], written: &[Written]) -> Result<(), String> {
    let mut written = written.iter().peekable();
    for batch in found {
        while written.next_if(|known| known.end <= batch.base).is_some() {}
        match written.peek() {
            Some(known) if known.base < batch.end && *known != batch => {
                return Err(format!(
                    "at offset {} it holds {batch:?}, but {known:?} was written",
                    batch.base
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
