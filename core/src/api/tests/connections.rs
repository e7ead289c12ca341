//! What a connection promises, with requests that wait and responses that are large.

use std::time::Duration;

use super::*;
use crate::env::Env;
use crate::ids::TopicId;
use crate::wire::messages::{FetchResponse, ProduceResponse};

const SECOND: Duration = Duration::from_secs(1);

fn produced(response: &ProduceResponse) -> (i16, i64) {
    let told = &response.responses[0].partition_responses[0];
    (told.error_code, told.base_offset)
}

/// A topic of three batches of 1 MB.
async fn three_megabytes(scene: &mut Scene<'_>) {
    scene.create("t", 1, &[]).await;
    for _ in 0..3 {
        produce::append(scene, "t", batch(&[&"x".repeat(1_000_000)])).await;
    }
}

/// Asks for all of that, and reads the answer so many bytes a second.
async fn fetched_slowly(scene: &mut Scene<'_>, bytes_per_second: usize) -> Option<usize> {
    let mut request = fetch::request(12, "t", TopicId::ZERO, &[(0, 0)]);
    request.max_bytes = 4 << 20;
    request.topics[0].partitions[0].partition_max_bytes = 4 << 20;
    scene.client.ask(&request, 12).await;
    let frame = scene.client.receive_slowly(scene.env, bytes_per_second, SECOND).await?;
    let body = response::body(&frame, ApiKey::Fetch.response_header_is_flexible(12)).expect("a header");
    let response: FetchResponse = response::decode(&body, 12).expect("a response to a fetch");
    Some(response.responses[0].partitions[0].records.as_ref().map_or(0, Bytes::len))
}

/// connections.max.idle.ms is 600 s; this takes 732 s.
#[test]
fn a_reader_is_not_idle_while_it_reads_however_slowly() {
    with_broker_over(64 << 10, &[], async |scene| {
        three_megabytes(scene).await;
        let length = fetched_slowly(scene, 4 << 10).await.expect("it reads, so it is served");
        assert!(length > 3_000_000);
    });
}

/// What it is sent comes from files and holds no memory; and it moves, too.
#[test]
fn a_slow_reader_of_records_is_not_closed_while_others_wait_for_memory() {
    with_broker_over(64 << 10, &[("queued.max.request.bytes", "2000000")], async |scene| {
        three_megabytes(scene).await;
        let mut holds = scene.connect().await;
        let large = request_of(20 << 20);
        let env = scene.env.clone();
        let _holding = env.spawn(crate::env::Lane::Data, "holds", {
            let env = env.clone();
            async move {
                for chunk in large.chunks(100_000) {
                    holds.send(chunk.to_vec()).await;
                    env.sleep(SECOND).await;
                }
            }
        });
        // Its request is small, but it came before all memory was taken.
        let mut waits = scene.connect().await;
        let waiting = env.spawn(crate::env::Lane::Data, "waits", {
            let env = env.clone();
            async move {
                env.sleep(SECOND * 3).await;
                waits.send(request_of(20)).await;
                waits.receive().await;
            }
        });
        let length = fetched_slowly(scene, 50_000).await.expect("it reads, so it is served");
        assert!(length > 3_000_000);
        assert!(!waiting.is_finished(), "somebody waited for memory all the time");
    });
}

/// ApiVersions with trailing bytes.
fn request_of(len: usize) -> Vec<u8> {
    crate::server::tests::request(ApiKey::ApiVersions, 0, 5, &vec![0; len - 14])
}

/// flush.messages=1, so that the first one waits for the disk. Without an answer its client would repeat it.
#[test]
fn a_request_that_ends_the_connection_does_so_behind_those_that_still_wait() {
    let frame = |body: &[u8]| crate::server::tests::framed(body);
    let undecodable = crate::server::tests::request(ApiKey::Produce, 9, 1, &[0xff; 20]);
    for last in [None, Some(undecodable), Some(frame(&[0; 4])), Some(frame(&[0x7f; 40]))] {
        with_broker(&[], async |scene| {
            scene.create("t", 1, &[("flush.messages", "1")]).await;
            scene.client.ask(&produce::to("t", -1, batch(&["v"])), 9).await;
            match last {
                // KAFKA-1028: a produce with acks=0 that fails.
                None => scene.client.ask(&produce::to("unknown", 0, batch(&["v"])), 9).await,
                Some(bytes) => scene.client.send(bytes).await,
            }
            let answer: ProduceResponse = scene.client.hear(0, 9).await.expect("the first was taken");
            assert_eq!(produced(&answer), (0, 0));
            assert!(scene.client.is_closed().await);
        });
    }
}

/// It holds its name and its answer, but none of the bytes it came with.
#[test]
fn a_request_that_waits_holds_no_memory_of_the_budget() {
    with_broker(&[("queued.max.request.bytes", "1000")], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut waits = scene.connect().await;
        let mut request = fetch::request(12, "t", TopicId::ZERO, &[(0, 0)]);
        request.max_wait_ms = 10_000;
        request.rack_id = "x".repeat(2000).as_str().into();
        waits.ask(&request, 12).await;
        scene.env.sleep(SECOND).await;
        produce::append(scene, "t", batch(&["v"])).await;
        let answer: FetchResponse = waits.hear(1, 12).await.expect("the append woke it");
        let records = answer.responses[0].partitions[0].records.as_ref();
        assert!(records.is_some_and(|records| !records.is_empty()), "the append had its memory in time");
    });
}
