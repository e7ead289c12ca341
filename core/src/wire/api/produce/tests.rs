use kafka_protocol::messages as oracle;
use kafka_protocol::messages::produce_request as oracle_request;
use kafka_protocol::messages::produce_response as oracle_response;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes as OracleStr};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::ids::{BrokerId, LeaderEpoch};

fn text() -> impl Strategy<Value = StrBytes> {
    "[a-zA-Zé._-]{0,12}".prop_map(|text| StrBytes::from(&text[..]))
}

fn oracle_text(text: &StrBytes) -> OracleStr {
    OracleStr::from_string(text.to_string())
}

fn request(version: i16) -> impl Strategy<Value = ProduceRequest> {
    let records = option::of(vec(any::<u8>(), 0..200).prop_map(Bytes::from));
    let partition = (any::<i32>(), records).prop_map(|(index, records)| PartitionProduce { index, records });
    let topic = (text(), any::<[u8; 16]>(), vec(partition, 0..4)).prop_map(move |(name, id, partitions)| {
        let by_id = version >= 13;
        TopicProduce {
            name: if by_id { StrBytes::default() } else { name },
            topic_id: if by_id { Uuid(id) } else { Uuid::ZERO },
            partitions,
        }
    });
    (option::of(text()), any::<i16>(), any::<i32>(), vec(topic, 0..4)).prop_map(
        |(transactional_id, acks, timeout_ms, topics)| ProduceRequest {
            transactional_id,
            acks,
            timeout_ms,
            topics,
        },
    )
}

fn oracle_request(request: &ProduceRequest) -> oracle::ProduceRequest {
    let topic = |topic: &TopicProduce| {
        let partition = |partition: &PartitionProduce| {
            oracle_request::PartitionProduceData::default()
                .with_index(partition.index)
                .with_records(partition.records.clone())
        };
        oracle_request::TopicProduceData::default()
            .with_name(oracle::TopicName(oracle_text(&topic.name)))
            .with_topic_id(uuid(topic.topic_id))
            .with_partition_data(topic.partitions.iter().map(partition).collect())
    };
    oracle::ProduceRequest::default()
        .with_transactional_id(
            request.transactional_id.as_ref().map(|id| oracle::TransactionalId(oracle_text(id))),
        )
        .with_acks(request.acks)
        .with_timeout_ms(request.timeout_ms)
        .with_topic_data(request.topics.iter().map(topic).collect())
}

/// The oracle's type of ids is another crate's, whose name is not ours to import.
fn uuid<T: std::str::FromStr<Err: std::fmt::Debug>>(id: Uuid) -> T {
    format!("{:032x}", u128::from_be_bytes(id.0)).parse().expect("an id is 32 hexadecimal digits")
}

fn response(version: i16) -> impl Strategy<Value = ProduceResponse> {
    let leader = (0..9i32, any::<i32>()).prop_map(|(leader, epoch)| CurrentLeader {
        leader_id: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
    });
    let error = (any::<i32>(), option::of(text()))
        .prop_map(|(batch_index, message)| RecordError { batch_index, message });
    let numbers = (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>());
    let rest = (vec(error, 0..3), option::of(text()), option::of(leader));
    let partition = (numbers, rest).prop_map(
        move |((index, error_code, base_offset, append_time, log_start), (errors, message, leader))| {
            PartitionProduced {
                index,
                error_code,
                base_offset,
                log_append_time_ms: append_time,
                log_start_offset: if version >= 5 { log_start } else { -1 },
                record_errors: if version >= 8 { errors } else { Vec::new() },
                error_message: message.filter(|_| version >= 8),
                current_leader: leader.filter(|_| version >= 10),
            }
        },
    );
    let topic = (text(), any::<[u8; 16]>(), vec(partition, 0..4)).prop_map(move |(name, id, partitions)| {
        let by_id = version >= 13;
        TopicProduced {
            name: if by_id { StrBytes::default() } else { name },
            topic_id: if by_id { Uuid(id) } else { Uuid::ZERO },
            partitions,
        }
    });
    let endpoint =
        (any::<i32>(), text(), any::<i32>(), option::of(text())).prop_map(|(node_id, host, port, rack)| {
            NodeEndpoint { node_id: BrokerId(node_id), host, port, rack }
        });
    (vec(topic, 0..4), any::<i32>(), vec(endpoint, 0..3)).prop_map(
        move |(topics, throttle_time_ms, nodes)| ProduceResponse {
            topics,
            throttle_time_ms,
            node_endpoints: if version >= 10 { nodes } else { Vec::new() },
        },
    )
}

