//! A disk call fails with EIO or ENOSPC: once, or every time from then on. The call is the next of its kind, or a
//! later one: most calls are appends, and an error that always came at once would hardly ever meet anything else,
//! such as an index (KAFKA-7866).
//!
//! After a failed sync the kernel forgets that the pages were dirty: they are lost, and the next sync succeeds
//! (the "fsyncgate" of 2018). So a failed write or sync is never repeated.
//!
//! What must survive: every record acknowledged before the error under `flush.messages=1`, and in any case no
//! acknowledgement that rests on bytes of unknown state: the log directory goes offline, the node ends, and
//! recovery decides what is there.

use super::{FollowUp, Kind, Parameter, What};
use crate::world::disk::{DiskError, Failure, Operation};

pub(super) const KIND: Kind = Kind {
    name: "disk_error",
    survives: "nothing is acknowledged on top of a failed write or sync: the directory goes offline and recovery decides",
    parameters: &[
        Parameter {
            name: "on",
            what: What::OneOf(&["read", "write", "sync", "name", "any"]),
            default: "write|sync|any",
            doc: "which calls fail",
        },
        Parameter {
            name: "calls",
            what: What::Number,
            default: "0..60",
            doc: "such calls that still succeed",
        },
        Parameter {
            name: "error",
            what: What::OneOf(&["eio", "enospc"]),
            default: "eio|enospc",
            doc: "what they return",
        },
        Parameter {
            name: "mode",
            what: What::OneOf(&["once", "sticky"]),
            default: "once|sticky",
            doc: "that call alone, or all from then on",
        },
        Parameter {
            name: "lasts",
            what: What::Time,
            default: "100ms..3s",
            doc: "until an error that is sticky or has not come goes away",
        },
    ],
    strike: |stage, node, parameters| {
        let operation = match parameters.name("on") {
            "read" => Some(Operation::Read),
            "write" => Some(Operation::Write),
            "sync" => Some(Operation::Sync),
            "name" => Some(Operation::Name),
            _ => None,
        };
        let failure = match parameters.name("error") {
            "enospc" => Failure::NoSpace,
            _ => Failure::InputOutput,
        };
        let calls_before = parameters.number("calls");
        let sticky = parameters.name("mode") == "sticky";
        stage.fail_disk(node, DiskError { failure, operation, calls_before, sticky, below: None });
        stage.later(parameters.time("lasts"), FollowUp::HealDisk(node));
        Ok(())
    },
};
