//! J5, W10, J11: what a producer is told of its batches is true, also the bad news.
//!
//! A batch that was refused is in no log, then or later. A value stands in no partition but the one it was sent to.
//! And the batches that one idempotent producer got acknowledged stand in the order in which it sent them.

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;

use super::{Check, slot_text, value_text};
use crate::model::{ClientEvent, Ledger, Seen, Slot};

pub(super) struct FailHonesty {
    /// By producer.
    idempotent: Vec<bool>,
    /// Batches by their first values.
    sent: BTreeMap<u64, Batch>,
    /// Acknowledged batches of idempotent producers: first value and base offset.
    acked: BTreeMap<(usize, Slot), BTreeMap<u64, i64>>,
}

struct Batch {
    slot: Slot,
    count: u64,
    refused: bool,
}

impl FailHonesty {
    pub(super) fn new(idempotent: Vec<bool>) -> Self {
        Self { idempotent, sent: BTreeMap::new(), acked: BTreeMap::new() }
    }

    fn found(&self, slot: Slot, value: u64, offset: i64) -> Result<(), String> {
        let batch = self.sent.range(..=value).next_back();
        let Some((_, batch)) = batch.filter(|(first, batch)| value - *first < batch.count) else {
            return Err(format!(
                "{} stands at {offset} of {} and was never sent",
                value_text(value),
                slot_text(slot)
            ));
        };
        if batch.slot != slot {
            return Err(format!(
                "{} stands at {offset} of {} and was sent to {}",
                value_text(value),
                slot_text(slot),
                slot_text(batch.slot)
            ));
        }
        match batch.refused {
            true => Err(format!(
                "{} was refused, and stands at {offset} of {}",
                value_text(value),
                slot_text(slot)
            )),
            false => Ok(()),
        }
    }

    fn acked(&mut self, producer: usize, slot: Slot, first: u64, base: i64) -> Result<(), String> {
        if !self.idempotent.get(producer).copied().unwrap_or(false) {
            return Ok(());
        }
        let acked = self.acked.entry((producer, slot)).or_default();
        let before = acked.range(..first).next_back().filter(|(_, offset)| **offset >= base);
        let after = acked.range(first + 1..).next().filter(|(_, offset)| **offset <= base);
        if let Some((other, offset)) = before.or(after) {
            return Err(format!(
                "{} got offset {base} of {} and {} got {offset}, which is not the order in which they were sent",
                value_text(first),
                slot_text(slot),
                value_text(*other)
            ));
        }
        acked.insert(first, base);
        Ok(())
    }
}

