//! A hash table that is emptied in no time, for the thousands of short episodes of a fuzzer.

const SLOTS: usize = 1 << 12;

/// A map of numbers to numbers of bounded size. When it is full it forgets: a check then sees less, never wrong.
#[derive(Clone)]
pub struct Table {
    /// Generation, key, value.
    slots: Vec<(u32, u64, u64)>,
    generation: u32,
}

impl Default for Table {
    fn default() -> Self {
        Self { slots: vec![(0, 0, 0); SLOTS], generation: 1 }
    }
}

impl Table {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.generation += 1;
    }

    /// Records a value under a key, and returns the one that was there first, if it differs.
    #[inline]
    pub fn differing(&mut self, key: u64, value: u64) -> Option<u64> {
        let start = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52) as usize;
        for step in 0..8 {
            let slot = &mut self.slots[(start + step) & (SLOTS - 1)];
            if slot.0 != self.generation {
                *slot = (self.generation, key, value);
                return None;
            }
            if slot.1 == key {
                return (slot.2 != value).then_some(slot.2);
            }
        }
        None
    }
}
