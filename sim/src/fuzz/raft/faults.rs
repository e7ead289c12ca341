//! What is done to nodes: snapshots, crashes, disks that are lost or lie; and how much of that a quorum must survive.

use jangbu_core::ids::Offset;
use jangbu_core::raft::{ReplicaKey, Voter, Voters};

use super::cluster::Cluster;
use super::disk::Image;
use super::node::{Node, directory_number};
use crate::fuzz::check::snapshot_image;

impl Cluster {
    /// A node makes a snapshot of what it has applied; `ahead` asks for more than that, which must be refused.
    pub fn snapshot(&mut self, id: usize, ahead: i64) -> bool {
        let node = &mut self.nodes[id];
        let end = node.applied + ahead;
        let (Some(hash), Ok(name)) =
            (node.disk.hash_at(end), node.tell(|machine, moment| machine.snapshot_id(Offset(end), moment)))
        else {
            return false;
        };
        let set = node.machine.voter_history().at(Offset(end));
        let voters = self.voter_sets.iter().position(|known| known == set).unwrap_or(0) as u32;
        node.disk.snapshot = Some(Image { id: name, hash, voters });
        self.note(|| format!("{id} has made snapshot {}-{}", name.end, name.epoch));
        self.judge(snapshot_image::check(&self.committed, id, name.end.0, name.epoch.0, hash));
        true
    }

    /// A node removes what its snapshot holds.
    pub fn trim(&mut self, id: usize) -> bool {
        let node = &mut self.nodes[id];
        let Some(image) = node.disk.snapshot.filter(|image| image.id.end.0 > node.disk.start) else {
            return false;
        };
        node.disk.trim(image.id.end.0);
        node.tell(|machine, moment| machine.handle_log_start_moved(moment));
        let (start, end) = (node.disk.start, node.disk.snapshot.map(|image| image.id.end.0));
        self.judge(snapshot_image::check_start(id, start, end));
        self.drain(id);
        true
    }

    /// A node crashes and starts again. Of what was not flushed the first `keep` entries survive.
    pub fn crash(&mut self, id: usize, keep: i64) {
        self.forget_effects(id);
        let node = &mut self.nodes[id];
        let end = (node.disk.flushed + keep).min(node.disk.end());
        if end < node.disk.end() {
            self.counts.tails_lost += 1;
            node.disk.truncate(end);
        }
        node.restart(&self.voter_sets);
        self.note(|| format!("{id} has restarted with its log up to {end}"));
        self.drain(id);
    }

    /// A node loses its disk and comes back with an empty one.
    pub fn lose_disk(&mut self, id: usize) {
        self.directories += 1;
        self.forget_effects(id);
        let node = &mut self.nodes[id];
        node.disk.clear();
        node.directory = self.directories;
        node.restart(&self.voter_sets);
        let directory = self.directories;
        self.note(|| format!("{id} has restarted with the empty directory {directory}"));
        self.drain(id);
    }

    /// A node's disk forgets entries that it had called durable. Nothing that is committed is safe from that; all that
    /// can be asked for is that no node cuts what it knows to be committed.
    pub fn roll_back(&mut self, id: usize, entries: i64) {
        self.committed.make_void();
        self.forget_effects(id);
        let node = &mut self.nodes[id];
        let end = (node.disk.end() - entries).max(node.disk.start);
        node.disk.truncate(end);
        node.restart(&self.voter_sets);
        self.note(|| format!("{id} has restarted with a disk that forgot all from {end} on"));
        self.drain(id);
    }

    /// How many voters of a set are gone for good, because their directories are.
    pub fn lost_voters(&self, set: &Voters) -> usize {
        let is_lost = |voter: &&Voter| {
            let number = directory_number(voter.key.directory);
            number != 0 && self.nodes[voter.key.id.0 as usize].directory != number
        };
        set.iter().filter(is_lost).count()
    }

    /// Whether every set of voters that may still come to count, the last one committed and all that followed it,
    /// keeps a majority without this node: what takes away more is no fault that a quorum has to survive.
    ///
    /// Nor is it one while a change of the voters is under way. The node that joins may have fetched from a leader
    /// whose epoch nobody else has heard of; then it alone could win by the new set, which it does not know, and it
    /// refuses its vote to the only one that does.
    pub fn can_spare(&self, id: usize) -> bool {
        let key = self.nodes[id].machine.me();
        let is_pending = |node: &Node| node.machine.voter_history().latest_offset().0 >= self.committed.len();
        if self.nodes[..self.count].iter().any(is_pending) {
            return false;
        }
        self.voter_sets[self.committed_voters as usize..].iter().all(|set| {
            let lost = self.lost_voters(set) + usize::from(set.contains(key));
            lost <= (set.len() - 1) / 2
        })
    }

    /// Whether a leader may be asked to remove a voter: an operator who leaves no majority of voters with disks has
    /// stopped the quorum himself.
    pub fn can_remove(&self, leader: usize, key: ReplicaKey) -> bool {
        let rest = self.nodes[leader].machine.voters().without(key);
        rest.is_none_or(|rest| self.lost_voters(&rest) <= (rest.len() - 1) / 2)
    }
}
