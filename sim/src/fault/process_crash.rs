//! The process dies at once, as by `kill -9`: between two polls, with no destructor able to reach the world.
//!
//! What must survive: everything that was acknowledged, with acks 1 and all, whatever the flush policy. A write
//! that returned is in the page cache, and the page cache survives the process; so an acknowledged byte may never
//! sit in a buffer of the process itself (museum C12).

use super::{Blow, DOWN, Kind};

pub(super) const KIND: Kind = Kind {
    name: "process_crash",
    survives: "every acknowledged record (acks 1, all): written bytes are in the page cache, which survives the process",
    parameters: &[DOWN],
    strike: |stage, node, parameters| {
        stage.crash(node, Blow::Process)?;
        stage.met();
        stage.start_later(node, parameters.time("down"));
        Ok(())
    },
};
