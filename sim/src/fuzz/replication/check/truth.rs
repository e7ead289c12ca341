//! The committed log: what any leader ever showed to be committed.

use crate::fuzz::replication::log::{Entry, FuzzLog};

/// The committed records, and the chain hash below each.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The records.
    pub entries: Vec<Entry>,
    hashes: Vec<u64>,
}

impl Default for Truth {
    fn default() -> Self {
        Self { entries: Vec::new(), hashes: vec![0] }
    }
}

impl Truth {
    /// How many are committed.
    #[expect(clippy::len_without_is_empty, reason = "whether it is empty is never asked")]
    pub fn len(&self) -> i64 {
        self.entries.len() as i64
    }

    /// The hash of what is committed below `offset`.
    pub fn hash_at(&self, offset: i64) -> Option<u64> {
        self.hashes.get(usize::try_from(offset).ok()?).copied()
    }

    /// Whether a log agrees with it below `offset`, which both have.
    pub fn agrees(&self, log: &FuzzLog, offset: i64) -> bool {
        let hash = self.hash_at(offset);
        hash.is_some() && hash == log.hash_at(offset)
    }

    /// Whether a log has all of it.
    pub fn is_in(&self, log: &FuzzLog) -> bool {
        self.agrees(log, self.len())
    }

    /// It grows to `end`, by what `log` has there.
    pub fn extend(&mut self, log: &FuzzLog, end: i64) {
        for offset in self.len()..end {
            let (Some(entry), Some(hash)) = (log.entry(offset), log.hash_at(offset + 1)) else { return };
            self.entries.push(*entry);
            self.hashes.push(hash);
        }
    }
}
