//! CreateTopics, DeleteTopics, CreatePartitions.

use super::*;
use crate::wire::messages::create_partitions_request::CreatePartitionsTopic;
use crate::wire::messages::delete_topics_request::DeleteTopicState;
use crate::wire::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, MetadataRequest,
};

pub(super) fn delete(version: i16, names: &[&str]) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest::default();
    if version >= 6 {
        let named = |name: &&str| message!(DeleteTopicState { name: Some((*name).into()) });
        request.topics = names.iter().map(named).collect();
    } else {
        request.topic_names = names.iter().map(|name| (*name).into()).collect();
    }
    request
}

pub(super) fn more_partitions(name: &str, count: i32) -> CreatePartitionsRequest {
    let topic = message!(CreatePartitionsTopic { name: name.into(), count: count, assignments: None });
    message!(CreatePartitionsRequest { topics: vec![topic] })
}

/// Java's admin client dies of nulls and of counts below 1.
#[test]
fn a_created_topic_is_told_with_its_true_counts_and_the_source_of_every_config() {
    with_broker(&[("num.partitions", "3")], async |scene| {
        let topic = creatable("t", -1, &[("retention.ms", "1000")]);
        let response = scene.call(&message!(CreateTopicsRequest { topics: vec![topic] }), 7).await;
        let told = &response.topics[0];
        assert_eq!((told.error_code, told.num_partitions, told.replication_factor), (0, 3, 1));
        assert!(!told.topic_id.is_zero());
        let configs = told.configs.as_ref().expect("never null");
        let source = |name: &str| {
            let config =
                configs.iter().find(|config| config.name.as_str() == name).expect("every key is told");
            (config.config_source, config.value.as_ref().map(|value| value.to_string()))
        };
        assert_eq!(source("retention.ms"), (1, Some("1000".into())));
        assert_eq!(source("segment.ms").0, 5);
    });
}

/// The broker leads before the answer leaves, or clients see errors on the first produce.
#[test]
fn a_topic_can_be_used_when_its_creation_is_answered() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let id = scene.node.image().topic("t").expect("it was created").id;
        let request = produce::request(9, "t", id, 1, &[(0, Some(batch(&["v"])))]);
        let response = scene.call(&request, 9).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    });
}

/// Item 25: names. Limit: 249 characters of letters, digits, `.`, `_` and `-`.
#[test]
fn topic_names_that_cannot_be_are_refused_one_by_one() {
    let long = "x".repeat(250);
    let bad = ["", ".", "..", "../x", "a/b", "a\0b", &long, "\u{430}bc", "a b", "a\nb"];
    with_broker(&[], async |scene| {
        let mut topics: Vec<_> = bad.iter().map(|name| creatable(name, 1, &[])).collect();
        topics.push(creatable("good", 1, &[]));
        let response = scene.call(&message!(CreateTopicsRequest { topics: topics }), 7).await;
        for told in &response.topics[..bad.len()] {
            assert_eq!(told.error_code, code(ErrorCode::InvalidTopicException), "{:?}", told.name);
        }
        assert_eq!(response.topics[bad.len()].error_code, 0);
    });
}

#[test]
fn the_metadata_topic_is_not_created_by_clients() {
    with_broker(&[], async |scene| {
        let topic = creatable("__cluster_metadata", 1, &[]);
        let response = scene.call(&message!(CreateTopicsRequest { topics: vec![topic] }), 7).await;
        assert_eq!(response.topics[0].error_code, code(ErrorCode::InvalidRequest));
    });
}

#[test]
fn a_topic_named_twice_in_one_request_is_refused_and_answered_once() {
    with_broker(&[], async |scene| {
        let topics = vec![creatable("t", 1, &[]), creatable("u", 1, &[]), creatable("t", 2, &[])];
        let response = scene.call(&message!(CreateTopicsRequest { topics: topics }), 7).await;
        let told: Vec<_> =
            response.topics.iter().map(|topic| (topic.name.as_str(), topic.error_code)).collect();
        assert_eq!(told, [("t", code(ErrorCode::InvalidRequest)), ("u", 0)]);
        let response = scene.call(&delete(6, &["u", "u"]), 6).await;
        assert!(response.responses.iter().all(|topic| topic.error_code == code(ErrorCode::InvalidRequest)));
    });
}

/// Items 26 and 27.
#[test]
fn counts_and_configs_that_cannot_be_are_refused() {
    with_broker(&[], async |scene| {
        for (partitions, replicas, error) in [
            (-2, 1, ErrorCode::InvalidPartitions),
            (0, 1, ErrorCode::InvalidPartitions),
            (1, 0, ErrorCode::InvalidReplicationFactor),
            (1, 2, ErrorCode::InvalidReplicationFactor),
        ] {
            let mut topic = creatable("t", partitions, &[]);
            topic.replication_factor = replicas;
            let response = scene.call(&message!(CreateTopicsRequest { topics: vec![topic] }), 7).await;
            assert_eq!(response.topics[0].error_code, code(error), "{partitions} {replicas}");
        }
        for (key, value) in
            [("no.such.key", "1"), ("retention.ms", "-5"), ("segment.bytes", "1"), ("flush.ms", "x")]
        {
            let topic = creatable("t", 1, &[(key, value)]);
            let response = scene.call(&message!(CreateTopicsRequest { topics: vec![topic] }), 7).await;
            assert_eq!(response.topics[0].error_code, code(ErrorCode::InvalidConfig), "{key}");
        }
    });
}

/// Item 26. Limit: 10,000 records of metadata for one request.
#[test]
fn a_topic_of_two_billion_partitions_is_refused() {
    with_broker(&[], async |scene| {
        let topic = creatable("t", i32::MAX, &[]);
        let response = scene.call(&message!(CreateTopicsRequest { topics: vec![topic] }), 7).await;
        assert_ne!(response.topics[0].error_code, 0);
    });
}

#[test]
fn validate_only_creates_nothing() {
    with_broker(&[], async |scene| {
        let topics = vec![creatable("t", 1, &[])];
        let request = message!(CreateTopicsRequest { topics: topics, validate_only: true });
        assert_eq!(scene.call(&request, 7).await.topics[0].error_code, 0);
        assert!(scene.call(&message!(MetadataRequest { topics: None }), 13).await.topics.is_empty());
    });
}

#[test]
fn a_topic_created_again_under_its_name_has_another_id() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let first = scene.node.image().topic("t").expect("there").id;
        assert_eq!(scene.call(&delete(6, &["t"]), 6).await.responses[0].error_code, 0);
        scene.create("t", 1, &[]).await;
        let second = scene.node.image().topic("t").expect("there").id;
        assert_ne!(first, second);
        let by_id = fetch::request(13, "", first, &[(0, 0)]);
        let response = scene.call(&by_id, 13).await;
        assert_eq!(response.responses[0].partitions[0].error_code, code(ErrorCode::UnknownTopicId));
    });
}
