//! W13: the epoch cache is the fold of the log, with at most the empty present epoch behind it.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::epochs::LogView;
use jangbu_core::ids::{LeaderEpoch, Offset};

/// After a role change or a cut.
pub fn epoch_cache(world: &World, number: u8) -> Result<(), Violation> {
    let log = &world.broker(number).log;
    let folded = log.folded_epochs();
    let mut kept = log.epochs().clone();
    if kept.latest().is_some_and(|latest| latest.start.0 >= log.end()) {
        kept.truncate_from_end(Offset(log.end()));
    }
    let is_tail_present =
        log.epochs().entries().iter().filter(|entry| entry.start.0 > log.end()).count() == 0;
    if kept != folded || !is_tail_present {
        return violated(
            "W13",
            format!("broker {number}: the epoch cache is {:?}, the log has {:?}", log.epochs(), folded),
        );
    }
    Ok(())
}

/// After an append: the last record's epoch.
pub(super) fn newest_epoch(world: &World, number: u8) -> Result<(), Violation> {
    let log = &world.broker(number).log;
    let last = log.end() - 1;
    let Some(entry) = log.entry(last) else { return Ok(()) };
    if log.epochs().at(Offset(last)) != Some(LeaderEpoch(entry.epoch)) {
        return violated("W13", format!("broker {number}: offset {last} is of epoch {}", entry.epoch));
    }
    Ok(())
}
