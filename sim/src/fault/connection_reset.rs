//! Every connection of the node is reset, with bytes under way in both directions lost.
//!
//! What must survive: everything. The client cannot know whether its requests arrived, and repeats them on new
//! connections; an idempotent producer's repeats must not appear twice, nor may a later batch overtake an earlier.

use super::Kind;

pub(super) const KIND: Kind = Kind {
    name: "connection_reset",
    survives: "everything: requests of unknown fate are repeated, and no repeat of an idempotent batch is appended",
    parameters: &[],
    strike: |stage, node, _| {
        stage.reset_connections(node)?;
        stage.met();
        Ok(())
    },
};