impl Check for FailHonesty {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Client(event) => match event {
                ClientEvent::Sent { slot, first, count, .. } => {
                    self.sent.insert(*first, Batch { slot: *slot, count: *count, refused: false });
                    Ok(())
                }
                ClientEvent::Refused { first, .. } => {
                    if let Some(batch) = self.sent.get_mut(first) {
                        batch.refused = true;
                    }
                    Ok(())
                }
                ClientEvent::Acked { producer, slot, first, count, base_offset: Some(base) }
                    if ledger.ack_counts(*slot, *base, *count) =>
                {
                    self.acked(*producer, *slot, *first, *base)
                }
                ClientEvent::Read { slot, value, offset, .. }
                | ClientEvent::Sought { slot, found: Some((offset, value)), .. } => {
                    self.found(*slot, *value, *offset)
                }
                ClientEvent::ReadWhole { slot, log_start, values } => {
                    let mut places = values.iter().zip(*log_start..);
                    places.try_for_each(|(value, offset)| self.found(*slot, *value, offset))
                }
                _ => Ok(()),
            },
            // What is gone with the power, or by damage, gives its offsets free.
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_end, .. }, .. } => {
                if let Some(slot) =
                    ledger.slot(*partition).filter(|_| ledger.may_have_lost(*node, *partition))
                {
                    for (_, acked) in self.acked.iter_mut().filter(|((_, of), _)| *of == slot) {
                        acked.retain(|_, base| *base < log_end.0);
                    }
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
    use crate::model::testing::{CACHED, FLUSHED, POWER, Scene, scan};

    fn scene() -> Scene<FailHonesty> {
        let mut scene = Scene::new(FailHonesty::new(vec![true, false]));
        for producer in [0, 1] {
            for number in [0, 10, 20] {
                let first = value_of(producer, number);
                scene
                    .tell(ClientEvent::Sent { producer, slot: CACHED, first, count: 10 })
                    .expect("anybody may send");
            }
        }
        scene
    }

    fn read(slot: Slot, value: u64) -> ClientEvent {
        ClientEvent::Read { reader: 0, slot, offset: 3, value, era: 0 }
    }

    #[test]
    fn a_refused_batch_that_is_read_later_is_found() {
        let mut scene = scene();
        let refused = ClientEvent::Refused { producer: 0, slot: CACHED, first: value_of(0, 10), count: 10 };
        scene.tell(refused).expect("that may be");
        assert_eq!(scene.tell(read(CACHED, value_of(0, 9))), Ok(()));
        assert!(scene.tell(read(CACHED, value_of(0, 15))).is_err());
        let sought = ClientEvent::Sought {
            seeker: 0,
            slot: CACHED,
            asked: 3,
            found: Some((3, value_of(0, 19))),
            era: 0,
        };
        assert!(scene.tell(sought).is_err());
        let values = vec![value_of(0, 9), value_of(0, 10)];
        assert!(scene.tell(ClientEvent::ReadWhole { slot: CACHED, log_start: 0, values }).is_err());
    }

    #[test]
    fn a_batch_of_unknown_fate_may_be_read_or_not() {
        let mut scene = scene();
        let unknown = ClientEvent::Unknown { producer: 0, slot: CACHED, first: value_of(0, 10), count: 10 };
        scene.tell(unknown).expect("that may be");
        assert_eq!(scene.tell(read(CACHED, value_of(0, 10))), Ok(()));
    }

    #[test]
    fn a_value_in_another_partition_or_of_nobody_is_found() {
        assert!(scene().tell(read(FLUSHED, value_of(0, 1))).is_err());
        assert!(scene().tell(read(CACHED, value_of(0, 30))).is_err());
        assert!(scene().tell(read(CACHED, value_of(7, 1))).is_err());
    }

    #[test]
    fn a_later_batch_that_overtook_an_earlier_is_found() {
        let mut of = scene();
        of.ack(CACHED, (0, 10, 10), 100).expect("the first answer");
        assert!(of.ack(CACHED, (0, 20, 10), 90).is_err());
        let mut of = scene();
        of.ack(CACHED, (0, 10, 10), 100).expect("the first answer");
        assert!(of.ack(CACHED, (0, 0, 10), 110).is_err(), "answers may come in another order than offsets");
        let mut of = scene();
        of.ack(CACHED, (0, 10, 10), 100).expect("the first answer");
        assert_eq!(of.ack(CACHED, (0, 0, 10), 90), Ok(()));
        assert_eq!(of.ack(CACHED, (0, 20, 10), 110), Ok(()));
    }

    #[test]
    fn without_idempotence_there_is_no_order_and_after_a_loss_of_power_another_one() {
        let mut of = scene();
        of.ack(CACHED, (1, 10, 10), 100).expect("the first answer");
        assert_eq!(of.ack(CACHED, (1, 20, 10), 90), Ok(()));
        let mut of = scene();
        of.ack(CACHED, (0, 10, 10), 100).expect("the first answer");
        of.end(&POWER).expect("that happens");
        of.recover(CACHED, false, 0, &scan(0, Vec::new())).expect("nothing was flushed");
        assert_eq!(of.ack(CACHED, (0, 20, 10), 0), Ok(()));
    }
}
