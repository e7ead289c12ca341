//! W4, W7, W22: the controller's sets are clean, its epochs rise, and its leader counts with no fewer replicas.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::ids::BrokerId;
use jangbu_core::replica::BrokersView;

/// A new state of the controller.
pub fn controller_state(world: &World, index: usize) -> Result<(), Violation> {
    let (before, view) = (&world.controller.views[index - 1], &world.controller.views[index]);
    if view.leader_epoch < before.leader_epoch || view.partition_epoch < before.partition_epoch {
        return violated("W7", "an epoch of the partition fell".to_owned());
    }
    if view.leader != before.leader && view.leader_epoch == before.leader_epoch {
        return violated("W7", format!("leader epoch {} has two leaders", view.leader_epoch));
    }
    for id in &view.isr {
        if !view.standing(*id).is_some_and(|standing| standing.is_eligible()) {
            return violated("W22", format!("broker {id} is in the ISR but fenced or shutting down"));
        }
        if view.elr.contains(id) {
            return violated("W22", format!("broker {id} is in the ISR and in the ELR"));
        }
    }
    if view.isr.len() >= view.min_insync_replicas && !view.elr.is_empty() {
        return violated("W22", "the ISR is large enough but the ELR is not empty".to_owned());
    }
    if view.leader != BrokerId::NONE && !view.isr.contains(&view.leader) {
        return violated("W22", format!("leader {} is not in the ISR", view.leader));
    }
    Ok(())
}

/// The leader of the present epoch counts with everyone whom the controller may elect.
pub fn quorum_superset(world: &World, number: u8) -> Result<(), Violation> {
    let broker = world.broker(number);
    let view = world.controller.view();
    let leads = broker.is_up && broker.replica.is_leader() && view.leader == broker.id;
    if !leads || broker.replica.leader_epoch().0 != view.leader_epoch {
        return Ok(());
    }
    if broker.replica.committed_isr().len() < view.min_insync_replicas {
        return Ok(());
    }
    let maximal = broker.replica.maximal_isr();
    for id in view.isr.iter().chain(&view.elr) {
        if !maximal.contains(id) {
            return violated(
                "W4",
                format!("leader {number} counts {maximal:?} but broker {id} may be elected"),
            );
        }
    }
    Ok(())
}
