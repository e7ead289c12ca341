use kafka_protocol::messages as oracle;
use kafka_protocol::messages::fetch_response as oracle_response;
use kafka_protocol::protocol::{Encodable, StrBytes as OracleStr};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::ids::{BrokerId, Uuid};
use crate::wire::codec::StrBytes;

type Topic = (String, Uuid, Vec<(FetchedPartition, Vec<Bytes>)>);

#[derive(Clone, Debug)]
struct Response {
    version: i16,
    head: FetchHead,
    topics: Vec<Topic>,
    node_endpoints: Vec<NodeEndpoint>,
}

fn partition(version: i16) -> impl Strategy<Value = FetchedPartition> {
    let numbers = (any::<i32>(), any::<i16>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i32>());
    let aborted = option::of(vec((any::<i64>(), any::<i64>()), 0..3));
    let epochs = (option::of((0..9i32, any::<i64>())), option::of((0..9i32, any::<i32>())));
    (numbers, aborted, epochs).prop_map(move |(numbers, aborted, (diverging, leader))| FetchedPartition {
        index: numbers.0,
        error_code: numbers.1,
        high_watermark: Offset(numbers.2),
        last_stable_offset: Offset(numbers.3),
        log_start_offset: Offset(if version >= 5 { numbers.4 } else { -1 }),
        aborted_transactions: aborted
            .map(|list| list.into_iter().map(|(id, first)| (ProducerId(id), Offset(first))).collect()),
        preferred_read_replica: if version >= 11 { numbers.5 } else { -1 },
        diverging_epoch: diverging
            .filter(|_| version >= 12)
            .map(|(epoch, end)| (LeaderEpoch(epoch), Offset(end))),
        current_leader: leader.filter(|_| version >= 12).map(|(leader, epoch)| CurrentLeader {
            leader_id: BrokerId(leader),
            leader_epoch: LeaderEpoch(epoch),
        }),
    })
}

fn response() -> impl Strategy<Value = Response> {
    (4i16..=18).prop_flat_map(|version| {
        let slices = vec(vec(any::<u8>(), 0..100).prop_map(Bytes::from), 0..3);
        let topic = ("[a-z]{1,9}", any::<[u8; 16]>(), vec((partition(version), slices), 0..4))
            .prop_map(|(name, id, partitions)| (name, Uuid(id), partitions));
        let endpoint = (any::<i32>(), "[a-z]{0,9}", any::<i32>(), option::of("[a-z]{0,9}")).prop_map(
            |(node_id, host, port, rack)| NodeEndpoint {
                node_id: BrokerId(node_id),
                host: StrBytes::from(host),
                port,
                rack: rack.map(StrBytes::from),
            },
        );
        let head = (any::<i32>(), any::<i16>(), any::<i32>());
        (head, vec(topic, 0..4), vec(endpoint, 0..3)).prop_map(
            move |((throttle_time_ms, error_code, session_id), topics, node_endpoints)| Response {
                version,
                head: FetchHead {
                    throttle_time_ms,
                    error_code: if version >= 7 { error_code } else { 0 },
                    session_id: if version >= 7 { session_id } else { 0 },
                },
                topics,
                node_endpoints: if version >= 16 { node_endpoints } else { Vec::new() },
            },
        )
    })
}

fn write(response: &Response) -> Vec<Segment<Bytes>> {
    let mut writer = FetchResponseWriter::new(response.version, 7, response.head, response.topics.len());
    for (name, id, partitions) in &response.topics {
        writer.topic(name, *id, partitions.len());
        for (partition, slices) in partitions {
            writer.partition(partition, slices.iter().cloned());
        }
    }
    writer.finish(&response.node_endpoints).expect("a small response")
}

