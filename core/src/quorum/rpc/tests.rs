//! Each message there and back in every version, over Kafka's bytes, and what is turned away.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Decodable;

use super::fetch::{RecordsError, Wait};
use super::*;
use crate::epochs::{EpochEnd, LogEnd, SnapshotId};
use crate::ids::Offset;
use crate::raft::messages::*;
use crate::raft::{Endpoint, ReplicaKey};
use crate::record::batch::BatchError;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::time::Timestamp;
use crate::wire::codec::{ApiVersion, Encoder, KafkaDecode, KafkaEncode};
use crate::wire::message;
use crate::wire::messages;
use crate::wire::response;

const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
const ME: BrokerId = BrokerId(2);

fn bytes_of<M: KafkaEncode>(message: &M, version: i16) -> Bytes {
    let mut bytes = BytesMut::new();
    message.encode(&mut Encoder::new(&mut bytes), ApiVersion::new(version)).expect("it can be said");
    bytes.freeze()
}

fn sent<M: KafkaEncode + KafkaDecode>(message: &M, version: i16) -> M {
    response::decode(&bytes_of(message, version), version).expect("what was encoded is read")
}

fn key(id: i32, directory: u8) -> ReplicaKey {
    ReplicaKey { id: BrokerId(id), directory: Uuid([directory; 16]) }
}

fn address(id: i32) -> LeaderAddress {
    LeaderAddress { id: BrokerId(id), host: "controller.example".to_owned(), port: 9093 }
}

fn stands(epoch: i32, leader: Option<i32>) -> Standing {
    Standing { epoch: LeaderEpoch(epoch), leader: leader.map(BrokerId) }
}

const REFUSALS: &[Refusal] = &[
    Refusal::FencedLeaderEpoch,
    Refusal::UnknownLeaderEpoch,
    Refusal::NotLeader,
    Refusal::InvalidVoterKey,
    Refusal::InvalidRequest,
    Refusal::SnapshotNotFound,
    Refusal::PositionOutOfRange,
];

#[test]
fn a_vote_is_asked_for_in_every_version() {
    for version in 0..=2 {
        let directory = if version == 0 { 0 } else { 7 };
        let vote = VoteRequest {
            epoch: LeaderEpoch(5),
            candidate: key(1, directory),
            voter: key(2, directory),
            log_end: LogEnd { epoch: LeaderEpoch(4), offset: Offset(99) },
            pre_vote: version >= 2,
        };
        let mut wire = vote::request(&vote, CLUSTER);
        if version == 0 {
            wire.voter_id = -1;
        }
        assert_eq!(vote::parse_request(&sent(&wire, version), CLUSTER, ME), Ok(vote), "version {version}");
    }
}

#[test]
fn a_stranger_to_this_codec_reads_the_vote_as_it_was_meant() {
    let log_end = LogEnd { epoch: LeaderEpoch(4), offset: Offset(99) };
    let vote = VoteRequest {
        epoch: LeaderEpoch(5),
        candidate: key(1, 7),
        voter: key(2, 8),
        log_end,
        pre_vote: true,
    };
    let mut bytes = bytes_of(&vote::request(&vote, CLUSTER), 2);
    let read = kafka_protocol::messages::VoteRequest::decode(&mut bytes, 2).expect("Kafka's bytes");
    assert_eq!((read.cluster_id.as_deref(), read.voter_id.0), (Some(CLUSTER), 2));
    let partition = &read.topics[0].partitions[0];
    assert_eq!(read.topics[0].topic_name.0.as_str(), TOPIC);
    assert_eq!((partition.replica_epoch, partition.replica_id.0, partition.partition_index), (5, 1, 0));
    assert_eq!(partition.replica_directory_id.as_bytes(), &[7; 16]);
    assert_eq!(partition.voter_directory_id.as_bytes(), &[8; 16]);
    assert_eq!((partition.last_offset_epoch, partition.last_offset, partition.pre_vote), (4, 99, true));
}

#[test]
fn a_vote_is_answered_with_the_leader_and_where_it_is() {
    let answers = [Ok(true), Ok(false)].into_iter().chain(REFUSALS.iter().map(|refusal| Err(*refusal)));
    for granted in answers {
        for (version, leader) in [(0, None), (1, Some(3)), (2, Some(3)), (2, None)] {
            let answer = VoteResponse { standing: stands(5, leader), granted, pre_vote: version == 2 };
            let wire = vote::response(&answer, Some(&address(3)), version);
            let told = leader.filter(|_| version >= 1).map(address);
            let parsed = vote::parse_response(&sent(&wire, version), version == 2);
            assert_eq!(parsed, Ok((answer, told)), "version {version}");
        }
    }
}

