//! Entries of the two sparse indexes, as Kafka lays them out (big-endian).
//!
//! Offset index, 8 bytes: the last offset of a batch relative to the segment's base, and the batch's position.
//! Time index, 12 bytes: the largest timestamp so far, and the relative last offset of the batch that has it.
//! Both rise; both get an entry per `index.interval.bytes` of batches.

use crate::ids::Offset;
use crate::time::Timestamp;

/// An entry of the offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OffsetEntry {
    /// Last offset of a batch, relative to the segment's base.
    pub(super) relative_offset: u32,
    /// Where that batch begins in the segment's file.
    pub(super) position: u32,
}

/// An entry of the time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeEntry {
    /// The largest timestamp of the batches up to the offset.
    pub(super) timestamp: Timestamp,
    /// Last offset of the first batch that has it, relative to the segment's base.
    pub(super) relative_offset: u32,
}

/// What both indexes have in common.
pub(super) trait Entry: Copy {
    /// Bytes on disk.
    const LEN: usize;
    /// Appends the bytes.
    fn put(self, bytes: &mut Vec<u8>);
    /// Reads an entry from exactly [`Entry::LEN`] bytes.
    fn take(bytes: &[u8]) -> Self;
    /// Whether `next` may follow `self`.
    fn precedes(&self, next: &Self) -> bool;
}

impl Entry for OffsetEntry {
    const LEN: usize = 8;

    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.relative_offset.to_be_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Self {
        let (offset, position) = bytes.split_at(4);
        Self {
            relative_offset: u32::from_be_bytes(offset.try_into().expect("8 bytes")),
            position: u32::from_be_bytes(position.try_into().expect("8 bytes")),
        }
    }

    fn precedes(&self, next: &Self) -> bool {
        self.relative_offset < next.relative_offset && self.position < next.position
    }
}

impl Entry for TimeEntry {
    const LEN: usize = 12;

    fn put(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.timestamp.0.to_be_bytes());
        bytes.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn take(bytes: &[u8]) -> Self {
        let (timestamp, offset) = bytes.split_at(8);
        Self {
            timestamp: Timestamp(i64::from_be_bytes(timestamp.try_into().expect("12 bytes"))),
            relative_offset: u32::from_be_bytes(offset.try_into().expect("12 bytes")),
        }
    }

    fn precedes(&self, next: &Self) -> bool {
        self.timestamp < next.timestamp && self.relative_offset <= next.relative_offset
    }
}

/// Reads a whole index file's bytes; `None` when it has a broken entry or does not rise.
pub(super) fn decode<T: Entry>(bytes: &[u8]) -> Option<Vec<T>> {
    if !bytes.len().is_multiple_of(T::LEN) {
        return None;
    }
    let entries: Vec<T> = bytes.chunks_exact(T::LEN).map(T::take).collect();
    entries.windows(2).all(|pair| pair[0].precedes(&pair[1])).then_some(entries)
}

/// The bytes of entries.
pub(super) fn encode<T: Entry>(entries: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * T::LEN);
    entries.iter().for_each(|entry| entry.put(&mut bytes));
    bytes
}

/// An offset relative to a segment's base. Segments are rolled before it would not fit.
pub(super) fn relative(base: Offset, offset: Offset) -> u32 {
    u32::try_from(offset.0 - base.0).expect("a segment spans at most i32::MAX offsets")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_laid_out_as_kafka_does() {
        let entry = OffsetEntry { relative_offset: 0x0102, position: 0x0304 };
        assert_eq!(encode(&[entry]), [0, 0, 1, 2, 0, 0, 3, 4]);
        let entry = TimeEntry { timestamp: Timestamp(5), relative_offset: 6 };
        assert_eq!(encode(&[entry]), [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6]);
    }

    #[test]
    fn an_index_with_a_hole_is_refused() {
        let entry = |relative_offset, position| OffsetEntry { relative_offset, position };
        let good = encode(&[entry(3, 100), entry(7, 200)]);
        assert_eq!(decode(&good), Some(vec![entry(3, 100), entry(7, 200)]));
        assert_eq!(decode::<OffsetEntry>(&good[..15]), None);
        assert_eq!(decode::<OffsetEntry>(&encode(&[entry(3, 100), entry(0, 0)])), None);
        assert_eq!(decode::<OffsetEntry>(&[0; 24]), None);
        assert_eq!(decode::<OffsetEntry>(&[]), Some(vec![]));
    }
}
