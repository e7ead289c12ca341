//! W20: a log that is opened again is a prefix of what was written, and not below what was on the disk.

use super::{Violation, violated};
use crate::fuzz::replication::log::FuzzLog;
use crate::fuzz::replication::world::World;

/// A broker has just started: its log, against the one that its last process left.
pub fn recovered(world: &World, number: u8) -> Result<(), Violation> {
    let broker = world.broker(number);
    if let Some(written) = &broker.written
        && let Some(difference) = difference(written, &broker.log)
    {
        return violated("W20", format!("broker {number} starts with a log that {difference}"));
    }
    let (high_watermark, end) = (broker.replica.high_watermark().0, broker.log.end());
    if high_watermark > end || high_watermark < broker.log.start() {
        return violated(
            "W20",
            format!("broker {number} starts with high watermark {high_watermark} of {end}"),
        );
    }
    // What memory held is read back: the epochs, and the producers.
    super::epoch_cache(world, number)?;
    super::producers::is_folded(world, number)
}

fn difference(written: &FuzzLog, log: &FuzzLog) -> Option<String> {
    let end = log.end();
    if end > written.end() {
        return Some(format!("ends at {end}, though only {} were written", written.end()));
    }
    if end < written.flushed {
        return Some(format!("ends at {end}, though {} were on the disk", written.flushed));
    }
    if log.start() != written.start() {
        return Some(format!("begins at {} instead of {}", log.start(), written.start()));
    }
    (log.hash_at(end) != written.hash_at(end)).then(|| format!("holds other records below {end}"))
}
