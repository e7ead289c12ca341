//! The disk is full: writes that need more space fail with ENOSPC, possibly after a part of the bytes.
//!
//! What must survive: everything acknowledged before. The write that failed is acknowledged to nobody; when there
//! is space again, the node goes on after a restart at the latest.

use super::{Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "disk_full",
    survives: "every record acknowledged before; the write that failed is acknowledged to nobody",
    parameters: &[
        Parameter { name: "free", what: What::Number, default: "0..20000", doc: "bytes that are still free" },
        Parameter {
            name: "lasts",
            what: What::Time,
            default: "100ms..3s",
            doc: "until there is space again",
        },
    ],
    strike: |stage, node, parameters| {
        stage.fill_disk(node, parameters.number("free"));
        stage.end_disk_fault_later(node, parameters.time("lasts"));
        Ok(())
    },
};
