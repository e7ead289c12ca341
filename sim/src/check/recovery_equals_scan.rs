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
            return Err(format!(
                "{partition} was closed in good order, and nobody knew of it at the next start"
            ));
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
                    return Err(format!(
                        "it holds {batch:?}, which nobody wrote, behind {}",
                        replica.log_end
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::Offset;

    use super::*;
    use crate::model::testing::{CACHED, KILLED, NODE, POWER, Scene, partition, scan, written};
    use crate::world::Exit;

    /// A log of three batches, of which the first is flushed, when its node went down.
    fn scene(exit: &Exit) -> Scene<RecoveryEqualsScan> {
        let mut scene = Scene::new(RecoveryEqualsScan);
        let untold = scan(0, vec![written(0, 4)]);
        scene.recover(CACHED, false, 0, &untold).expect("one batch may be there of which nobody was told");
        scene.ledger.update(&Seen::Recovered { node: NODE, fact: &opened(0, 12), scan: &whole() });
        scene.flush(CACHED, 4).expect("so it is");
        scene.end(exit).expect("that happens");
        scene
    }

    fn opened(log_start: i64, log_end: i64) -> Fact {
        let (log_start, log_end) = (Offset(log_start), Offset(log_end));
        Fact::Recovered { partition: partition(), clean: false, log_start, log_end }
    }

    fn whole() -> Scan {
        scan(0, vec![written(0, 4), written(4, 8), written(8, 12)])
    }

    #[test]
    fn a_log_that_is_not_what_its_files_hold_is_found() {
        let is_right = |log_start, log_end, scan: &Scan| {
            scene(&KILLED)
                .see(&Seen::Recovered { node: NODE, fact: &opened(log_start, log_end), scan })
                .is_ok()
        };
        assert!(is_right(0, 12, &whole()));
        assert!(!is_right(0, 8, &whole()), "it is said to be shorter");
        assert!(!is_right(-1, 12, &whole()), "it is said to begin before its first file");
        assert!(!is_right(0, 12, &Scan { damage: Some("a torn batch".to_owned()), ..whole() }));
        assert!(!is_right(0, 12, &scan(0, vec![written(0, 4), written(8, 12)])), "a hole");
    }

    #[test]
    fn what_is_missing_is_excused_by_a_loss_of_power_down_to_what_was_flushed() {
        let shorter = scan(0, vec![written(0, 4)]);
        assert!(scene(&KILLED).recover(CACHED, false, 0, &shorter).is_err());
        assert_eq!(scene(&POWER).recover(CACHED, false, 0, &shorter), Ok(()));
        assert!(scene(&POWER).recover(CACHED, false, 0, &scan(0, Vec::new())).is_err());
    }

    #[test]
    fn one_batch_may_be_there_of_which_nobody_was_told_at_the_end_and_nothing_else() {
        let with = |more: &[(i64, i64)]| {
            let mut found = whole();
            found.batches.extend(more.iter().map(|(base, end)| written(*base, *end)));
            scene(&KILLED).recover(CACHED, false, 0, &found)
        };
        assert_eq!(with(&[(12, 14)]), Ok(()));
        assert!(with(&[(12, 14), (14, 16)]).is_err());
        let mut other = whole();
        other.batches[1].crc ^= 1;
        assert!(scene(&KILLED).recover(CACHED, false, 0, &other).is_err(), "another batch in its place");
        let untold = scan(0, vec![written(0, 4), written(4, 6), written(6, 8), written(8, 12)]);
        assert!(scene(&KILLED).recover(CACHED, false, 0, &untold).is_err());
    }

    #[test]
    fn after_a_clean_stop_the_next_start_must_know_of_it() {
        assert!(scene(&Exit::Finished).recover(CACHED, false, 0, &whole()).is_err());
        assert_eq!(scene(&Exit::Finished).recover(CACHED, true, 0, &whole()), Ok(()));
        let mut interrupted = scene(&Exit::Finished);
        interrupted.end(&KILLED).expect("that happens in the next start");
        assert_eq!(interrupted.recover(CACHED, false, 0, &whole()), Ok(()), "the marker had gone");
    }

    #[test]
    fn a_disk_that_failed_calls_excuses_a_stop_that_was_not_clean() {
        let mut failed = scene(&KILLED);
        failed.recover(CACHED, false, 0, &whole()).expect("nothing is missing");
        failed.see(&Seen::DiskFailed { node: NODE }).expect("no violation");
        failed.end(&Exit::Finished).expect("that is for another check");
        assert_eq!(failed.recover(CACHED, false, 0, &whole()), Ok(()));
    }
}
