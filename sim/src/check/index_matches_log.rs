//! W20, J9: an index leads to the batch that it names, and whoever asks for an offset gets the record at it.
//!
//! The files are read here, by the simulator, when a log has been opened: each entry of the offset index is the last
//! offset of a batch and the position at which that batch begins; each entry of the time index is the largest timestamp
//! so far and the last offset of the first batch that has it; both rise, and nothing stands behind the data. A sealed
//! segment has both files, and no index is left of a segment that is gone.

use jangbu_core::fact::Fact;

use super::{Check, slot_text};
use crate::model::{ClientEvent, Ledger, Scan, Seen, SegmentScan};

const OFFSET_ENTRY_BYTES: usize = 8;
const TIME_ENTRY_BYTES: usize = 12;

pub(super) struct IndexMatchesLog;

impl Check for IndexMatchesLog {
    fn see(&mut self, seen: &Seen<'_>, _: &Ledger) -> Result<(), String> {
        match seen {
            Seen::Recovered { fact: Fact::Recovered { partition, .. }, scan, .. } => {
                match_log(scan).map_err(|why| format!("{partition}: {why}"))
            }
            Seen::Client(ClientEvent::Sought { slot, asked, found, .. }) => match found {
                Some((offset, _)) if offset == asked => Ok(()),
                Some((offset, _)) => {
                    Err(format!("{}: offset {asked} was asked for, {offset} came", slot_text(*slot)))
                }
                None => {
                    let what = "came bytes without a record at or behind it";
                    Err(format!("{}: for offset {asked} {what}", slot_text(*slot)))
                }
            },
            _ => Ok(()),
        }
    }
}

fn match_log(scan: &Scan) -> Result<(), String> {
    if let Some(orphan) = scan.orphans.first() {
        return Err(format!("there is an index of segment {orphan}, which is not there"));
    }
    for (number, segment) in scan.segments.iter().enumerate() {
        let sealed = number + 1 < scan.segments.len();
        match &segment.offset_index {
            Some(bytes) => offsets_match(segment, bytes),
            None if sealed => Err("it is sealed and has no offset index".to_owned()),
            None => Ok(()),
        }
        .and_then(|()| match &segment.time_index {
            Some(bytes) => times_match(segment, bytes),
            None if sealed => Err("it is sealed and has no time index".to_owned()),
            None => Ok(()),
        })
        .map_err(|why| format!("segment {:020}: {why}", segment.base))?;
    }
    Ok(())
}

fn offsets_match(segment: &SegmentScan, bytes: &[u8]) -> Result<(), String> {
    let mut batches = segment.batches.iter();
    for (number, entry) in entries::<OFFSET_ENTRY_BYTES>(bytes, "offset index")?.enumerate() {
        let (offset, position) = (segment.base + number_at(entry, 0), number_at(entry, 4) as u64);
        // Entries rise, so no batch before the last one found can be meant.
        match batches.find(|batch| batch.position >= position) {
            Some(batch) if batch.position == position && batch.last == offset => {}
            near => {
                return Err(format!(
                    "entry {number} of its offset index says that the batch which ends with offset {offset} begins at \
                     byte {position}; there, or next, is {near:?}"
                ));
            }
        }
    }
    Ok(())
}

fn times_match(segment: &SegmentScan, bytes: &[u8]) -> Result<(), String> {
    let mut batches = segment.batches.iter();
    for (number, entry) in entries::<TIME_ENTRY_BYTES>(bytes, "time index")?.enumerate() {
        let timestamp = entry[..8].iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        let offset = segment.base + number_at(entry, 8);
        // The first batch with a timestamp of at least this; the entries before have used up the smaller ones.
        match batches.find(|batch| batch.max_timestamp >= timestamp) {
            Some(batch) if batch.max_timestamp == timestamp && batch.last == offset => {}
            near => {
                return Err(format!(
                    "entry {number} of its time index says that the first batch with timestamp {timestamp} ends with \
                     offset {offset}; that is {near:?}"
                ));
            }
        }
    }
    Ok(())
}

/// The whole entries of an index file, which must be all of it.
fn entries<'a, const LEN: usize>(
    bytes: &'a [u8],
    what: &str,
) -> Result<impl Iterator<Item = &'a [u8]>, String> {
    match bytes.len().is_multiple_of(LEN) {
        true => Ok(bytes.chunks_exact(LEN)),
        false => Err(format!("its {what} has {} bytes, which are no whole entries", bytes.len())),
    }
}

fn number_at(entry: &[u8], at: usize) -> i64 {
    entry[at..at + 4].iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Placed;

    fn scan(offsets: &[(u32, u32)], times: &[(i64, u32)]) -> Scan {
        let placed = |position, last, max_timestamp| Placed { position, last, max_timestamp };
        let offset_index = offsets
            .iter()
            .flat_map(|(offset, position)| [offset.to_be_bytes(), position.to_be_bytes()].concat());
        let time_index = times
            .iter()
            .flat_map(|(timestamp, offset)| [&timestamp.to_be_bytes()[..], &offset.to_be_bytes()].concat());
        let segment = SegmentScan {
            base: 100,
            batches: vec![placed(0, 101, 7), placed(90, 104, 9), placed(200, 105, 9), placed(300, 109, 12)],
            offset_index: Some(offset_index.collect()),
            time_index: Some(time_index.collect()),
        };
        Scan { segments: vec![segment], ..Scan::default() }
    }

    #[test]
    fn a_sparse_index_that_names_its_batches_is_right() {
        assert_eq!(match_log(&scan(&[(4, 90), (9, 300)], &[(7, 1), (9, 4), (12, 9)])), Ok(()));
        assert_eq!(match_log(&scan(&[], &[])), Ok(()));
    }

    #[test]
    fn entries_that_lead_elsewhere_are_found() {
        for (offsets, times) in [
            (&[(0, 0)][..], &[][..]),
            (&[(4, 200)], &[]),
            (&[(5, 90)], &[]),
            (&[(9, 300), (4, 90)], &[]),
            (&[(4, 90), (4, 90)], &[]),
            (&[(4, 90), (0, 0)], &[]),
            (&[(9, 400)], &[]),
            (&[], &[(0, 0)]),
            (&[], &[(9, 5)]),
            (&[], &[(8, 4)]),
            (&[], &[(12, 9), (9, 4)]),
            (&[], &[(13, 9)]),
        ] {
            assert!(match_log(&scan(offsets, times)).is_err(), "{offsets:?} {times:?}");
        }
    }

    #[test]
    fn a_file_that_is_torn_missing_or_left_over_is_found() {
        let mut torn = scan(&[(4, 90)], &[]);
        torn.segments[0].offset_index.as_mut().expect("there").pop();
        assert!(match_log(&torn).is_err());
        let mut missing = scan(&[], &[]);
        missing.segments[0].time_index = None;
        assert_eq!(match_log(&missing), Ok(()), "the active segment keeps its indexes in memory");
        missing.segments.push(SegmentScan { base: 110, ..SegmentScan::default() });
        assert!(match_log(&missing).is_err());
        let left_over = Scan { orphans: vec!["7".into()], ..Scan::default() };
        assert!(match_log(&left_over).is_err());
    }
}
