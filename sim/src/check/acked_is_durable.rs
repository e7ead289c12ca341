//! J1: what was acknowledged is in the log, at its offset, for as long as retention lets it.
//!
//! What an acknowledgement promises hangs on the policy (DESIGN of the flush: the page cache, or the disk):
//! without `flush.messages=1` a loss of power takes back what was not flushed; acks=0 promises nothing. A scenario
//! with `promise = "every_ack"` holds the node to more, to show what is lost then.

use std::collections::BTreeMap;

use jangbu_core::fact::Fact;

use super::{Check, slot_text, value_text};
use crate::model::{ClientEvent, Ledger, Seen, Slot};
use crate::scenario::Promise;
use crate::world::{Crash, Exit, NodeId};

pub(super) struct AckedIsDurable {
    promise: Promise,
    slots: BTreeMap<Slot, Promises>,
}

#[derive(Default)]
struct Promises {
    /// Acknowledged batches in the order of the answers.
    acked: Vec<Acked>,
    /// One past the last promised record.
    end: i64,
    /// A flipped bit has struck the partition's node: with one replica its records may be gone.
    rotten: bool,
}

struct Acked {
    /// -1 where acks=0 left it unknown.
    base: i64,
    first: u64,
    count: u64,
}

impl AckedIsDurable {
    pub(super) fn new(promise: Promise) -> Self {
        Self { promise, slots: BTreeMap::new() }
    }

    /// The power failed: without a flush before the answer, only what was flushed is still promised.
    fn power_failed(&mut self, node: NodeId, ledger: &Ledger) {
        if self.promise == Promise::EveryAck {
            return;
        }
        for (partition, replica) in ledger.of_node(node) {
            let Some(slot) = ledger.slot(partition) else { continue };
            if !ledger.flushes_before_ack(slot.0)
                && let Some(promises) = self.slots.get_mut(&slot)
            {
                promises.acked.retain(|acked| acked.base + acked.count as i64 <= replica.flushed);
                promises.end = promises.end.min(replica.flushed);
            }
        }
    }

    fn recovered(&self, slot: Slot, log_end: i64) -> Result<(), String> {
        let Some(promises) = self.slots.get(&slot).filter(|promises| !promises.rotten) else { return Ok(()) };
        if log_end >= promises.end {
            return Ok(());
        }
        let lost = promises.acked.iter().find(|acked| acked.base + acked.count as i64 > log_end);
        let example = lost.map_or_else(String::new, |acked| {
            format!(", such as {} at offset {}", value_text(acked.first), acked.base)
        });
        Err(format!(
            "the log of {} was opened with its end at {log_end}, but records up to {} had been acknowledged{example}",
            slot_text(slot),
            promises.end
        ))
    }

    fn read_whole(&self, slot: Slot, log_start: i64, values: &[u64]) -> Result<(), String> {
        let Some(promises) = self.slots.get(&slot).filter(|promises| !promises.rotten) else { return Ok(()) };
        let mut places: Option<std::collections::BTreeSet<u64>> = None;
        for acked in &promises.acked {
            for (value, offset) in (acked.first..acked.first + acked.count).zip(acked.base..) {
                let found = if acked.base < 0 {
                    places.get_or_insert_with(|| values.iter().copied().collect()).contains(&value)
                } else if offset < log_start {
                    true
                } else {
                    values.get((offset - log_start) as usize) == Some(&value)
                };
                if !found {
                    let place = if acked.base < 0 { String::new() } else { format!(" at offset {offset}") };
                    return Err(format!(
                        "{} was acknowledged{place} and is not in {}, which holds offsets {log_start} to {}",
                        value_text(value),
                        slot_text(slot),
                        log_start + values.len() as i64
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Check for AckedIsDurable {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Client(ClientEvent::Acked { slot, first, count, base_offset, era, .. }) => {
                let counts = base_offset.is_some() && ledger.still_counts(*slot, *era);
                if counts || self.promise == Promise::EveryAck {
                    let base = base_offset.unwrap_or(-1);
                    let promises = self.slots.entry(*slot).or_default();
                    promises.acked.push(Acked { base, first: *first, count: *count });
                    if base >= 0 {
                        promises.end = promises.end.max(base + *count as i64);
                    }
                }
                Ok(())
            }
            // What goes with its topic, nobody promised to keep.
            Seen::Client(ClientEvent::DeletionAsked { topic }) => {
                self.slots.retain(|slot, _| slot.0 != *topic);
                Ok(())
            }
            Seen::Ended { node, exit: Exit::Crashed(Crash::Power(_)) } => {
                self.power_failed(*node, ledger);
                Ok(())
            }
            Seen::Struck { node, fault: "bit_rot" } => {
                for (partition, _) in ledger.of_node(*node) {
                    if let Some(slot) = ledger.slot(partition) {
                        self.slots.entry(slot).or_default().rotten = true;
                    }
                }
                Ok(())
            }
            Seen::Recovered { fact: Fact::Recovered { partition, log_end, .. }, .. }
            | Seen::Fact { fact: Fact::Truncated { partition, log_end }, .. } => {
                ledger.slot(*partition).map_or(Ok(()), |slot| self.recovered(slot, log_end.0))
            }
            Seen::Client(ClientEvent::ReadWhole { slot, log_start, values }) => {
                self.read_whole(*slot, *log_start, values)
            }
            _ => Ok(()),
        }
    }
}
