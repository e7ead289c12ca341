//! W3, W5, W12: the high watermark is within the log, never falls within a leadership, and what lies below it is one and
//! the same log everywhere.

use super::{Violation, candidates, clients, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::ids::Offset;

/// After the high watermark of a broker moved from `before`.
pub fn high_watermark(world: &mut World, number: u8, before: Offset) -> Result<(), Violation> {
    let index = usize::from(number) - 1;
    let broker = &world.brokers[index];
    let high_watermark = broker.replica.high_watermark().0;
    let (start, end) = (broker.log.start(), broker.log.end());
    if high_watermark < start || high_watermark > end {
        return violated(
            "W5",
            format!("broker {number}: high watermark {high_watermark}, log {start}..{end}"),
        );
    }
    if !world.profile.is_within_budget() {
        return Ok(());
    }
    if broker.replica.is_leader() && high_watermark < before.0 {
        return violated(
            "W5",
            format!("leader {number}: high watermark fell from {before} to {high_watermark}"),
        );
    }
    let committed = world.truth.len();
    if high_watermark <= committed {
        return match world.truth.agrees(&broker.log, high_watermark) {
            true => Ok(()),
            false => {
                violated("W3", format!("broker {number} below {high_watermark} is not what was committed"))
            }
        };
    }
    if !broker.replica.is_leader() {
        return violated(
            "W5",
            format!("follower {number} has high watermark {high_watermark} but {committed} are committed"),
        );
    }
    if !world.truth.agrees(&broker.log, committed) {
        return violated("W3", format!("leader {number} commits on a log that lacks what was committed"));
    }
    world.truth.extend(&world.brokers[index].log, high_watermark);
    clients::committed(world, committed)?;
    candidates(world)
}

/// After a follower appended: what it has below the committed end of an in-sync log is checked when it is counted; here
/// the bounds alone.
pub fn replicated(world: &World, number: u8) -> Result<(), Violation> {
    let broker = world.broker(number);
    let high_watermark = broker.replica.high_watermark().0;
    if high_watermark > broker.log.end() || high_watermark < broker.log.start() {
        return violated("W5", format!("follower {number}: high watermark {high_watermark} outside its log"));
    }
    super::epoch_cache::newest_epoch(world, number)
}
