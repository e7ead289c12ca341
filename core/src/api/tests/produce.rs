//! Produce and InitProducerId.

use std::time::Duration;

use super::*;
use crate::fact::Fact;
use crate::ids::{ProducerEpoch, ProducerId, TopicId};
use crate::wire::codec::Uuid;
use crate::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use crate::wire::messages::produce_response::PartitionProduceResponse;
use crate::wire::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};

pub(super) fn request(
    version: i16,
    topic: &str,
    topic_id: TopicId,
    acks: i16,
    partitions: &[(i32, Option<Bytes>)],
) -> ProduceRequest {
    let partition = |(index, records): &(i32, Option<Bytes>)| {
        message!(PartitionProduceData { index: *index, records: records.clone() })
    };
    let mut topic_data =
        message!(TopicProduceData { partition_data: partitions.iter().map(partition).collect() });
    if version >= 13 {
        topic_data.topic_id = Uuid::from_bytes(topic_id.0);
    } else {
        topic_data.name = topic.into();
    }
    message!(ProduceRequest { acks: acks, timeout_ms: 1000, topic_data: vec![topic_data] })
}

/// One batch to partition 0 in version 9.
pub(super) fn to(topic: &str, acks: i16, records: Bytes) -> ProduceRequest {
    request(9, topic, TopicId::ZERO, acks, &[(0, Some(records))])
}

/// Appends one batch with acks=all, and returns its offset.
pub(super) async fn append(scene: &mut Scene<'_>, topic: &str, records: Bytes) -> i64 {
    let response = scene.call(&to(topic, -1, records), 9).await;
    let told = only(&response);
    assert_eq!(told.error_code, 0, "{:?}", told.error_message);
    told.base_offset
}

fn only(response: &ProduceResponse) -> &PartitionProduceResponse {
    &response.responses[0].partition_responses[0]
}

fn idempotent(producer_id: i64, epoch: i16, sequence: i32) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.producer(ProducerId(producer_id), ProducerEpoch(epoch), sequence);
    builder.append(Timestamp(1000), None, Some(b"v"), &[]);
    builder.build()
}

#[test]
fn each_partition_is_answered_for_itself() {
    with_broker(&[], async |scene| {
        scene.create("t", 2, &[]).await;
        let mut corrupt = batch(&["v"]).to_vec();
        *corrupt.last_mut().expect("a batch has bytes") ^= 1;
        let partitions = [
            (0, Some(batch(&["v"]))),
            (1, Some(corrupt.into())),
            (2, Some(batch(&["v"]))),
            (-1, Some(batch(&["v"]))),
            (0, None),
            (0, Some(Bytes::new())),
        ];
        let response = scene.call(&request(9, "t", TopicId::ZERO, -1, &partitions), 9).await;
        let told = response.responses[0].partition_responses.iter();
        let codes: Vec<_> = told.map(|partition| (partition.index, partition.error_code)).collect();
        let unknown = code(ErrorCode::UnknownTopicOrPartition);
        let invalid = code(ErrorCode::InvalidRecord);
        let corrupt = code(ErrorCode::CorruptMessage);
        assert_eq!(codes, [(0, 0), (1, corrupt), (2, unknown), (-1, unknown), (0, invalid), (0, invalid)]);
    });
}

#[test]
fn unknown_topics_are_told_by_name_and_by_id() {
    with_broker(&[], async |scene| {
        let response = scene.call(&to("unknown", -1, batch(&["v"])), 9).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::UnknownTopicOrPartition));
        let by_id = request(13, "", crate::ids::Uuid([9; 16]), -1, &[(0, Some(batch(&["v"])))]);
        let response = scene.call(&by_id, 13).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::UnknownTopicId));
        assert_eq!((only(&response).base_offset, only(&response).log_start_offset), (-1, -1));
    });
}

#[test]
fn acks_other_than_0_1_and_all_are_refused() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for acks in [2, -2, i16::MAX, i16::MIN] {
            let response = scene.call(&to("t", acks, batch(&["v"])), 9).await;
            assert_eq!(only(&response).error_code, code(ErrorCode::InvalidRequiredAcks));
        }
        assert_eq!(append(scene, "t", batch(&["v"])).await, 0);
    });
}

#[test]
fn acks_0_is_never_answered_and_takes_no_place_among_the_answers() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for _ in 0..3 {
            scene.client.ask(&to("t", 0, batch(&["v"])), 9).await;
        }
        assert_eq!(append(scene, "t", batch(&["v"])).await, 3);
    });
}

/// KAFKA-1028: there is no other way to tell the client.
#[test]
fn an_error_with_acks_0_closes_the_connection() {
    with_broker(&[], async |scene| {
        let mut client = scene.connect().await;
        client.ask(&to("unknown", 0, batch(&["v"])), 9).await;
        assert!(client.is_closed().await);
    });
}

#[test]
fn an_empty_produce_is_answered() {
    with_broker(&[], async |scene| {
        let response = scene.call(&message!(ProduceRequest { acks: 1 }), 9).await;
        assert!(response.responses.is_empty());
    });
}

#[test]
fn transactional_batches_are_refused_honestly() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut request = to("t", -1, batch(&["v"]));
        request.transactional_id = Some("x".into());
        let response = scene.call(&request, 9).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::InvalidTxnState));
    });
}

/// D20: nobody can tell who else uses the id that a client names.
#[test]
fn every_producer_gets_an_id_of_its_own_at_epoch_0() {
    with_broker(&[], async |scene| {
        let mut given = std::collections::BTreeSet::new();
        for version in [0, 1, 2, 3, 4, 5] {
            let mut request = message!(InitProducerIdRequest { transactional_id: None });
            if version >= 3 {
                (request.producer_id, request.producer_epoch) = (0, 5);
            }
            let response = scene.call(&request, version).await;
            assert_eq!((response.error_code, response.producer_epoch), (0, 0));
            assert!(given.insert(response.producer_id));
        }
    });
}

