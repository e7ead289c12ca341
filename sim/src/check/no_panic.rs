//! No node panics, and none ends by itself without a disk that failed it in that very life.

use std::collections::BTreeSet;

use super::Check;
use crate::model::{Ledger, Seen};
use crate::world::{Exit, NodeId};

#[derive(Default)]
pub(super) struct NoPanic {
    /// Nodes whose disks have failed calls of the life that ends: they may give up.
    failed_disk: BTreeSet<NodeId>,
    /// Nodes that were told to stop in this life.
    told_to_stop: BTreeSet<NodeId>,
}

impl Check for NoPanic {
    fn see(&mut self, seen: &Seen<'_>, _: &Ledger) -> Result<(), String> {
        match seen {
            Seen::DiskFailed { node } => {
                self.failed_disk.insert(*node);
                Ok(())
            }
            Seen::ToldToStop { node } => {
                self.told_to_stop.insert(*node);
                Ok(())
            }
            Seen::Ended { node, exit } => {
                let (failed, told) = (self.failed_disk.remove(node), self.told_to_stop.remove(node));
                match exit {
                    Exit::Panicked(message) => Err(format!("the node panicked: {message}")),
                    Exit::Failed(message) if !failed => {
                        Err(format!("the node ended although its disk had not failed: {message}"))
                    }
                    Exit::Finished if !told => Err("the node stopped although nobody told it to".into()),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::{KILLED, NODE, Scene};

    fn scene(seen: &[Seen<'_>]) -> Scene<NoPanic> {
        let mut scene = Scene::new(NoPanic::default());
        for seen in seen {
            scene.see(seen).expect("that alone is no violation");
        }
        scene
    }

    #[test]
    fn a_panic_has_no_excuse() {
        let panicked = Exit::Panicked("index out of bounds".to_owned());
        assert!(scene(&[]).end(&panicked).is_err());
        assert!(scene(&[Seen::DiskFailed { node: NODE }]).end(&panicked).is_err());
    }

    #[test]
    fn a_node_may_give_up_in_the_life_in_which_its_disk_failed_and_in_no_other() {
        let failed = Exit::Failed("the last log directory failed".to_owned());
        assert!(scene(&[]).end(&failed).is_err());
        assert!(
            scene(&[Seen::Struck { node: NODE, fault: "disk_error" }]).end(&failed).is_err(),
            "none was met"
        );
        let mut scene = scene(&[Seen::DiskFailed { node: NODE }]);
        assert_eq!(scene.end(&failed), Ok(()));
        assert!(scene.end(&failed).is_err(), "that was another life");
    }

    #[test]
    fn a_node_may_stop_once_when_it_is_told_to() {
        assert!(scene(&[]).end(&Exit::Finished).is_err());
        let mut scene = scene(&[Seen::ToldToStop { node: NODE }]);
        assert_eq!(scene.end(&Exit::Finished), Ok(()));
        assert!(scene.end(&Exit::Finished).is_err());
        scene.see(&Seen::ToldToStop { node: NODE }).expect("no violation");
        scene.end(&KILLED).expect("that happens");
        assert!(scene.end(&Exit::Finished).is_err(), "the one that was told is gone");
    }
}
