//! Single bits of a file at rest flip, in the page cache and on the disk.
//!
//! What must survive a bit of an index or of a producer snapshot: everything, for the log has all of it. A bit of a
//! segment: with one replica the damaged batch is gone, and what lies behind it may go with it, but no reader is
//! handed it as valid, and what lies before it and all other partitions are whole. Checkpoints hold offsets that are
//! nowhere else, without a checksum. No input of any bytes ends the process in a panic. The metadata log and its
//! snapshots are spared: a node that finds them damaged does right to refuse to start.

use super::{Kind, Parameter, Skipped, What};

pub(super) const KIND: Kind = Kind {
    name: "bit_rot",
    survives: "no damaged record is handed out as valid and nothing panics; with one replica the record itself is gone",
    parameters: &[
        Parameter {
            name: "file",
            what: What::OneOf(&["log", "index", "timeindex", "snapshot", "checkpoint"]),
            default: "index|timeindex",
            doc: "which kind of file",
        },
        Parameter { name: "bits", what: What::Number, default: "1..4", doc: "how many bits" },
    ],
    strike: |stage, node, parameters| {
        let ending = match parameters.name("file") {
            "log" => ".log",
            "index" => ".index",
            "timeindex" => ".timeindex",
            "snapshot" => ".snapshot",
            _ => "checkpoint",
        };
        match stage.rot(node, ending, parameters.number("bits")) {
            0 => Err(Skipped("there is no such file")),
            _ => {
                stage.met();
                Ok(())
            }
        }
    },
};
