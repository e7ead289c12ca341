//! Metadata, DescribeCluster, DescribeTopicPartitions.

use super::*;
use crate::wire::codec::Uuid;
use crate::wire::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use crate::wire::messages::metadata_request::MetadataRequestTopic;
use crate::wire::messages::{DescribeClusterRequest, DescribeTopicPartitionsRequest, MetadataRequest};

fn named(names: &[&str], creates: bool) -> MetadataRequest {
    let topic = |name: &&str| message!(MetadataRequestTopic { name: Some((*name).into()) });
    let topics = Some(names.iter().map(topic).collect());
    message!(MetadataRequest { topics: topics, allow_auto_topic_creation: creates })
}

#[test]
fn all_topics_are_null_and_in_version_0_the_empty_list_too() {
    with_broker(&[], async |scene| {
        scene.create("b", 1, &[]).await;
        scene.create("a", 1, &[]).await;
        let empty = message!(MetadataRequest { topics: Some(Vec::new()) });
        let names = |response: crate::wire::messages::MetadataResponse| {
            response
                .topics
                .iter()
                .map(|topic| topic.name.clone().expect("named").to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(scene.call(&empty, 0).await), ["a", "b"]);
        assert_eq!(names(scene.call(&empty, 1).await), [""; 0]);
        assert_eq!(names(scene.call(&message!(MetadataRequest { topics: None }), 1).await), ["a", "b"]);
    });
}

/// KIP-320: a client ignores metadata whose epoch fell, so it is never -1.
#[test]
fn a_partition_is_told_with_its_leader_and_its_durable_epoch() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let response = scene.call(&named(&["t"], false), 13).await;
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id, partition.leader_epoch), (0, 1, 0));
        assert_eq!((&partition.replica_nodes[..], &partition.isr_nodes[..]), (&[1][..], &[1][..]));
        assert!(partition.offline_replicas.is_empty());
        assert_eq!(response.controller_id, 1);
        assert_eq!(response.topics[0].topic_authorized_operations, i32::MIN);
    });
}

#[test]
fn a_topic_is_created_by_asking_for_it_and_can_be_used_at_once() {
    with_broker(&[("num.partitions", "2")], async |scene| {
        let response = scene.call(&named(&["t"], true), 13).await;
        assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (0, 2));
        assert_eq!(produce::append(scene, "t", batch(&["v"])).await, 0);
    });
}

#[test]
fn a_topic_is_not_created_when_the_request_or_the_broker_does_not_allow_it() {
    let unknown = code(ErrorCode::UnknownTopicOrPartition);
    with_broker(&[], async |scene| {
        let response = scene.call(&named(&["t", "a/b"], false), 13).await;
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [unknown, code(ErrorCode::InvalidTopicException)]);
    });
    with_broker(&[("auto.create.topics.enable", "false")], async |scene| {
        assert_eq!(scene.call(&named(&["t"], true), 13).await.topics[0].error_code, unknown);
    });
}

#[test]
fn a_topic_that_cannot_be_created_says_why() {
    with_broker(&[], async |scene| {
        let response = scene.call(&named(&["a/b", "good"], true), 13).await;
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [code(ErrorCode::InvalidTopicException), 0]);
    });
}

/// Item 13. Limit: one answer for each topic, however often it is named.
#[test]
fn a_topic_named_a_million_times_is_told_once() {
    with_broker(&[], async |scene| {
        scene.create("t", 100, &[]).await;
        let response = scene.call(&named(&vec!["t"; 100_000], false), 13).await;
        assert_eq!(response.topics.len(), 1);
    });
}

/// KIP-516.
#[test]
fn topics_are_found_by_id_from_version_12_on() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let id = scene.node.image().topic("t").expect("there").id;
        let by_id = |bytes| {
            let topic = message!(MetadataRequestTopic { topic_id: Uuid::from_bytes(bytes), name: None });
            message!(MetadataRequest { topics: Some(vec![topic]) })
        };
        let response = scene.call(&by_id(id.0), 12).await;
        assert_eq!(response.topics[0].name.as_deref(), Some("t"));
        let response = scene.call(&by_id([9; 16]), 12).await;
        assert_eq!(
            (response.topics[0].error_code, &response.topics[0].name),
            (code(ErrorCode::UnknownTopicId), &None)
        );
        let response = scene.call(&by_id([0; 16]), 12).await;
        assert_eq!(response.topics[0].error_code, code(ErrorCode::InvalidRequest));
    });
}

#[test]
fn operations_are_told_when_asked_for() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut request = named(&["t"], false);
        request.include_topic_authorized_operations = true;
        request.include_cluster_authorized_operations = true;
        let response = scene.call(&request, 9).await;
        assert!(response.topics[0].topic_authorized_operations > 0);
        assert!(response.cluster_authorized_operations > 0);
    });
}

#[test]
fn a_brokers_listener_does_not_describe_controllers() {
    with_broker(&[], async |scene| {
        for (endpoint_type, error) in [
            (1, ErrorCode::None),
            (2, ErrorCode::MismatchedEndpointType),
            (3, ErrorCode::UnsupportedEndpointType),
        ] {
            let response =
                scene.call(&message!(DescribeClusterRequest { endpoint_type: endpoint_type }), 2).await;
            assert_eq!(response.error_code, code(error));
            assert!(!response.cluster_id.is_empty());
        }
    });
}

