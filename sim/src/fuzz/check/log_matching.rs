//! Log matching: what is at an offset with an epoch is the same everywhere and at all times, with all that precedes
//! it (Raft, figure 3).

use super::{Table, Violation};

/// The chain hash at each (offset, epoch).
#[derive(Clone, Default)]
pub struct LogMatching {
    hashes: Table,
}

impl LogMatching {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.hashes.clear();
    }

    /// An entry was appended somewhere; `hash` is the chain hash of the log up to and with it.
    ///
    /// # Errors
    /// When another one was seen there.
    #[inline]
    pub fn appended(&mut self, node: usize, offset: i64, epoch: i32, hash: u64) -> Result<(), Violation> {
        let key = (offset as u64) << 32 | u64::from(epoch as u32);
        match self.hashes.differing(key, hash) {
            None => Ok(()),
            Some(_) => Err(Violation::new(
                "log_matching",
                format!(
                    "node {node} appended another record at offset {offset} in epoch {epoch} than was there"
                ),
            )),
        }
    }
}
