//! Fetch: limits, long polls, sessions.

use std::time::Duration;

use super::*;
use crate::env::Clock;
use crate::env::Env;
use crate::ids::TopicId;
use crate::wire::codec::Uuid;
use crate::wire::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use crate::wire::messages::fetch_response::PartitionData;
use crate::wire::messages::{FetchRequest, FetchResponse};

/// Partitions with their offsets, in this order.
pub(super) fn request(
    version: i16,
    topic: &str,
    topic_id: TopicId,
    partitions: &[(i32, i64)],
) -> FetchRequest {
    let partition = |(partition, fetch_offset): &(i32, i64)| {
        message!(FetchPartition {
            partition: *partition,
            fetch_offset: *fetch_offset,
            partition_max_bytes: 1 << 20,
        })
    };
    let mut fetched = message!(FetchTopic { partitions: partitions.iter().map(partition).collect() });
    if version >= 13 {
        fetched.topic_id = Uuid::from_bytes(topic_id.0);
    } else {
        fetched.topic = topic.into();
    }
    message!(FetchRequest { min_bytes: 1, max_bytes: 1 << 20, topics: vec![fetched] })
}

/// In version 12.
fn of(topic: &str, partitions: &[(i32, i64)]) -> FetchRequest {
    request(12, topic, TopicId::ZERO, partitions)
}

fn partitions(response: &FetchResponse) -> Vec<&PartitionData> {
    response.responses.iter().flat_map(|topic| &topic.partitions).collect()
}

fn lengths(response: &FetchResponse) -> Vec<usize> {
    partitions(response).iter().map(|partition| partition.records.as_ref().map_or(0, Bytes::len)).collect()
}

/// A topic with three partitions; 0 and 2 hold one batch each of this many bytes.
async fn two_of_three(scene: &mut Scene<'_>) -> usize {
    scene.create("t", 3, &[]).await;
    let records = batch(&[&"x".repeat(1000)]);
    let both = [(0, Some(records.clone())), (2, Some(records.clone()))];
    scene.call(&produce::request(9, "t", TopicId::ZERO, -1, &both), 9).await;
    records.len()
}

#[test]
fn records_come_back_as_they_were_but_for_offset_and_epoch() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let sent = batch(&["a", "b"]);
        produce::append(scene, "t", sent.clone()).await;
        produce::append(scene, "t", sent.clone()).await;
        let response = scene.call(&of("t", &[(0, 2)]), 12).await;
        let records = partitions(&response)[0].records.clone().expect("records");
        assert_eq!(records[..8], 2i64.to_be_bytes());
        assert_eq!(records[16..], sent[16..]);
        let told = partitions(&response)[0];
        assert_eq!((told.high_watermark, told.last_stable_offset, told.log_start_offset), (4, 4, 0));
    });
}

/// KIP-74: the first partition with records hands out one batch even above every limit; the others keep to them.
#[test]
fn the_first_batch_comes_whatever_the_limits_and_in_the_order_of_the_request() {
    with_broker(&[], async |scene| {
        let size = two_of_three(scene).await;
        for limit in [0, 1, -1, i32::MIN] {
            let mut request = of("t", &[(1, 0), (2, 0), (0, 0)]);
            request.max_bytes = limit;
            assert_eq!(lengths(&scene.call(&request, 12).await), [0, size, 0], "{limit}");
        }
        let mut request = of("t", &[(0, 0), (1, 0), (2, 0)]);
        for partition in &mut request.topics[0].partitions {
            partition.partition_max_bytes = 1;
        }
        let response = scene.call(&request, 12).await;
        assert_eq!(lengths(&response)[0], size);
        assert!(lengths(&response)[2] < size, "only the first may exceed its limit");
        assert_eq!(lengths(&scene.call(&of("t", &[(0, 0), (1, 0), (2, 0)]), 12).await), [size, 0, size]);
    });
}

