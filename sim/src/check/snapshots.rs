//! W12: what a snapshot says of the producers is the fold of the log up to it, also after a restart, so that a retry
//! is known for one and nobody is fenced by a stranger. After a clean stop the newest speaks of the whole log.

use jangbu_core::fact::Fact;

use super::Check;
use crate::model::{Fold, Ledger, Scan, Seen, fold};

pub(super) struct Snapshots;

impl Check for Snapshots {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        let Seen::Recovered { node, fact, scan } = seen else { return Ok(()) };
        let Fact::Recovered { partition, clean, log_end, .. } = fact else { return Ok(()) };
        let replica = ledger.replica(*node, *partition);
        if replica.is_some_and(|replica| replica.rot.is_some()) {
            return Ok(());
        }
        let newest = format!("{:020}.snapshot", log_end.0);
        let is_rotten = replica.is_some_and(|replica| replica.rotten_files.contains(&newest));
        if *clean && !is_rotten && !matches!(scan.snapshots.get(&log_end.0), Some(Some(_))) {
            return Err(format!(
                "{partition} was closed without a whole snapshot of its producers at {log_end}"
            ));
        }
        let first_file = scan.first_file.unwrap_or(0);
        for (offset, said) in &scan.snapshots {
            let Some(said) = said else { continue };
            same(said, scan, *offset, first_file)
                .map_err(|why| format!("the snapshot of {partition} at {offset}: {why}"))?;
        }
        Ok(())
    }
}

/// A snapshot may know producers all of whose batches were deleted since.
fn same(said: &Fold, scan: &Scan, offset: i64, first_file: i64) -> Result<(), String> {
    let known = fold(scan.batches.iter().filter(|batch| batch.end <= offset));
    for (id, producer) in &known {
        if said.get(id) != Some(producer) {
            return Err(format!("of producer {id} it says {:?}, the log {producer:?}", said.get(id)));
        }
    }
    match said.iter().find(|(id, producer)| !known.contains_key(id) && producer.last_offset >= first_file) {
        Some((id, producer)) => Err(format!("it knows producer {id} ({producer:?}), and the log does not")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Written;
    use crate::model::testing::{CACHED, Entry, Scene, scan, snapshots, written};

    fn batch(base: i64, end: i64, producer_id: i64, sequence: i32) -> Written {
        Written { producer_id, producer_epoch: 0, sequence, ..written(base, end) }
    }

    /// A log from 10 on whose snapshots are these.
    fn opened(clean: bool, of: &[(i64, &[Entry])]) -> Result<(), String> {
        let batches = vec![batch(10, 14, 7, 4), batch(14, 16, 8, 0), batch(16, 18, 7, 8)];
        let scan = Scan { snapshots: snapshots(of), ..scan(10, batches) };
        Scene::new(Snapshots).recover(CACHED, clean, 10, &scan)
    }

    #[test]
    fn a_snapshot_must_be_the_fold_of_what_is_before_it() {
        assert_eq!(opened(false, &[(16, &[(7, 0, 7, 13), (8, 0, 1, 15)])]), Ok(()));
        assert_eq!(opened(true, &[(18, &[(7, 0, 9, 17), (8, 0, 1, 15)])]), Ok(()));
        assert!(opened(false, &[(16, &[(7, 0, 7, 13)])]).is_err(), "one is missing");
        assert!(opened(false, &[(16, &[(7, 0, 9, 17), (8, 0, 1, 15)])]).is_err(), "it knows the future");
        assert!(opened(false, &[(16, &[(7, 1, 7, 13), (8, 0, 1, 15)])]).is_err(), "another epoch");
        assert!(opened(false, &[(14, &[(7, 0, 7, 13), (9, 0, 1, 12)])]).is_err(), "one too many");
    }

    #[test]
    fn producers_whose_batches_were_deleted_may_be_known() {
        assert_eq!(opened(false, &[(14, &[(5, 0, 3, 9), (7, 0, 7, 13)])]), Ok(()));
    }

    #[test]
    fn a_clean_stop_leaves_a_whole_snapshot_of_the_whole_log() {
        assert!(opened(true, &[]).is_err());
        assert!(opened(true, &[(16, &[(7, 0, 7, 13), (8, 0, 1, 15)])]).is_err());
        assert_eq!(opened(false, &[]), Ok(()), "an unclean one need not");
    }
}