#[test]
fn an_address_is_told_of_nobody_but_the_leader() {
    let answer = VoteResponse { standing: stands(5, Some(1)), granted: Ok(false), pre_vote: false };
    assert_eq!(vote::response(&answer, Some(&address(3)), 2).node_endpoints, []);
    let mut wire = vote::response(&answer, Some(&address(1)), 2);
    wire.node_endpoints[0].node_id = 3;
    assert_eq!(vote::parse_response(&wire, false).map(|(_, leader)| leader), Ok(None));
}

#[test]
fn an_epoch_begins_in_every_version() {
    let listens = Endpoint { listener: "CONTROLLER".to_owned(), host: "one.example".to_owned(), port: 9093 };
    for version in 0..=1 {
        let directory = if version == 0 { 0 } else { 7 };
        let voter = key(2, directory);
        let begin = BeginQuorumEpochRequest { epoch: LeaderEpoch(5), leader: BrokerId(1), voter };
        let endpoints = if version == 0 { vec![] } else { vec![listens.clone()] };
        let mut wire = begin_quorum_epoch::request(&begin, CLUSTER, &endpoints);
        if version == 0 {
            wire.voter_id = -1;
        }
        let parsed = begin_quorum_epoch::parse_request(&sent(&wire, version), CLUSTER, ME);
        assert_eq!(parsed, Ok((begin, endpoints)), "version {version}");
    }
}

#[test]
fn an_epoch_ends_in_every_version() {
    for version in 0..=1 {
        let directory = if version == 0 { 0 } else { 7 };
        let successors = vec![key(3, directory), key(2, directory)];
        let end = EndQuorumEpochRequest { epoch: LeaderEpoch(5), leader: BrokerId(1), successors };
        let listens =
            Endpoint { listener: "CONTROLLER".to_owned(), host: "one.example".to_owned(), port: 9093 };
        let wire = end_quorum_epoch::request(&end, CLUSTER, &[listens], version);
        assert_eq!(
            end_quorum_epoch::parse_request(&sent(&wire, version), CLUSTER),
            Ok(end),
            "version {version}"
        );
    }
}

#[test]
fn the_begin_and_the_end_of_an_epoch_are_answered() {
    let refusals = std::iter::once(None).chain(REFUSALS.iter().copied().map(Some));
    for refusal in refusals {
        for version in 0..=1 {
            let answer = EpochResponse { standing: stands(5, Some(3)), refusal };
            let told = (version >= 1).then(|| address(3));
            let begin = begin_quorum_epoch::response(&answer, Some(&address(3)), version);
            let begin = begin_quorum_epoch::parse_response(&sent(&begin, version));
            assert_eq!(begin, Ok((answer, told.clone())), "version {version}");
            let end = end_quorum_epoch::response(&answer, Some(&address(3)), version);
            assert_eq!(
                end_quorum_epoch::parse_response(&sent(&end, version)),
                Ok((answer, told)),
                "version {version}"
            );
        }
    }
}

const WAIT: Wait = Wait { max_wait_ms: 500, max_bytes: 8 << 20 };

fn fetches(version: i16, offset: i64) -> FetchRequest {
    FetchRequest {
        request_id: 0,
        epoch: LeaderEpoch(5),
        replica: key(3, if version >= 17 { 7 } else { 0 }),
        log_end: LogEnd { epoch: LeaderEpoch(4), offset: Offset(offset) },
        high_watermark: Offset(if version >= 18 { 90 } else { i64::MAX }),
    }
}

#[test]
fn a_fetch_is_asked_in_every_version_and_a_replica_that_says_no_high_watermark_is_never_behind() {
    for version in fetch::VERSION_MIN..=18 {
        let request = fetches(version, 99);
        let mut wire = fetch::request(&request, CLUSTER, WAIT);
        if version < 15 {
            (wire.replica_id, wire.replica_state.replica_id) = (3, -1);
        }
        let parsed = fetch::parse_request(&sent(&wire, version), CLUSTER);
        assert_eq!(parsed, Ok((request, WAIT)), "version {version}");
    }
}

/// A batch with so many records from `offset` on.
fn batch(offset: i64, epoch: i32, records: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None);
    for _ in 0..records {
        builder.append(Timestamp(1), None, Some(b"value"), &[]);
    }
    let mut bytes = builder.build().to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    bytes
}

