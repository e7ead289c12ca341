//! What an error of the broker's parts is called in Kafka's protocol. Each error has one code, and every error has one:
//! the matches name all variants, so that a new one does not compile before it has been thought about.

use crate::controller::Rejection;
use crate::error::ErrorCode;
use crate::partition::{AppendError, DeleteRecordsError, LeadershipError, LookupError, ReadError};
use crate::replica::producers::ProducerError;

/// Of an append.
pub fn append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Leadership(error) => leadership(error),
        AppendError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        AppendError::NotEnoughReplicasAfterAppend => ErrorCode::NotEnoughReplicasAfterAppend,
        AppendError::Timestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::Offsets { .. } => ErrorCode::InvalidRecord,
        AppendError::Producer(error) => producer(error),
        AppendError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// Of a read or a lookup.
pub fn read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::Leadership(error) => leadership(error),
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// Of the question whether this broker leads.
pub fn leadership(error: &LeadershipError) -> ErrorCode {
    match error {
        LeadershipError::NotLeader => ErrorCode::NotLeaderOrFollower,
        LeadershipError::Fenced { .. } => ErrorCode::FencedLeaderEpoch,
        LeadershipError::Unknown { .. } => ErrorCode::UnknownLeaderEpoch,
    }
}

/// Of what an idempotent producer sent.
pub fn producer(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
        ProducerError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
    }
}

/// Of a lookup by time or epoch.
pub fn lookup(error: &LookupError) -> ErrorCode {
    match error {
        LookupError::Leadership(error) => leadership(error),
        LookupError::NotAvailable { .. } => ErrorCode::OffsetNotAvailable,
        LookupError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// Of a deletion of records.
pub fn delete_records(error: &DeleteRecordsError) -> ErrorCode {
    match error {
        DeleteRecordsError::Leadership(error) => leadership(error),
        DeleteRecordsError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        DeleteRecordsError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// Of a command that the controller refuses.
pub fn rejection(rejection: &Rejection) -> ErrorCode {
    match rejection {
        Rejection::InvalidTopicName(_) | Rejection::TopicCollides { .. } => ErrorCode::InvalidTopicException,
        Rejection::TopicExists(_) => ErrorCode::TopicAlreadyExists,
        Rejection::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
        Rejection::UnknownTopicId(_) => ErrorCode::UnknownTopicId,
        Rejection::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
        Rejection::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
        Rejection::InvalidReplicaAssignment(_) => ErrorCode::InvalidReplicaAssignment,
        Rejection::InvalidConfig(_) => ErrorCode::InvalidConfig,
        Rejection::InvalidRequest(_) => ErrorCode::InvalidRequest,
        Rejection::PolicyViolation(_) => ErrorCode::PolicyViolation,
        Rejection::TopicDeletionDisabled => ErrorCode::TopicDeletionDisabled,
        Rejection::StaleBrokerEpoch { .. } => ErrorCode::StaleBrokerEpoch,
        Rejection::UnknownPartition(_) => ErrorCode::UnknownTopicOrPartition,
        Rejection::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
        Rejection::DuplicateBroker(_) => ErrorCode::DuplicateBrokerRegistration,
        Rejection::InvalidRegistration(_) => ErrorCode::InvalidRegistration,
        Rejection::FencedLeaderEpoch(_) => ErrorCode::FencedLeaderEpoch,
        Rejection::InvalidUpdateVersion(_) => ErrorCode::InvalidUpdateVersion,
        Rejection::IneligibleReplica(_) => ErrorCode::IneligibleReplica,
        Rejection::NewLeaderElected => ErrorCode::NewLeaderElected,
        Rejection::ElectionNotNeeded => ErrorCode::ElectionNotNeeded,
        Rejection::PreferredLeaderNotAvailable => ErrorCode::PreferredLeaderNotAvailable,
        Rejection::EligibleLeadersNotAvailable => ErrorCode::EligibleLeadersNotAvailable,
        Rejection::NoReassignmentInProgress => ErrorCode::NoReassignmentInProgress,
        Rejection::NotController => ErrorCode::NotController,
        // NOT_CONTROLLER would say that nothing was done.
        Rejection::OutcomeUnknown => ErrorCode::RequestTimedOut,
    }
}
