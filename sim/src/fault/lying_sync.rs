//! The disk says that a sync is done although nothing has left its volatile cache.
//!
//! What must survive: nothing can, when the power fails later; this fault exists to show that our promise rests on
//! the disk's, and that the checks would notice (scenarios/expected/lying_fsync_loses.toml).

use super::{Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "lying_sync",
    survives: "a process crash; after a power loss nothing can be promised, which the checks must notice",
    parameters: &[Parameter { name: "lasts", what: What::Time, default: "1s..10s", doc: "how long" }],
    strike: |stage, node, parameters| {
        stage.lie_about_syncs(node);
        stage.end_disk_fault_later(node, parameters.time("lasts"));
        Ok(())
    },
};
