//! J1, J2, J3, J11: what clients were told holds in the end.

use super::{Violation, consumed, failures, producers, violated};
use crate::fuzz::replication::profile::ClientKind;
use crate::fuzz::replication::world::World;

/// The committed log grew from `before`.
pub(super) fn committed(world: &mut World, before: i64) -> Result<(), Violation> {
    for offset in before..world.truth.len() {
        let entry = world.truth.entries[offset as usize];
        failures::shows(world, entry.value, offset)?;
        producers::committed(world, &entry, offset)?;
    }
    Ok(())
}

/// A client was told that a value is at an offset.
pub fn told(world: &mut World, client: usize, value: u32, offset: i64) -> Result<(), Violation> {
    world.counts.acknowledged += 1;
    let kind = world.clients[client].kind;
    if !world.profile.is_within_budget() || !matches!(kind, ClientKind::Idempotent | ClientKind::All) {
        return Ok(());
    }
    let of_client = world.book.acknowledged.iter().filter(|told| told.0 == client);
    for (_, other, place) in of_client {
        // Values rise in the order in which they are sent.
        if kind == ClientKind::Idempotent
            && !world.profile.has_retention
            && (*other < value) != (*place < offset)
        {
            return violated(
                "J11",
                format!("client {client}: value {other} is at {place}, value {value} at {offset}"),
            );
        }
    }
    world.book.acknowledged.push((client, value, offset));
    Ok(())
}

/// In the end a consumer reads everything from the leader: each value that was acknowledged is where its client was told,
/// and one that an idempotent producer wrote is there once.
pub fn finally(world: &mut World) -> Result<(), Violation> {
    if !world.profile.is_within_budget() {
        return Ok(());
    }
    let leader = world.controller.view().leader.0 as u8;
    let (start, end) = (world.broker(leader).log.start(), world.broker(leader).log.end());
    let polled = consumed(world, leader, start, end - start)?;
    for (_, value, offset) in &world.book.acknowledged {
        let found = world.book.read.get(*offset as usize).copied().flatten();
        if *offset >= start && found != Some(*value) {
            // J1 when something behind it was read, J2 when nobody read as far.
            let check = if *offset < polled { "J1" } else { "J2" };
            return violated(
                check,
                format!("value {value} was acknowledged at {offset}, where {found:?} is read"),
            );
        }
    }
    let log = &world.broker(leader).log;
    // A client that finds its sequence forgotten begins anew, and may repeat what was appended (KIP-360).
    if world.profile.has_retention {
        return Ok(());
    }
    let mut values: Vec<u32> = Vec::new();
    for offset in start..end {
        let Some(entry) = log.entry(offset).filter(|entry| entry.producer >= 0) else {
            continue;
        };
        if values.contains(&entry.value) {
            return violated(
                "J3",
                format!("value {} is there twice, the second time at {offset}", entry.value),
            );
        }
        values.push(entry.value);
    }
    Ok(())
}
