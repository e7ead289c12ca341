//! W8: success for acks=all means committed, and held by min.insync.replicas of the in-sync replicas.

use super::{Violation, violated};
use crate::fuzz::replication::broker::Waiting;
use crate::fuzz::replication::world::World;

/// A leader is about to acknowledge.
pub fn acknowledged(world: &World, number: u8, waiting: &Waiting) -> Result<(), Violation> {
    if !world.profile.is_within_budget() {
        return Ok(());
    }
    let end = waiting.pending.end.0;
    if end > world.truth.len() {
        return violated(
            "W8",
            format!("broker {number} acknowledges offset {} before it is committed", end - 1),
        );
    }
    let is_it = world.truth.entries.get((end - 1) as usize).is_some_and(|entry| entry.value == waiting.value);
    if !is_it {
        return violated(
            "W8",
            format!("broker {number} acknowledges offset {}, which holds another batch", end - 1),
        );
    }
    let maximal = world.broker(number).replica.maximal_isr();
    let holds = |broker: &&crate::fuzz::replication::broker::Broker| {
        let is_on_disk = !world.profile.flush_before_ack || broker.log.flushed >= end;
        let is_there = broker.log.start() >= end || world.truth.agrees(&broker.log, end);
        maximal.contains(&broker.id) && (broker.has_lost || broker.is_lossy || (is_there && is_on_disk))
    };
    let holders = world.brokers.iter().filter(holds).count();
    let needed = usize::from(world.profile.min_insync_replicas);
    if holders < needed {
        return violated(
            "W8",
            format!("broker {number} acknowledges offset {} with {holders} of {needed} holders", end - 1),
        );
    }
    Ok(())
}
