//! J4, W11: one offset of a partition holds one record, for all readers and all producers, over the whole run; and
//! a leader gives an offset once per epoch, whatever it forgets in between.

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;
use jangbu_core::ids::TopicPartition;

use super::{Check, slot_text, value_text};
use crate::model::{ClientEvent, Ledger, Seen, Slot};

#[derive(Default)]
pub(super) struct OffsetsUnique {
    values: BTreeMap<Slot, BTreeMap<i64, u64>>,
    /// How far each epoch ever wrote.
    ends: BTreeMap<(TopicPartition, i32), i64>,
}

impl OffsetsUnique {
    fn value(&mut self, slot: Slot, offset: i64, value: u64) -> Result<(), String> {
        let known = *self.values.entry(slot).or_default().entry(offset).or_insert(value);
        if known == value {
            return Ok(());
        }
        Err(format!(
            "offset {offset} of {} was {} and is now {}",
            slot_text(slot),
            value_text(known),
            value_text(value)
        ))
    }

    fn appended(&mut self, partition: TopicPartition, epoch: i32, base: i64, end: i64) -> Result<(), String> {
        let known = self.ends.entry((partition, epoch)).or_insert(base);
        if base < *known {
            return Err(format!(
                "offset {base} of {partition} was given a second time in leader epoch {epoch}, which had reached {known}"
            ));
        }
        *known = end;
        Ok(())
    }
}

impl Check for OffsetsUnique {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Client(ClientEvent::Read { slot, offset, value, era, .. })
                if ledger.still_counts(*slot, *era) =>
            {
                self.value(*slot, *offset, *value)
            }
            Seen::Client(ClientEvent::Sought { slot, found: Some((offset, value)), era, .. })
                if ledger.still_counts(*slot, *era) =>
            {
                self.value(*slot, *offset, *value)
            }
            Seen::Client(ClientEvent::Acked { slot, first, count, base_offset: Some(base), era, .. })
                if ledger.still_counts(*slot, *era) =>
            {
                (*first..first + count)
                    .zip(*base..)
                    .try_for_each(|(value, offset)| self.value(*slot, offset, value))
            }
            Seen::Client(ClientEvent::ReadWhole { slot, log_start, values }) => values
                .iter()
                .zip(*log_start..)
                .try_for_each(|(value, offset)| self.value(*slot, offset, *value)),
            Seen::Fact {
                fact: Fact::Appended { partition, base_offset, log_end, leader_epoch, .. }, ..
            } => self.appended(*partition, leader_epoch.0, base_offset.0, log_end.0),
            // What a loss of power may take by the policy, nobody need find again. Whether it may is for
            // `acked_is_durable` to say.
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_end, .. }, .. } => {
                let excused = ledger.replica(*node, *partition).is_some_and(|replica| replica.power_lost);
                // A quorum of one shows its metadata to nobody before it is flushed: what the power took never was.
                if excused && *partition == TopicPartition::METADATA {
                    for ((of, _), end) in &mut self.ends {
                        if of == partition {
                            *end = (*end).min(log_end.0);
                        }
                    }
                }
                if let Some(slot) =
                    ledger.slot(*partition).filter(|slot| excused && !ledger.flushes_before_ack(slot.0))
                    && let Some(values) = self.values.get_mut(&slot)
                {
                    values.split_off(&log_end.0);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
