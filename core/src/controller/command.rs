//! What the controller can be asked.

use crate::ids::{
    BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch, PartitionIndex, TopicId, TopicPartition, Uuid,
};
use crate::metadata::ConfigResource;
use crate::metadata::records::{BrokerEndpoint, BrokerFeature};

/// A request to change the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// CreateTopics, and auto-creation.
    CreateTopics {
        /// The topics, each judged by itself.
        topics: Vec<NewTopic>,
        /// Judge, but change nothing.
        validate_only: bool,
    },
    /// DeleteTopics.
    DeleteTopics {
        /// The topics, each judged by itself.
        topics: Vec<TopicReference>,
    },
    /// CreatePartitions.
    CreatePartitions {
        /// The topics, each judged by itself.
        topics: Vec<NewPartitions>,
        /// Judge, but change nothing.
        validate_only: bool,
    },
    /// AlterConfigs and IncrementalAlterConfigs.
    AlterConfigs {
        /// The resources, each judged by itself.
        resources: Vec<ConfigChange>,
        /// Judge, but change nothing.
        validate_only: bool,
    },
    /// A broker wants a block of producer ids.
    AllocateProducerIds {
        /// Which broker.
        broker_id: BrokerId,
        /// Which incarnation of it.
        broker_epoch: BrokerEpoch,
    },
    /// A broker starts.
    RegisterBroker(Registration),
    /// A broker tells that it lives, and what it wants (KIP-631).
    Heartbeat {
        /// Which broker.
        broker_id: BrokerId,
        /// Which incarnation of it.
        broker_epoch: BrokerEpoch,
        /// The last record of the metadata log that it has published to its partitions.
        metadata_offset: Offset,
        /// Whether it does not want to serve yet.
        wants_fence: bool,
        /// Whether it wants to stop.
        wants_shutdown: bool,
        /// Its log directories that have failed since it started (KIP-858).
        offline_log_dirs: Vec<Uuid>,
    },
    /// A broker's session is over. Brokers are fenced one by one, each on what the one before left (KAFKA-13173).
    FenceBroker {
        /// Which broker.
        broker_id: BrokerId,
        /// Which incarnation of it.
        broker_epoch: BrokerEpoch,
    },
    /// A broker is gone for good, says the operator.
    UnregisterBroker {
        /// Which broker.
        broker_id: BrokerId,
    },
    /// A leader wants other in-sync sets (KIP-497).
    AlterPartition {
        /// The leader.
        broker_id: BrokerId,
        /// Its incarnation.
        broker_epoch: BrokerEpoch,
        /// The partitions, each judged by itself.
        partitions: Vec<AlterIsr>,
    },
    /// ElectLeaders (KIP-183, KIP-460).
    ElectLeaders {
        /// Which election.
        kind: ElectionKind,
        /// The partitions, each judged by itself; `None` is all that need one.
        partitions: Option<Vec<TopicPartition>>,
    },
    /// AlterPartitionReassignments (KIP-455): the replicas that a partition shall have, or `None` to give its
    /// reassignment up.
    AlterReassignments {
        /// The partitions, each judged by itself.
        partitions: Vec<(TopicPartition, Option<Vec<BrokerId>>)>,
    },
}

/// What ElectLeaders asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionKind {
    /// The first replica shall lead, if it is in sync.
    Preferred,
    /// A partition without a leader shall have one, in sync or not: an operator's order, whatever the configuration.
    Unclean,
}

/// An in-sync set that a leader proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterIsr {
    /// Of which partition.
    pub partition: TopicPartition,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The version of the registration that the leader knows.
    pub partition_epoch: PartitionEpoch,
    /// The members, and of each the incarnation that the leader saw to be in sync (KIP-903).
    pub isr: Vec<(BrokerId, BrokerEpoch)>,
    /// Whether the leader still recovers from an unclean election (KIP-704).
    pub recovering: bool,
}

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; -1 for the default.
    pub partitions: i32,
    /// How many replicas of each; -1 for the default.
    pub replication_factor: i16,
    /// The brokers of each partition, if the caller chooses them; the two counts are then -1.
    pub assignments: Vec<(PartitionIndex, Vec<BrokerId>)>,
    /// Its overrides. A null value is refused.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with every default: what auto-creation asks for.
    pub fn with_defaults(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic by name or, since DeleteTopics v6, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicReference {
    /// By name.
    Name(String),
    /// By id.
    Id(TopicId),
}

/// A topic that gets more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub name: String,
    /// How many partitions it shall have in all.
    pub count: i32,
    /// The brokers of each new partition, if the caller chooses them.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Changes of one resource's overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// The resource.
    pub resource: ConfigResource,
    /// What becomes of its overrides.
    pub edit: ConfigEdit,
}

/// What becomes of overrides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigEdit {
    /// AlterConfigs: these and no others. A null value is refused.
    Replace(Vec<(String, Option<String>)>),
    /// IncrementalAlterConfigs (KIP-339): one operation for each key named.
    Incremental(Vec<(String, ConfigOperation)>),
}

/// One operation of IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigOperation {
    /// The override has this value now. Null is refused.
    Set(Option<String>),
    /// The override ends.
    Delete,
    /// These elements are added to a list.
    Append(Option<String>),
    /// These elements are taken from a list.
    Subtract(Option<String>),
}

/// A broker that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Which broker.
    pub broker_id: BrokerId,
    /// Drawn by the process at its start, after it took the locks of its directories: of version 7, so that the
    /// processes of a directory have an order.
    pub incarnation_id: Uuid,
    /// The epoch in the marker of a clean stop; `None` after any other, which may have lost records (KIP-966).
    pub previous_broker_epoch: Option<BrokerEpoch>,
    /// Where clients reach it.
    pub endpoints: Vec<BrokerEndpoint>,
    /// The features it supports.
    pub features: Vec<BrokerFeature>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Its log directories that work.
    pub log_dirs: Vec<Uuid>,
}
