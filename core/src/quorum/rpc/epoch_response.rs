//! The responses to BeginQuorumEpoch and EndQuorumEpoch: two messages on the wire, one to the machine.

/// Defines `response`, `turned_away` and `parse_response` for one of the two.
macro_rules! epoch_response {
    ($message:ident, $answered:ident) => {
        /// What is answered, in the version of the request.
        pub fn response(
            response: &crate::raft::messages::EpochResponse,
            leader: Option<&super::LeaderAddress>,
            version: i16,
        ) -> messages::$message {
            use crate::wire::messages::$answered as answered;
            let partition = message!(answered::PartitionData {
                partition_index: PARTITION,
                error_code: super::code_of(response.refusal),
                leader_id: super::leader_id(&response.standing),
                leader_epoch: response.standing.epoch.0,
            });
            let topic =
                message!(answered::TopicData { topic_name: TOPIC.into(), partitions: vec![partition] });
            message!(messages::$message {
                topics: vec![topic],
                node_endpoints: super::endpoints_of!(answered, leader, response.standing, version >= 1),
            })
        }

        /// The answer to a request that was turned away.
        pub fn turned_away(turned_away: TurnedAway) -> messages::$message {
            message!(messages::$message { error_code: turned_away.code().code() })
        }

        /// What was answered, and where the leader is.
        ///
        /// # Errors
        /// See [`ResponseError`](super::ResponseError).
        pub fn parse_response(
            response: &messages::$message,
        ) -> Result<
            (crate::raft::messages::EpochResponse, Option<super::LeaderAddress>),
            super::ResponseError,
        > {
            use super::LeaderAddress;
            super::check_whole(response.error_code)?;
            let topic = only(&response.topics).filter(|topic| topic.topic_name.as_str() == TOPIC);
            let partition = topic.and_then(|topic| only(&topic.partitions));
            let answered = partition
                .filter(|partition| partition.partition_index == PARTITION)
                .ok_or(super::ResponseError::AnotherLog)?;
            let standing = super::standing(answered.leader_epoch, answered.leader_id);
            let leader = super::leader_in!(response.node_endpoints, standing);
            let refusal = super::refusal(answered.error_code)?;
            Ok((crate::raft::messages::EpochResponse { standing, refusal }, leader))
        }
    };
}
pub(super) use epoch_response;