fn oracle_response(response: &ProduceResponse) -> oracle::ProduceResponse {
    let error = |error: &RecordError| {
        oracle_response::BatchIndexAndErrorMessage::default()
            .with_batch_index(error.batch_index)
            .with_batch_index_error_message(error.message.as_ref().map(oracle_text))
    };
    let partition = |partition: &PartitionProduced| {
        let mut theirs = oracle_response::PartitionProduceResponse::default()
            .with_index(partition.index)
            .with_error_code(partition.error_code)
            .with_base_offset(partition.base_offset)
            .with_log_append_time_ms(partition.log_append_time_ms)
            .with_log_start_offset(partition.log_start_offset)
            .with_record_errors(partition.record_errors.iter().map(error).collect())
            .with_error_message(partition.error_message.as_ref().map(oracle_text));
        if let Some(leader) = partition.current_leader {
            theirs.current_leader = oracle_response::LeaderIdAndEpoch::default()
                .with_leader_id(oracle::BrokerId(leader.leader_id.0))
                .with_leader_epoch(leader.leader_epoch.0);
        }
        theirs
    };
    let topic = |topic: &TopicProduced| {
        oracle_response::TopicProduceResponse::default()
            .with_name(oracle::TopicName(oracle_text(&topic.name)))
            .with_topic_id(uuid(topic.topic_id))
            .with_partition_responses(topic.partitions.iter().map(partition).collect())
    };
    let endpoint = |endpoint: &NodeEndpoint| {
        oracle_response::NodeEndpoint::default()
            .with_node_id(oracle::BrokerId(endpoint.node_id.0))
            .with_host(oracle_text(&endpoint.host))
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.as_ref().map(oracle_text))
    };
    oracle::ProduceResponse::default()
        .with_responses(response.topics.iter().map(topic).collect())
        .with_throttle_time_ms(response.throttle_time_ms)
        .with_node_endpoints(response.node_endpoints.iter().map(endpoint).collect())
}

fn by_version<T: std::fmt::Debug, S: Strategy<Value = T>>(
    of: impl Fn(i16) -> S,
) -> impl Strategy<Value = (i16, T)> {
    (3i16..=13).prop_flat_map(move |version| (Just(version), of(version)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn requests_agree_with_the_oracle_byte_for_byte((version, ours) in by_version(request)) {
        let mut theirs = BytesMut::new();
        oracle_request(&ours).encode(&mut theirs, version).expect("the oracle encodes");
        let mut bytes = BytesMut::new();
        ours.encode(version, &mut bytes);
        prop_assert_eq!(&bytes, &theirs);
        prop_assert_eq!(ProduceRequest::decode(&theirs.freeze(), version).expect("decodes"), ours);
    }

    #[test]
    fn responses_agree_with_the_oracle_byte_for_byte((version, ours) in by_version(response)) {
        let mut theirs = BytesMut::new();
        oracle_response(&ours).encode(&mut theirs, version).expect("the oracle encodes");
        let mut bytes = BytesMut::new();
        ours.encode(version, &mut bytes);
        prop_assert_eq!(&bytes, &theirs);
        prop_assert_eq!(ProduceResponse::decode(&theirs.freeze(), version).expect("decodes"), ours);
    }

    #[test]
    fn cut_or_damaged_requests_are_errors_never_panics(
        (version, ours) in by_version(request),
        (cut, at, byte) in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
    ) {
        let mut bytes = BytesMut::new();
        ours.encode(version, &mut bytes);
        let cut = cut.index(bytes.len());
        prop_assert!(ProduceRequest::decode(&Bytes::copy_from_slice(&bytes[..cut]), version).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let damaged = bytes.freeze();
        if let Ok(request) = ProduceRequest::decode(&damaged, version) {
            // What we accept is what the oracle would have understood. It refuses unknown tagged fields, and it
            // aborts the process on some counts, so that it cannot be asked about everything.
            let mut again = BytesMut::new();
            request.encode(version, &mut again);
            let understood = oracle::ProduceRequest::decode(&mut again.freeze(), version).expect("decodes");
            prop_assert_eq!(understood, oracle_request(&request));
        }
    }

    #[test]
    fn any_bytes_are_survived(version in 3i16..=13, bytes in vec(any::<u8>(), 0..100)) {
        let bytes = Bytes::from(bytes);
        let _ = ProduceRequest::decode(&bytes, version);
        let _ = ProduceResponse::decode(&bytes, version);
    }
}

#[test]
fn records_alias_the_frame() {
    let request = ProduceRequest {
        topics: vec![TopicProduce {
            partitions: vec![PartitionProduce { index: 0, records: Some(Bytes::from_static(b"records")) }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut buffer = BytesMut::new();
    request.encode(9, &mut buffer);
    let frame = buffer.freeze();
    let decoded = ProduceRequest::decode(&frame, 9).expect("decodes");
    let records = decoded.topics[0].partitions[0].records.as_ref().expect("there are records");
    assert!(frame.as_ptr_range().contains(&records.as_ptr()));
}

/// Six bytes a partition, with null records: the cost of decoding is bounded by a count, not by the frame.
#[test]
fn a_request_for_more_partitions_than_anybody_has_is_refused_before_they_fill_the_memory() {
    let partitions = |count: usize| {
        let partition = PartitionProduce { index: 0, records: None };
        let topic = TopicProduce { partitions: vec![partition; count], ..Default::default() };
        let request = ProduceRequest { acks: 1, topics: vec![topic.clone(), topic], ..Default::default() };
        let mut body = BytesMut::new();
        request.encode(9, &mut body);
        body.freeze()
    };
    assert!(ProduceRequest::decode(&partitions(ENTRIES_MAX / 2 - 1), 9).is_ok());
    assert!(ProduceRequest::decode(&partitions(ENTRIES_MAX / 2), 9).is_err(), "topics count too");
    let body = partitions(ENTRIES_MAX + 1);
    let cost = allocation_counter::measure(|| assert!(ProduceRequest::decode(&body, 9).is_err()));
    assert!(cost.bytes_max < 4096, "{}", cost.bytes_max);
}