#[test]
fn a_fetch_waits_for_records_and_is_woken_by_the_append() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut waits = scene.connect().await;
        let mut request = of("t", &[(0, 0)]);
        request.max_wait_ms = 10_000;
        waits.ask(&request, 12).await;
        scene.env.sleep(Duration::from_secs(1)).await;
        produce::append(scene, "t", batch(&["v"])).await;
        let before = scene.env.clock().now();
        let response: FetchResponse = waits.hear(1, 12).await.expect("an answer");
        assert_eq!(partitions(&response)[0].high_watermark, 1);
        assert!(lengths(&response)[0] > 0);
        assert!(scene.env.clock().now().saturating_since(before) < Duration::from_millis(10));
    });
}

#[test]
fn a_fetch_that_finds_nothing_is_answered_when_its_time_is_up() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let before = scene.env.clock().now();
        let mut request = of("t", &[(0, 0)]);
        request.max_wait_ms = 700;
        assert_eq!(lengths(&scene.call(&request, 12).await), [0]);
        let waited = scene.env.clock().now().saturating_since(before);
        assert!(waited >= Duration::from_millis(700) && waited < Duration::from_millis(710), "{waited:?}");
    });
}

#[test]
fn a_fetch_waits_for_its_minimum_in_sum() {
    with_broker(&[], async |scene| {
        let size = two_of_three(scene).await;
        let mut waits = scene.connect().await;
        let mut request = of("t", &[(0, 0), (1, 0), (2, 0)]);
        request.min_bytes = i32::try_from(2 * size + 1).expect("small");
        request.max_wait_ms = 10_000;
        let before = scene.env.clock().now();
        waits.ask(&request, 12).await;
        scene.env.sleep(Duration::from_secs(1)).await;
        let more = [(1, Some(batch(&["v"])))];
        scene.call(&produce::request(9, "t", TopicId::ZERO, -1, &more), 9).await;
        let response: FetchResponse = waits.hear(1, 12).await.expect("an answer");
        assert!(lengths(&response)[1] > 0);
        assert!(scene.env.clock().now().saturating_since(before) < Duration::from_millis(1100));
    });
}

/// Requests behind one that waits go on, and their answers wait for its.
#[test]
fn a_produce_behind_a_waiting_fetch_on_one_connection_wakes_it() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut request = of("t", &[(0, 0)]);
        request.max_wait_ms = 60_000;
        scene.client.ask(&request, 12).await;
        scene.client.ask(&produce::to("t", -1, batch(&["v"])), 9).await;
        let response: FetchResponse = scene.client.hear(1, 12).await.expect("an answer");
        assert!(lengths(&response)[0] > 0);
        let produced: crate::wire::messages::ProduceResponse =
            scene.client.hear(0, 9).await.expect("an answer");
        assert_eq!(produced.responses[0].partition_responses[0].error_code, 0);
    });
}

/// Item 24. Limit: what `fetch.max.bytes` and `max_wait_ms` say.
#[test]
fn offsets_epochs_and_limits_from_hell_are_errors_at_once() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        produce::append(scene, "t", batch(&["v"])).await;
        for offset in [-1, 2, i64::MAX, i64::MIN] {
            let mut request = of("t", &[(0, offset)]);
            request.max_wait_ms = i32::MAX;
            let response = scene.call(&request, 12).await;
            assert_eq!(partitions(&response)[0].error_code, code(ErrorCode::OffsetOutOfRange), "{offset}");
        }
        for (epoch, error) in
            [(-1, ErrorCode::None), (0, ErrorCode::None), (7, ErrorCode::UnknownLeaderEpoch)]
        {
            let mut request = of("t", &[(0, 0)]);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let response = scene.call(&request, 12).await;
            assert_eq!(partitions(&response)[0].error_code, code(error), "{epoch}");
        }
        for (min_bytes, max_bytes, max_wait_ms) in
            [(i32::MAX, i32::MAX, 0), (5, 1, -1), (-1, -1, i32::MIN), (0, 0, i32::MAX)]
        {
            let mut request = of("t", &[(0, 0)]);
            (request.min_bytes, request.max_bytes, request.max_wait_ms) = (min_bytes, max_bytes, max_wait_ms);
            assert!(lengths(&scene.call(&request, 12).await)[0] > 0);
        }
    });
}

