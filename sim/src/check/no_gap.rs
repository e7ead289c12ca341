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
    /// The furthest start of each partition, and the lowest end it was cut to with excuse.
    bounds: BTreeMap<Slot, Bounds>,
}

#[derive(Default)]
struct Bounds {
    start_max: i64,
    cut_min: Option<i64>,
}

impl NoGap {
    fn moved(&mut self, reader: usize, slot: Slot, from: i64, to: i64) -> Result<(), String> {
        self.next.insert((reader, slot), to);
        let bounds = self.bounds.entry(slot).or_default();
        let over_deleted = from < to && to <= bounds.start_max;
        let behind_cut = to <= from && bounds.cut_min.is_some_and(|cut| cut <= from);
        if from == to || over_deleted || behind_cut {
            return Ok(());
        }
        Err(format!(
            "reader {} of {} was at {from} and was sent to {to}, but the log started at {} at most and lost nothing below {:?}",
            reader + 1,
            slot_text(slot),
            bounds.start_max,
            bounds.cut_min
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
            Seen::Fact { fact: Fact::LogStartMoved { partition, log_start, high_watermark }, .. } => {
                if log_start > high_watermark {
                    return Err(format!(
                        "{partition} was cut to start at {log_start}, above its high watermark {high_watermark}"
                    ));
                }
                if let Some(slot) = ledger.slot(*partition) {
                    let bounds = self.bounds.entry(slot).or_default();
                    bounds.start_max = bounds.start_max.max(log_start.0);
                }
                Ok(())
            }
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_start, log_end, .. }, .. } => {
                let Some(slot) = ledger.slot(*partition) else { return Ok(()) };
                let bounds = self.bounds.entry(slot).or_default();
                bounds.start_max = bounds.start_max.max(log_start.0);
                let excused = ledger.replica(*node, *partition).is_some_and(|replica| replica.power_lost);
                if excused && !ledger.flushes_before_ack(slot.0) {
                    bounds.cut_min = Some(bounds.cut_min.map_or(log_end.0, |cut| cut.min(log_end.0)));
                    // A reader that was further than the cut cannot know; it goes on wherever the log does.
                    self.next.retain(|(_, of), next| *of != slot || *next <= log_end.0);
                }
                Ok(())
            }
            Seen::Client(ClientEvent::Read { reader, slot, offset, .. }) => {
                match self.next.insert((*reader, *slot), offset + 1) {
                    Some(expected) if expected != *offset => Err(format!(
                        "reader {} of {} expected offset {expected} and got {offset}",
                        reader + 1,
                        slot_text(*slot)
                    )),
                    _ => Ok(()),
                }
            }
            Seen::Client(ClientEvent::Moved { reader, slot, from, to }) => {
                self.moved(*reader, *slot, *from, *to)
            }
            _ => Ok(()),
        }
    }
}
