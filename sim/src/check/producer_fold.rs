//! W12: in every log the sequence numbers of an idempotent producer rise without hole or repeat, modulo 2^31, and a
//! new epoch begins at 0 (KIP-98).

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicPartition;

use super::Check;
use crate::model::{Ledger, Seen, Written, headers};
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
    fn reopened(&mut self, node: NodeId, partition: TopicPartition, log_end: i64, batches: &[Written]) {
        let states = self.states.entry((node, partition)).or_default();
        states.retain(|_, state| state.end <= log_end);
        for batch in batches.iter().filter(|batch| batch.producer_id >= 0 && batch.end <= log_end) {
            states.insert(batch.producer_id, State::after(batch));
        }
    }
}

impl Check for ProducerFold {
    fn see(&mut self, seen: &Seen<'_>, _: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Fact { node, fact: Fact::Appended { partition, batches, .. } } => {
                headers(batches).iter().try_for_each(|batch| self.appended(*node, *partition, batch))
            }
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_end, .. }, scan } => {
                self.reopened(*node, *partition, log_end.0, &scan.batches);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
