//! W2, W6: whoever may be elected has everything that is committed, and nothing committed is cut there.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::ids::BrokerId;

/// Whether all members of ISR and ELR hold the committed log; excused is who lost records by a fault that the controller
/// has not heard of.
pub fn candidates(world: &World) -> Result<(), Violation> {
    if !world.profile.is_within_budget() {
        return Ok(());
    }
    let view = world.controller.view();
    for id in view.isr.iter().chain(&view.elr) {
        if let Some(lacks) = lacks(world, *id) {
            let set = if view.isr.contains(id) { "ISR" } else { "ELR" };
            return violated("W2", format!("broker {id} is in the {set} but {lacks}"));
        }
    }
    Ok(())
}

fn lacks(world: &World, id: BrokerId) -> Option<String> {
    let broker = world.brokers.get(usize::try_from(id.0 - 1).ok()?)?;
    if broker.has_lost || world.truth.is_in(&broker.log) {
        return None;
    }
    let (end, committed) = (broker.log.end(), world.truth.len());
    Some(format!("its log, which ends at {end}, lacks some of the {committed} committed records"))
}

/// After a cut of a broker's log.
pub fn committed_stays(world: &World, number: u8, to: i64) -> Result<(), Violation> {
    candidates(world).map_err(|mut violation| {
        violation.check = "W6";
        violation.message = format!("broker {number} cut its log at {to}: {}", violation.message);
        violation
    })
}
