//! Replicas that move (KIP-455): new ones are added, and old ones go when all that shall stay are in sync.

use std::collections::BTreeSet;

use super::partition_change::PartitionChange;
use super::placement::Placement;
use super::records::Records;
use super::response::{Rejection, Response};
use super::{Controller, Decision};
use crate::ids::{BrokerId, TopicPartition};
use crate::museum::Switch;

impl PartitionChange<'_> {
    /// Ends a reassignment whose targets are all in sync (KAFKA-15665): before that the replicas that go are still
    /// needed.
    pub(super) fn complete_reassignment(&mut self) {
        if self.adding.is_empty() && self.removing.is_empty() {
            return;
        }
        let stays = |broker: &BrokerId| !self.removing.contains(broker);
        let replicas: Vec<BrokerId> = self.replicas.iter().copied().filter(stays).collect();
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(stays).collect();
        if !isr.is_empty() && self.are_enough_in_sync(&replicas, &isr) {
            self.replicas = replicas;
            self.isr = isr;
            self.adding.clear();
            self.removing.clear();
        }
    }

    fn are_enough_in_sync(&self, targets: &[BrokerId], isr: &[BrokerId]) -> bool {
        targets.iter().all(|target| isr.contains(target)) || self.rules.switches.off(Switch::ReassignEarly)
    }
}

impl Controller {
    pub(super) fn alter_reassignments(
        &self,
        partitions: &[(TopicPartition, Option<Vec<BrokerId>>)],
    ) -> Result<Decision, Rejection> {
        let mut placement = Placement::new(&self.image, 0);
        let mut records = Records::default();
        let mut seen = BTreeSet::new();
        let mut results = Vec::with_capacity(partitions.len());
        for (name, targets) in partitions {
            let result = match targets {
                _ if !seen.insert(*name) => Err(Rejection::InvalidRequest(format!("{name} is named twice"))),
                Some(targets) => self.reassign(*name, targets, &mut placement),
                None => self.cancel_reassignment(*name),
            };
            let result = result.and_then(|change| {
                if let Some(record) = change.build() {
                    records.room_for(1)?;
                    records.push(record);
                }
                Ok(())
            });
            records.check()?;
            results.push(result);
        }
        let response = Response::ReassignmentsAltered(results);
        Ok(Decision { records: records.into_vec(), is_atomic: true, response })
    }

    fn reassign(
        &self,
        name: TopicPartition,
        targets: &[BrokerId],
        placement: &mut Placement,
    ) -> Result<PartitionChange<'_>, Rejection> {
        let mut change = self.reassignment_of(name)?;
        placement.check_targets(targets)?;
        let current = change.current;
        let is_new = |target: &BrokerId| {
            // One that was being added and still is, is not yet one to go back to.
            !current.replicas.contains(target) || current.adding.contains(target)
        };
        change.adding = targets.iter().copied().filter(is_new).collect();
        change.removing = current.replicas.iter().copied().filter(|old| !targets.contains(old)).collect();
        change.removing.sort_unstable();
        change.replicas = targets.iter().chain(&change.removing).copied().collect();
        let arrives = targets.iter().filter(|target| !current.replicas.contains(target));
        change.moved = arrives.map(|broker| (*broker, placement.directory(*broker))).collect();
        Ok(change)
    }

    /// Takes out what was being added: but not replicas that hold what is committed while too few others are known to.
    /// Acknowledged records would be left on fewer than min.insync.replicas, or nobody could be elected any more.
    fn cancel_reassignment(&self, name: TopicPartition) -> Result<PartitionChange<'_>, Rejection> {
        let mut change = self.reassignment_of(name)?;
        let current = change.current;
        if current.adding.is_empty() && current.removing.is_empty() {
            return Err(Rejection::NoReassignmentInProgress);
        }
        let was_there = |broker: &BrokerId| !current.adding.contains(broker);
        change.replicas = current.replicas.iter().copied().filter(was_there).collect();
        change.isr = current.isr.iter().copied().filter(was_there).collect();
        change.adding.clear();
        change.removing.clear();
        // While nobody leads, the one to wait for may be among them.
        let mut holders = current.isr.iter().chain(&current.elr).chain(&current.last_known_elr);
        let is_short = change.isr.len() < change.rules.min_insync(change.replicas.len());
        let gives_up_records = is_short && holders.any(|holder| current.adding.contains(holder));
        let is_refused = (change.isr.is_empty() || gives_up_records) && !change.rules.elects_uncleanly;
        if change.replicas.is_empty() || is_refused {
            let text = format!(
                "the reassignment of {name} cannot be given up: too few of the replicas that would stay are in sync; \
                 wait until they are"
            );
            return Err(Rejection::InvalidReplicaAssignment(text));
        }
        Ok(change)
    }

    fn reassignment_of(&self, name: TopicPartition) -> Result<PartitionChange<'_>, Rejection> {
        let (topic, partition) = self.find_partition(name)?;
        let mut change = PartitionChange::new(name, partition, self.rules(&topic.name), self.candidates());
        change.is_reassignment = true;
        Ok(change)
    }
}
