//! The machine loses power: whatever was not synced survives in part, or as rubbish, or not at all.
//!
//! Of each file `nothing` keeps no write, `prefix` the first few and a torn part of the next, `subset` any sectors
//! (disks reorder), `zeros` the length alone, and `garbage` any of these with rubbish where sectors were lost. Names
//! that were created, changed or removed since the last directory sync may be lost.
//!
//! What must survive: with `flush.messages=1` everything acknowledged; otherwise what was flushed. And in every
//! case the node starts again by itself, with a log that is a clean prefix of what was written.

use super::{Blow, DOWN, Kind, POWER_MODE};

pub(super) const KIND: Kind = Kind {
    name: "power_loss",
    survives: "with flush.messages=1 every acknowledged record, otherwise every flushed one; the node restarts by itself",
    parameters: &[POWER_MODE, DOWN],
    strike: |stage, node, parameters| {
        stage.crash(node, Blow::power(parameters.name("mode")))?;
        stage.met();
        stage.start_later(node, parameters.time("down"));
        Ok(())
    },
};
