//! Single bits of a file at rest flip, in the page cache and on the disk.
//!
//! What must survive: honesty. With one replica the damaged batch is gone, but no reader is ever handed it as
//! valid, no index or checkpoint is believed that contradicts the log, and no input of any bytes ends the process
//! in a panic. `acked_is_durable` lets go of the partition that was struck.

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
