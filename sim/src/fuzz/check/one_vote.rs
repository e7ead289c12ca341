//! One vote: a directory gives its vote to one candidate per epoch, restarts or not (KIP-595).

use super::{Table, Violation};

/// The votes that were given, and those that were recorded.
#[derive(Clone, Default)]
pub struct OneVote {
    given: Table,
    recorded: Vec<(i32, u64)>,
}

impl OneVote {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.given.clear();
        self.recorded.clear();
    }

    /// A directory said to somebody that it votes for `candidate`.
    ///
    /// # Errors
    /// When it said so to another one.
    pub fn given(&mut self, directory: u32, epoch: i32, candidate: u64) -> Result<(), Violation> {
        let key = u64::from(directory) << 32 | u64::from(epoch as u32);
        match self.given.differing(key, candidate) {
            None => Ok(()),
            Some(_) => {
                Err(Violation::new("one_vote", format!("directory {directory} voted twice in epoch {epoch}")))
            }
        }
    }

    /// A directory's election state became durable; `vote` is 0 for none.
    ///
    /// # Errors
    /// When the epoch falls, or the vote in it changes.
    pub fn recorded(&mut self, directory: u32, epoch: i32, vote: u64) -> Result<(), Violation> {
        let index = directory as usize;
        if self.recorded.len() <= index {
            self.recorded.resize(index + 1, (0, 0));
        }
        let (last_epoch, last_vote) = self.recorded[index];
        let is_taken_back = epoch == last_epoch && last_vote != 0 && vote != last_vote;
        if epoch < last_epoch || is_taken_back {
            let message =
                format!("directory {directory} recorded epoch {epoch} with another vote, or fell back to it");
            return Err(Violation::new("one_vote", message));
        }
        self.recorded[index] = (epoch, vote);
        Ok(())
    }
}
