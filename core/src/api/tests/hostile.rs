//! Items 7 and 9 to 12 of the hostile inputs: bodies. Each is answered or closes the connection; nothing panics, and
//! the next client is served.

use std::future::poll_fn;

use super::*;
use crate::server::dispatch;
use crate::server::response::Outgoing;
use crate::server::tests::request as raw;
use crate::wire::messages::*;

/// Sends a body of this key and version; the broker may answer or close, and then serves another client.
async fn survives(scene: &mut Scene<'_>, key: ApiKey, version: i16, body: &[u8]) {
    let mut hostile = scene.connect().await;
    hostile.send(raw(key, version, 1, body)).await;
    // Half-closed, so that a produce with acks=0 does not leave this test waiting.
    hostile.end().await;
    let _ = hostile.receive().await;
    let response = scene.call(&ApiVersionsRequest::default(), 0).await;
    assert_eq!(response.error_code, 0);
}

/// Every key in its lowest and highest version.
fn offered() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::ALL.iter().flat_map(|&key| {
        let versions = key.versions();
        [versions.served_min, versions.max].map(|version| (key, version))
    })
}

/// Items 9 to 12: counts, lengths and varints from hell at the start of every body. Limit: the bytes that are there.
#[test]
fn claimed_counts_and_lengths_cost_nothing() {
    let bodies: [&[u8]; 12] = [
        b"",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff\x07",
        b"\xff\xff\xff\xfe",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x80\x80\x80\x80\x80\x80\x00",
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x00\x80\x00\x80\x00\x80\x00",
        b"\x7f\xff\x7f\xff\x7f\xff\x7f\xff\x7f\xff",
        b"\x02\xff\xfe\x02\xff\xfe\x02\xff",
        &[1; 64],
    ];
    let cost = allocation_counter::measure(|| {
        with_broker(&[], async |scene| {
            for (key, version) in offered() {
                for body in bodies {
                    survives(scene, key, version, body).await;
                }
            }
        });
    });
    let idle = allocation_counter::measure(|| with_broker(&[], async |_| ()));
    // Each of some 400 connections buffers up to 1 MiB in each direction in this world; a count that was believed is
    // gigabytes.
    assert!(cost.bytes_max < idle.bytes_max + (32 << 20), "{} of {}", cost.bytes_max, idle.bytes_max);
}

/// Item 10: noise. Deterministic, so that a failure can be repeated.
#[test]
fn noise_is_survived_by_every_key() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (key, version) in offered() {
            for _ in 0..40 {
                let len = draw() % 80;
                // Small bytes are more often a count or a length that fits.
                let body: Vec<u8> =
                    (0..len).map(|_| (draw() % if draw() % 3 == 0 { 256 } else { 4 }) as u8).collect();
                survives(scene, key, version, &body).await;
            }
        }
    });
}

/// Item 7: requests that mean something, cut one byte early at every place, and with one bit turned at every place.
#[test]
fn requests_cut_or_bent_anywhere_are_survived() {
    fn body<M: KafkaRequest>(message: &M, version: i16) -> (ApiKey, i16, Vec<u8>) {
        let mut frame = BytesMut::new();
        request::encode(1, Some(""), message, version, &mut frame).expect("the version has these fields");
        let key = ApiKey::from_code(M::API_KEY.value()).expect("a key of the table");
        let header = if key.is_flexible(version) { 15 } else { 14 };
        (key, version, frame[header..].to_vec())
    }
    let id = crate::ids::TopicId::ZERO;
    // Only judged: a bent count may be a lawful one of thousands.
    let topics = vec![creatable("u", 1, &[("flush.ms", "1")])];
    let mut more = topics::more_partitions("t", 2);
    more.validate_only = true;
    let requests = [
        body(&produce::request(9, "t", id, -1, &[(0, Some(batch(&["v"])))]), 9),
        body(&produce::request(3, "t", id, 0, &[(0, Some(batch(&["v"])))]), 3),
        body(&fetch::request(12, "t", id, &[(0, 0), (1, 0)]), 12),
        body(&fetch::request(4, "t", id, &[(0, 0), (1, 0)]), 4),
        body(&offsets::latest("t", 0), 11),
        body(&offsets::epoch_end("t", -2, 0), 4),
        body(&offsets::delete_records("t", -1), 2),
        body(&configs::describe(2, "t", true), 4),
        body(&configs::change("t", &[("retention.ms", 0, "5")]), 1),
        body(&more, 3),
        body(&message!(CreateTopicsRequest { topics: topics, validate_only: true }), 7),
    ];
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (key, version, body) in requests {
            for end in 0..body.len() {
                survives(scene, key, version, &body[..end]).await;
                let mut bent = body.clone();
                bent[end] ^= 1 << (end % 8);
                survives(scene, key, version, &bent).await;
            }
        }
    });
}

