//! What the controller can be asked, what it answers, and why it refuses.

use crate::ids::{BrokerEpoch, BrokerId, PartitionIndex, ProducerId, TopicId, Uuid};
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
    /// Drawn by the process at its start.
    pub incarnation_id: Uuid,
    /// Where clients reach it.
    pub endpoints: Vec<BrokerEndpoint>,
    /// The features it supports.
    pub features: Vec<BrokerFeature>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Its log directories that work.
    pub log_dirs: Vec<Uuid>,
}

/// The answer to a command. Lists answer their items one by one, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Command::CreateTopics`].
    TopicsCreated(Vec<Result<CreatedTopic, Rejection>>),
    /// To [`Command::DeleteTopics`].
    TopicsDeleted(Vec<Result<DeletedTopic, Rejection>>),
    /// To [`Command::CreatePartitions`].
    PartitionsCreated(Vec<Result<(), Rejection>>),
    /// To [`Command::AlterConfigs`].
    ConfigsAltered(Vec<Result<(), Rejection>>),
    /// To [`Command::AllocateProducerIds`].
    ProducerIds(ProducerIdBlock),
    /// To [`Command::RegisterBroker`]: the epoch of this incarnation.
    Registered(BrokerEpoch),
}

/// A topic that was, or would be, created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its name.
    pub name: String,
    /// Its id; of a topic that is only judged, one that it will not have.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
    /// Its overrides.
    pub configs: Vec<(String, String)>,
}

/// A topic that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: TopicId,
}

/// Producer ids that belong to one broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first.
    pub first: ProducerId,
    /// How many.
    pub count: i32,
}

/// Why the controller refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A name that no topic can have.
    #[error("topic name is invalid: {0}")]
    InvalidTopicName(String),
    /// A name that metrics could not tell from another one.
    #[error("topic '{name}' collides with existing topic: {other}")]
    TopicCollides {
        /// The new name.
        name: String,
        /// The topic that is there.
        other: String,
    },
    /// The name is taken.
    #[error("topic '{0}' already exists")]
    TopicExists(String),
    /// No topic of this name.
    #[error("there is no topic '{0}'")]
    UnknownTopic(String),
    /// No topic of this id.
    #[error("there is no topic with id {0}")]
    UnknownTopicId(TopicId),
    /// A number of partitions that cannot be.
    #[error("{0}")]
    InvalidPartitions(String),
    /// A number of replicas that cannot be.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// Brokers that cannot hold the replicas.
    #[error("{0}")]
    InvalidReplicaAssignment(String),
    /// A key or value that is refused.
    #[error("{0}")]
    InvalidConfig(String),
    /// A request that contradicts itself.
    #[error("{0}")]
    InvalidRequest(String),
    /// More than one command may do.
    #[error("{0}")]
    PolicyViolation(String),
    /// `delete.topic.enable` is off.
    #[error("topics may not be deleted here: delete.topic.enable is false")]
    TopicDeletionDisabled,
    /// Not the broker's present incarnation.
    #[error("broker {broker_id} is not registered with epoch {epoch}")]
    StaleBrokerEpoch {
        /// The broker.
        broker_id: BrokerId,
        /// The epoch it gave.
        epoch: BrokerEpoch,
    },
    /// The controller has stopped, or its log has failed, before it took the command up: it has no effect.
    #[error("the controller is not available: the node is stopping, or its metadata log has failed")]
    NotController,
    /// The controller took the command up and ended before it could answer: it may have taken effect, or do so yet.
    #[error("the controller ended before it could answer; the change may have been made")]
    OutcomeUnknown,
}
