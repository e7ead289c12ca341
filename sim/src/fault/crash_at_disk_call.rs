//! The node dies inside a disk call: a write half done, a file created and not yet synced, a rename not yet durable.
//!
//! Crashes between two polls never meet these states, because the critical sections of the core are synchronous.
//! The call is counted from the moment the fault is armed. Most calls are appends and reads; where a call is rare, such
//! as in a deletion, the fault names its site, and counts the calls of that site alone.
//!
//! What must survive: as for `process_crash` and `power_loss`. A half-written batch was never acknowledged, and
//! recovery cuts it.

use super::{Blow, DOWN, Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "crash_at_disk_call",
    survives: "as for process_crash or power_loss; a batch that was half written is cut by recovery",
    parameters: &[
        Parameter {
            name: "calls",
            what: What::Number,
            default: "0..200",
            doc: "disk calls that still succeed",
        },
        Parameter {
            name: "site",
            what: What::Site,
            default: "any",
            doc: "the calls that count: of one disk site, such as log.recovery.cut or log.dir.*",
        },
        Parameter {
            name: "mode",
            what: What::OneOf(&["process", "nothing", "prefix", "subset", "zeros", "garbage"]),
            default: "process|nothing|prefix|subset|zeros|garbage",
            doc: "process death, or what a loss of power leaves",
        },
        DOWN,
    ],
    strike: |stage, node, parameters| {
        let blow = Blow::from_text(parameters.name("mode"));
        let site = Some(parameters.name("site")).filter(|site| *site != "any");
        stage.crash_at_disk_call(node, (site, parameters.number("calls")), blow, parameters.time("down"))
    },
};
