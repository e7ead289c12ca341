//! In-sync sets that leaders propose (KIP-497, KIP-841, KIP-903).

use std::collections::BTreeSet;

use super::command::AlterIsr;
use super::directories::Directories;
use super::partition_change::PartitionChange;
use super::response::{PartitionState, Rejection, Response};
use super::{Controller, Decision};
use crate::ids::{BrokerEpoch, BrokerId, TopicPartition};
use crate::metadata::PartitionImage;
use crate::metadata::records::{PartitionChangeRecord, Record};
use crate::museum::Switch;

impl Controller {
    pub(super) fn alter_partitions(
        &self,
        broker_id: BrokerId,
        broker_epoch: BrokerEpoch,
        proposals: &[AlterIsr],
    ) -> Result<Decision, Rejection> {
        self.find_incarnation(broker_id, broker_epoch)?;
        let mut records = Vec::new();
        let mut seen = BTreeSet::new();
        let mut results = Vec::with_capacity(proposals.len());
        for proposal in proposals {
            let result = if seen.insert(proposal.partition) {
                self.alter_partition(broker_id, proposal, &mut records)
            } else {
                Err(Rejection::InvalidRequest(format!("{} is named twice", proposal.partition)))
            };
            results.push(result);
        }
        Ok(Decision { records, is_atomic: false, response: Response::PartitionsAltered(results) })
    }

    fn alter_partition(
        &self,
        broker: BrokerId,
        proposal: &AlterIsr,
        records: &mut Vec<Record>,
    ) -> Result<PartitionState, Rejection> {
        let name = proposal.partition;
        let (topic, partition) = self.find_partition(name)?;
        if let Err(refusal) = self.check_proposal(broker, partition, proposal) {
            if self.proves_refusal(&refusal) {
                records.push(Self::outdate_copies(name, partition)?.into());
            }
            return Err(refusal);
        }
        let mut change = PartitionChange::new(name, partition, self.rules(&topic.name), self.candidates());
        change.isr = proposal.isr.iter().map(|(member, _)| *member).collect();
        change.is_recovering = proposal.recovering;
        // Who is in sync again has its log in a directory that is there, whichever was recorded: one that lost its
        // disk and fetched everything anew may lead.
        let mut directories = Directories::new(&self.image, None);
        for (member, _) in &proposal.isr {
            let directory = partition.directory(*member);
            if self.image.broker(*member).is_some_and(|broker| !broker.has_directory(directory)) {
                change.moved.push((*member, directories.take(*member)));
            }
        }
        let Some(record) = change.build() else { return Ok(state(partition)) };
        let next = partition.changed_by(&record).ok_or_else(|| epochs_at_end(name))?;
        records.push(record.into());
        // The proposal completed a reassignment that takes the leader away: it must read of it before it asks again.
        if next.leader == broker { Ok(state(&next)) } else { Err(Rejection::NewLeaderElected) }
    }

    /// Whether a refusal tells the leader that its proposal was not carried out and never will be, which has to be made
    /// true.
    fn proves_refusal(&self, refusal: &Rejection) -> bool {
        matches!(refusal, Rejection::IneligibleReplica(_))
            && !self.settings.switches.off(Switch::IneligibleKeepsEpoch)
    }

    /// Raises the partition epoch and nothing else. INELIGIBLE_REPLICA lets the leader take its proposal back (KIP-497),
    /// and an older copy of it may still be on its way, for the leader sends it again when its outcome is unknown. Once
    /// the replica is eligible again that copy would be accepted, and the ISR would hold a member that the leader's high
    /// watermark does not wait for (KAFKA-8836).
    fn outdate_copies(
        name: TopicPartition,
        partition: &PartitionImage,
    ) -> Result<PartitionChangeRecord, Rejection> {
        let record = PartitionChangeRecord::new(name.topic_id, name.partition);
        partition.changed_by(&record).map(|_| record).ok_or_else(|| epochs_at_end(name))
    }

