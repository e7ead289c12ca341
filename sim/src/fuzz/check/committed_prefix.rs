//! The committed log: it only grows, everybody sees the same, every later leader has it, nobody cuts it.

use super::Violation;

/// What has been committed so far, as chain hashes.
#[derive(Clone, Default)]
pub struct CommittedPrefix {
    /// After how many entries: which hash, and the epoch of the last entry.
    chain: Vec<(u64, i32)>,
    /// How many entries were committed at the end of each leader's epoch so far, the epochs rising.
    by_epoch: Vec<(i32, i64)>,
    /// Off while a fault is under way that no replicated log survives; see `rollback` in the fuzzer.
    is_void: bool,
}

impl CommittedPrefix {
    /// Nothing is committed.
    pub fn clear(&mut self) {
        self.chain.clear();
        self.chain.push((0, 0));
        self.by_epoch.clear();
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

    /// The leader of `epoch` has committed all that is committed now.
    pub fn committed_by(&mut self, epoch: i32) {
        let committed = self.len();
        match self.by_epoch.last_mut() {
            Some((last, len)) if *last >= epoch => *len = committed,
            _ => self.by_epoch.push((epoch, committed)),
        }
    }

    /// How much was committed in epochs before this one.
    pub fn len_before(&self, epoch: i32) -> i64 {
        self.by_epoch.iter().rev().find(|(earlier, _)| *earlier < epoch).map_or(0, |(_, len)| *len)
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

    /// Leader completeness: `hash` is that of the new leader's log at the end of what was committed in earlier epochs
    /// ([`CommittedPrefix::len_before`]), if it reaches it. A candidate whose last vote arrives late may lead an epoch
    /// that is over, without what later ones committed.
    ///
    /// # Errors
    /// When the leader lacks committed records.
    pub fn elected(&self, node: usize, epoch: i32, hash: Option<u64>) -> Result<(), Violation> {
        let committed = self.len_before(epoch);
        if self.is_void || hash == self.at(committed).map(|(hash, _)| hash) {
            return Ok(());
        }
        let message =
            format!("node {node} leads epoch {epoch} without all of the {committed} committed records");
        Err(Violation::new("leader_completeness", message))
    }

    /// A node in `epoch` makes a cut.
    ///
    /// # Errors
    /// When an entry goes that it had called committed, or that was committed in its epoch or before. What a later epoch
    /// commits it may still lose to the last leader of its own: its copy did not count there.
    pub fn truncated(&self, node: usize, epoch: i32, cut: &Cut) -> Result<(), Violation> {
        let Cut { to, next, high_watermark } = *cut;
        let is_committed = !self.is_void
            && to < self.len_before(epoch.saturating_add(1))
            && self.at(to + 1).is_some_and(|(hash, _)| hash == next);
        if to < high_watermark || is_committed {
            let message = format!(
                "node {node} cut its log at {to}, below its high watermark {high_watermark} or what is committed"
            );
            return Err(Violation::new("truncation_below_high_watermark", message));
        }
        Ok(())
    }
}

/// How a log is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The new end.
    pub to: i64,
    /// The chain hash just after the first entry that goes.
    pub next: u64,
    /// What the node itself had called committed.
    pub high_watermark: i64,
}
