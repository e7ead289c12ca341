//! The committed log: it only grows, everybody sees the same, every later leader has it, nobody cuts it.

use super::Violation;

/// What has been committed so far, as chain hashes.
#[derive(Clone, Default)]
pub struct CommittedPrefix {
    /// After how many entries: which hash, and the epoch of the last entry.
    chain: Vec<(u64, i32)>,
    /// Off while a fault is under way that no replicated log survives; see `rollback` in the fuzzer.
    is_void: bool,
}

impl CommittedPrefix {
    /// Nothing is committed.
    pub fn clear(&mut self) {
        self.chain.clear();
        self.chain.push((0, 0));
        self.is_void = false;
    }

    /// Disks lied: from now on only what each node says of itself is looked at.
    pub fn make_void(&mut self) {
        self.is_void = true;
    }

    /// Whether disks lied.
    pub fn is_void(&self) -> bool {
        self.is_void
    }

    /// How many entries are committed.
    pub fn len(&self) -> i64 {
        self.chain.len() as i64 - 1
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash and last epoch of the committed log before `offset`, if it reaches that far.
    #[inline]
    pub fn at(&self, offset: i64) -> Option<(u64, i32)> {
        self.chain.get(offset as usize).copied()
    }

    /// One more entry is committed.
    pub fn push(&mut self, hash: u64, epoch: i32) {
        self.chain.push((hash, epoch));
    }

    /// A node's state after `offset` entries.
    ///
    /// # Errors
    /// When it is not the committed one.
    #[inline]
    pub fn matches(&self, check: &'static str, node: usize, offset: i64, hash: u64) -> Result<(), Violation> {
        match self.at(offset) {
            Some((committed, _)) if committed != hash && !self.is_void => Err(Violation::new(
                check,
                format!("node {node} has other records before offset {offset} than were committed there"),
            )),
            _ => Ok(()),
        }
    }

    /// Leader completeness: `hash` is that of the new leader's log at the end of what is committed, if it reaches it.
    ///
    /// # Errors
    /// When the leader lacks committed records.
    pub fn elected(&self, node: usize, epoch: i32, hash: Option<u64>) -> Result<(), Violation> {
        let committed = self.len();
        if self.is_void || hash == self.at(committed).map(|(hash, _)| hash) {
            return Ok(());
        }
        let message =
            format!("node {node} leads epoch {epoch} without all of the {committed} committed records");
        Err(Violation::new("leader_completeness", message))
    }

    /// A node cuts its log at `to`; `next` is the hash of its log just after the first entry that goes, and
    /// `high_watermark` what it itself had called committed.
    ///
    /// # Errors
    /// When a committed entry goes.
    pub fn truncated(&self, node: usize, to: i64, next: u64, high_watermark: i64) -> Result<(), Violation> {
        let is_committed = !self.is_void && self.at(to + 1).is_some_and(|(hash, _)| hash == next);
        if to < high_watermark || is_committed {
            let message = format!(
                "node {node} cut its log at {to}, below its high watermark {high_watermark} or what is committed"
            );
            return Err(Violation::new("truncation_below_high_watermark", message));
        }
        Ok(())
    }
}
