use super::*;
use crate::wire::codec::{StrBytes, Uuid as WireUuid};
use crate::wire::messages::metadata_response::{MetadataResponseBroker, MetadataResponsePartition};

fn response(topic_id: u8, error: ErrorCode, leaders: &[(i32, i32)]) -> MetadataResponse {
    let mut topic = MetadataResponseTopic::default();
    topic.name = Some(StrBytes::from("t"));
    topic.topic_id = WireUuid::from_bytes([topic_id; 16]);
    topic.error_code = error.code();
    for (index, (leader, epoch)) in leaders.iter().enumerate() {
        let mut partition = MetadataResponsePartition::default();
        (partition.partition_index, partition.leader_id, partition.leader_epoch) =
            (index as i32, *leader, *epoch);
        topic.partitions.push(partition);
    }
    let mut broker = MetadataResponseBroker::default();
    (broker.node_id, broker.host, broker.port) = (1, StrBytes::from("a"), 9092);
    let mut response = MetadataResponse::default();
    (response.brokers, response.topics, response.controller_id) = (vec![broker], vec![topic], 1);
    response
}

fn leader(metadata: &Metadata) -> Option<(Option<i32>, i32)> {
    let (_, leadership) = metadata.leadership("t", 0)?;
    Some((leadership.leader.map(|leader| leader.0), leadership.leader_epoch.0))
}

#[test]
fn the_leader_epoch_never_goes_back() {
    let mut metadata = Metadata::default();
    for (told, known) in
        [((1, 5), (Some(1), 5)), ((2, 4), (Some(1), 5)), ((-1, 6), (None, 6)), ((2, 6), (Some(2), 6))]
    {
        metadata.update(&response(7, ErrorCode::None, &[told]));
        assert_eq!(leader(&metadata), Some(known), "told {told:?}");
    }
}

#[test]
fn a_topic_made_anew_begins_its_epochs_anew() {
    let mut metadata = Metadata::default();
    metadata.update(&response(7, ErrorCode::None, &[(1, 5)]));
    metadata.update(&response(8, ErrorCode::None, &[(1, 0)]));
    assert_eq!(leader(&metadata), Some((Some(1), 0)));
}

#[test]
fn a_topic_that_is_gone_is_forgotten_but_not_one_without_a_leader() {
    let mut metadata = Metadata::default();
    metadata.update(&response(7, ErrorCode::None, &[(1, 5)]));
    metadata.update(&response(7, ErrorCode::LeaderNotAvailable, &[]));
    assert_eq!(leader(&metadata), Some((Some(1), 5)));
    metadata.update(&response(7, ErrorCode::UnknownTopicOrPartition, &[]));
    assert_eq!(leader(&metadata), None);
    assert_eq!(metadata.errors.get("t"), Some(&ErrorCode::UnknownTopicOrPartition));
}

#[test]
fn an_answer_without_brokers_takes_nothing_away() {
    let mut metadata = Metadata::default();
    metadata.update(&response(7, ErrorCode::None, &[(1, 5)]));
    metadata.update(&MetadataResponse::default());
    assert_eq!(leader(&metadata), Some((Some(1), 5)));
    assert_eq!(metadata.brokers.len(), 1);
}

#[test]
fn hints_count_when_they_are_newer_and_the_leader_can_be_reached() {
    let mut metadata = Metadata::default();
    metadata.update(&response(7, ErrorCode::None, &[(1, 5)]));
    let hint =
        |leader, epoch| CurrentLeader { leader_id: BrokerId(leader), leader_epoch: LeaderEpoch(epoch) };
    assert!(!metadata.hint("t", 0, hint(1, 5), &[]));
    assert!(!metadata.hint("t", 0, hint(2, 6), &[]), "where is broker 2?");
    let endpoint = NodeEndpoint { node_id: BrokerId(2), host: StrBytes::from("b"), port: 9092, rack: None };
    assert!(metadata.hint("t", 0, hint(2, 6), &[endpoint]));
    assert_eq!(leader(&metadata), Some((Some(2), 6)));
}

#[test]
fn a_topic_that_an_answer_about_all_topics_leaves_out_was_deleted() {
    let mut metadata = Metadata::default();
    metadata.update(&response(7, ErrorCode::None, &[(1, 5)]));
    metadata.forget_absent(&response(7, ErrorCode::None, &[(1, 5)]));
    assert_eq!(metadata.topics.len(), 1);
    metadata.forget_absent(&MetadataResponse::default());
    assert!(metadata.topics.is_empty());
}
