//! A disk call fails with EIO: once, or every time from then on.
//!
//! After a failed sync the kernel forgets that the pages were dirty: they are lost, and the next sync succeeds
//! (the "fsyncgate" of 2018). So a failed write or sync is never repeated.
//!
//! What must survive: every record acknowledged before the error under `flush.messages=1`, and in any case no
//! acknowledgement that rests on bytes of unknown state: the log directory goes offline, the node ends, and
//! recovery decides what is there.

use super::{FollowUp, Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "disk_error",
    survives: "nothing is acknowledged on top of a failed write or sync: the directory goes offline and recovery decides",
    parameters: &[
        Parameter {
            name: "on",
            what: What::OneOf(&["read", "write", "sync"]),
            default: "write|sync",
            doc: "which calls fail",
        },
        Parameter {
            name: "mode",
            what: What::OneOf(&["once", "sticky"]),
            default: "once|sticky",
            doc: "the next call alone, or all of them",
        },
        Parameter {
            name: "lasts",
            what: What::Time,
            default: "100ms..3s",
            doc: "until a sticky error goes away",
        },
    ],
    strike: |stage, node, parameters| {
        stage.fail_disk(node, parameters.name("on"), parameters.name("mode") == "sticky");
        stage.later(parameters.time("lasts"), FollowUp::HealDisk(node));
        Ok(())
    },
};
