//! W5, W8, W9: what a node says of its watermarks is true when it says it.
//!
//! Where acknowledgements wait for the disk, none comes before. What is called flushed is on the disk, with its
//! names: the simulator looks at what a loss of power could not take at that moment; only a disk that lies about its
//! syncs excuses a node. High watermarks never fall in a life of a node, and no reader sees beyond them.

use std::collections::BTreeSet;

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicPartition;

use super::Check;
use crate::model::{Durable, Ledger, Replica, Seen};
use crate::world::NodeId;

#[derive(Default)]
pub(super) struct Watermarks {
    /// Nodes whose disks have lied.
    lied_to: BTreeSet<NodeId>,
}

impl Watermarks {
    fn flushed(
        &self,
        node: NodeId,
        (partition, flushed): (TopicPartition, i64),
        durable: Durable,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let Some(replica) = ledger.replica(node, partition) else { return Ok(()) };
        if flushed > replica.log_end {
            let end = replica.log_end;
            return Err(format!("{partition} is said to be flushed up to {flushed} and ends at {end}"));
        }
        let excused = self.lied_to.contains(&node) || replica.rot.is_some();
        // Nothing need be there of a log that begins where it ends.
        if excused
            || flushed <= replica.log_start
            || durable.end >= flushed && durable.start <= Some(replica.log_start)
        {
            return Ok(());
        }
        Err(format!(
            "{partition} is said to be flushed up to {flushed}, but a loss of power would leave a first file at {:?} and \
             records up to {}",
            durable.start, durable.end
        ))
    }

    /// The bound of what is committed: what is flushed where that counts.
    fn committed(partition: TopicPartition, replica: &Replica, ledger: &Ledger) -> i64 {
        let flushes = ledger.slot(partition).is_some_and(|slot| ledger.flushes_before_ack(slot.0));
        if flushes { replica.flushed.max(replica.log_start) } else { replica.log_end }
    }
}

