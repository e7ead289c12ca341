//! The simulator's own reader of record batches: an oracle that used the core's would share its mistakes.
//!
//! Format v2: base offset, length of what follows, leader epoch, magic 2, CRC-32C of all behind it, attributes, last
//! offset delta, base and largest timestamp, producer id, epoch and base sequence, count of records, records.

use super::Written;

const HEADER_BYTES: usize = 61;
/// Base offset and length, which the length does not count.
const LENGTH_END: usize = 12;
/// Where begins what the checksum covers.
pub(super) const CHECKED_FROM: usize = 21;

/// The header of the batch at the front, whose bytes are all there; their checksum is not looked at.
pub(super) fn header(bytes: &[u8]) -> Result<Written, String> {
    let head = bytes.get(..HEADER_BYTES).ok_or_else(|| format!("{} bytes are no header", bytes.len()))?;
    let number = |at: usize, len: usize| {
        let sign: i64 = if head[at] & 0x80 == 0 { 0 } else { -1 };
        head[at..at + len].iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
    };
    let (base, length, delta) = (number(0, 8), number(8, 4), number(23, 4));
    if head[16] != 2 {
        return Err(format!("magic {} is not 2", head[16]));
    }
    let size = usize::try_from(length).map_or(0, |length| length + LENGTH_END);
    if size < HEADER_BYTES || size > bytes.len() {
        return Err(format!("it is said to have {size} bytes, and {} are there", bytes.len()));
    }
    let end = base.checked_add(delta).and_then(|last| last.checked_add(1)).filter(|end| *end > base);
    Ok(Written {
        base,
        end: end.filter(|_| base >= 0).ok_or_else(|| format!("offset {base} and {delta} more cannot be"))?,
        epoch: number(12, 4) as i32,
        crc: number(17, 4) as u32,
        size: size as u32,
        max_timestamp: number(35, 8),
        producer_id: number(43, 8),
        producer_epoch: number(51, 2) as i16,
        sequence: number(53, 4) as i32,
    })
}

/// The batch at the front, whole and unharmed.
pub(super) fn batch(bytes: &[u8]) -> Result<Written, String> {
    let written = header(bytes)?;
    match crc32c(&bytes[CHECKED_FROM..written.size as usize]) {
        crc if crc == written.crc => Ok(written),
        crc => Err(format!("its checksum is {crc:#010x} and it says {:#010x}", written.crc)),
    }
}

/// Castagnoli's polynomial, reflected.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut word, mut bit) = (index as u32, 0);
            while bit < 8 {
                word = if word & 1 == 0 { word >> 1 } else { word >> 1 ^ 0x82f6_3b78 };
                bit += 1;
            }
            table[index] = word;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)])
}

#[cfg(test)]
pub(crate) mod tests {
    use jangbu_core::ids::{LeaderEpoch, Offset};
    use jangbu_core::record::builder::BatchBuilder;
    use jangbu_core::record::compression::Codec;
    use jangbu_core::time::Timestamp;

    use super::*;

    /// A batch as it would be on a disk.
    pub(crate) fn bytes(base: i64, count: i64, epoch: i32) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Codec::None);
        for number in 0..count {
            builder.append(Timestamp(1_000 + base + number), None, Some(b"value"), &[]);
        }
        let mut bytes = builder.build().to_vec();
        bytes[..8].copy_from_slice(&Offset(base).0.to_be_bytes());
        bytes[12..16].copy_from_slice(&LeaderEpoch(epoch).0.to_be_bytes());
        bytes
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_batch_is_read_without_the_help_of_the_core() {
        let written = batch(&bytes(40, 3, 7)).expect("whole");
        assert_eq!((written.base, written.end, written.epoch), (40, 43, 7));
        assert_eq!((written.max_timestamp, written.producer_id), (1_042, -1));
    }

    #[test]
    fn any_flipped_bit_that_the_checksum_covers_and_any_cut_is_seen() {
        let whole = bytes(40, 3, 7);
        for at in 16..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(batch(&flipped).is_err(), "byte {at}");
        }
        for len in 0..whole.len() {
            assert!(batch(&whole[..len]).is_err(), "{len} bytes");
        }
    }
}
