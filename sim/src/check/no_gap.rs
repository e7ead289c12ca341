//! J7, J8, W11: a leader gives offsets without holes, and a reader sees every one of them, in order, once.
//!
//! A reader may jump forward only over what retention has deleted, and back only when a loss of power cut the log
//! below its position, which the policy must allow.

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;

use super::{Check, slot_text};
use crate::model::{ClientEvent, Ledger, Seen, Slot};

#[derive(Default)]
pub(super) struct NoGap {
    /// Where each reader goes on.
    next: BTreeMap<(usize, Slot), i64>,
    /// The lowest end that each partition was cut to with excuse.
    cut_min: BTreeMap<Slot, i64>,
}

impl NoGap {
    fn moved(
        &mut self,
        (reader, slot): (usize, Slot),
        (from, to): (i64, i64),
        ledger: &Ledger,
    ) -> Result<(), String> {
        self.next.insert((reader, slot), to);
        let (start_max, cut_min) = (ledger.justified_start_of(slot), self.cut_min.get(&slot));
        let over_deleted = from < to && to <= start_max;
        let behind_cut = to <= from && cut_min.is_some_and(|cut| *cut <= from);
        if from == to || over_deleted || behind_cut {
            return Ok(());
        }
        Err(format!(
            "reader {} of {} was at {from} and was sent to {to}, but the log started at {} at most and lost nothing below {:?}",
            reader + 1,
            slot_text(slot),
            start_max,
            cut_min
        ))
    }
}

impl Check for NoGap {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Fact { node, fact: Fact::Appended { partition, base_offset, .. } } => {
                let expected = ledger.replica(*node, *partition).map(|replica| replica.log_end);
                match expected {
                    Some(end) if end != base_offset.0 => Err(format!(
                        "{partition} ended at {end}, and the next append got offset {base_offset}"
                    )),
                    _ => Ok(()),
                }
            }
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_end, .. }, .. } => {
                let Some(slot) = ledger.slot(*partition) else { return Ok(()) };
                if ledger.may_have_lost(*node, *partition) {
                    let cut_min = self.cut_min.entry(slot).or_insert(log_end.0);
                    *cut_min = log_end.0.min(*cut_min);
                }
                Ok(())
            }
            // Also behind a cut: a reader that was further goes on where it was, once the log is there again.
            Seen::Client(ClientEvent::Read { reader, slot, offset, .. }) => {
                let expected = self.next.insert((*reader, *slot), offset + 1).unwrap_or(0);
                if expected == *offset || ledger.is_rotten(*slot, expected.max(*offset)) {
                    return Ok(());
                }
                Err(format!(
                    "reader {} of {} expected offset {expected} and got {offset}",
                    reader + 1,
                    slot_text(*slot)
                ))
            }
            Seen::Client(ClientEvent::Moved { reader, slot, from, to }) => {
                self.moved((*reader, *slot), (*from, *to), ledger)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::Offset;

    use super::*;
    use crate::model::batch_bytes;
    use crate::model::testing::{CACHED, FLUSHED, POWER, Scene, partition_of, scan, written};

    fn read(offset: i64) -> ClientEvent {
        ClientEvent::Read { reader: 0, slot: CACHED, offset, value: 1, era: 0 }
    }

    fn moved(slot: Slot, from: i64, to: i64) -> ClientEvent {
        ClientEvent::Moved { reader: 0, slot, from, to }
    }

    #[test]
    fn an_append_behind_a_hole_or_over_another_is_found() {
        for (base, is_right) in [(4, true), (5, false), (3, false)] {
            let mut scene = Scene::new(NoGap::default());
            scene.append(CACHED, batch_bytes(0, 4, 0)).expect("the first");
            assert_eq!(scene.append(CACHED, batch_bytes(base, 2, 0)).is_ok(), is_right, "at {base}");
        }
    }

    #[test]
    fn a_reader_begins_at_the_start_and_misses_nothing() {
        let mut scene = Scene::new(NoGap::default());
        assert!(scene.tell(read(7)).is_err(), "the first record counts too");
        let mut scene = Scene::new(NoGap::default());
        scene.tell(read(0)).expect("the first");
        scene.tell(read(1)).expect("the second");
        assert!(scene.tell(read(3)).is_err());
        let mut scene = Scene::new(NoGap::default());
        scene.tell(read(0)).expect("the first");
        assert!(scene.tell(read(0)).is_err(), "the same again");
    }

    #[test]
    fn a_reader_may_be_sent_over_what_was_deleted_by_right_and_no_further() {
        let mut scene = Scene::new(NoGap::default());
        assert!(scene.tell(moved(CACHED, 0, 4)).is_err(), "nothing was deleted");
        scene.tell(ClientEvent::RecordsDeletionAsked { slot: CACHED }).expect("he may");
        let partition = partition_of(CACHED);
        scene
            .fact(&Fact::LogStartMoved { partition, log_start: Offset(4), high_watermark: Offset(9) })
            .expect("he asked");
        assert_eq!(scene.tell(moved(CACHED, 0, 4)), Ok(()));
        assert_eq!(scene.tell(read(4)), Ok(()));
        assert!(scene.tell(moved(CACHED, 5, 9)).is_err());
    }

    #[test]
    fn a_reader_may_be_sent_back_behind_what_the_power_took_by_the_policy() {
        for (slot, forgives) in [(CACHED, true), (FLUSHED, false)] {
            let mut scene = Scene::new(NoGap::default());
            scene.end(&POWER).expect("that happens");
            scene.recover(slot, false, 0, &scan(0, vec![written(0, 2)])).expect("what is lost is for others");
            assert_eq!(scene.tell(moved(slot, 7, 2)).is_ok(), forgives);
        }
    }
}