#[test]
fn a_fetch_is_answered_in_every_way_and_version() {
    let log_end = LogEnd { epoch: LeaderEpoch(5), offset: Offset(102) };
    let ways = [
        Fetched::Records(log_end),
        Fetched::Diverging(EpochEnd { epoch: LeaderEpoch(3), end: Offset(80) }),
        Fetched::Snapshot(SnapshotId { end: Offset(120), epoch: LeaderEpoch(4) }),
    ];
    let refused = REFUSALS.iter().map(|refusal| Fetched::Refused(*refusal));
    for fetched in ways.into_iter().chain(refused) {
        for version in fetch::VERSION_MIN..=18 {
            let has_records = matches!(fetched, Fetched::Records(_));
            let records = if has_records { [batch(99, 4, 1), batch(100, 5, 2)].concat() } else { Vec::new() };
            let records = Bytes::from(records);
            let standing = stands(5, Some(1));
            let response = FetchResponse { request_id: 17, standing, high_watermark: Offset(98), fetched };
            let wire = fetch::response(&response, (Offset(0), records.clone()), Some(&address(1)), version);
            let request = FetchRequest { request_id: 17, ..fetches(version, 99) };
            let answer = fetch::parse_response(&sent(&wire, version), &request).expect("an answer");
            assert_eq!((answer.response, answer.records), (response, records), "version {version}");
            assert_eq!(answer.leader, (version >= 17).then(|| address(1)));
        }
    }
}

fn answer_with(records: Vec<u8>) -> Result<(Bytes, Fetched), ResponseError> {
    let fetched = Fetched::Records(LogEnd::default());
    let (standing, high_watermark) = (stands(5, Some(1)), Offset(98));
    let response = FetchResponse { request_id: 0, standing, high_watermark, fetched };
    let wire = fetch::response(&response, (Offset(0), records.into()), None, 18);
    fetch::parse_response(&wire, &fetches(18, 99)).map(|answer| (answer.records, answer.response.fetched))
}

#[test]
fn a_batch_that_is_cut_short_comes_with_the_next_fetch() {
    let whole = batch(99, 4, 2);
    let both = [whole.clone(), batch(101, 5, 1)].concat();
    for length in whole.len()..both.len() {
        let end = LogEnd { epoch: LeaderEpoch(4), offset: Offset(101) };
        let answer = answer_with(both[..length].to_vec());
        assert_eq!(answer, Ok((Bytes::from(whole.clone()), Fetched::Records(end))), "{length} bytes");
    }
    let end = LogEnd { epoch: LeaderEpoch(4), offset: Offset(99) };
    assert_eq!(answer_with(Vec::new()), Ok((Bytes::new(), Fetched::Records(end))));
    for length in 1..whole.len() {
        // The first batch comes whole, whatever its size: this one would be asked for again and again.
        let answer = answer_with(whole[..length].to_vec());
        let is_cut =
            matches!(answer, Err(ResponseError::Records(RecordsError::Batch(BatchError::Truncated { .. }))));
        assert!(is_cut, "{length} bytes: {answer:?}");
    }
}

#[test]
fn records_that_do_not_continue_the_log_are_refused_before_the_machine_hears_of_them() {
    let refused = |records: Vec<u8>| match answer_with(records) {
        Err(ResponseError::Records(error)) => error,
        other => panic!("{other:?}"),
    };
    let gap = RecordsError::Offset { found: Offset(100), expected: Offset(99) };
    assert_eq!(refused(batch(100, 5, 1)), gap);
    let again = RecordsError::Offset { found: Offset(99), expected: Offset(100) };
    assert_eq!(refused([batch(99, 5, 1), batch(99, 5, 1)].concat()), again);
    let older = RecordsError::Epoch { found: LeaderEpoch(3), before: LeaderEpoch(4) };
    assert_eq!(refused(batch(99, 3, 1)), older);
    let later = RecordsError::LaterEpoch { found: LeaderEpoch(6), leader_epoch: LeaderEpoch(5) };
    assert_eq!(refused(batch(99, 6, 1)), later);
    let mut damaged = batch(99, 5, 1);
    *damaged.last_mut().expect("bytes") ^= 1;
    assert!(matches!(refused(damaged), RecordsError::Batch(BatchError::Crc { .. })));
    let mut beyond = batch(99, 5, 1);
    beyond[..8].copy_from_slice(&i64::MAX.to_be_bytes());
    assert!(matches!(refused(beyond), RecordsError::Offset { .. }));
}

