//! W13: leader epochs rise with every leadership (a restart included), every append carries the current one, and the
//! epochs on the disk are the fold of the log (KIP-101).

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicPartition;

use super::Check;
use crate::model::{Ledger, Seen, Written};
use crate::world::NodeId;

#[derive(Default)]
pub(super) struct EpochCache {
    current: BTreeMap<(NodeId, TopicPartition), i32>,
}

impl EpochCache {
    fn became_leader(&mut self, node: NodeId, partition: TopicPartition, epoch: i32) -> Result<(), String> {
        match self.current.insert((node, partition), epoch) {
            Some(before) if epoch <= before => {
                Err(format!("{partition} got a leader in epoch {epoch}, after epoch {before}"))
            }
            _ => Ok(()),
        }
    }
}

impl Check for EpochCache {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Fact { node, fact: Fact::BecameLeader { partition, leader_epoch, start } } => {
                self.became_leader(*node, *partition, leader_epoch.0)?;
                match ledger.replica(*node, *partition).map(|replica| replica.log_end) {
                    Some(end) if end != start.0 => Err(format!(
                        "epoch {leader_epoch} of {partition} is said to begin at {start}, but the log ends at {end}"
                    )),
                    _ => Ok(()),
                }
            }
            Seen::Fact { node, fact: Fact::Appended { partition, leader_epoch, base_offset, .. } } => {
                match self.current.get(&(*node, *partition)) {
                    Some(current) if *current != leader_epoch.0 => Err(format!(
                        "{partition} appended offset {base_offset} in epoch {leader_epoch} while its leader had epoch {current}"
                    )),
                    _ => Ok(()),
                }
            }
            Seen::Recovered {
                node,
                fact: Fact::Recovered { partition, clean, log_start, log_end },
                scan,
            } => {
                // The metadata log's own epoch is as durable as its first record: nobody learns of it before that is.
                if *partition == TopicPartition::METADATA {
                    let last = scan.batches.last().map_or(-1, |batch| batch.epoch);
                    self.current.insert((*node, *partition), last);
                }
                let replica = ledger.replica(*node, *partition);
                if replica.is_some_and(|replica| replica.rot.is_some()) {
                    return Ok(());
                }
                let Some(file) = &scan.epoch_file else {
                    return match clean {
                        true => Err(format!("{partition} was closed without a leader-epoch-checkpoint")),
                        false => Ok(()),
                    };
                };
                let lines = file
                    .as_ref()
                    .map_err(|why| format!("leader-epoch-checkpoint of {partition} is {why}"))?;
                same_as_log(lines, &scan.batches, (log_start.0, log_end.0), *clean)
                    .map_err(|why| format!("leader-epoch-checkpoint of {partition}: {why}"))
            }
            _ => Ok(()),
        }
    }
}

/// The file may know epochs without records, at the end of the log. After a clean stop it knows all others; after an
/// unclean one the newest may be missing or lost with their records, which recovery mends. A hole is always wrong.
fn same_as_log(
    lines: &[(i32, i64)],
    batches: &[Written],
    (log_start, log_end): (i64, i64),
    clean: bool,
) -> Result<(), String> {
    if lines.windows(2).any(|pair| pair[0].0 >= pair[1].0 || pair[0].1 >= pair[1].1) {
        return Err(format!("it does not rise: {lines:?}"));
    }
    let mut fold: Vec<(i32, i64)> = Vec::new();
    for batch in batches.iter().filter(|batch| batch.end > log_start && batch.end <= log_end) {
        if fold.last().is_none_or(|(epoch, _)| *epoch != batch.epoch) {
            fold.push((batch.epoch, batch.base.max(log_start)));
        }
    }
    let known: Vec<(i32, i64)> = lines
        .iter()
        .filter(|(_, start)| *start < log_end)
        .map(|(epoch, start)| (*epoch, (*start).max(log_start)))
        .collect();
    // Where the log has no records left of an epoch, the file may still name it at the log's start.
    let known: Vec<(i32, i64)> = known
        .iter()
        .enumerate()
        .filter(|(index, entry)| known.get(index + 1).is_none_or(|next| next.1 != entry.1))
        .map(|(_, entry)| *entry)
        .collect();
    let right = if clean { fold == known } else { agrees_so_far(&fold, &known) };
    if right { Ok(()) } else { Err(format!("it says {lines:?}, the log {fold:?}")) }
}

/// Whether two lists of epochs are the same up to some point and have nothing in common behind it.
fn agrees_so_far(fold: &[(i32, i64)], known: &[(i32, i64)]) -> bool {
    let same = fold.iter().zip(known).take_while(|(left, right)| left == right).count();
    known.iter().skip(same).all(|entry| !fold.contains(entry))
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::{LeaderEpoch, Offset};

    use super::*;
    use crate::model::Scan;
    use crate::model::testing::{CACHED, NODE, Scene, partition, scan, written};

    #[test]
    fn an_epoch_that_does_not_rise_or_begins_elsewhere_is_found() {
        let leads = |epoch, start| Fact::BecameLeader {
            partition: partition(),
            leader_epoch: LeaderEpoch(epoch),
            start: Offset(start),
        };
        let mut scene = Scene::new(EpochCache::default());
        assert_eq!(scene.fact(&leads(3, 0)), Ok(()));
        assert!(scene.fact(&leads(3, 0)).is_err());
        assert!(scene.fact(&leads(2, 0)).is_err());
        assert!(Scene::new(EpochCache::default()).fact(&leads(3, 5)).is_err());
    }

    #[test]
    fn an_append_in_another_epoch_than_the_leaders_is_found() {
        let (partition, leader_epoch, start) = (partition(), LeaderEpoch(3), Offset(0));
        for (epoch, is_right) in [(3, true), (2, false)] {
            let mut scene = Scene::new(EpochCache::default());
            scene.fact(&Fact::BecameLeader { partition, leader_epoch, start }).expect("the first");
            assert_eq!(scene.append(CACHED, crate::model::batch_bytes(0, 2, epoch)).is_ok(), is_right);
        }
    }

    #[test]
    fn the_checkpoint_must_be_there_after_a_clean_stop_and_be_right_when_it_is() {
        let opened = |clean, lines: Option<Vec<(i32, i64)>>| {
            let scan = Scan { epoch_file: lines.map(Ok), ..scan(0, vec![written(0, 4)]) };
            Scene::new(EpochCache::default()).see(&Seen::Recovered {
                node: NODE,
                fact: &Fact::Recovered {
                    partition: partition(),
                    clean,
                    log_start: Offset(0),
                    log_end: Offset(4),
                },
                scan: &scan,
            })
        };
        assert!(opened(true, None).is_err());
        assert_eq!(opened(false, None), Ok(()), "it is folded again");
        assert_eq!(opened(true, Some(vec![(0, 0)])), Ok(()));
        assert!(opened(true, Some(vec![(1, 0)])).is_err());
        assert!(opened(false, Some(vec![(1, 0), (0, 2)])).is_err(), "it does not rise");
    }

    #[test]
    fn a_hole_is_told_from_a_file_that_lags_behind() {
        let fold = [(0, 0), (3, 100), (5, 300)];
        assert!(agrees_so_far(&fold, &[(0, 0), (3, 100)]), "the newest is not there yet");
        assert!(agrees_so_far(&fold, &[(0, 0), (3, 100), (4, 300)]), "the newest was lost with its records");
        assert!(!agrees_so_far(&fold, &[(0, 0), (5, 300)]), "one in the middle is missing");
        assert!(!agrees_so_far(&fold, &[(3, 100), (5, 300)]), "the first is missing");
    }
}
