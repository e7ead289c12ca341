//! Every offered version of every key is answered, with fields that the version has.

use super::*;
use crate::wire::codec::StrBytes;
use crate::wire::messages::*;

/// Asks the same in every version that is served.
async fn in_all_versions<M>(scene: &mut Scene<'_>, message: impl Fn(i16) -> M) -> Vec<M::Response>
where
    M: KafkaRequest + RequestResponsePair,
    M::Response: KafkaDecode,
{
    let key = ApiKey::from_code(M::API_KEY.value()).expect("a key of the table");
    let versions = key.versions();
    let mut responses = Vec::new();
    for version in versions.served_min..=versions.max {
        responses.push(scene.call(&message(version), version).await);
    }
    responses
}

#[test]
fn metadata() {
    let all = |version| {
        let topics = if version == 0 { Some(Vec::new()) } else { None };
        message!(MetadataRequest { topics: topics })
    };
    with_broker(&[], async |scene| {
        scene.create("t", 2, &[]).await;
        for response in in_all_versions(scene, all).await {
            assert_eq!(response.topics[0].partitions.len(), 2);
            assert_eq!(response.brokers[0].port, 9092);
        }
    });
}

#[test]
fn metadata_of_what_does_not_exist() {
    let named = |version| {
        let mut topic = metadata_request::MetadataRequestTopic::default();
        topic.name = Some("no/such".into());
        let mut request = message!(MetadataRequest { topics: Some(vec![topic]) });
        if version < 4 {
            request.allow_auto_topic_creation = true;
        }
        request
    };
    with_broker(&[], async |scene| {
        for response in in_all_versions(scene, named).await {
            assert_eq!(response.topics[0].error_code, code(ErrorCode::InvalidTopicException));
        }
    });
}

/// Code, message, node and port of the first answer to a key of this type, in every version that can ask for it.
async fn coordinators(scene: &mut Scene<'_>, key_type: i8) -> Vec<(i16, String, i32, i32)> {
    let mut answers = Vec::new();
    for version in i16::from(key_type > 0)..=6 {
        let mut request = FindCoordinatorRequest::default();
        request.key_type = key_type;
        if version >= 4 {
            request.coordinator_keys = vec!["g".into(), "h".into()]
        } else {
            request.key = "g".into()
        }
        let response = scene.call(&request, version).await;
        let text = |text: &Option<StrBytes>| text.as_ref().map(ToString::to_string).unwrap_or_default();
        answers.push(match &response.coordinators[..] {
            [first, second] => {
                assert_eq!((first.error_code, first.port), (second.error_code, second.port));
                (first.error_code, text(&first.error_message), first.node_id, first.port)
            }
            _ => (response.error_code, text(&response.error_message), response.node_id, response.port),
        });
    }
    answers
}

/// Who has a group but assigns its partitions itself must read on: every consumer of librdkafka's has one.
#[test]
fn a_group_is_sent_to_the_broker_which_offers_nothing_of_groups() {
    with_broker(&[], async |scene| {
        for answer in coordinators(scene, 0).await {
            assert_eq!(answer, (0, String::new(), 1, 9092));
        }
        for key in [8, 9, 11, 12, 13, 14] {
            assert_eq!(ApiKey::from_code(key), None, "with requests of groups, this answer is out of date");
        }
    });
}

#[test]
fn transactions_and_share_groups_are_refused_in_words_and_for_good() {
    with_broker(&[], async |scene| {
        for key_type in [1, 2] {
            for (error, text, node_id, _) in coordinators(scene, key_type).await {
                assert_eq!((error, node_id), (code(ErrorCode::UnsupportedVersion), -1));
                assert!(text.contains("neither consumer groups nor transactions"), "{text}");
            }
        }
    });
}

#[test]
fn api_versions() {
    with_broker(&[], async |scene| {
        let request = |version| {
            let mut request = ApiVersionsRequest::default();
            if version >= 3 {
                request.client_software_name = "test".into();
                request.client_software_version = "1".into();
            }
            request
        };
        for response in in_all_versions(scene, request).await {
            assert_eq!(response.api_keys.len(), ApiKey::ALL.len());
        }
    });
}

#[test]
fn list_offsets() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let request = |_| offsets::latest("t", 0);
        for response in in_all_versions(scene, request).await {
            assert_eq!(
                (response.topics[0].partitions[0].error_code, response.topics[0].partitions[0].offset),
                (0, 0)
            );
        }
    });
}