/// Item 23. Limit: exactly one batch for each partition.
#[test]
fn record_sets_of_no_batch_or_several_are_refused() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let two = [batch(&["a"]), batch(&["b"])].concat();
        for records in [Bytes::new(), two.into(), Bytes::from_static(&[0; 61]), Bytes::from_static(b"x")] {
            let request = produce::request(9, "t", crate::ids::TopicId::ZERO, -1, &[(0, Some(records))]);
            let response = scene.call(&request, 9).await;
            assert_ne!(response.responses[0].partition_responses[0].error_code, 0);
        }
        assert_eq!(produce::append(scene, "t", batch(&["v"])).await, 0);
    });
}

/// Items 14 to 20: any bit of a batch's header may be wrong. What is taken is then read back without harm.
#[test]
fn a_batch_with_any_byte_of_its_header_bent_is_refused_or_survived() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let good = batch(&["a", "b"]);
        for at in 0..61 {
            for bit in 0..8 {
                let mut bent = good.to_vec();
                bent[at] ^= 1 << bit;
                if at >= crate::record::batch::CRC_START {
                    let crc = crate::record::batch::crc32c(&bent[crate::record::batch::CRC_START..]);
                    bent[17..21].copy_from_slice(&crc.to_be_bytes());
                }
                let topic_id = crate::ids::TopicId::ZERO;
                let request = produce::request(9, "t", topic_id, -1, &[(0, Some(bent.into()))]);
                let _ = scene.call(&request, 9).await;
            }
        }
        let response = scene.call(&offsets::latest("t", 0), 11).await;
        let end = response.topics[0].partitions[0].offset;
        for timestamp in [0, 1000, i64::MAX, -3] {
            let response = scene.call(&offsets::at("t", 0, timestamp), 11).await;
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
        }
        for offset in 0..end {
            let request = fetch::request(12, "t", crate::ids::TopicId::ZERO, &[(0, offset)]);
            let response = scene.call(&request, 12).await;
            assert_eq!(response.responses[0].partitions[0].error_code, 0);
        }
    });
}

/// Item 13. Limit: 100,000 topics in one request cost some hundred bytes each, and others are served meanwhile.
#[test]
fn a_hundred_thousand_topics_in_one_request_are_answered() {
    let cost = allocation_counter::measure(|| {
        with_broker(&[("auto.create.topics.enable", "false")], async |scene| {
            let topics = (0..100_000).map(|number| {
                message!(metadata_request::MetadataRequestTopic { name: Some(format!("t{number}").into()) })
            });
            let request = message!(MetadataRequest { topics: Some(topics.collect()) });
            let mut frame = BytesMut::new();
            request::encode(77, None, &request, 12, &mut frame).expect("the version has these fields");
            let (frame, services) = (frame.freeze().slice(4..), scene.node.services());
            let mut outgoing = Outgoing::default();
            let mut handling = std::pin::pin!(dispatch::handle(services, frame, &mut outgoing));
            let mut turns = 0;
            poll_fn(|context| {
                turns += 1;
                handling.as_mut().poll(context).map(drop)
            })
            .await;
            assert!(turns > 100, "others got the thread only {turns} times");
            let response = scene.client.call(&request, 12).await;
            assert_eq!(response.topics.len(), 100_000);
        });
    });
    assert!(cost.bytes_max < 200 << 20, "{} bytes, the client's included", cost.bytes_max);
}

