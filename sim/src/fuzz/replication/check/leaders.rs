//! W1, W7: a leader has everything that is committed, and epochs never fall.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::ids::LeaderEpoch;

/// A broker became leader.
pub fn new_leader(world: &mut World, number: u8) -> Result<(), Violation> {
    world.counts.leaderships += 1;
    let broker = world.broker(number);
    let view = world.controller.view();
    let is_present = view.leader == broker.id && view.leader_epoch == broker.replica.leader_epoch().0;
    if world.profile.is_within_budget() && is_present && !world.truth.is_in(&broker.log) {
        let (end, committed) = (broker.log.end(), world.truth.len());
        return violated(
            "W1",
            format!("leader {number} begins at {end} without all {committed} committed records"),
        );
    }
    super::producers::is_folded(world, number)
}

/// A broker looked at the metadata: it leads no longer when it has read that its leadership is over, though it drains
/// (KAFKA-14296).
pub fn deposed(world: &World, number: u8) -> Result<(), Violation> {
    let broker = world.broker(number);
    let view = &world.controller.views[broker.looked_at];
    let epoch = broker.replica.leader_epoch();
    let has_read = !broker.lifecycle.has_ended() && view.offset >= broker.lifecycle.broker_epoch().0;
    if has_read && broker.replica.is_leader() && view.leader_epoch > epoch.0 {
        let newer = view.leader_epoch;
        return violated(
            "W7",
            format!("broker {number} leads on in epoch {epoch} but has read of epoch {newer}"),
        );
    }
    Ok(())
}

/// What a broker knows of epochs rises.
pub fn epochs_rise(world: &World, number: u8, before: LeaderEpoch) -> Result<(), Violation> {
    let after = world.broker(number).replica.leader_epoch();
    if after < before {
        return violated("W7", format!("broker {number} went back from epoch {before} to {after}"));
    }
    Ok(())
}
