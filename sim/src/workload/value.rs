//! The values that producers write: a number that is unique in the run, and filling that follows from it.

use jangbu_core::env::{Clock, Env};
use jangbu_core::record::builder::BatchBuilder;
use jangbu_core::record::compression::Codec;

use crate::world::SimEnv;

/// A batch with the values `first`, `first + 1` and so on.
pub(super) fn batch(env: &SimEnv, first: u64, count: u64, record_bytes: u64) -> bytes::Bytes {
    let now = env.clock().wall();
    let mut builder = BatchBuilder::new(Codec::None);
    let mut value = Vec::new();
    for number in first..first + count {
        write(&mut value, number, record_bytes as usize);
        builder.append(now, None, Some(&value), &[]);
    }
    builder.build()
}

/// At least the number's eight bytes.
fn write(into: &mut Vec<u8>, number: u64, bytes: usize) {
    into.clear();
    into.extend_from_slice(&number.to_be_bytes());
    into.resize(bytes.max(8), filling(number));
}

fn filling(number: u64) -> u8 {
    (number as u8).wrapping_mul(31) ^ 0x5a
}

/// The number of a value, or `None` when no producer can have written it.
pub(super) fn read(value: &[u8]) -> Option<u64> {
    let number = u64::from_be_bytes(value.first_chunk::<8>().copied()?);
    value.iter().skip(8).all(|byte| *byte == filling(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_flipped_bit_is_nobodys() {
        let mut value = Vec::new();
        write(&mut value, 77, 30);
        assert_eq!(read(&value), Some(77));
        value[20] ^= 4;
        assert_eq!(read(&value), None);
        assert_eq!(read(&value[..7]), None);
    }
}
