//! Eligible leader replicas (KIP-966): who left the ISR and still has everything that is committed.
//!
//! Nothing commits while fewer than min.insync.replicas are in sync, so whoever leaves the ISR below that number has
//! all there is, until it stops in a way that may lose records or until commits go on without it.

use std::collections::BTreeMap;

use super::Controller;
use super::election::Election;
use super::partition_change::PartitionChange;
use crate::ids::{BrokerId, TopicPartition};
use crate::metadata::records::PartitionChangeRecord;
use crate::metadata::{PartitionImage, TopicImage};
use crate::museum::{Switch, Switches};

/// The key whose value says how many replicas must be in sync.
pub(super) const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// The key that allows elections from outside the ISR.
pub(super) const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";

/// What a topic's configuration asks of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// As configured; what counts is never more than there are replicas.
    pub(super) min_insync_replicas: usize,
    pub(super) elects_uncleanly: bool,
    pub(super) switches: Switches,
}

impl Rules {
    /// How many replicas must be in sync for records to be committed. The leader reckons with the same number: both
    /// count the replicas of the registration that holds the ISR.
    pub(super) fn min_insync(self, replicas: usize) -> usize {
        self.min_insync_replicas.min(replicas)
    }

    /// Which election keeps a partition of this topic available.
    pub(super) fn election(self) -> Election {
        if self.elects_uncleanly { Election::Unclean } else { Election::Clean }
    }

    /// Whether commits go on with these in sync, so that whoever is not among them falls behind (KIP-966).
    pub(super) fn ends_eligibility(self, in_sync: usize, replicas: usize) -> bool {
        in_sync >= self.min_insync(replicas) && !self.switches.off(Switch::ElrSticky)
    }

    fn has_elr(self) -> bool {
        !self.switches.off(Switch::NoElr)
    }
}

impl PartitionChange<'_> {
    /// Without eligible leader replicas the last one in sync must stay so, for nobody would know it afterwards.
    pub(super) fn keep_last_member(&mut self) {
        if !self.rules.has_elr() && self.isr.is_empty() {
            let is_replica = |member: &BrokerId| self.replicas.contains(member);
            self.isr = self.current.isr.iter().copied().filter(is_replica).collect();
        }
    }

    /// Who is eligible beside the ISR: whoever was in sync or eligible, holds a replica, and did not stop uncleanly.
    pub(super) fn eligible(&self) -> Vec<BrokerId> {
        let forgets = self.is_reassignment && self.rules.switches.off(Switch::ElrForgetInReassign);
        if !self.rules.has_elr()
            || forgets
            || self.rules.ends_eligibility(self.isr.len(), self.replicas.len())
        {
            return Vec::new();
        }
        let mut elr = self.current.elr.clone();
        elr.extend(self.current.isr.iter().filter(|member| !self.current.elr.contains(member)));
        elr.retain(|broker| {
            !self.isr.contains(broker) && self.replicas.contains(broker) && !self.excludes(*broker)
        });
        elr
    }

    /// Whether a broker's log may lack committed records since it last stopped (KIP-966).
    fn excludes(&self, broker: BrokerId) -> bool {
        self.unclean == Some(broker) && !self.rules.switches.off(Switch::ElrKeepUnclean)
    }

    /// Who led last, noted while nobody leads: the one to elect when nobody is eligible.
    pub(super) fn last_known(&self, leader: BrokerId) -> Vec<BrokerId> {
        let forgets = self.is_reassignment && self.rules.switches.off(Switch::ElrForgetInReassign);
        if leader != BrokerId::NONE || !self.rules.has_elr() || forgets {
            return Vec::new();
        }
        let mut last_known = match self.current.leader {
            BrokerId::NONE => self.current.last_known_elr.clone(),
            leader => vec![leader],
        };
        last_known.retain(|broker| self.replicas.contains(broker));
        last_known
    }
}

impl Controller {
    /// What a topic's configuration asks.
    pub(super) fn rules(&self, topic: &str) -> Rules {
        let overrides = self.image.topic_overrides(topic);
        self.rules_of(overrides, self.image.cluster_defaults())
    }

    /// What overrides ask over the cluster's defaults. A value that cannot be read, which only a later version may have
    /// written, is passed over.
    pub(super) fn rules_of(
        &self,
        overrides: &BTreeMap<String, String>,
        defaults: &BTreeMap<String, String>,
    ) -> Rules {
        let minimum_of =
            |values: &BTreeMap<String, String>| values.get(MIN_INSYNC_REPLICAS)?.parse::<i32>().ok();
        let min_insync_replicas = minimum_of(overrides).or_else(|| minimum_of(defaults));
        let elects_uncleanly =
            overrides.get(UNCLEAN_ELECTION).map(|value| value.eq_ignore_ascii_case("true"));
        Rules {
            // The first registration brings the default, also where older metadata has none.
            min_insync_replicas: min_insync_replicas.unwrap_or(self.settings.first_min_insync_replicas).max(1)
                as usize,
            elects_uncleanly: elects_uncleanly.unwrap_or(self.settings.unclean_leader_election),
            switches: self.settings.switches,
        }
    }

    /// What a change of a topic's configuration means for its partitions, in the same batch.
    pub(super) fn after_config_change(
        &self,
        topic: &TopicImage,
        before: Rules,
        after: Rules,
    ) -> Vec<PartitionChangeRecord> {
        let change = |(name, partition): (TopicPartition, &PartitionImage)| {
            // One request may change both keys. The first rule is for partitions without a leader, the second one for
            // those that have one.
            let becomes_unclean = !before.elects_uncleanly && after.elects_uncleanly;
            if becomes_unclean && partition.leader == BrokerId::NONE {
                return PartitionChange::new(name, partition, after, self.candidates()).build();
            }
            if before.min_insync_replicas != after.min_insync_replicas {
                return self.after_min_insync_change(name, partition, (before, after));
            }
            None
        };
        topic.named_partitions().filter_map(change).collect()
    }

    /// Another number of replicas in sync makes another rule of what is committed, and nobody outside the ISR is
    /// known to follow it: they are eligible no longer. Not so where nobody leads, for nothing is committed there by
    /// any rule; whoever is eligible is needed.
    ///
    /// When the number rises, every partition gets a new partition epoch, changed or not. A leader that has not heard
    /// of the change must not have a shrink accepted: it would commit by the old number with an ISR whose leavers are
    /// eligible by the new one.
    fn after_min_insync_change(
        &self,
        name: TopicPartition,
        partition: &PartitionImage,
        (before, after): (Rules, Rules),
    ) -> Option<PartitionChangeRecord> {
        if partition.leader == BrokerId::NONE || after.switches.off(Switch::ElrSurvivesMinIsrChange) {
            return None;
        }
        let replicas = partition.replicas.len();
        let rises = after.min_insync(replicas) > before.min_insync(replicas);
        (rises || !partition.elr.is_empty()).then(|| PartitionChangeRecord {
            elr: Some(Vec::new()),
            ..PartitionChangeRecord::new(name.topic_id, name.partition)
        })
    }
}