/// The machine would stop for good rather than cut what is committed.
#[test]
fn an_answer_with_half_a_place_does_not_get_to_the_machine() {
    let (standing, high_watermark) = (stands(5, Some(1)), Offset(98));
    let snapshot = Fetched::Snapshot(SnapshotId { end: Offset(120), epoch: LeaderEpoch(4) });
    let diverging = Fetched::Diverging(EpochEnd { epoch: LeaderEpoch(3), end: Offset(80) });
    for (fetched, spoil) in [
        (
            diverging,
            (|answer| answer.diverging_epoch.end_offset = -1)
                as fn(&mut messages::fetch_response::PartitionData),
        ),
        (snapshot, |answer| answer.snapshot_id.end_offset = -1),
        (snapshot, |answer| answer.snapshot_id.epoch = -1),
    ] {
        let response = FetchResponse { request_id: 0, standing, high_watermark, fetched };
        let mut wire = fetch::response(&response, (Offset(0), Bytes::new()), None, 18);
        spoil(&mut wire.responses[0].partitions[0]);
        assert_eq!(fetch::parse_response(&wire, &fetches(18, 99)), Err(ResponseError::Negative));
    }
}

#[test]
fn kafkas_own_followers_leave_the_partitions_limit_at_zero() {
    let mut wire = fetch::request(&fetches(18, 99), CLUSTER, WAIT);
    wire.topics[0].partitions[0].partition_max_bytes = 0;
    assert_eq!(fetch::parse_request(&wire, CLUSTER).map(|(_, wait)| wait), Ok(WAIT));
}

#[test]
fn a_snapshot_is_asked_for_and_answered_piece_by_piece() {
    let snapshot = SnapshotId { end: Offset(120), epoch: LeaderEpoch(4) };
    for version in 0..=1 {
        let replica = key(3, if version >= 1 { 7 } else { 0 });
        let epoch = LeaderEpoch(5);
        let request = FetchSnapshotRequest { request_id: 0, epoch, replica, snapshot, position: 4096 };
        let wire = fetch_snapshot::request(&request, CLUSTER, 1 << 20);
        let parsed = fetch_snapshot::parse_request(&sent(&wire, version), CLUSTER);
        assert_eq!(parsed, Ok((request, 1 << 20)), "version {version}");

        let bytes = Bytes::from_static(b"a piece of it");
        let length = bytes.len() as u64;
        let chunk = Ok(SnapshotChunk { snapshot, position: 4096, length, size: 1 << 40 });
        let refused = REFUSALS.iter().map(|refusal| Err(*refusal));
        for chunk in std::iter::once(chunk).chain(refused) {
            let response = FetchSnapshotResponse { request_id: 17, standing: stands(5, Some(1)), chunk };
            let piece = (snapshot, bytes.clone());
            let wire = fetch_snapshot::response(&response, piece, Some(&address(1)), version);
            let answer = fetch_snapshot::parse_response(&sent(&wire, version), 17).expect("an answer");
            assert_eq!(answer.response, response, "version {version}");
            assert_eq!(answer.bytes, if chunk.is_ok() { bytes.clone() } else { Bytes::new() });
            assert_eq!(answer.leader, (version >= 1).then(|| address(1)));
        }
    }
}

#[test]
fn a_piece_that_lies_outside_its_snapshot_is_no_answer_and_a_negative_position_no_panic() {
    let snapshot = SnapshotId { end: Offset(120), epoch: LeaderEpoch(4) };
    let (epoch, replica) = (LeaderEpoch(5), key(3, 7));
    let request = FetchSnapshotRequest { request_id: 0, epoch, replica, snapshot, position: 0 };
    let mut wire = fetch_snapshot::request(&request, CLUSTER, -1);
    wire.topics[0].partitions[0].position = -1;
    let (parsed, max_bytes) = fetch_snapshot::parse_request(&wire, CLUSTER).expect("the machine answers it");
    assert_eq!((parsed.position, max_bytes), (u64::MAX, 1));

    let bytes = Bytes::from_static(b"four");
    let chunk = Ok(SnapshotChunk { snapshot, position: 6, length: 4, size: 10 });
    let response = FetchSnapshotResponse { request_id: 0, standing: stands(5, Some(1)), chunk };
    let right = fetch_snapshot::response(&response, (snapshot, bytes), None, 1);
    assert!(fetch_snapshot::parse_response(&right, 0).is_ok());
    let spoiled = |size, position, bytes: &'static [u8]| {
        let mut wire = right.clone();
        let partition = &mut wire.topics[0].partitions[0];
        (partition.size, partition.position) = (size, position);
        partition.unaligned_records = Bytes::from_static(bytes);
        fetch_snapshot::parse_response(&wire, 0).map(|answer| answer.response)
    };
    assert_eq!(spoiled(-1, 6, b"four"), Err(ResponseError::Negative));
    assert_eq!(spoiled(10, -1, b"four"), Err(ResponseError::Negative));
    assert_eq!(spoiled(10, 6, b""), Err(ResponseError::Piece), "it would be asked for again and again");
    assert_eq!(spoiled(9, 6, b"four"), Err(ResponseError::Piece));
    assert_eq!(spoiled(0, 0, b""), Err(ResponseError::Piece));
}