fn oracle_partition((partition, slices): &(FetchedPartition, Vec<Bytes>)) -> oracle_response::PartitionData {
    let aborted = |(id, first): &(ProducerId, Offset)| {
        oracle_response::AbortedTransaction::default()
            .with_producer_id(oracle::ProducerId(id.0))
            .with_first_offset(first.0)
    };
    let mut theirs = oracle_response::PartitionData::default()
        .with_partition_index(partition.index)
        .with_error_code(partition.error_code)
        .with_high_watermark(partition.high_watermark.0)
        .with_last_stable_offset(partition.last_stable_offset.0)
        .with_log_start_offset(partition.log_start_offset.0)
        .with_aborted_transactions(
            partition.aborted_transactions.as_ref().map(|list| list.iter().map(aborted).collect()),
        )
        .with_preferred_read_replica(oracle::BrokerId(partition.preferred_read_replica))
        .with_records(Some(slices.concat().into()));
    if let Some((epoch, end)) = partition.diverging_epoch {
        theirs.diverging_epoch =
            oracle_response::EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0);
    }
    if let Some(leader) = partition.current_leader {
        theirs.current_leader = oracle_response::LeaderIdAndEpoch::default()
            .with_leader_id(oracle::BrokerId(leader.leader_id.0))
            .with_leader_epoch(leader.leader_epoch.0);
    }
    theirs
}

fn oracle_bytes(response: &Response) -> BytesMut {
    let by_id = response.version >= 13;
    let topic = |(name, id, partitions): &Topic| {
        let mut theirs = oracle_response::FetchableTopicResponse::default()
            .with_partitions(partitions.iter().map(oracle_partition).collect());
        if by_id {
            let text = format!("{:032x}", u128::from_be_bytes(id.0));
            theirs.topic_id = text.parse().expect("an id is 32 hexadecimal digits");
        } else {
            theirs.topic = oracle::TopicName(OracleStr::from_string(name.clone()));
        }
        theirs
    };
    let endpoint = |endpoint: &NodeEndpoint| {
        oracle_response::NodeEndpoint::default()
            .with_node_id(oracle::BrokerId(endpoint.node_id.0))
            .with_host(OracleStr::from_string(endpoint.host.to_string()))
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.as_ref().map(|rack| OracleStr::from_string(rack.to_string())))
    };
    let mut bytes = BytesMut::new();
    oracle::FetchResponse::default()
        .with_throttle_time_ms(response.head.throttle_time_ms)
        .with_error_code(response.head.error_code)
        .with_session_id(response.head.session_id)
        .with_responses(response.topics.iter().map(topic).collect())
        .with_node_endpoints(response.node_endpoints.iter().map(endpoint).collect())
        .encode(&mut bytes, response.version)
        .expect("the oracle encodes");
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn responses_agree_with_the_oracle_byte_for_byte(ours in response()) {
        let segments = write(&ours);
        let sent: Vec<u8> = segments
            .iter()
            .flat_map(|segment| match segment {
                Segment::Inline(bytes) | Segment::Slice(bytes) => bytes.to_vec(),
            })
            .collect();
        let flexible = ours.version >= 12;
        let body = oracle_bytes(&ours);
        let mut expected = BytesMut::new();
        expected.extend_from_slice(&((body.len() + 4 + usize::from(flexible)) as i32).to_be_bytes());
        expected.extend_from_slice(&7i32.to_be_bytes());
        expected.extend_from_slice(if flexible { &[0] } else { &[] });
        expected.extend_from_slice(&body);
        prop_assert_eq!(&sent[..], &expected[..]);
        // And every record went by as a slice.
        let sliced: usize = segments
            .iter()
            .map(|segment| if let Segment::Slice(bytes) = segment { bytes.len() } else { 0 })
            .sum();
        let records = ours.topics.iter().flat_map(|topic| &topic.2).flat_map(|partition| &partition.1);
        prop_assert_eq!(sliced, records.map(Bytes::len).sum::<usize>());
        // The generated codec, which reads responses on the client's side, agrees.
        let frame = Bytes::from(sent).slice(4..);
        let body = response::body(&frame, flexible).expect("the header is right");
        let read: FetchResponse = response::decode(&body, ours.version).expect("decodes");
        prop_assert_eq!(read.responses.len(), ours.topics.len());
    }
}

#[test]
#[should_panic(expected = "as many partitions as were named")]
fn a_missing_partition_is_a_bug_found_at_once() {
    let mut writer = FetchResponseWriter::<Bytes>::new(12, 1, FetchHead::default(), 1);
    writer.topic("t", Uuid::ZERO, 1);
    let _ = writer.finish(&[]);
}
