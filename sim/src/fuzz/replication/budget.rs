//! What may fail at once without a promise being broken (replication of a topic with min.insync.replicas m survives the
//! loss of m - 1 brokers' unflushed records, until they are in sync again).

use super::profile::Budget;
use super::world::World;

/// Brokers that stopped uncleanly and are not in sync again, besides this one.
fn unclean_others(world: &World, broker: u8) -> (u8, bool) {
    let others = world.brokers.iter().filter(|other| other.id.0 != i32::from(broker) && other.is_unclean);
    others.fold((0, false), |(count, is_lossy), other| (count + 1, is_lossy || other.is_lossy))
}

/// Whether a process may die with its page cache kept.
pub fn may_kill(world: &World, broker: u8) -> bool {
    let (count, is_lossy) = unclean_others(world, broker);
    let is_lossy = is_lossy || world.broker(broker).is_lossy;
    match world.profile.budget {
        Budget::KillsOnly | Budget::Beyond => true,
        Budget::FlushedLossy => !is_lossy || count + 1 < world.profile.min_insync_replicas,
        Budget::Lossy => !is_lossy || count + 1 < world.profile.min_insync_replicas,
    }
}

/// Whether a process may die with records that are in its page cache alone.
pub fn may_lose_tail(world: &World, broker: u8) -> bool {
    let (count, _) = unclean_others(world, broker);
    match world.profile.budget {
        Budget::KillsOnly => false,
        Budget::Lossy => count + 1 < world.profile.min_insync_replicas,
        Budget::FlushedLossy => may_kill(world, broker),
        Budget::Beyond => true,
    }
}

/// Whether a disk may be lost.
pub fn may_lose_directory(world: &World, broker: u8) -> bool {
    let (count, _) = unclean_others(world, broker);
    match world.profile.budget {
        Budget::KillsOnly => false,
        Budget::Lossy | Budget::FlushedLossy => count + 1 < world.profile.min_insync_replicas,
        // One disk at the most, so that an operator finds a log to go on with.
        Budget::Beyond => world.counts.lost_directories == 0,
    }
}
