//! What would be left if the power went now and took everything that it could.

use std::sync::Arc;

use super::file::Inode;
use crate::world::control::NodeId;
use crate::world::{World, lock};

impl World {
    /// The names of the files in a directory, wherever it is, that are durable together with it; in their order.
    pub fn durable_log_files(&self, node: NodeId, directory: &str) -> Vec<String> {
        let found = self.durable_directory(node, directory);
        found.into_iter().map(|(name, _)| name).collect()
    }

    /// The durable bytes of such a file; none if it is not there.
    pub fn durable_log_file(&self, node: NodeId, directory: &str, name: &str) -> Vec<u8> {
        let found = self.durable_directory(node, directory);
        let file = found.into_iter().find(|(known, _)| known == name);
        file.map(|(_, inode)| inode.durable_image()).unwrap_or_default()
    }

    fn durable_directory(&self, node: NodeId, directory: &str) -> Vec<(String, Arc<Inode>)> {
        let node = self.node(node);
        let state = lock(&node.drive.state);
        state.names.durable_files_in(directory)
    }

    /// How many disk calls of this life of a node, or of the last one if it is down, failed with an error.
    pub fn failed_disk_calls(&self, node: NodeId) -> u64 {
        lock(&self.node(node).drive.state).failed_calls
    }
}
