//! The process stands still, as in a stalled virtual machine or under SIGSTOP; its connections stay open.
//!
//! What must survive: everything. Clients see silence, time out, try again on other connections, and every
//! repeat of an idempotent batch is recognised.

use super::{FollowUp, Kind, Parameter, What};

pub(super) const KIND: Kind = Kind {
    name: "pause",
    survives: "everything: clients time out and repeat, and repeats are recognised",
    parameters: &[Parameter { name: "lasts", what: What::Time, default: "50ms..5s", doc: "how long" }],
    strike: |stage, node, parameters| {
        stage.pause(node)?;
        stage.met();
        stage.later(parameters.time("lasts"), FollowUp::Resume(node));
        Ok(())
    },
};
