//! The node is told to stop, as by SIGTERM, stops in its own time and is started again.
//!
//! What must survive: everything acknowledged, whatever the policy: a clean stop flushes. The next start trusts the
//! logs because of the marker of the clean stop, and removes it before it reads anything.

use super::{DOWN, Kind};

pub(super) const KIND: Kind = Kind {
    name: "restart",
    survives: "every acknowledged record; the next start finds the marker of a clean stop and need not scan",
    parameters: &[DOWN],
    strike: |stage, node, parameters| {
        stage.stop(node)?;
        stage.met();
        stage.start_later(node, parameters.time("down"));
        Ok(())
    },
};
