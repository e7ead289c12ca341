//! What a log says of its producers, and what a snapshot of them says (Kafka's format, version 1), both read here.

use std::collections::BTreeMap;

use super::Written;
use super::batch::crc32c;

/// The last of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Its epoch.
    pub epoch: i16,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The offset of its last record.
    pub last_offset: i64,
}

/// Producers, by their ids.
pub type Fold = BTreeMap<i64, Producer>;

impl Producer {
    /// A producer whose last batch this is.
    pub(crate) fn after(batch: &Written) -> Self {
        let behind = batch.end - batch.base - 1;
        let last_sequence = ((i64::from(batch.sequence) + behind) & i64::from(i32::MAX)) as i32;
        Self { epoch: batch.producer_epoch, last_sequence, last_offset: batch.end - 1 }
    }
}

/// The producers of these batches.
pub(crate) fn fold<'a>(batches: impl Iterator<Item = &'a Written>) -> Fold {
    let idempotent = batches.filter(|batch| batch.producer_id >= 0 && batch.sequence >= 0);
    idempotent.map(|batch| (batch.producer_id, Producer::after(batch))).collect()
}

const ENTRY_BYTES: usize = 46;

/// The producers of a snapshot; `None` when it is torn or damaged. Several entries of one producer are its latest
/// batches, of which the last counts.
pub(crate) fn read(bytes: &[u8]) -> Option<Fold> {
    let (head, entries) = bytes.split_at_checked(10)?;
    let count = u32::from_be_bytes(head[6..10].try_into().ok()?) as usize;
    let crc = u32::from_be_bytes(head[2..6].try_into().ok()?);
    if head[..2] != [0, 1] || entries.len() != count.checked_mul(ENTRY_BYTES)? || crc32c(&bytes[6..]) != crc {
        return None;
    }
    let entry = |entry: &[u8]| {
        let number = |at: usize| i64::from_be_bytes(std::array::from_fn(|byte| entry[at + byte]));
        let producer = Producer {
            epoch: i16::from_be_bytes([entry[8], entry[9]]),
            last_sequence: (number(10) >> 32) as i32,
            last_offset: number(14),
        };
        (number(0), producer)
    };
    Some(entries.chunks_exact(ENTRY_BYTES).map(entry).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A snapshot as a broker writes it.
    pub(crate) fn bytes(producers: &[(i64, i16, i32, i64)]) -> Vec<u8> {
        let mut body = (producers.len() as u32).to_be_bytes().to_vec();
        for (id, epoch, last_sequence, last_offset) in producers {
            body.extend(id.to_be_bytes());
            body.extend(epoch.to_be_bytes());
            body.extend(last_sequence.to_be_bytes());
            body.extend(last_offset.to_be_bytes());
            body.extend([0; ENTRY_BYTES - 22]);
        }
        [&[0, 1][..], &crc32c(&body).to_be_bytes(), &body].concat()
    }

    #[test]
    fn the_last_entry_of_a_producer_counts() {
        let read = read(&bytes(&[(7, 0, 4, 9), (7, 1, 2, 15), (8, 3, 0, 12)])).expect("whole");
        assert_eq!(read[&7], Producer { epoch: 1, last_sequence: 2, last_offset: 15 });
        assert_eq!(read[&8], Producer { epoch: 3, last_sequence: 0, last_offset: 12 });
    }

    #[test]
    fn a_torn_or_damaged_snapshot_says_nothing() {
        let whole = bytes(&[(7, 0, 4, 9)]);
        assert!((0..whole.len()).all(|len| read(&whole[..len]).is_none()));
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(read(&flipped).is_none(), "byte {at}");
        }
    }
}