/// Six bytes each, in one frame, and 100 MiB of them would be gigabytes in the making of their answer.
#[test]
fn a_million_partitions_in_one_request_close_the_connection_before_they_cost_anything() {
    let cost = allocation_counter::measure(|| {
        with_broker(&[], async |scene| {
            scene.create("t", 1, &[]).await;
            let topic_id = crate::ids::TopicId::ZERO;
            let mut request = produce::request(9, "t", topic_id, -1, &[(0, None)]);
            let partition = request.topic_data[0].partition_data[0].clone();
            request.topic_data[0].partition_data = vec![partition; 1_000_000];
            let mut hostile = scene.connect().await;
            hostile.ask(&request, 9).await;
            assert!(hostile.receive().await.is_none());
            assert_eq!(produce::append(scene, "t", batch(&["v"])).await, 0);
        });
    });
    // Of which 64 MB are this test's own request, and frames and buffers of 6 MB a few times.
    assert!(cost.bytes_max < 160 << 20, "{} bytes", cost.bytes_max);
}

/// A batch of one record whose payload is compressed bytes of our choice, with a right CRC.
fn compressed(codec: Codec, payload: &[u8]) -> Bytes {
    let mut bytes = batch(&["v"])[..61].to_vec();
    bytes.extend_from_slice(payload);
    let len = i32::try_from(bytes.len() - 12).expect("small");
    bytes[8..12].copy_from_slice(&len.to_be_bytes());
    bytes[21..23].copy_from_slice(&(codec as i16).to_be_bytes());
    let crc = crate::record::batch::crc32c(&bytes[crate::record::batch::CRC_START..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// Items 21 and 22: a payload that lies. It is stored as it came, since the broker decodes no records on the way in;
/// a lookup by time decodes it under a limit of 16 MiB and answers all the same.
#[test]
fn compressed_bombs_and_garbage_are_stored_and_survived() {
    use crate::record::compression::compress;
    let zeros = vec![0; 64 << 20];
    let codecs = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let mut payloads: Vec<(Codec, Vec<u8>)> = Vec::new();
    for codec in codecs {
        let bomb = compress(codec, &zeros[..if codec == Codec::Snappy { 8 << 20 } else { zeros.len() }]);
        payloads.push((codec, bomb[..bomb.len() / 2].to_vec()));
        payloads.push((codec, b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f garbage".to_vec()));
        payloads.push((codec, bomb.to_vec()));
    }
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (codec, payload) in payloads {
            produce::append(scene, "t", compressed(codec, &payload)).await;
        }
        for timestamp in [0, 500, 1000, -3] {
            let response = scene.call(&offsets::at("t", 0, timestamp), 11).await;
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
        }
        let fetch = fetch::request(12, "t", crate::ids::TopicId::ZERO, &[(0, 0)]);
        assert_eq!(scene.call(&fetch, 12).await.responses[0].partitions[0].high_watermark, 12);
    });
}

/// Item 22 (KIP-110): a client of Produce 6 could not read what it wrote.
#[test]
fn zstd_needs_produce_7() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let records = compressed(Codec::Zstd, b"whatever");
        for (version, error) in [(6, ErrorCode::UnsupportedCompressionType), (7, ErrorCode::None)] {
            let topic_id = crate::ids::TopicId::ZERO;
            let request = produce::request(version, "t", topic_id, -1, &[(0, Some(records.clone()))]);
            let response = scene.call(&request, version).await;
            assert_eq!(response.responses[0].partition_responses[0].error_code, code(error));
        }
    });
}
