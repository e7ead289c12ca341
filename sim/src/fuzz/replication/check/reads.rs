//! W9, J4: consumers read committed records, and one record at an offset.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;
use jangbu_core::replica::Isolation;

/// A consumer reads from a broker, from an offset on.
pub fn consumed(world: &mut World, number: u8, from: i64, count: i64) -> Result<i64, Violation> {
    let broker = world.broker(number);
    let bound = broker.replica.read_bound(Isolation::ReadUncommitted, None, &broker.log).0;
    let from = from.max(broker.log.start());
    if !world.profile.is_within_budget() {
        return Ok(from);
    }
    let to = bound.min(from + count);
    if from >= to {
        return Ok(from);
    }
    let values: Vec<u32> =
        broker.log.read(from, (to - from) as usize).iter().map(|entry| entry.value).collect();
    // What the consumer sees comes first: it needs no knowledge of what is committed.
    let read = &mut world.book.read;
    if read.len() < to as usize {
        read.resize(to as usize, None);
    }
    for (offset, value) in (from..).zip(&values) {
        let value = *value;
        match read[offset as usize] {
            Some(other) if other != value => {
                return violated(
                    "J4",
                    format!("offset {offset} had value {other} and has {value} on broker {number}"),
                );
            }
            _ => read[offset as usize] = Some(value),
        }
    }
    for (offset, value) in (from..).zip(values) {
        super::failures::shows(world, value, offset)?;
    }
    let broker = world.broker(number);
    if bound > world.truth.len() || !world.truth.agrees(&broker.log, bound) {
        return violated(
            "W9",
            format!("broker {number} lets consumers read up to {bound}: not all is committed"),
        );
    }
    Ok(to)
}