/// A repeat of one of the last five batches is answered with its first offset; anything else out of line is refused.
#[test]
fn a_repeated_batch_is_acknowledged_with_its_old_offset_and_a_gap_is_refused() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for sequence in 0..3 {
            assert_eq!(append(scene, "t", idempotent(5, 0, sequence)).await, i64::from(sequence));
        }
        assert_eq!(append(scene, "t", idempotent(5, 0, 1)).await, 1);
        let response = scene.call(&to("t", -1, idempotent(5, 0, 4)), 9).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(append(scene, "t", idempotent(5, 1, 0)).await, 3);
        let response = scene.call(&to("t", -1, idempotent(5, 0, 3)), 9).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::InvalidProducerEpoch));
    });
}

#[test]
fn a_batch_larger_than_the_topic_allows_is_refused() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[("max.message.bytes", "100")]).await;
        let response = scene.call(&to("t", -1, batch(&[&"x".repeat(200)])), 9).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::MessageTooLarge));
        assert!(only(&response).error_message.is_some());
    });
}

/// P1 of DESIGN's D9: with `flush.messages=1` a record counts when it is on the disk, for acks=1 as for acks=all.
#[test]
fn with_flush_messages_1_an_acknowledgement_waits_for_the_disk_and_later_requests_go_on() {
    with_broker(&[], async |scene| {
        scene.create("p1", 1, &[("flush.messages", "1")]).await;
        scene.create("p0", 1, &[]).await;
        scene.env.node.take_facts();
        for (topic, acks) in [("p1", -1), ("p0", -1), ("p1", 1)] {
            scene.client.ask(&to(topic, acks, batch(&["v"])), 9).await;
        }
        for topic in ["p1", "p0", "p1"] {
            let response: ProduceResponse = scene.client.hear(0, 9).await.expect("an answer");
            assert_eq!((response.responses[0].name.as_str(), only(&response).error_code), (topic, 0));
        }
        let p1 = scene.node.image().topic("p1").expect("there").id;
        let mut flushed_to = 0;
        let mut acked = 0;
        for fact in scene.env.node.take_facts() {
            match fact {
                Fact::Flushed { partition, flushed } if partition.topic_id == p1 => flushed_to = flushed.0,
                Fact::Acked { partition, end, .. } if partition.topic_id == p1 => {
                    assert!(end.0 <= flushed_to, "acknowledged before it was flushed");
                    acked += 1;
                }
                _ => {}
            }
        }
        assert_eq!(acked, 2);
    });
}

/// Item 8 for produces that wait: the line is bounded, and nothing is lost or swapped.
#[test]
fn a_thousand_pipelined_produces_that_wait_for_the_disk_are_answered_in_order() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[("flush.messages", "1")]).await;
        let mut frames = BytesMut::new();
        for id in 0..1000 {
            request::encode(id, None, &to("t", -1, batch(&["v"])), 9, &mut frames).expect("a request");
        }
        scene.client.send(frames.freeze()).await;
        for id in 0..1000 {
            let frame = scene.client.receive().await.expect("an answer");
            assert_eq!(correlation_id(&frame), id);
            let body = response::body(&frame, true).expect("a header");
            let response: ProduceResponse = response::decode(&body, 9).expect("a response");
            assert_eq!(only(&response).base_offset, i64::from(id));
        }
    });
}

#[test]
fn what_is_acknowledged_is_told_to_the_checkers() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        append(scene, "t", batch(&["a", "b"])).await;
        scene.env.sleep(Duration::from_secs(1)).await;
        let facts = scene.env.node.take_facts();
        let acked = facts.iter().find(|fact| matches!(fact, Fact::Acked { .. }));
        let Some(Fact::Acked { base_offset, end, acks, .. }) = acked else { panic!("an ack is a fact") };
        assert_eq!((base_offset.0, end.0, *acks), (0, 2, -1));
    });
}

#[test]
fn acks_all_to_a_topic_that_wants_more_replicas_than_are_in_sync_is_refused() {
    with_broker(&[("min.insync.replicas", "2")], async |scene| {
        scene.create("t", 1, &[]).await;
        scene.create("u", 1, &[("min.insync.replicas", "1")]).await;
        let response = scene.call(&to("t", -1, batch(&["v"])), 9).await;
        assert_eq!(only(&response).error_code, code(ErrorCode::NotEnoughReplicas));
        let response = scene.call(&to("t", 1, batch(&["v"])), 9).await;
        assert_eq!((only(&response).error_code, only(&response).base_offset), (0, 0));
        assert_eq!(append(scene, "u", batch(&["v"])).await, 0);
    });
}

/// KIP-937, with the defaults of KIP-1030.
#[test]
fn a_timestamp_in_nanoseconds_is_refused() {
    use crate::env::{Clock, Env};
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let now = scene.env.clock().wall().0;
        for (timestamp, error) in [
            (now * 1_000_000, ErrorCode::InvalidTimestamp),
            (now + 3_000_000, ErrorCode::None),
            (0, ErrorCode::None),
        ] {
            let mut builder = BatchBuilder::new(Codec::None);
            builder.append(Timestamp(timestamp), None, Some(b"v"), &[]);
            let response = scene.call(&to("t", -1, builder.build()), 9).await;
            assert_eq!(only(&response).error_code, code(error), "{timestamp}");
        }
    });
}
