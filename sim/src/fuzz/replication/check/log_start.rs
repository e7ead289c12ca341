//! W5, W19: the log's start never passes the high watermark.

use super::{Violation, violated};
use crate::fuzz::replication::world::World;

/// After the start of a broker's log moved.
pub fn log_start(world: &World, number: u8) -> Result<(), Violation> {
    let broker = world.broker(number);
    let (start, high_watermark) = (broker.log.start(), broker.replica.high_watermark().0);
    if start > high_watermark {
        return violated(
            "W5",
            format!("broker {number}: log start {start} above high watermark {high_watermark}"),
        );
    }
    Ok(())
}