impl Check for Watermarks {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        let replica = |node, partition: &TopicPartition| ledger.replica(node, *partition);
        match seen {
            Seen::Struck { node, fault: "lying_sync" } => {
                self.lied_to.insert(*node);
                Ok(())
            }
            Seen::Flushed { node, fact: Fact::Flushed { partition, flushed }, durable } => {
                self.flushed(*node, (*partition, flushed.0), *durable, ledger)
            }
            Seen::Fact { node, fact: Fact::Acked { partition, end, acks, .. } } => {
                let Some(replica) = replica(*node, partition) else { return Ok(()) };
                let committed = Self::committed(*partition, replica, ledger);
                let bound = if *acks == -1 { replica.high_watermark.unwrap_or(committed) } else { committed };
                match end.0 <= bound {
                    true => Ok(()),
                    false => Err(format!(
                        "{partition} acknowledged records up to {end} with acks={acks}, but has flushed {} and committed {:?}",
                        replica.flushed, replica.high_watermark
                    )),
                }
            }
            Seen::Fact { node, fact: Fact::HighWatermark { partition, high_watermark } } => {
                let Some(replica) = replica(*node, partition) else { return Ok(()) };
                if replica.high_watermark.is_some_and(|before| high_watermark.0 < before) {
                    let before = replica.high_watermark;
                    return Err(format!(
                        "the high watermark of {partition} fell from {before:?} to {high_watermark}"
                    ));
                }
                let bound = Self::committed(*partition, replica, ledger);
                match high_watermark.0 <= bound {
                    true => Ok(()),
                    false => Err(format!(
                        "the high watermark of {partition} rose to {high_watermark}, but only {bound} can be committed"
                    )),
                }
            }
            Seen::Fact { node, fact: Fact::Fetched { partition, bound, .. } } => {
                let Some(replica) = replica(*node, partition) else { return Ok(()) };
                let committed = Self::committed(*partition, replica, ledger);
                let high_watermark = replica.high_watermark.unwrap_or(committed);
                match bound.0 <= high_watermark {
                    true => Ok(()),
                    false => Err(format!(
                        "{partition} gave records up to {bound} to a reader, above its high watermark {high_watermark}"
                    )),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::Offset;

    use super::*;
    use crate::model::testing::{CACHED, FLUSHED, KILLED, NODE, Scene, acked, partition_of, scan, written};

    fn scene() -> Scene<Watermarks> {
        let mut scene = Scene::new(Watermarks::default());
        for slot in [CACHED, FLUSHED] {
            let opened = scan(0, vec![written(0, 4), written(4, 8)]);
            scene.recover(slot, false, 0, &opened).expect("nothing is wrong");
        }
        scene
    }

    fn watermark(slot: (usize, i32), to: i64) -> Fact {
        Fact::HighWatermark { partition: partition_of(slot), high_watermark: Offset(to) }
    }

    fn flushed(scene: &mut Scene<Watermarks>, to: i64, durable: Durable) -> Result<(), String> {
        let fact = Fact::Flushed { partition: partition_of(FLUSHED), flushed: Offset(to) };
        scene.see(&Seen::Flushed { node: NODE, fact: &fact, durable })
    }

    #[test]
    fn an_acknowledgement_before_the_flush_is_found_where_it_must_wait() {
        let mut scene = scene();
        assert!(scene.fact(&acked(FLUSHED, 0, 4)).is_err());
        assert_eq!(scene.fact(&acked(CACHED, 0, 4)), Ok(()), "this topic does not wait");
        scene.flush(FLUSHED, 4).expect("it is there");
        assert_eq!(scene.fact(&acked(FLUSHED, 0, 4)), Ok(()));
        assert!(scene.fact(&acked(FLUSHED, 4, 8)).is_err());
    }

    #[test]
    fn what_is_called_flushed_must_be_on_the_disk_with_its_names() {
        let durable = |start, end| Durable { start, end };
        assert_eq!(flushed(&mut scene(), 8, durable(Some(0), 8)), Ok(()));
        assert!(flushed(&mut scene(), 8, durable(Some(0), 4)).is_err(), "bytes are missing");
        assert!(flushed(&mut scene(), 8, durable(Some(4), 8)).is_err(), "the first name is missing");
        assert!(flushed(&mut scene(), 8, durable(None, 0)).is_err(), "all names are missing");
        assert!(flushed(&mut scene(), 9, durable(Some(0), 9)).is_err(), "more than there is");
    }

    #[test]
    fn a_disk_that_lies_excuses_the_node() {
        let mut scene = scene();
        scene.see(&Seen::Struck { node: NODE, fault: "lying_sync" }).expect("that is no violation");
        assert_eq!(flushed(&mut scene, 8, Durable { start: Some(0), end: 4 }), Ok(()));
    }

    #[test]
    fn a_high_watermark_that_falls_within_a_life_is_found() {
        let mut scene = scene();
        scene.fact(&watermark(CACHED, 6)).expect("it rises");
        assert!(scene.fact(&watermark(CACHED, 5)).is_err());
        scene.end(&KILLED).expect("that happens");
        scene.recover(CACHED, false, 0, &scan(0, vec![written(0, 4)])).expect("it happens");
        assert_eq!(scene.fact(&watermark(CACHED, 4)), Ok(()), "another life begins anew");
        assert!(scene.fact(&watermark(CACHED, 5)).is_err(), "above the end");
        assert!(scene.fact(&watermark(FLUSHED, 4)).is_err(), "before the flush");
    }

    #[test]
    fn a_reader_that_is_shown_more_than_is_committed_is_found() {
        let fetched = |slot, bound| Fact::Fetched {
            partition: partition_of(slot),
            from: Offset(0),
            bound: Offset(bound),
        };
        let mut scene = scene();
        scene.fact(&watermark(CACHED, 6)).expect("it rises");
        assert_eq!(scene.fact(&fetched(CACHED, 6)), Ok(()));
        assert!(scene.fact(&fetched(CACHED, 7)).is_err());
        assert!(scene.fact(&fetched(FLUSHED, 1)).is_err());
    }
}