    /// Kafka's checks in Kafka's order.
    fn check_proposal(
        &self,
        broker: BrokerId,
        partition: &PartitionImage,
        proposal: &AlterIsr,
    ) -> Result<(), Rejection> {
        self.check_epochs_known(partition, proposal)?;
        if proposal.leader_epoch < partition.leader_epoch {
            return Err(Rejection::FencedLeaderEpoch(partition.leader_epoch));
        }
        let invalid = |reason: &str| Err(Rejection::InvalidRequest(reason.to_owned()));
        if broker != partition.leader {
            return invalid("only the leader may propose an in-sync set");
        }
        if self.is_outdated(partition, proposal) {
            return Err(Rejection::InvalidUpdateVersion(partition.partition_epoch));
        }
        let is_member = |broker: BrokerId| proposal.isr.iter().any(|(member, _)| *member == broker);
        let is_replica = |(member, _): &(BrokerId, BrokerEpoch)| partition.replicas.contains(member);
        let is_twice = |(index, (member, _)): (usize, &(BrokerId, BrokerEpoch))| {
            proposal.isr[..index].iter().any(|(earlier, _)| earlier == member)
        };
        if !proposal.isr.iter().all(is_replica) || proposal.isr.iter().enumerate().any(is_twice) {
            return invalid("an in-sync set holds replicas, each once");
        }
        if !is_member(partition.leader) {
            return invalid("the leader is always in sync with itself");
        }
        if proposal.recovering && proposal.isr.len() > 1 {
            return invalid("nobody can be in sync with a leader that still recovers");
        }
        if proposal.recovering && !partition.is_recovering {
            return invalid("the partition has recovered");
        }
        let ineligible =
            proposal.isr.iter().find(|(member, epoch)| !self.is_eligible_for_isr(*member, *epoch));
        ineligible.map_or(Ok(()), |(member, _)| Err(Rejection::IneligibleReplica(*member)))
    }

    /// A leader that knows of later epochs knows of a later controller: this one must not judge it (KAFKA-14154).
    fn check_epochs_known(&self, partition: &PartitionImage, proposal: &AlterIsr) -> Result<(), Rejection> {
        let judges = self.settings.switches.off(Switch::ZombieController);
        if proposal.leader_epoch > partition.leader_epoch {
            let refusal = Rejection::FencedLeaderEpoch(partition.leader_epoch);
            return Err(if judges { refusal } else { Rejection::NotController });
        }
        if proposal.partition_epoch > partition.partition_epoch {
            let refusal = Rejection::InvalidUpdateVersion(partition.partition_epoch);
            return Err(if judges { refusal } else { Rejection::NotController });
        }
        Ok(())
    }

    /// Whether the registration has changed since the leader made its proposal (KIP-497): what it would add may have
    /// been taken out in between.
    fn is_outdated(&self, partition: &PartitionImage, proposal: &AlterIsr) -> bool {
        proposal.partition_epoch < partition.partition_epoch
            && !self.settings.switches.off(Switch::NoPartitionEpoch)
    }

    /// Whether a broker may be in sync: it serves and is going to (KIP-841), and it is the incarnation that the
    /// leader saw, for another one may have lost what this one had (KIP-903).
    fn is_eligible_for_isr(&self, member: BrokerId, epoch: BrokerEpoch) -> bool {
        let Some(broker) = self.image.broker(member) else { return false };
        let switches = self.settings.switches;
        let serves = broker.is_active() || switches.off(Switch::IsrAllowFenced);
        serves && (broker.epoch == epoch || switches.off(Switch::NoBrokerEpoch))
    }
}

fn epochs_at_end(name: TopicPartition) -> Rejection {
    Rejection::InvalidRequest(format!("the epochs of {name} are at their end: create the topic anew"))
}

fn state(partition: &PartitionImage) -> PartitionState {
    PartitionState {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        isr: partition.isr.clone(),
        partition_epoch: partition.partition_epoch,
        recovering: partition.is_recovering,
    }
}
