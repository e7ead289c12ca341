//! What the controller answers, and why it refuses.

use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, ProducerId, TopicId, TopicPartition};

#[cfg(doc)]
use super::command::Command;

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
    /// To [`Command::Heartbeat`].
    Heartbeat {
        /// Whether the broker has read its own registration.
        is_caught_up: bool,
        /// Whether it may neither lead nor be in sync.
        is_fenced: bool,
        /// Whether it has handed everything over and may stop.
        should_shut_down: bool,
    },
    /// To [`Command::AlterPartition`]. A proposal that was accepted may be answered by
    /// [`Rejection::NewLeaderElected`]: when it completes a reassignment that takes the leader away.
    PartitionsAltered(Vec<Result<PartitionState, Rejection>>),
    /// To [`Command::ElectLeaders`]; of all partitions, when none were named, those whose leader is as it should be
    /// are left out.
    LeadersElected(Vec<(TopicPartition, Result<(), Rejection>)>),
    /// To [`Command::AlterReassignments`].
    ReassignmentsAltered(Vec<Result<(), Rejection>>),
    /// To commands that only succeed.
    Done,
}

/// A partition as its leader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The leader.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync set.
    pub isr: Vec<BrokerId>,
    /// The version of the registration.
    pub partition_epoch: PartitionEpoch,
    /// Whether it recovers from an unclean election.
    pub recovering: bool,
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
    /// No such partition.
    #[error("there is no partition {0}")]
    UnknownPartition(TopicPartition),
    /// No such broker.
    #[error("broker {0} is not registered")]
    UnknownBroker(BrokerId),
    /// Another process has this id, and its session is not over.
    #[error(
        "another process is registered as broker {0} and still lives: give this one another node.id, or wait until \
         the session of the other one is over"
    )]
    DuplicateBroker(BrokerId),
    /// A registration that cannot be.
    #[error("{0}")]
    InvalidRegistration(String),
    /// The leader's epoch is over.
    #[error("the leader epoch is {0} by now")]
    FencedLeaderEpoch(LeaderEpoch),
    /// The registration has changed meanwhile.
    #[error("the partition epoch is {0} by now")]
    InvalidUpdateVersion(PartitionEpoch),
    /// A broker that may not be in sync. The partition epoch rises with this answer, so that no other copy of the
    /// proposal is accepted.
    #[error("broker {0} is fenced, stopping, or another incarnation by now")]
    IneligibleReplica(BrokerId),
    /// The change was carried out, and took the leadership from whoever asked for it.
    #[error("the reassignment is complete, and another broker leads")]
    NewLeaderElected,
    /// The leader is as it should be.
    #[error("the partition needs no election")]
    ElectionNotNeeded,
    /// The first replica cannot lead now.
    #[error("the preferred leader is not in sync, or not available")]
    PreferredLeaderNotAvailable,
    /// No replica can lead now.
    #[error("no replica that could lead is available")]
    EligibleLeadersNotAvailable,
    /// Nothing that could be given up.
    #[error("no reassignment of the partition is in progress")]
    NoReassignmentInProgress,
    /// The controller has stopped, its log has failed, or whoever asks knows of a later one.
    #[error(
        "the controller is not available: the node is stopping, its metadata log has failed, or a later one acts"
    )]
    NotController,
    /// The controller took the command up and ended before it could answer: it may have taken effect, or do so yet.
    #[error("the controller ended before it could answer; the change may have been made")]
    OutcomeUnknown,
}
