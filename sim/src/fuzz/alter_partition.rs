//! The controller's answer to AlterPartition as a leader takes it: what the shell will do between the two machines.

use jangbu_core::controller::{Rejection, Response};
use jangbu_core::replica::{AlterPartitionRejection, PartitionState};

/// What a leader learns of the one proposal that it sent.
///
/// # Errors
/// What the controller refused, as leaders tell it apart.
pub fn outcome(response: Result<Response, Rejection>) -> Result<PartitionState, AlterPartitionRejection> {
    let result = match response {
        Ok(Response::PartitionsAltered(mut results)) if !results.is_empty() => results.remove(0),
        Ok(_) => return Err(AlterPartitionRejection::TryAgain),
        Err(rejection) => Err(rejection),
    };
    match result {
        Ok(state) => Ok(PartitionState {
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            isr: state.isr,
            partition_epoch: state.partition_epoch,
            recovering: state.recovering,
        }),
        Err(Rejection::IneligibleReplica(_)) => Err(AlterPartitionRejection::IneligibleReplica),
        Err(
            Rejection::FencedLeaderEpoch(_)
            | Rejection::InvalidUpdateVersion(_)
            | Rejection::UnknownTopicId(_)
            | Rejection::NewLeaderElected
            | Rejection::InvalidRequest(_),
        ) => Err(AlterPartitionRejection::Superseded),
        Err(_) => Err(AlterPartitionRejection::TryAgain),
    }
}
