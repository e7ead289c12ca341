//! Election safety: at most one leader per epoch (Raft, figure 3), whatever was restarted in between.

use super::{Table, Violation};

/// The leaders of the epochs.
#[derive(Clone, Default)]
pub struct ElectionSafety {
    leaders: Table,
}

impl ElectionSafety {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.leaders.clear();
    }

    /// An incarnation of a node became leader of an epoch. A second incarnation of the same node is another leader:
    /// what the first one did not flush is lost, and its offsets would be given out again (KAFKA-10527).
    ///
    /// # Errors
    /// When the epoch has another leader.
    pub fn became_leader(&mut self, epoch: i32, node: usize, incarnation: u32) -> Result<(), Violation> {
        let leader = (node as u64) << 32 | u64::from(incarnation);
        match self.leaders.differing(epoch as u64, leader) {
            None => Ok(()),
            Some(other) => Err(Violation::new(
                "election_safety",
                format!(
                    "node {node} (incarnation {incarnation}) leads epoch {epoch}, which node {} (incarnation {}) led",
                    other >> 32,
                    other & 0xffff_ffff
                ),
            )),
        }
    }
}