#[test]
fn offset_for_leader_epoch() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let request = |version| offsets::epoch_end("t", if version >= 3 { -2 } else { -1 }, 0);
        for response in in_all_versions(scene, request).await {
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
        }
    });
}

#[test]
fn create_and_delete_topics() {
    with_broker(&[], async |scene| {
        let create = |version: i16| {
            let mut topic = creatable(&format!("t{version}"), 1, &[]);
            topic.replication_factor = 1;
            message!(CreateTopicsRequest { topics: vec![topic] })
        };
        for response in in_all_versions(scene, create).await {
            assert_eq!(response.topics[0].error_code, 0);
        }
        for response in in_all_versions(scene, create).await {
            assert_eq!(response.topics[0].error_code, code(ErrorCode::TopicAlreadyExists));
        }
        let delete = |version: i16| topics::delete(version, &[&format!("t{}", version + 1), "unknown"]);
        for response in in_all_versions(scene, delete).await {
            let codes: Vec<i16> = response.responses.iter().map(|response| response.error_code).collect();
            assert_eq!(codes, [0, code(ErrorCode::UnknownTopicOrPartition)]);
        }
    });
}

#[test]
fn create_partitions() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let request = |version: i16| topics::more_partitions("t", 2 + i32::from(version));
        for response in in_all_versions(scene, request).await {
            assert_eq!(response.results[0].error_code, 0, "{:?}", response.results[0].error_message);
        }
        for response in in_all_versions(scene, |_| topics::more_partitions("t", 1)).await {
            assert_eq!(response.results[0].error_code, code(ErrorCode::InvalidPartitions));
        }
    });
}

#[test]
fn delete_records() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for response in in_all_versions(scene, |_| offsets::delete_records("t", -1)).await {
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
        }
    });
}

#[test]
fn init_producer_id_without_transactions() {
    with_broker(&[], async |scene| {
        let request = |_| message!(InitProducerIdRequest { transactional_id: Some("t".into()) });
        for response in in_all_versions(scene, request).await {
            assert_eq!(response.error_code, code(ErrorCode::UnsupportedVersion));
            assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
        }
    });
}

#[test]
fn describe_cluster() {
    with_broker(&[], async |scene| {
        for response in in_all_versions(scene, |_| DescribeClusterRequest::default()).await {
            assert_eq!((response.error_code, response.brokers.len()), (0, 1));
        }
    });
}

#[test]
fn describe_topic_partitions() {
    with_broker(&[], async |scene| {
        scene.create("t", 3, &[]).await;
        for response in in_all_versions(scene, |_| DescribeTopicPartitionsRequest::default()).await {
            assert_eq!(response.topics[0].partitions.len(), 3);
        }
    });
}

#[test]
fn configs() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for response in in_all_versions(scene, |_| configs::describe(2, "t", true)).await {
            assert_eq!(response.results[0].error_code, 0);
            assert!(!response.results[0].configs.is_empty());
        }
        for response in in_all_versions(scene, |_| configs::describe(4, "1", true)).await {
            assert!(!response.results[0].configs.is_empty());
        }
        for response in in_all_versions(scene, |_| configs::replace("t", &[("retention.ms", "5")])).await {
            assert_eq!(response.responses[0].error_code, 0);
        }
        for response in in_all_versions(scene, |_| configs::change("t", &[("retention.ms", 0, "6")])).await {
            assert_eq!(response.responses[0].error_code, 0);
        }
    });
}

#[test]
fn produce_and_fetch() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let id = scene.node.image().topic("t").expect("it was created").id;
        let produce = |version| produce::request(version, "t", id, -1, &[(0, Some(batch(&["value"])))]);
        let produced = in_all_versions(scene, produce).await;
        for (index, response) in produced.iter().enumerate() {
            let partition = &response.responses[0].partition_responses[0];
            assert_eq!((partition.error_code, partition.base_offset), (0, index as i64));
        }
        let fetch = |version| fetch::request(version, "t", id, &[(0, 0)]);
        for response in in_all_versions(scene, fetch).await {
            let partition = &response.responses[0].partitions[0];
            assert_eq!((partition.error_code, partition.high_watermark), (0, produced.len() as i64));
            assert_eq!(
                partition.records.as_ref().map(Bytes::len),
                Some(produced.len() * batch(&["value"]).len())
            );
        }
    });
}
