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
                if ledger.still_counts(*slot, *era) && !ledger.is_rotten(*slot, *offset) =>
            {
                self.value(*slot, *offset, *value)
            }
            Seen::Client(ClientEvent::Sought { slot, found: Some((offset, value)), era, .. })
                if ledger.still_counts(*slot, *era) && !ledger.is_rotten(*slot, *offset) =>
            {
                self.value(*slot, *offset, *value)
            }
            Seen::Client(ClientEvent::Acked { slot, first, count, base_offset: Some(base), .. })
                if ledger.ack_counts(*slot, *base, *count) && !ledger.is_rotten(*slot, *base) =>
            {
                (*first..first + count)
                    .zip(*base..)
                    .try_for_each(|(value, offset)| self.value(*slot, offset, value))
            }
            Seen::Client(ClientEvent::ReadWhole { slot, log_start, values }) => values
                .iter()
                .zip(*log_start..)
                .filter(|(_, offset)| !ledger.is_rotten(*slot, *offset))
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
                    ledger.slot(*partition).filter(|_| ledger.may_have_lost(*node, *partition))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::value_of;
    use crate::model::batch_bytes;
    use crate::model::testing::{CACHED, FLUSHED, KILLED, POWER, Scene, scan, written};

    fn read(slot: Slot, offset: i64, number: u64) -> ClientEvent {
        ClientEvent::Read { reader: 0, slot, offset, value: value_of(0, number), era: 0 }
    }

    #[test]
    fn two_records_at_one_offset_are_found_whoever_tells_of_them() {
        let scene = || {
            let mut scene = Scene::new(OffsetsUnique::default());
            scene.tell(read(CACHED, 3, 7)).expect("the first");
            scene
        };
        assert_eq!(scene().tell(read(CACHED, 3, 7)), Ok(()));
        assert!(scene().tell(read(CACHED, 3, 8)).is_err());
        assert!(scene().ack(CACHED, (0, 10, 4), 0).is_err());
        let found = Some((3, value_of(0, 8)));
        let sought = ClientEvent::Sought { seeker: 0, slot: CACHED, asked: 3, found, era: 0 };
        assert!(scene().tell(sought).is_err());
        let values = vec![value_of(0, 9)];
        assert!(scene().tell(ClientEvent::ReadWhole { slot: CACHED, log_start: 3, values }).is_err());
    }

    #[test]
    fn an_offset_that_is_given_twice_in_an_epoch_is_found_and_in_another_it_may_be() {
        for (epoch, is_right) in [(0, false), (1, true)] {
            let mut scene = Scene::new(OffsetsUnique::default());
            scene.append(CACHED, batch_bytes(0, 4, 0)).expect("the first");
            scene.end(&KILLED).expect("that happens");
            assert_eq!(scene.append(CACHED, batch_bytes(2, 2, epoch)).is_ok(), is_right);
        }
    }

    #[test]
    fn what_the_power_took_by_the_policy_gives_its_offsets_free() {
        for (slot, forgives) in [(CACHED, true), (FLUSHED, false)] {
            let mut scene = Scene::new(OffsetsUnique::default());
            scene.tell(read(slot, 3, 7)).expect("the first");
            scene.end(&POWER).expect("that happens");
            scene.recover(slot, false, 0, &scan(0, vec![written(0, 2)])).expect("what is lost is for others");
            let other = ClientEvent::Read { reader: 0, slot, offset: 3, value: value_of(0, 8), era: 1 };
            assert_eq!(scene.tell(other).is_ok(), forgives);
        }
    }
}
