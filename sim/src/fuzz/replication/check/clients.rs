//! J1, J2, J3, J11, W10, W12: what clients were told holds in the end.

use super::{Violation, violated};
use crate::fuzz::replication::profile::ClientKind;
use crate::fuzz::replication::world::World;

/// The committed log grew from `before`: sequences follow each other (W12), and nothing in it was said to have failed.
pub(super) fn committed(world: &mut World, before: i64) -> Result<(), Violation> {
    for offset in before..world.truth.len() {
        let entry = world.truth.entries[offset as usize];
        if world.book.failed.contains(&entry.value) {
            return violated(
                "W10",
                format!("value {} failed for good but is committed at {offset}", entry.value),
            );
        }
        if entry.producer < 0 || world.profile.has_retention {
            continue;
        }
        let expected = &mut world.book.next_sequences[entry.producer as usize];
        if *expected != (entry.producer_epoch, entry.sequence) {
            let (producer, sequence, wanted) = (entry.producer, entry.sequence, expected.1);
            return violated(
                "W12",
                format!(
                    "offset {offset}: producer {producer} has sequence {sequence} where {wanted} follows"
                ),
            );
        }
        expected.1 += 1;
        if world.book.committed_values.contains(&entry.value) {
            return violated("J3", format!("value {} is committed twice", entry.value));
        }
        world.book.committed_values.push(entry.value);
    }
    Ok(())
}

/// A client was told that a value is nowhere.
pub fn failed(world: &World, value: u32) -> Result<(), Violation> {
    match world.profile.is_within_budget() && world.truth.entries.iter().any(|entry| entry.value == value) {
        true => violated("W10", format!("value {value} failed for good but is committed")),
        false => Ok(()),
    }
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

/// In the end every acknowledged value is where its client was told, in the log of the leader.
pub fn finally(world: &World) -> Result<(), Violation> {
    if !world.profile.is_within_budget() {
        return Ok(());
    }
    let leader = world.controller.view().leader;
    let log = &world.broker(leader.0 as u8).log;
    for (_, value, offset) in &world.book.acknowledged {
        let found = log.entry(*offset).map(|entry| entry.value);
        if *offset >= log.start() && found != Some(*value) {
            return violated(
                "J1",
                format!("value {value} was acknowledged at {offset}, where {found:?} is now"),
            );
        }
    }
    for (offset, value) in (0..).zip(&world.book.read) {
        let found = log.entry(offset).map(|entry| entry.value);
        if value.is_some() && offset >= log.start() && found != *value {
            return violated("J4", format!("{value:?} was read at {offset}, where {found:?} is now"));
        }
    }
    Ok(())
}