/// KIP-966: pages follow each other without a gap, whatever their size.
#[test]
fn topics_are_described_page_by_page() {
    with_broker(&[], async |scene| {
        for name in ["a", "b", "c"] {
            scene.create(name, 3, &[]).await;
        }
        for limit in [-1, 0, 1, 2, 3, 4, 100] {
            let mut told = Vec::new();
            let mut cursor = None;
            loop {
                let request = message!(DescribeTopicPartitionsRequest {
                    response_partition_limit: limit,
                    cursor: cursor,
                });
                let response = scene.call(&request, 0).await;
                for topic in &response.topics {
                    let name = topic.name.clone().expect("named").to_string();
                    told.extend(
                        topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)),
                    );
                    assert!(
                        topic.partitions.iter().all(|partition| partition.eligible_leader_replicas.is_some())
                    );
                }
                let Some(next) = response.next_cursor else { break };
                cursor = Some(message!(Cursor {
                    topic_name: next.topic_name,
                    partition_index: next.partition_index,
                }));
            }
            let all: Vec<_> =
                ["a", "b", "c"].iter().flat_map(|name| (0..3).map(|n| ((*name).to_owned(), n))).collect();
            assert_eq!(told, all, "pages of {limit}");
        }
    });
}

#[test]
fn a_topic_that_is_not_there_is_described_by_its_error() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let topics = ["t", "unknown"].map(|name| message!(TopicRequest { name: name.into() }));
        let request =
            message!(DescribeTopicPartitionsRequest { topics: topics.into(), response_partition_limit: 10 });
        let response = scene.call(&request, 0).await;
        let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, [0, code(ErrorCode::UnknownTopicOrPartition)]);
    });
}

/// KIP-584: the level of metadata.version, by which tools name the broker's version.
#[test]
fn the_clusters_features_are_told() {
    use crate::metadata::records::METADATA_VERSION;
    with_broker(&[], async |scene| {
        let mut request = crate::wire::messages::ApiVersionsRequest::default();
        request.client_software_name = "test".into();
        request.client_software_version = "1".into();
        let response = scene.call(&request, 4).await;
        let told = &response.finalized_features[0];
        assert_eq!((told.name.as_str(), told.max_version_level), ("metadata.version", METADATA_VERSION));
        assert!(response.finalized_features_epoch >= 0);
    });
}

/// A later version would find an ordinary topic of one partition where it keeps its groups.
#[test]
fn kafkas_internal_topics_are_not_created_by_asking_for_them() {
    with_broker(&[], async |scene| {
        for name in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
            let response = scene.call(&named(&[name], true), 12).await;
            assert_eq!(response.topics[0].error_code, code(ErrorCode::UnknownTopicOrPartition), "{name}");
        }
        assert_eq!(scene.node.image().topic_count(), 0);
    });
}

#[test]
fn a_page_tells_what_may_be_done_with_each_topic() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let request = message!(DescribeTopicPartitionsRequest { response_partition_limit: 10 });
        let response = scene.call(&request, 0).await;
        assert!(response.topics[0].topic_authorized_operations > 0);
    });
}

#[test]
fn topics_that_do_not_exist_fill_a_page_too() {
    with_broker(&[("max.request.partition.size.limit", "10")], async |scene| {
        let topics = (0..100).map(|number| message!(TopicRequest { name: format!("t{number:02}").into() }));
        let topics: Vec<TopicRequest> = topics.collect();
        let mut request =
            message!(DescribeTopicPartitionsRequest { topics: topics, response_partition_limit: 1000 });
        let mut told = Vec::new();
        loop {
            let response = scene.call(&request, 0).await;
            assert!(response.topics.len() <= 10);
            told.extend(response.topics.iter().map(|topic| topic.name.clone().expect("named").to_string()));
            let Some(next) = response.next_cursor else { break };
            request.cursor =
                Some(message!(Cursor { topic_name: next.topic_name, partition_index: next.partition_index }));
        }
        assert_eq!(told, (0..100).map(|number| format!("t{number:02}")).collect::<Vec<_>>());
    });
}

#[test]
fn a_cursor_that_cannot_be_is_refused() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (topic_name, partition_index, error) in [
            ("t", 0, ErrorCode::None),
            ("t", -1, ErrorCode::InvalidRequest),
            ("u", 0, ErrorCode::InvalidRequest),
        ] {
            let cursor = message!(Cursor { topic_name: topic_name.into(), partition_index: partition_index });
            let request = message!(DescribeTopicPartitionsRequest {
                topics: vec![message!(TopicRequest { name: "t".into() })],
                response_partition_limit: 10,
                cursor: Some(cursor),
            });
            let response = scene.call(&request, 0).await;
            assert_eq!(response.topics[0].error_code, code(error), "{topic_name} {partition_index}");
        }
    });
}

/// KIP-511.
#[test]
fn a_client_with_an_unlawful_name_is_refused_and_may_go_on() {
    with_broker(&[], async |scene| {
        let request = crate::wire::messages::ApiVersionsRequest::default();
        let response = scene.call(&request, 4).await;
        assert_eq!((response.error_code, response.api_keys.len()), (code(ErrorCode::InvalidRequest), 0));
        assert_eq!(scene.call(&request, 0).await.error_code, 0);
    });
}