/// Item 24: a wait of 24 days ends with the records, and does not hold up other clients.
#[test]
fn a_fetch_may_wait_for_24_days() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut waits = scene.connect().await;
        let mut request = of("t", &[(0, 0)]);
        request.max_wait_ms = i32::MAX;
        waits.ask(&request, 12).await;
        scene.env.sleep(Duration::from_secs(1)).await;
        produce::append(scene, "t", batch(&["v"])).await;
        let response: FetchResponse = waits.hear(1, 12).await.expect("an answer");
        assert!(lengths(&response)[0] > 0);
    });
}

#[test]
fn unknown_partitions_are_told_each_for_itself() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let response = scene.call(&of("t", &[(0, 0), (9, 0), (-1, 0)]), 12).await;
        let codes: Vec<_> = partitions(&response).iter().map(|partition| partition.error_code).collect();
        let unknown = code(ErrorCode::UnknownTopicOrPartition);
        assert_eq!(codes, [0, unknown, unknown]);
        assert_eq!(partitions(&response)[1].high_watermark, -1);
    });
}

/// CVE-2018-1288: who claims to be a replica still reads as a consumer, and moves nothing.
#[test]
fn a_client_that_claims_to_be_a_replica_is_a_consumer() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[("flush.messages", "1")]).await;
        produce::append(scene, "t", batch(&["v"])).await;
        for replica_id in [0, 1, 2, i32::MAX, -2] {
            let mut request = of("t", &[(0, 0)]);
            request.replica_id = replica_id;
            let response = scene.call(&request, 12).await;
            assert_eq!(
                (partitions(&response)[0].error_code, partitions(&response)[0].high_watermark),
                (0, 1)
            );
            let mut by_state = request.clone();
            by_state.replica_id = -1;
            by_state.replica_state.replica_id = replica_id;
            by_state.topics[0].topic = "".into();
            let id = scene.node.image().topic("t").expect("there").id;
            by_state.topics[0].topic_id = Uuid::from_bytes(id.0);
            let response = scene.call(&by_state, 15).await;
            assert_eq!(
                (partitions(&response)[0].error_code, partitions(&response)[0].high_watermark),
                (0, 1)
            );
        }
    });
}

/// KAFKA-5490: a list, even an empty one, makes a read_uncommitted consumer filter.
#[test]
fn read_committed_gets_an_empty_list_of_aborted_transactions_and_read_uncommitted_none() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (isolation_level, is_some) in [(0, false), (1, true), (7, false)] {
            let mut request = of("t", &[(0, 0)]);
            request.isolation_level = isolation_level;
            let response = scene.call(&request, 12).await;
            assert_eq!(partitions(&response)[0].aborted_transactions.is_some(), is_some);
        }
    });
}

/// Item 13: as in Kafka the last word counts.
#[test]
fn a_partition_named_twice_is_read_once_as_it_was_named_last() {
    with_broker(&[], async |scene| {
        let size = two_of_three(scene).await;
        let response = scene.call(&of("t", &[(0, 5), (1, 0), (0, 0)]), 12).await;
        assert_eq!(lengths(&response), [size, 0]);
        assert_eq!(partitions(&response)[0].error_code, 0);
    });
}

fn incremental(session_id: i32, session_epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
    let mut request = of("t", partitions);
    (request.session_id, request.session_epoch) = (session_id, session_epoch);
    if partitions.is_empty() {
        request.topics.clear();
    }
    request
}

#[test]
fn a_session_tells_only_what_changed() {
    with_broker(&[], async |scene| {
        let size = two_of_three(scene).await;
        let response = scene.call(&incremental(0, 0, &[(0, 0), (1, 0), (2, 0)]), 12).await;
        let session = response.session_id;
        assert_ne!(session, 0);
        assert_eq!(lengths(&response), [size, 0, size]);
        let response = scene.call(&incremental(session, 1, &[(0, 1), (2, 1)]), 12).await;
        assert_eq!((response.session_id, response.error_code), (session, 0));
        assert_eq!(lengths(&response), [0; 0]);
        let more = [(1, Some(batch(&["v"])))];
        scene.call(&produce::request(9, "t", TopicId::ZERO, -1, &more), 9).await;
        let response = scene.call(&incremental(session, 2, &[]), 12).await;
        assert_eq!(
            partitions(&response).iter().map(|partition| partition.partition_index).collect::<Vec<_>>(),
            [1]
        );
    });
}

