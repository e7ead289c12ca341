//! The one way to change a partition's registration.
//!
//! Whoever wants a change says what the partition shall look like; who leads it then, who stays eligible, whether its
//! reassignment is complete and which epochs rise follows here, and only here. Nobody can forget the eligible leader
//! replicas (KIP-966), as a caller of Kafka's builder once did.

use super::election::{Candidates, Elected, Election};
use super::elr::Rules;
use crate::ids::{BrokerId, TopicPartition, Uuid};
use crate::metadata::PartitionImage;
use crate::metadata::records::PartitionChangeRecord;

/// What a partition shall become.
#[derive(Clone, Debug)]
pub(super) struct PartitionChange<'a> {
    name: TopicPartition,
    pub(super) current: &'a PartitionImage,
    pub(super) rules: Rules,
    pub(super) candidates: Candidates<'a>,
    pub(super) election: Election,
    pub(super) isr: Vec<BrokerId>,
    pub(super) replicas: Vec<BrokerId>,
    pub(super) adding: Vec<BrokerId>,
    pub(super) removing: Vec<BrokerId>,
    pub(super) is_recovering: bool,
    /// A broker whose log may lack what it had.
    pub(super) unclean: Option<BrokerId>,
    /// Where replicas lie whose directory is not the recorded one.
    pub(super) moved: Vec<(BrokerId, Uuid)>,
    /// A new leader epoch, even for the same leader.
    pub(super) begins_epoch: bool,
    /// Whether whoever wants the change reassigns replicas: nothing but the museum asks.
    pub(super) is_reassignment: bool,
}

impl<'a> PartitionChange<'a> {
    /// No change yet.
    pub(super) fn new(
        name: TopicPartition,
        current: &'a PartitionImage,
        rules: Rules,
        candidates: Candidates<'a>,
    ) -> Self {
        Self {
            name,
            current,
            rules,
            candidates,
            election: rules.election(),
            isr: current.isr.clone(),
            replicas: current.replicas.clone(),
            adding: current.adding.clone(),
            removing: current.removing.clone(),
            is_recovering: current.is_recovering,
            unclean: None,
            moved: Vec::new(),
            begins_epoch: false,
            is_reassignment: false,
        }
    }

    /// Takes a broker out of the ISR.
    pub(super) fn leave_isr(&mut self, broker: BrokerId) {
        self.isr.retain(|member| *member != broker);
    }

    /// The record, or `None` when nothing changes.
    pub(super) fn build(mut self) -> Option<PartitionChangeRecord> {
        self.complete_reassignment();
        self.keep_last_member();
        let mut elr = self.eligible();
        let Elected { leader, is_unclean } = self.elect(&elr);
        if is_unclean {
            // Its log is the truth from now on, and nobody else's is known to hold it.
            self.isr = vec![leader];
            self.is_recovering = true;
            self.settle(leader);
            elr.clear();
        } else if leader != BrokerId::NONE && !self.isr.contains(&leader) {
            self.isr = vec![leader];
            elr.retain(|broker| *broker != leader);
        }
        if self.rules.ends_eligibility(self.isr.len(), self.replicas.len()) {
            elr.clear();
        }
        let last_known_elr = self.last_known(leader);
        self.record(leader, elr, last_known_elr)
    }

    fn record(
        self,
        leader: BrokerId,
        elr: Vec<BrokerId>,
        last_known_elr: Vec<BrokerId>,
    ) -> Option<PartitionChangeRecord> {
        let current = self.current;
        let leaves_assignment = current.replicas.iter().any(|replica| !self.replicas.contains(replica));
        // A replica that comes back later must not pass for the one that went.
        let begins_epoch = self.begins_epoch || leaves_assignment || leader != current.leader;
        let directories = self.directories();
        let unchanged = PartitionChangeRecord::new(self.name.topic_id, self.name.partition);
        let differs = |next: Vec<BrokerId>, before: &[BrokerId]| (next != before).then_some(next);
        let record = PartitionChangeRecord {
            isr: differs(self.isr, &current.isr),
            leader: begins_epoch.then_some(leader),
            replicas: differs(self.replicas, &current.replicas),
            removing: differs(self.removing, &current.removing),
            adding: differs(self.adding, &current.adding),
            is_recovering: (self.is_recovering != current.is_recovering).then_some(self.is_recovering),
            elr: differs(elr, &current.elr),
            last_known_elr: differs(last_known_elr, &current.last_known_elr),
            directories: (directories != current.directories).then_some(directories),
            ..unchanged.clone()
        };
        (record != unchanged).then_some(record)
    }

    /// The directory of each replica, as the registration lists them.
    fn directories(&self) -> Vec<Uuid> {
        if self.current.directories.is_empty() && self.moved.is_empty() {
            return Vec::new();
        }
        let directory = |replica: &BrokerId| {
            let moved = self.moved.iter().find(|(broker, _)| broker == replica);
            moved.map_or_else(|| self.current.directory(*replica), |(_, id)| *id)
        };
        self.replicas.iter().map(directory).collect()
    }
}
