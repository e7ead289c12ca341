//! Who leads: an ISR member, then an eligible one, then the last known leader (KIP-966), and only where the
//! configuration or the operator wants it, anyone.

use std::collections::BTreeSet;

use super::command::ElectionKind;
use super::partition_change::PartitionChange;
use super::records::Records;
use super::response::{Rejection, Response};
use super::{Controller, Decision};
use crate::ids::{BrokerId, TopicPartition};
use crate::metadata::{MetadataImage, PartitionImage};
use crate::museum::Switch;

/// How far an election may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// Among those who have everything; the last known leader if there are none.
    Clean,
    /// The same, and the first replica before the present leader.
    Preferred,
    /// Anyone who lives, before nobody leads.
    Unclean,
    /// The same by an operator's order, and one whose disk was replaced, before nobody leads.
    Ordered,
}

/// Who was elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elected {
    /// The leader, or [`BrokerId::NONE`].
    pub(super) leader: BrokerId,
    /// Whether it may lack committed records.
    pub(super) is_unclean: bool,
}

/// Which brokers may lead, on the present state and with what the same batch makes of one broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates<'a> {
    image: &'a MetadataImage,
    /// One that may not lead, whatever the state says yet.
    pub(super) without: Option<BrokerId>,
    /// One that may lead, whatever the state says yet.
    pub(super) with: Option<BrokerId>,
    /// Whether one that lacks the directory of its replica may lead, as it does where it is alone.
    pub(super) any_directory: bool,
}

impl Candidates<'_> {
    /// Whether a broker may lead: it is unfenced, not about to stop, and has the directory of its replica.
    pub(super) fn may_lead(&self, broker: BrokerId, partition: &PartitionImage) -> bool {
        if self.without == Some(broker) {
            return false;
        }
        let Some(image) = self.image.broker(broker) else { return self.with == Some(broker) };
        let has_replica = self.any_directory || image.has_directory(partition.directory(broker));
        (self.with == Some(broker) || image.is_active()) && has_replica
    }
}

impl PartitionChange<'_> {
    /// Where a replica lies that lacks its recorded directory and leads all the same: it begins anew in another one.
    pub(super) fn settle(&mut self, leader: BrokerId) {
        let image = self.candidates.image.broker(leader);
        let Some(image) = image.filter(|image| !image.has_directory(self.current.directory(leader))) else {
            return;
        };
        self.moved.extend(image.log_dirs.first().map(|id| (leader, *id)));
    }

    /// Elects among those in sync, then those eligible.
    pub(super) fn elect(&self, elr: &[BrokerId]) -> Elected {
        let is_clean = |broker: &BrokerId| {
            let is_complete = self.isr.contains(broker) || (self.isr.is_empty() && elr.contains(broker));
            is_complete && self.candidates.may_lead(*broker, self.current)
        };
        let preferred = self.replicas.first().filter(|_| self.election == Election::Preferred);
        // The present leader stays if it can: each change of leadership costs its clients a moment.
        let mut clean = preferred.into_iter().chain([&self.current.leader]).chain(&self.replicas);
        if let Some(leader) = clean.find(|broker| is_clean(broker)) {
            return Elected { leader: *leader, is_unclean: false };
        }
        let nobody_is_complete = self.isr.is_empty() && elr.is_empty();
        let last_known = self.current.last_known_elr.first().filter(|_| nobody_is_complete);
        if let Some(leader) = last_known.filter(|broker| self.may_elect_last_known(**broker)) {
            return Elected { leader: *leader, is_unclean: true };
        }
        match self.replicas.iter().find(|broker| self.may_elect_uncleanly(**broker)) {
            Some(leader) => Elected { leader: *leader, is_unclean: true },
            None => Elected { leader: BrokerId::NONE, is_unclean: false },
        }
    }

    /// Whether a replica may lead of which nothing is known.
    fn may_elect_uncleanly(&self, broker: BrokerId) -> bool {
        match self.election {
            Election::Clean | Election::Preferred => false,
            Election::Unclean => self.candidates.may_lead(broker, self.current),
            // Where the disk is gone for good, somebody must be able to say so.
            Election::Ordered => {
                Candidates { any_directory: true, ..self.candidates }.may_lead(broker, self.current)
            }
        }
    }

    /// Whether the last known leader may lead again: it must live (KAFKA-19522).
    fn may_elect_last_known(&self, broker: BrokerId) -> bool {
        self.replicas.contains(&broker)
            && (self.candidates.may_lead(broker, self.current)
                || self.rules.switches.off(Switch::ElectFenced))
    }
}

impl Controller {
    /// The brokers as they are.
    pub(super) fn candidates(&self) -> Candidates<'_> {
        Candidates { image: &self.image, without: None, with: None, any_directory: false }
    }

    pub(super) fn elect_leaders(
        &self,
        kind: ElectionKind,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Decision, Rejection> {
        let mut records = Records::default();
        let mut results = Vec::new();
        match partitions {
            Some(partitions) => {
                let mut seen = BTreeSet::new();
                for name in partitions {
                    let result = if seen.insert(*name) {
                        self.elect_leader(kind, *name, &mut records)
                    } else {
                        Err(Rejection::InvalidRequest(format!("{name} is named twice")))
                    };
                    records.check()?;
                    results.push((*name, result));
                }
            }
            None => {
                let names = self.image.topics().flat_map(|topic| topic.named_partitions());
                for (name, _) in names {
                    let result = self.elect_leader(kind, name, &mut records);
                    records.check()?;
                    if result != Err(Rejection::ElectionNotNeeded) {
                        results.push((name, result));
                    }
                }
            }
        }
        let response = Response::LeadersElected(results);
        Ok(Decision { records: records.into_vec(), is_atomic: true, response })
    }

    fn elect_leader(
        &self,
        kind: ElectionKind,
        name: TopicPartition,
        records: &mut Records,
    ) -> Result<(), Rejection> {
        let (topic, partition) = self.find_partition(name)?;
        let (is_needed, election, refusal) = match kind {
            ElectionKind::Preferred => (
                partition.replicas.first() != Some(&partition.leader),
                Election::Preferred,
                Rejection::PreferredLeaderNotAvailable,
            ),
            ElectionKind::Unclean => (
                partition.leader == BrokerId::NONE,
                Election::Ordered,
                Rejection::EligibleLeadersNotAvailable,
            ),
        };
        if !is_needed {
            return Err(Rejection::ElectionNotNeeded);
        }
        let mut change = PartitionChange::new(name, partition, self.rules(&topic.name), self.candidates());
        change.election = election;
        let record = change.build().ok_or(refusal)?;
        records.room_for(1)?;
        records.push(record);
        Ok(())
    }
}
