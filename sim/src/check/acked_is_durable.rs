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

    fn recovered(&mut self, slot: Slot, log_end: i64, ledger: &Ledger) -> Result<(), String> {
        let Some(promises) = self.slots.get_mut(&slot) else { return Ok(()) };
        // With one replica nothing can bring back a batch that was damaged, nor what lies behind it.
        if ledger.is_rotten(slot, log_end) {
            promises.acked.retain(|acked| acked.base + acked.count as i64 <= log_end);
            promises.end = promises.end.min(log_end);
        }
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

    fn read_whole(&self, slot: Slot, log_start: i64, values: &[u64], ledger: &Ledger) -> Result<(), String> {
        let Some(promises) = self.slots.get(&slot) else { return Ok(()) };
        let deleted_below = ledger.justified_start_of(slot);
        let mut places: Option<std::collections::BTreeSet<u64>> = None;
        for acked in &promises.acked {
            for (value, offset) in (acked.first..acked.first + acked.count).zip(acked.base..) {
                let found = if acked.base < 0 {
                    places.get_or_insert_with(|| values.iter().copied().collect()).contains(&value)
                } else if offset < log_start {
                    // Not by the broker's word alone.
                    offset < deleted_below
                } else {
                    let place = usize::try_from(offset - log_start).ok();
                    place.and_then(|place| values.get(place)) == Some(&value)
                        || ledger.is_rotten(slot, offset)
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
            Seen::Client(ClientEvent::Acked { slot, first, count, base_offset, .. }) => {
                let counts = base_offset.is_some_and(|base| ledger.ack_counts(*slot, base, *count));
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
            Seen::Ended { node, exit: Exit::Crashed(Crash::Power(_)) } | Seen::PagesLost { node } => {
                self.power_failed(*node, ledger);
                Ok(())
            }
            Seen::Recovered { fact: Fact::Recovered { partition, log_end, .. }, .. }
            | Seen::Fact { fact: Fact::Truncated { partition, log_end }, .. } => {
                ledger.slot(*partition).map_or(Ok(()), |slot| self.recovered(slot, log_end.0, ledger))
            }
            Seen::Client(ClientEvent::ReadWhole { slot, log_start, values }) => {
                self.read_whole(*slot, *log_start, values, ledger)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::check::value_of;
    use crate::model::Scan;
    use crate::model::testing::{
        CACHED, FLUSHED, KILLED, NODE, POWER, Scene, acked, partition_of, scan, written,
    };

    /// Batches of four records at 0 and 4, both acknowledged, the first flushed.
    fn scene(slot: Slot, promise: Promise) -> Scene<AckedIsDurable> {
        let mut scene = Scene::new(AckedIsDurable::new(promise));
        scene.recover(slot, false, 0, &both()).expect("nothing is missing");
        scene.flush(slot, 4).expect("so it is");
        scene.ack(slot, (0, 0, 4), 0).expect("it is there");
        scene.ack(slot, (0, 4, 4), 4).expect("it is there");
        scene
    }

    fn both() -> Scan {
        scan(0, vec![written(0, 4), written(4, 8)])
    }

    fn first() -> Scan {
        scan(0, vec![written(0, 4)])
    }

    fn read_whole(slot: Slot, log_start: i64, numbers: &[u64]) -> ClientEvent {
        let values = numbers.iter().map(|number| value_of(0, *number)).collect();
        ClientEvent::ReadWhole { slot, log_start, values }
    }

    #[test]
    fn an_acknowledged_record_that_a_process_took_along_is_found() {
        let mut scene = scene(CACHED, Promise::Policy);
        scene.end(&KILLED).expect("that happens");
        assert!(scene.recover(CACHED, false, 0, &first()).is_err());
    }

    #[test]
    fn a_loss_of_power_takes_what_was_not_flushed_where_the_policy_allows_it() {
        for (slot, promise, forgives) in [
            (CACHED, Promise::Policy, true),
            (FLUSHED, Promise::Policy, false),
            (CACHED, Promise::EveryAck, false),
        ] {
            let mut of = scene(slot, promise);
            of.end(&POWER).expect("that happens");
            assert_eq!(of.recover(slot, false, 0, &first()).is_ok(), forgives, "{slot:?} {promise:?}");
            let mut of = scene(slot, promise);
            of.end(&POWER).expect("that happens");
            let nothing = scan(0, Vec::new());
            assert!(of.recover(slot, false, 0, &nothing).is_err(), "the first batch was flushed");
        }
    }

    #[test]
    fn what_is_served_must_be_what_was_acknowledged() {
        let all = [0, 1, 2, 3, 4, 5, 6, 7];
        assert_eq!(scene(FLUSHED, Promise::Policy).tell(read_whole(FLUSHED, 0, &all)), Ok(()));
        for (log_start, numbers) in
            [(0, &all[..7]), (0, &[0, 1, 2, 3, 5, 4, 6, 7][..]), (1, &all[1..]), (4, &all[4..])]
        {
            let read = read_whole(FLUSHED, log_start, numbers);
            assert!(scene(FLUSHED, Promise::Policy).tell(read).is_err(), "from {log_start}: {numbers:?}");
        }
    }

    #[test]
    fn what_was_deleted_by_right_and_what_went_with_its_topic_need_not_be_served() {
        let mut of = scene(FLUSHED, Promise::Policy);
        of.tell(ClientEvent::RecordsDeletionAsked { slot: FLUSHED }).expect("he may");
        let (log_start, high_watermark) = (jangbu_core::ids::Offset(4), jangbu_core::ids::Offset(8));
        of.fact(&Fact::LogStartMoved { partition: partition_of(FLUSHED), log_start, high_watermark })
            .expect("he asked");
        assert_eq!(of.tell(read_whole(FLUSHED, 4, &[4, 5, 6, 7])), Ok(()));
        let mut of = scene(FLUSHED, Promise::Policy);
        of.tell(ClientEvent::DeletionAsked { topic: FLUSHED.0 }).expect("he may");
        assert_eq!(of.tell(read_whole(FLUSHED, 0, &[])), Ok(()));
    }

    #[test]
    fn damage_excuses_the_batch_that_was_struck_and_those_behind_it() {
        let path = format!("/data/{}/00000000000000000000.log", partition_of(FLUSHED));
        let size = u64::from(written(0, 4).size);
        let damaged = |position| {
            let mut of = scene(FLUSHED, Promise::Policy);
            let seen = Seen::Rotted { node: NODE, path: Path::new(&path), position };
            of.see(&seen).expect("no violation");
            of.end(&KILLED).expect("that happens");
            of
        };
        assert_eq!(damaged(size + 50).recover(FLUSHED, false, 0, &first()), Ok(()));
        assert!(damaged(size + 50).recover(FLUSHED, false, 0, &scan(0, Vec::new())).is_err());
        let mut of = scene(FLUSHED, Promise::Policy);
        let index = path.replace(".log", ".index");
        let seen = Seen::Rotted { node: NODE, path: Path::new(&index), position: 3 };
        of.see(&seen).expect("no violation");
        of.end(&KILLED).expect("that happens");
        assert!(of.recover(FLUSHED, false, 0, &first()).is_err(), "an index excuses nothing");
    }

    #[test]
    fn a_clean_stop_promises_what_was_only_cached() {
        let mut of = scene(CACHED, Promise::Policy);
        of.end(&Exit::Finished).expect("that happens");
        of.end(&POWER).expect("that happens in the next start");
        assert!(of.recover(CACHED, false, 0, &first()).is_err());
    }

    #[test]
    fn an_answer_counts_that_the_broker_gave_since_the_power_went_and_no_older_one() {
        let restarted = || {
            let mut of = Scene::new(AckedIsDurable::new(Promise::Policy));
            of.recover(CACHED, false, 0, &both()).expect("nothing is missing");
            of.fact(&acked(CACHED, 0, 4)).expect("it is there");
            of.end(&POWER).expect("that happens");
            of
        };
        let client = ClientEvent::Acked {
            producer: 0,
            slot: CACHED,
            first: value_of(0, 0),
            count: 4,
            base_offset: Some(0),
        };
        let mut late = restarted();
        late.tell(client.clone()).expect("it comes late");
        late.recover(CACHED, false, 0, &first()).expect("it happens to be there");
        late.end(&KILLED).expect("that happens");
        assert_eq!(late.recover(CACHED, false, 0, &scan(0, Vec::new())), Ok(()), "nothing was promised");
        let mut repeated = restarted();
        repeated.recover(CACHED, false, 0, &first()).expect("it is there");
        repeated.fact(&acked(CACHED, 0, 4)).expect("the repeat is recognised");
        repeated.tell(client).expect("so it is");
        repeated.end(&KILLED).expect("that happens");
        assert!(repeated.recover(CACHED, false, 0, &scan(0, Vec::new())).is_err());
    }
}
