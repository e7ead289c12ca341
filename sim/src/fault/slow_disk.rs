//! Syncs take much longer than usual for a while, as on a disk that shares its queue.
//!
//! What must survive: everything, and order: acknowledgements under `flush.messages=1` come later, never earlier
//! than the sync that makes them true.

use super::{Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "slow_disk",
    survives: "everything; acknowledgements that wait for a sync come later, never before it",
    parameters: &[
        Parameter { name: "delay", what: What::Time, default: "5ms..500ms", doc: "what each sync takes" },
        Parameter { name: "lasts", what: What::Time, default: "100ms..5s", doc: "how long" },
    ],
    strike: |stage, node, parameters| {
        stage.slow_disk(node, parameters.time("delay"));
        stage.end_disk_fault_later(node, parameters.time("lasts"));
        Ok(())
    },
};