#[test]
fn another_cluster_is_turned_away_and_one_without_a_name_is_let_in() {
    let vote = VoteRequest {
        epoch: LeaderEpoch(5),
        candidate: key(1, 7),
        voter: key(2, 7),
        log_end: LogEnd::default(),
        pre_vote: false,
    };
    let mut wire = vote::request(&vote, "another");
    assert_eq!(vote::parse_request(&wire, CLUSTER, ME), Err(TurnedAway::AnotherCluster));
    wire.cluster_id = None;
    assert_eq!(vote::parse_request(&wire, CLUSTER, ME), Ok(vote));

    let answer = vote::turned_away(TurnedAway::AnotherCluster);
    assert_eq!(answer.error_code, ErrorCode::InconsistentClusterId.code());
    assert_eq!(vote::parse_response(&answer, false), Err(ResponseError::Code(answer.error_code)));
    let epoch = LeaderEpoch(5);
    let begin = BeginQuorumEpochRequest { epoch, leader: BrokerId(1), voter: key(2, 7) };
    let begin = begin_quorum_epoch::request(&begin, "another", &[]);
    assert_eq!(begin_quorum_epoch::parse_request(&begin, CLUSTER, ME), Err(TurnedAway::AnotherCluster));
    let end = EndQuorumEpochRequest { epoch, leader: BrokerId(1), successors: vec![] };
    let end = end_quorum_epoch::request(&end, "another", &[], 1);
    assert_eq!(end_quorum_epoch::parse_request(&end, CLUSTER), Err(TurnedAway::AnotherCluster));
    let fetch = fetch::request(&fetches(18, 99), "another", WAIT);
    assert_eq!(fetch::parse_request(&fetch, CLUSTER), Err(TurnedAway::AnotherCluster));
    let snapshot = SnapshotId { end: Offset(120), epoch };
    let piece = FetchSnapshotRequest { request_id: 0, epoch, replica: key(3, 7), snapshot, position: 0 };
    let piece = fetch_snapshot::request(&piece, "another", 1);
    assert_eq!(fetch_snapshot::parse_request(&piece, CLUSTER), Err(TurnedAway::AnotherCluster));
}

#[test]
fn another_log_is_turned_away_and_so_are_two_and_none() {
    let log_end = LogEnd::default();
    let vote = VoteRequest {
        epoch: LeaderEpoch(5),
        candidate: key(1, 7),
        voter: key(2, 7),
        log_end,
        pre_vote: false,
    };
    let right = vote::request(&vote, CLUSTER);
    let spoil: &[fn(&mut messages::VoteRequest)] = &[
        |request| request.topics.clear(),
        |request| request.topics.extend(request.topics.clone()),
        |request| request.topics[0].topic_name = "orders".into(),
        |request| request.topics[0].partitions.clear(),
        |request| {
            let twice = request.topics[0].partitions[0].clone();
            request.topics[0].partitions.push(twice);
        },
        |request| request.topics[0].partitions[0].partition_index = 1,
    ];
    for spoil in spoil {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        assert_eq!(vote::parse_request(&wrong, CLUSTER, ME), Err(TurnedAway::AnotherLog));
    }
    assert_eq!(TurnedAway::AnotherLog.code(), ErrorCode::InvalidRequest);
    let mut fetch = fetch::request(&fetches(18, 99), CLUSTER, WAIT);
    fetch.topics[0].topic_id = wire_uuid(Uuid([9; 16]));
    assert_eq!(fetch::parse_request(&fetch, CLUSTER), Err(TurnedAway::AnotherLog));
    assert_eq!(
        vote::parse_response(&message!(messages::VoteResponse {}), false),
        Err(ResponseError::AnotherLog)
    );
}

#[test]
fn an_error_that_the_protocol_does_not_know_counts_as_no_answer() {
    let answer = VoteResponse { standing: stands(5, None), granted: Ok(true), pre_vote: false };
    let mut wire = vote::response(&answer, None, 2);
    for error in [ErrorCode::UnknownServerError.code(), ErrorCode::RequestTimedOut.code(), i16::MAX] {
        wire.topics[0].partitions[0].error_code = error;
        assert_eq!(vote::parse_response(&wire, false), Err(ResponseError::Code(error)));
    }
}
