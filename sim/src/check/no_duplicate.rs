//! J3: a value of an idempotent producer stands at one offset only, however often its batch was sent (KIP-98).

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;

use super::{Check, slot_text, value_parts, value_text};
use crate::model::{ClientEvent, Ledger, Seen, Slot};

pub(super) struct NoDuplicate {
    /// By producer.
    idempotent: Vec<bool>,
    offsets: BTreeMap<(Slot, u64), i64>,
}

impl NoDuplicate {
    pub(super) fn new(idempotent: Vec<bool>) -> Self {
        Self { idempotent, offsets: BTreeMap::new() }
    }

    fn value(&mut self, slot: Slot, value: u64, offset: i64) -> Result<(), String> {
        if !self.idempotent.get(value_parts(value).0).copied().unwrap_or(false) {
            return Ok(());
        }
        let known = *self.offsets.entry((slot, value)).or_insert(offset);
        if known == offset {
            return Ok(());
        }
        Err(format!("{} stands twice in {}: at {known} and at {offset}", value_text(value), slot_text(slot)))
    }
}

impl Check for NoDuplicate {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Client(ClientEvent::Read { slot, offset, value, era, .. })
                if ledger.still_counts(*slot, *era) && !ledger.is_rotten(*slot, *offset) =>
            {
                self.value(*slot, *value, *offset)
            }
            Seen::Client(ClientEvent::ReadWhole { slot, log_start, values }) => values
                .iter()
                .zip(*log_start..)
                .filter(|(_, offset)| !ledger.is_rotten(*slot, *offset))
                .try_for_each(|(value, offset)| self.value(*slot, *value, offset)),
            // A value that a loss of power took, by the policy, may come again at another place.
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_end, .. }, .. } => {
                if let Some(slot) =
                    ledger.slot(*partition).filter(|_| ledger.may_have_lost(*node, *partition))
                {
                    self.offsets.retain(|(of, _), offset| *of != slot || *offset < log_end.0);
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
    use crate::model::testing::{CACHED, FLUSHED, POWER, Scene, scan, written};

    fn read(slot: Slot, producer: usize, offset: i64) -> ClientEvent {
        ClientEvent::Read { reader: 0, slot, offset, value: value_of(producer, 5), era: 0 }
    }

    /// The first producer is idempotent, and a value of each stands at 3.
    fn scene(slot: Slot) -> Scene<NoDuplicate> {
        let mut scene = Scene::new(NoDuplicate::new(vec![true, false]));
        scene.tell(read(slot, 0, 3)).expect("once");
        scene.tell(read(slot, 1, 3)).expect("once");
        scene
    }

    #[test]
    fn a_value_that_stands_twice_is_found() {
        assert!(scene(CACHED).tell(read(CACHED, 0, 4)).is_err());
        assert_eq!(scene(CACHED).tell(read(CACHED, 0, 3)), Ok(()), "it may be read twice");
        let values = vec![value_of(0, 5), value_of(0, 6), value_of(0, 5)];
        let whole = ClientEvent::ReadWhole { slot: CACHED, log_start: 3, values };
        assert!(scene(CACHED).tell(whole).is_err());
    }

    #[test]
    fn a_repeat_without_idempotence_is_nobodys_fault() {
        assert_eq!(scene(CACHED).tell(read(CACHED, 1, 4)), Ok(()));
    }

    #[test]
    fn a_value_that_the_power_took_by_the_policy_may_come_again() {
        for (slot, forgives) in [(CACHED, true), (FLUSHED, false)] {
            let mut scene = scene(slot);
            scene.end(&POWER).expect("that happens");
            scene.recover(slot, false, 0, &scan(0, vec![written(0, 2)])).expect("what is lost is for others");
            let again = ClientEvent::Read { reader: 0, slot, offset: 2, value: value_of(0, 5), era: 1 };
            assert_eq!(scene.tell(again).is_ok(), forgives);
        }
    }
}
