//! W12: in every log the sequence numbers of an idempotent producer rise without hole or repeat, modulo 2^31, and a
//! new epoch begins at 0 (KIP-98).

use std::collections::{BTreeMap, BTreeSet};

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicPartition;

use super::Check;
use crate::model::{Ledger, Replica, Seen, Written, headers};
use crate::world::NodeId;

#[derive(Default)]
pub(super) struct ProducerFold {
    states: BTreeMap<(NodeId, TopicPartition), BTreeMap<i64, State>>,
}

#[derive(Clone, Copy)]
struct State {
    epoch: i16,
    next_sequence: i32,
    /// One past its last record.
    end: i64,
}

impl State {
    fn after(batch: &Written) -> Self {
        let count = batch.end - batch.base;
        let next_sequence = ((i64::from(batch.sequence) + count) & i64::from(i32::MAX)) as i32;
        Self { epoch: batch.producer_epoch, next_sequence, end: batch.end }
    }
}

impl ProducerFold {
    fn appended(&mut self, node: NodeId, partition: TopicPartition, batch: &Written) -> Result<(), String> {
        if batch.producer_id < 0 {
            return Ok(());
        }
        let states = self.states.entry((node, partition)).or_default();
        let known = states.insert(batch.producer_id, State::after(batch));
        // A producer that the log knows nothing of may begin anywhere: its records may have been deleted.
        let Some(known) = known else { return Ok(()) };
        let expected = match batch.producer_epoch.cmp(&known.epoch) {
            std::cmp::Ordering::Less => {
                return Err(format!(
                    "{partition} took a batch of producer {} in epoch {} at offset {}, after epoch {}",
                    batch.producer_id, batch.producer_epoch, batch.base, known.epoch
                ));
            }
            std::cmp::Ordering::Equal => known.next_sequence,
            std::cmp::Ordering::Greater => 0,
        };
        if batch.sequence == expected {
            return Ok(());
        }
        Err(format!(
            "{partition} took sequence {} of producer {} (epoch {}) at offset {}, where {expected} comes next",
            batch.sequence, batch.producer_id, batch.producer_epoch, batch.base
        ))
    }

    /// What the log lost is as if it had never been.
    fn reopened<'a>(
        &mut self,
        (node, partition): (NodeId, TopicPartition),
        log_end: i64,
        batches: impl Iterator<Item = &'a Written>,
    ) {
        let states = self.states.entry((node, partition)).or_default();
        states.retain(|_, state| state.end <= log_end);
        for batch in batches.filter(|batch| batch.producer_id >= 0) {
            states.insert(batch.producer_id, State::after(batch));
        }
    }
}

impl Check for ProducerFold {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Fact { node, fact: Fact::Appended { partition, batches, .. } } => {
                let rot = ledger.replica(*node, *partition).and_then(|replica| replica.rot);
                let found =
                    headers(batches).iter().try_for_each(|batch| self.appended(*node, *partition, batch));
                // Which batches a log holds that bits without a checksum deceive, nobody can say.
                found.or_else(
                    |violation| if rot.is_some_and(|rot| rot.unseen) { Ok(()) } else { Err(violation) },
                )
            }
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_end, .. }, scan } => {
                let fresh = Replica::default();
                let replica = ledger.replica(*node, *partition).unwrap_or(&fresh);
                if ledger.may_have_lost(*node, *partition) {
                    // Of whom the log holds nothing any more, only a snapshot told, which may have gone with the power.
                    let held: BTreeSet<i64> =
                        replica.opened(scan, log_end.0).map(|batch| batch.producer_id).collect();
                    let states = self.states.entry((*node, *partition)).or_default();
                    states.retain(|producer, _| held.contains(producer));
                }
                self.reopened((*node, *partition), log_end.0, replica.opened(scan, log_end.0));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::Offset;

    use super::*;
    use crate::model::testing::{CACHED, KILLED, NODE, Scene, partition, scan, written};

    fn batch(base: i64, epoch: i16, sequence: i32) -> Written {
        Written { producer_id: 7, producer_epoch: epoch, sequence, ..written(base, base + 2) }
    }

    fn follows(batches: &[Written]) -> Result<(), String> {
        let mut fold = ProducerFold::default();
        batches.iter().try_for_each(|batch| fold.appended(NODE, partition(), batch))
    }

    #[test]
    fn a_hole_a_repeat_and_an_older_epoch_are_found() {
        assert_eq!(follows(&[batch(0, 0, 0), batch(2, 0, 2), batch(4, 1, 0)]), Ok(()));
        assert!(follows(&[batch(0, 0, 0), batch(2, 0, 3)]).is_err());
        assert!(follows(&[batch(0, 0, 0), batch(2, 0, 0)]).is_err());
        assert!(follows(&[batch(0, 1, 0), batch(2, 0, 2)]).is_err());
        assert!(follows(&[batch(0, 0, 0), batch(2, 1, 2)]).is_err(), "an epoch begins at 0");
    }

    #[test]
    fn sequences_go_round_and_a_stranger_may_begin_anywhere() {
        assert_eq!(follows(&[batch(0, 0, i32::MAX - 1), batch(2, 0, 0)]), Ok(()));
        assert_eq!(follows(&[batch(0, 3, 40)]), Ok(()));
    }

    #[test]
    fn after_a_restart_the_log_says_what_comes_next() {
        let mut scene = Scene::new(ProducerFold::default());
        scene.end(&KILLED).expect("that happens");
        let whole = scan(0, vec![batch(0, 0, 0), batch(2, 0, 2)]);
        scene.recover(CACHED, false, 0, &whole).expect("it is what it is");
        assert!(scene.check.appended(NODE, partition(), &batch(4, 0, 6)).is_err());
        let mut damaged = scan(0, vec![batch(0, 0, 0)]);
        damaged.damage = Some("a flipped bit".to_owned());
        let mut scene = Scene::new(ProducerFold::default());
        scene
            .recover(CACHED, false, 0, &scan(0, vec![batch(0, 0, 0), batch(2, 0, 2), batch(4, 0, 4)]))
            .expect("so it is");
        let path = format!("/data/{}/00000000000000000000.log", partition());
        let seen = Seen::Rotted { node: NODE, path: std::path::Path::new(&path), position: 150 };
        scene.see(&seen).expect("no violation");
        let cut = Fact::Recovered {
            partition: partition(),
            clean: false,
            log_start: Offset(0),
            log_end: Offset(4),
        };
        scene.see(&Seen::Recovered { node: NODE, fact: &cut, scan: &damaged }).expect("it is what it is");
        let next = scene.check.appended(NODE, partition(), &batch(4, 0, 4));
        assert_eq!(next, Ok(()), "more is there than can be read");
    }
}
