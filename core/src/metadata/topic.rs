//! A topic and its partitions in the image.

use crate::ids::{BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, TopicId, TopicPartition, Uuid};

use super::records::{PartitionChangeRecord, PartitionRecord};

/// Kafka's longest topic name.
const NAME_LENGTH_MAX: usize = 249;

/// What is wrong with a topic's name, if anything: its partitions' directories and metrics are named after it in Kafka.
pub fn topic_name_flaw(name: &str) -> Option<String> {
    let is_lawful = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("the empty string is not allowed".to_owned())
    } else if name == "." || name == ".." {
        Some(format!("'{name}' is not allowed"))
    } else if name.len() > NAME_LENGTH_MAX {
        Some(format!("it has {} characters, more than {NAME_LENGTH_MAX}", name.len()))
    } else if !name.chars().all(is_lawful) {
        Some(format!("'{name}' contains characters other than ASCII letters and digits, '.', '_' and '-'"))
    } else {
        None
    }
}

/// Whether Kafka keeps something of its own under this name.
pub fn is_internal_topic_name(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Its partitions: partition n stands at n.
    pub partitions: Vec<PartitionImage>,
}

impl TopicImage {
    /// The partition of that number.
    pub fn partition(&self, partition: PartitionIndex) -> Option<&PartitionImage> {
        self.partitions.get(usize::try_from(partition.0).ok()?)
    }

    /// Its partitions with their names.
    pub fn named_partitions(&self) -> impl Iterator<Item = (TopicPartition, &PartitionImage)> {
        let name = |index: usize| {
            // The image counts partitions by records whose numbers are 32-bit.
            TopicPartition::new(self.id, index as i32)
        };
        self.partitions.iter().enumerate().map(move |(index, partition)| (name(index), partition))
    }

    /// Whether Kafka counts it among its own topics, as the metadata answer tells clients.
    pub fn is_internal(&self) -> bool {
        is_internal_topic_name(&self.name)
    }
}

/// A partition's registration: who holds it and who leads it, never what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// The replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// The log directory of each replica.
    pub directories: Vec<Uuid>,
    /// The replicas in sync.
    pub isr: Vec<BrokerId>,
    /// Replicas on their way out.
    pub removing: Vec<BrokerId>,
    /// Replicas on their way in.
    pub adding: Vec<BrokerId>,
    /// Replicas outside the ISR that are known to have everything committed (KIP-966).
    pub elr: Vec<BrokerId>,
    /// Who led last, while nobody leads (KIP-966): the one to elect when nobody is in sync or eligible.
    pub last_known_elr: Vec<BrokerId>,
    /// The leader, or [`BrokerId::NONE`].
    pub leader: BrokerId,
    /// Whether it recovers from an unclean election.
    pub is_recovering: bool,
    /// Rises with each leadership.
    pub leader_epoch: LeaderEpoch,
    /// Rises with each change.
    pub partition_epoch: PartitionEpoch,
}

impl PartitionImage {
    /// The log directory of a replica; zero when none was recorded.
    pub fn directory(&self, replica: BrokerId) -> Uuid {
        let mut directories = self.replicas.iter().zip(&self.directories);
        directories.find(|(broker, _)| **broker == replica).map_or(Uuid::ZERO, |(_, id)| *id)
    }

    pub(super) fn from_record(record: &PartitionRecord) -> Self {
        Self {
            replicas: record.replicas.clone(),
            directories: record.directories.clone(),
            isr: record.isr.clone(),
            removing: record.removing.clone(),
            adding: record.adding.clone(),
            elr: record.elr.clone(),
            last_known_elr: record.last_known_elr.clone(),
            leader: record.leader,
            is_recovering: record.is_recovering,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
        }
    }

    pub(super) fn to_record(&self, partition: TopicPartition) -> PartitionRecord {
        PartitionRecord {
            partition: partition.partition,
            topic_id: partition.topic_id,
            replicas: self.replicas.clone(),
            isr: self.isr.clone(),
            removing: self.removing.clone(),
            adding: self.adding.clone(),
            leader: self.leader,
            is_recovering: self.is_recovering,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: self.directories.clone(),
            elr: self.elr.clone(),
            last_known_elr: self.last_known_elr.clone(),
        }
    }

    /// The registration after a change. A named leader begins a new epoch, even when it is the leader already: that
    /// is how the epoch rises when a sole replica restarts.
    pub(crate) fn changed_by(&self, change: &PartitionChangeRecord) -> Option<Self> {
        let mut next = self.clone();
        let replace = |field: &mut Vec<BrokerId>, new: &Option<Vec<BrokerId>>| {
            if let Some(new) = new {
                field.clone_from(new);
            }
        };
        replace(&mut next.isr, &change.isr);
        replace(&mut next.replicas, &change.replicas);
        replace(&mut next.removing, &change.removing);
        replace(&mut next.adding, &change.adding);
        replace(&mut next.elr, &change.elr);
        replace(&mut next.last_known_elr, &change.last_known_elr);
        if let Some(directories) = &change.directories {
            next.directories.clone_from(directories);
        }
        if let Some(leader) = change.leader {
            next.leader = leader;
            next.leader_epoch = LeaderEpoch(self.leader_epoch.0.checked_add(1)?);
        }
        if let Some(is_recovering) = change.is_recovering {
            next.is_recovering = is_recovering;
        }
        next.partition_epoch = PartitionEpoch(self.partition_epoch.0.checked_add(1)?);
        Some(next)
    }

    /// What is wrong with it, if anything: the invariants of a registration.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let is_replica = |broker: &BrokerId| self.replicas.contains(broker);
        let is_twice = |brokers: &[BrokerId]| {
            brokers.iter().enumerate().any(|(index, broker)| brokers[..index].contains(broker))
        };
        if self.replicas.is_empty() {
            Some("it has no replicas")
        } else if is_twice(&self.replicas) || is_twice(&self.isr) {
            Some("a replica stands twice in its lists")
        } else if !self.isr.iter().all(is_replica) {
            Some("its in-sync set holds a broker that is no replica")
        } else if self.leader != BrokerId::NONE && !self.isr.contains(&self.leader) {
            Some("its leader is not in sync")
        } else if self.leader_epoch < LeaderEpoch(0) || self.partition_epoch < PartitionEpoch(0) {
            Some("its epochs are negative")
        } else if !self.directories.is_empty() && self.directories.len() != self.replicas.len() {
            Some("it has another number of directories than of replicas")
        } else {
            None
        }
    }
}
