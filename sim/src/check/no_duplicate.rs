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
