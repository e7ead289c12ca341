//! The node goes down and dies again while it starts, at a disk call of its recovery; several times in a row.
//!
//! What must survive: as for `power_loss`, or `process_crash` when it was always the process alone. Recovery may be interrupted anywhere, so each of its steps must leave a
//! directory from which the next start gets to the same log: the marker of a clean stop goes before anything is
//! trusted (KAFKA-10471), and the recovery point never moves ahead of what is durable (KAFKA-10101).

use super::{Blow, DOWN, Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "crash_while_recovering",
    survives: "as for power_loss: recovery may be interrupted at any disk call, any number of times",
    parameters: &[
        Parameter {
            name: "first",
            what: What::OneOf(&["clean", "process", "nothing", "prefix", "subset", "zeros", "garbage"]),
            default: "clean|process|nothing|prefix|subset|zeros|garbage",
            doc: "how the node goes down before",
        },
        Parameter {
            name: "mode",
            what: What::OneOf(&["process", "nothing", "prefix", "subset", "zeros", "garbage"]),
            default: "process|nothing|prefix|subset|zeros|garbage",
            doc: "how it goes down again: process death, or what a loss of power leaves",
        },
        Parameter {
            name: "calls",
            what: What::Number,
            default: "0..120",
            doc: "disk calls that succeed in a start",
        },
        Parameter { name: "times", what: What::Number, default: "1..3", doc: "starts that are interrupted" },
        DOWN,
    ],
    strike: |stage, node, parameters| {
        let down = parameters.time("down");
        let again = Blow::from_text(parameters.name("mode"));
        match parameters.name("first") {
            "clean" => stage.stop(node)?,
            first => stage.crash(node, Blow::from_text(first))?,
        }
        stage.interrupt_starts(node, parameters.number("times"), parameters.number("calls"), again, down);
        stage.start_later(node, down);
        Ok(())
    },
};
