//! W19: the start of a log moves only forward, only as far as the topic's settings or somebody's request allow, and
//! what was deleted stays deleted. So the head of a log cannot be lost unseen.
//!
//! What the broker says of its start is compared with what was written and with retention's own rule: of a topic
//! that deletes by size, at least that many bytes stay. Of a log that need not be flushed a loss of power may take the
//! first name and leave a later one, as long as nothing that was flushed goes with it.

use jangbu_core::fact::Fact;

use super::{Check, slot_text};
use crate::model::{ClientEvent, Ledger, Seen};

pub(super) struct LogStart;

impl Check for LogStart {
    fn see(&mut self, seen: &Seen<'_>, ledger: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Fact { node, fact: Fact::LogStartMoved { partition, log_start, high_watermark } } => {
                if log_start > high_watermark {
                    return Err(format!(
                        "{partition} was cut to start at {log_start}, above its high watermark {high_watermark}"
                    ));
                }
                let before = ledger.replica(*node, *partition).map_or(0, |replica| replica.log_start);
                if log_start.0 < before {
                    return Err(format!("the start of {partition} went back from {before} to {log_start}"));
                }
                match ledger.may_start_at(*node, *partition, log_start.0) {
                    true => Ok(()),
                    false => Err(format!(
                        "the start of {partition} moved from {before} to {log_start}, which neither its settings \
                         allow nor anybody asked for"
                    )),
                }
            }
            Seen::Recovered { node, fact: Fact::Recovered { partition, log_start, .. }, scan } => {
                let justified = ledger.justified_start(*partition);
                let first_file = scan.first_file.unwrap_or(log_start.0);
                // A quorum's log begins where its snapshot ends, which it may have written without saying so.
                // A first batch that claims another offset, which no checksum covers, begins the log anew there.
                let replica = ledger.replica(*node, *partition);
                let is_deceived = replica.and_then(|replica| replica.rot).is_some_and(|rot| rot.unseen);
                let excused = is_deceived || ledger.may_have_lost_head(*node, *partition);
                if log_start.0.max(first_file) > justified && ledger.slot(*partition).is_some() && !excused {
                    return Err(format!(
                        "{partition} was opened with its start at {log_start} and its first file at {first_file}, but \
                         nothing from {justified} on was ever deleted"
                    ));
                }
                let promised = ledger.replica(*node, *partition).map_or(0, |replica| replica.start_promised);
                let promised = promised.max(ledger.deleted_below(*partition));
                match log_start.0 < promised {
                    true => Err(format!(
                        "{partition} was opened with its start at {log_start}, but everything below {promised} was \
                         deleted for good"
                    )),
                    false => Ok(()),
                }
            }
            Seen::Client(ClientEvent::ReadWhole { slot, log_start, .. }) => {
                let Some(partition) = ledger.partition(*slot) else { return Ok(()) };
                let (deleted, justified) =
                    (ledger.deleted_below(partition), ledger.justified_start(partition));
                match (deleted..=justified).contains(log_start) {
                    true => Ok(()),
                    false => Err(format!(
                        "{} is said to start at {log_start}, but everything below {deleted} is deleted, and nothing from \
                         {justified} on",
                        slot_text(*slot)
                    )),
                }
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jangbu_core::ids::Offset;

    use super::*;
    use crate::model::testing::{CACHED, FLUSHED, KILLED, POWER, Scene, partition_of, scan, written};
    use crate::world::Exit;

    fn moved(slot: (usize, i32), to: i64, high_watermark: i64) -> Fact {
        let (log_start, high_watermark) = (Offset(to), Offset(high_watermark));
        Fact::LogStartMoved { partition: partition_of(slot), log_start, high_watermark }
    }

    /// Three batches of 100 bytes; retention leaves 250 of the cached topic.
    fn three(slot: (usize, i32)) -> Scene<LogStart> {
        let mut scene = Scene::new(LogStart);
        let batches = vec![written(0, 4), written(4, 8), written(8, 12), written(12, 16)];
        scene.recover(slot, false, 0, &scan(0, batches)).expect("nothing is missing");
        scene
    }

    #[test]
    fn retention_may_take_what_is_too_much_and_no_more() {
        assert_eq!(three(CACHED).fact(&moved(CACHED, 4, 16)), Ok(()), "300 bytes stay");
        assert!(three(CACHED).fact(&moved(CACHED, 8, 16)).is_err(), "200 bytes stay");
        assert!(three(FLUSHED).fact(&moved(FLUSHED, 4, 16)).is_err(), "this topic keeps everything");
    }

    #[test]
    fn a_start_above_the_high_watermark_or_behind_the_one_before_is_found() {
        assert!(three(CACHED).fact(&moved(CACHED, 4, 3)).is_err());
        let mut scene = three(CACHED);
        scene.fact(&moved(CACHED, 4, 16)).expect("retention may");
        assert!(scene.fact(&moved(CACHED, 2, 16)).is_err());
    }

    #[test]
    fn who_asks_for_records_to_be_deleted_justifies_it_and_finds_them_deleted_for_good() {
        let mut scene = three(FLUSHED);
        scene.tell(ClientEvent::RecordsDeletionAsked { slot: FLUSHED }).expect("he may");
        scene.fact(&moved(FLUSHED, 12, 16)).expect("he asked");
        scene.tell(ClientEvent::RecordsDeleted { slot: FLUSHED, log_start: 12 }).expect("so it is");
        scene.end(&KILLED).expect("that happens");
        let opened = scan(12, vec![written(12, 16)]);
        assert!(scene.recover(FLUSHED, false, 11, &opened).is_err(), "what was deleted is back");
        assert_eq!(scene.recover(FLUSHED, false, 12, &opened), Ok(()));
        let read = |log_start| ClientEvent::ReadWhole { slot: FLUSHED, log_start, values: Vec::new() };
        assert!(scene.tell(read(4)).is_err());
        assert_eq!(scene.tell(read(12)), Ok(()));
    }

    #[test]
    fn a_log_whose_head_went_with_a_name_is_found() {
        for log_start in [0, 8] {
            let mut scene = three(FLUSHED);
            scene.end(&POWER).expect("that happens");
            let headless = scan(8, vec![written(8, 12), written(12, 16)]);
            assert!(scene.recover(FLUSHED, false, log_start, &headless).is_err());
        }
    }

    #[test]
    fn the_head_of_a_log_that_was_never_flushed_may_go_with_the_power_alone() {
        let headless = scan(8, vec![written(8, 12), written(12, 16)]);
        for (slot, flushed, exit, forgives) in [
            (CACHED, 0, POWER, true),
            (CACHED, 4, POWER, false),
            (CACHED, 0, KILLED, false),
            (FLUSHED, 0, POWER, false),
        ] {
            let mut scene = three(slot);
            scene.flush(slot, flushed).expect("so it is");
            scene.end(&exit).expect("that happens");
            assert_eq!(
                scene.recover(slot, false, 8, &headless).is_ok(),
                forgives,
                "{slot:?} {flushed} {exit:?}"
            );
        }
    }

    #[test]
    fn a_start_that_was_moved_just_before_a_crash_may_be_forgotten_and_after_a_clean_stop_may_not() {
        for (exit, forgives) in [(KILLED, true), (Exit::Finished, false)] {
            let mut scene = three(CACHED);
            scene.fact(&moved(CACHED, 4, 16)).expect("retention may");
            scene.end(&exit).expect("that happens");
            let whole = scan(0, vec![written(0, 4), written(4, 8), written(8, 12), written(12, 16)]);
            assert_eq!(scene.recover(CACHED, !forgives, 0, &whole).is_ok(), forgives);
        }
    }
}
