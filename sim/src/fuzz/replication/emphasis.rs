//! What some episodes dwell on. Swarm testing makes each kind of event rare in some episodes and frequent in others; what
//! takes several kinds together, in the right proportion, is drawn here.

use crate::rng::Rng;

use super::action::SORTS;
use super::message::{KINDS, Kind};
use super::profile::{Budget, Profile};

/// Places of actions among the weights, in the order of [`draw`](super::generate).
/// [`Deliver`](super::action::Action::Deliver).
pub const DELIVER: usize = 0;
/// [`Fetch`](super::action::Action::Fetch).
pub const FETCH: usize = 4;
/// [`Metadata`](super::action::Action::Metadata).
pub const METADATA: usize = 5;
/// [`Flush`](super::action::Action::Flush).
pub const FLUSH: usize = 6;
/// [`Consume`](super::action::Action::Consume).
pub const CONSUME: usize = 9;
/// [`Crash`](super::action::Action::Crash).
pub const CRASH: usize = 10;
/// [`LoseDirectory`](super::action::Action::LoseDirectory).
pub const LOSE_DIRECTORY: usize = 11;
/// [`Restart`](super::action::Action::Restart).
pub const RESTART: usize = 12;
/// [`Pause`](super::action::Action::Pause).
pub const PAUSE: usize = 13;
/// [`Sessions`](super::action::Action::Sessions).
pub const SESSIONS: usize = 16;
/// [`Reassign`](super::action::Action::Reassign).
pub const REASSIGN: usize = 18;
/// [`Retain`](super::action::Action::Retain).
pub const RETAIN: usize = 19;
/// [`MinInsync`](super::action::Action::MinInsync).
pub const MIN_INSYNC: usize = 20;
/// [`Prefer`](super::action::Action::Prefer).
pub const PREFER: usize = 22;

/// [`Exchange`](super::action::Action::Exchange).
pub const EXCHANGE: usize = 23;
/// [`Write`](super::action::Action::Write).
pub const WRITE: usize = 24;

/// Changes a profile that was drawn.
pub fn emphasise(rng: &mut Rng, profile: &mut Profile) {
    if rng.chance(0.15) {
        profile.attention = attention(rng);
    }
    match rng.below(12) {
        0..=2 => leaderships(rng, profile),
        3 | 4 => incarnations(rng, profile),
        5 => moves(profile),
        _ => {}
    }
}

/// Some brokers read the metadata late.
fn attention(rng: &mut Rng) -> [u16; 5] {
    std::array::from_fn(|_| [256, 256, 60, 16][rng.below(4) as usize])
}

/// Leaderships follow each other among brokers that all stay in sync, and some brokers learn of it late: what is left of
/// one epoch meets the next but one (KIP-279, KIP-320).
fn leaderships(rng: &mut Rng, profile: &mut Profile) {
    let weights = &mut profile.weights;
    weights[PREFER] = [20, 60][rng.below(2) as usize];
    weights[METADATA] = [30, 60, 120][rng.below(3) as usize];
    for rare in [CRASH, PAUSE, REASSIGN, MIN_INSYNC] {
        weights[rare] /= 4;
    }
    if rng.chance(0.5) {
        // Hardly anything else happens: no session ends, nobody falls out of sync, no message is late but the metadata.
        *weights = [0; SORTS];
        (weights[PREFER], weights[METADATA]) = (60, 100);
        (weights[EXCHANGE], weights[WRITE]) = (100, 40);
        (weights[DELIVER], weights[FETCH], weights[CONSUME]) = (30, 10, 6);
        (weights[CRASH], weights[RESTART]) = (2, 20);
    }
    profile.attention = attention(rng);
}

/// The partition moves to and fro while brokers stop and start (KIP-455).
fn moves(profile: &mut Profile) {
    profile.brokers = profile.brokers.max(4);
    let weights = &mut profile.weights;
    weights[REASSIGN] = 20;
    weights[CRASH] = 16;
    weights[RESTART] = 60;
    weights[METADATA] = 90;
    weights[MIN_INSYNC] = 0;
    (weights[EXCHANGE], weights[WRITE]) = (100, 20);
}

/// Followers die and come back, another incarnation each time and often with less, while what their leader proposed
/// because of the one before is still on its way (KIP-903).
fn incarnations(rng: &mut Rng, profile: &mut Profile) {
    let weights = &mut profile.weights;
    weights[CRASH] = 30;
    weights[RESTART] = 120;
    weights[METADATA] = 120;
    weights[FLUSH] = 2;
    weights[LOSE_DIRECTORY] = [0, 20][rng.below(2) as usize];
    weights[REASSIGN] = 0;
    weights[SESSIONS] = 20;
    (weights[EXCHANGE], weights[WRITE]) = (150, 40);
    if profile.budget == Budget::KillsOnly {
        return;
    }
    profile.readiness = [256; KINDS];
    profile.readiness[Kind::AlterPartition as usize] = [2, 8, 16][rng.below(3) as usize];
}
