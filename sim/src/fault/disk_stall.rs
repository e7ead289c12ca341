//! The disk stops answering for a while: buffered writes block their thread, syncs hang.
//!
//! Linux does this when too many pages are dirty, or when a controller resets. A blocked write holds the lane that
//! made it, and with it every partition served there.
//!
//! What must survive: everything. Afterwards the node catches up by itself.

use super::{Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "disk_stall",
    survives: "everything; the node catches up by itself afterwards",
    parameters: &[Parameter { name: "lasts", what: What::Time, default: "50ms..5s", doc: "how long" }],
    strike: |stage, node, parameters| {
        stage.stall_disk(node, parameters.time("lasts"));
        Ok(())
    },
};
