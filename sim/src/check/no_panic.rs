//! No node panics, and none ends by itself without a disk that failed it.

use std::collections::BTreeSet;

use super::Check;
use crate::model::{Ledger, Seen};
use crate::world::{Exit, NodeId};

#[derive(Default)]
pub(super) struct NoPanic {
    /// Nodes whose disk has failed: they may give up.
    failed_disk: BTreeSet<NodeId>,
    /// Nodes that were told to stop.
    told_to_stop: BTreeSet<NodeId>,
}

impl Check for NoPanic {
    fn see(&mut self, seen: &Seen<'_>, _: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Struck { node, fault } => {
                match *fault {
                    "disk_error" | "disk_full" | "bit_rot" => {
                        self.failed_disk.insert(*node);
                    }
                    "restart" | "crash_while_recovering" => {
                        self.told_to_stop.insert(*node);
                    }
                    _ => {}
                }
                Ok(())
            }
            Seen::Ended { exit: Exit::Panicked(message), .. } => Err(format!("the node panicked: {message}")),
            Seen::Ended { node, exit: Exit::Failed(message) } if !self.failed_disk.contains(node) => {
                Err(format!("the node ended although its disk had not failed: {message}"))
            }
            Seen::Ended { node, exit: Exit::Finished } if !self.told_to_stop.contains(node) => {
                Err("the node stopped although nobody told it to".into())
            }
            _ => Ok(()),
        }
    }
}
