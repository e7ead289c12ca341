//! Hashes that are the same in every run: 64 bits of a state, and what finds interned parts again.

use std::hash::{BuildHasherDefault, Hasher};

/// Folds a product of 128 bits, which mixes every bit of both with every other.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

const SECRET: [u64; 4] =
    [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3];

/// 64 bits of eight words.
#[inline]
pub fn of_words(words: &[u64; 8]) -> u64 {
    let a = fold(words[0] ^ SECRET[0], words[1] ^ SECRET[1]);
    let b = fold(words[2] ^ SECRET[2], words[3] ^ SECRET[3]);
    let c = fold(words[4] ^ SECRET[1], words[5] ^ SECRET[0]);
    let d = fold(words[6] ^ SECRET[3], words[7] ^ SECRET[2]);
    fold(fold(a ^ SECRET[2], b ^ SECRET[3]) ^ 0x9e37_79b9_7f4a_7c15, fold(c ^ SECRET[1], d) ^ SECRET[0])
}

/// A hasher without chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed(u64);

impl Hasher for Fixed {
    fn finish(&self) -> u64 {
        fold(self.0 ^ SECRET[0], SECRET[1])
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ (chunk.len() as u64) << 56);
        }
    }
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = fold(self.0 ^ word ^ SECRET[2], SECRET[3] ^ word.rotate_left(32));
    }
    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }
    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }
    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

/// Builds [`Fixed`].
pub type FixedState = BuildHasherDefault<Fixed>;

/// A hasher of what is a fingerprint already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("fingerprints are 64-bit numbers");
    }
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}
