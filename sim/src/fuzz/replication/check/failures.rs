//! W10: what failed for good is nowhere, and never will be.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;

/// A client was told that a value is nowhere.
pub fn failed(world: &mut World, value: u32) -> Result<(), Violation> {
    world.counts.failures += 1;
    world.book.failed.push(value);
    match world.profile.is_within_budget() && world.truth.entries.iter().any(|entry| entry.value == value) {
        true => violated("W10", format!("value {value} failed for good but is committed")),
        false => Ok(()),
    }
}

/// A value is committed at an offset, or a consumer reads it there.
pub(super) fn shows(world: &World, value: u32, offset: i64) -> Result<(), Violation> {
    match world.book.failed.contains(&value) {
        true => violated("W10", format!("value {value} failed for good but is at {offset}")),
        false => Ok(()),
    }
}
