//! W24, W3: when everything is healed, everything agrees and nobody waits.

use super::{Violation, violated};
use crate::fuzz::replication::log::FuzzLog;
use crate::fuzz::replication::world::World;
use jangbu_core::ids::BrokerId;
use jangbu_core::lifecycle::Stage;

/// What is still to come, if anything.
fn missing(world: &World) -> Option<String> {
    let view = world.controller.view();
    let newest = world.controller.views.len() - 1;
    if view.leader == BrokerId::NONE {
        return Some("there is no leader".to_owned());
    }
    let expected = view.replicas.iter().filter(|id| Some(id.0 as u8) != world.profile.stays_down).count();

    if view.isr.len() != expected {
        return Some(format!("the ISR is {:?} of {:?}", view.isr, view.replicas));
    }
    if let Some((number, client)) = (0..).zip(&world.clients).find(|(_, client)| !client.window.is_empty()) {
        return Some(format!("client {number} waits: {:?}", client.window[0]));
    }
    let leader = world.broker(view.leader.0 as u8);
    let end = leader.log.end();
    for broker in &world.brokers {
        let number = broker.id.0 as u8;
        if Some(number) == world.profile.stays_down {
            continue;
        }
        if broker.published != Some(newest) {
            return Some(format!("broker {number} follows old metadata"));
        }
        if broker.lifecycle.stage() != Stage::Serving {
            return Some(format!("broker {number} is {:?}", broker.lifecycle.stage()));
        }
        if !view.replicas.contains(&broker.id) {
            continue;
        }
        if broker.log.end() != end || broker.replica.high_watermark().0 != end {
            let high_watermark = broker.replica.high_watermark();
            return Some(format!(
                "broker {number} is at {} of {end}, high watermark {high_watermark}",
                broker.log.end()
            ));
        }
        if broker.replica.has_pending_isr() || !broker.waiting.is_empty() {
            return Some(format!("broker {number} still has something pending"));
        }
    }
    None
}

/// Whether everything has come to rest; then all logs are one.
pub fn converged(world: &World) -> Result<bool, Violation> {
    if missing(world).is_some() {
        return Ok(false);
    }
    let view = world.controller.view();
    let leader = world.broker(view.leader.0 as u8);
    let end = leader.log.end();
    for id in &view.isr {
        if !matches(world, &world.broker(id.0 as u8).log, &leader.log) {
            return violated("W3", format!("brokers {id} and {} hold different logs up to {end}", leader.id));
        }
    }
    Ok(true)
}

/// Whether two logs with one end are the same. Retention removes what is committed, which within the budget is the same
/// everywhere: the hashes of all there ever was are equal. Beyond it a replica may have removed records of a history
/// that an unclean election ended. It has nothing there any more that could be told from the leader's, as in Kafka,
/// where an empty log continues at its own end and a follower's start never falls to the leader's (KIP-107, KIP-320):
/// all that both hold must be the same.
fn matches(world: &World, log: &FuzzLog, other: &FuzzLog) -> bool {
    match world.profile.is_within_budget() {
        true => log.hash_at(log.end()) == other.hash_at(other.end()),
        false => log.holds_the_same_as(other),
    }
}

/// It took too long.
pub fn stuck(world: &World) -> Violation {
    Violation {
        check: "W24",
        message: missing(world).unwrap_or_else(|| "it came to rest too late".to_owned()),
    }
}
