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