#[test]
fn a_forgotten_partition_is_told_no_more() {
    with_broker(&[], async |scene| {
        let _ = two_of_three(scene).await;
        let session = scene.call(&incremental(0, 0, &[(0, 0), (2, 0)]), 12).await.session_id;
        let mut request = incremental(session, 1, &[]);
        request.forgotten_topics_data =
            vec![message!(ForgottenTopic { topic: "t".into(), partitions: vec![0] })];
        let response = scene.call(&request, 12).await;
        assert_eq!(
            partitions(&response).iter().map(|partition| partition.partition_index).collect::<Vec<_>>(),
            [2]
        );
    });
}

/// Item 24: session ids guessed, epochs replayed.
#[test]
fn a_guessed_session_and_a_replayed_epoch_are_refused_without_records() {
    with_broker(&[], async |scene| {
        two_of_three(scene).await;
        let session = scene.call(&incremental(0, 0, &[(0, 0)]), 12).await.session_id;
        for (id, epoch, error) in [
            (session, 1, ErrorCode::None),
            (session, 1, ErrorCode::InvalidFetchSessionEpoch),
            (session, 9, ErrorCode::InvalidFetchSessionEpoch),
            (session ^ 1, 1, ErrorCode::FetchSessionIdNotFound),
            (0, 5, ErrorCode::FetchSessionIdNotFound),
        ] {
            let response = scene.call(&incremental(id, epoch, &[]), 12).await;
            assert_eq!(response.error_code, code(error), "{id} {epoch}");
            assert!(response.error_code == 0 || response.responses.is_empty());
        }
    });
}

/// A session by names is not continued by ids (KIP-516).
#[test]
fn a_session_does_not_change_between_names_and_ids() {
    with_broker(&[], async |scene| {
        two_of_three(scene).await;
        let session = scene.call(&incremental(0, 0, &[(0, 0)]), 12).await.session_id;
        let response = scene.call(&incremental(session, 1, &[]), 13).await;
        assert_eq!(response.error_code, code(ErrorCode::FetchSessionTopicIdError));
    });
}

/// KIP-951: with FENCED_LEADER_EPOCH the answer says who leads and where, so that no metadata need be asked for.
#[test]
fn a_client_with_the_epoch_of_before_a_restart_is_told_the_new_one() {
    let env = Wired::new(1 << 20);
    env.node.block_on(async {
        let node = node::start(&env, configured(&[])).await;
        let client = Client::connect(&env, node.server().port()).await;
        let mut scene = Scene { env: &env, node, client };
        scene.create("t", 1, &[]).await;
        let id = scene.node.image().topic("t").expect("there").id;
        scene.node.node.run(async {}).await.expect("a healthy node stops");

        let node = node::start(&env, configured(&[])).await;
        let mut client = Client::connect(&env, node.server().port()).await;
        let mut request = request(18, "", id, &[(0, 0)]);
        request.topics[0].partitions[0].current_leader_epoch = 0;
        let response = client.call(&request, 18).await;
        let told = partitions(&response)[0];
        assert_eq!(told.error_code, code(ErrorCode::FencedLeaderEpoch));
        assert_eq!((told.current_leader.leader_id, told.current_leader.leader_epoch), (1, 1));
        assert_eq!((response.node_endpoints[0].node_id, response.node_endpoints[0].port), (1, 9092));
    });
}

/// The client's name is a slice of the frame: kept, it would keep a megabyte for as long as the fetch waits.
#[test]
fn a_fetch_that_waits_holds_nothing_of_its_frame() {
    use crate::server::dispatch::{self, Handled};
    use crate::server::response::Outgoing;
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut asked = of("t", &[(0, 0)]);
        asked.max_wait_ms = 1_000_000;
        let mut frame = BytesMut::new();
        request::encode(77, Some("test"), &asked, 12, &mut frame).expect("the version has these fields");
        let frame = frame.freeze().slice(4..);
        let services = scene.node.services();
        let mut outgoing = Outgoing::default();
        let handled = dispatch::handle(services, frame.clone(), &mut outgoing).await;
        assert!(matches!(handled, Handled::Waiting(_)), "there is nothing to read");
        assert!(frame.is_unique(), "nobody else holds the frame");
    });
}
