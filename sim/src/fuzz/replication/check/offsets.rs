//! W7, W8, W11: one leader per epoch appends, densely, and never twice at one offset; acks=all only with enough in sync.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::ids::BrokerId;
use jangbu_core::replica::Acks;

/// What one leadership wrote.
#[derive(Clone, Debug, Default)]
struct Leadership {
    leader: BrokerId,
    first: i64,
    hashes: Vec<u64>,
}

/// What checks remember.
#[derive(Clone, Debug, Default)]
pub struct Book {
    by_epoch: Vec<Option<Leadership>>,
    /// Whether committed records were removed from the start of a log.
    pub has_retained: bool,
    /// Values whose clients were told that they are nowhere.
    pub failed: Vec<u32>,
    /// Values that were acknowledged with acks=all: the client, the value, where.
    pub acknowledged: Vec<(usize, u32, i64)>,
    /// Values that consumers read, by offset.
    pub read: Vec<Option<u32>>,
    /// The next sequence of each idempotent producer in the committed log.
    pub next_sequences: [(i16, i32); 16],
}

/// A leader appended a record of a client.
pub fn appended(world: &mut World, number: u8, offset: i64, acks: Acks) -> Result<(), Violation> {
    let broker = &world.brokers[usize::from(number) - 1];
    let epoch = broker.replica.leader_epoch().0;
    let Some(hash) = broker.log.hash_at(offset + 1) else { return Ok(()) };
    let in_sync = broker.replica.committed_isr().len();
    let needed = usize::from(world.profile.min_insync_replicas);
    if acks == Acks::All && in_sync < needed {
        return violated("W8", format!("leader {number} takes acks=all with {in_sync} of {needed} in sync"));
    }
    let index = usize::try_from(epoch).unwrap_or(0);
    if world.book.by_epoch.len() <= index {
        world.book.by_epoch.resize_with(index + 1, || None);
    }
    let leadership = world.book.by_epoch[index].get_or_insert_with(|| Leadership {
        leader: broker.id,
        first: offset,
        hashes: Vec::new(),
    });
    if leadership.leader != broker.id {
        return violated(
            "W7",
            format!("brokers {} and {number} both append in epoch {epoch}", leadership.leader),
        );
    }
    let place = offset - leadership.first;
    match usize::try_from(place) {
        Ok(place) if place == leadership.hashes.len() => leadership.hashes.push(hash),
        Ok(place) if leadership.hashes.get(place) == Some(&hash) => {}
        _ => {
            return violated(
                "W11",
                format!("offset {offset} of epoch {epoch} was written twice, or one was skipped"),
            );
        }
    }
    super::epoch_cache::newest_epoch(world, number)
}
