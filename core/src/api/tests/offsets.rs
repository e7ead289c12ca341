//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use super::*;
use crate::env::Env;
use crate::wire::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use crate::wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use crate::wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::wire::messages::{DeleteRecordsRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest};

pub(super) fn at(topic: &str, partition: i32, timestamp: i64) -> ListOffsetsRequest {
    let partition = message!(ListOffsetsPartition { partition_index: partition, timestamp: timestamp });
    let topic = message!(ListOffsetsTopic { name: topic.into(), partitions: vec![partition] });
    message!(ListOffsetsRequest { replica_id: -1, topics: vec![topic] })
}

pub(super) fn latest(topic: &str, partition: i32) -> ListOffsetsRequest {
    at(topic, partition, -1)
}

pub(super) fn epoch_end(topic: &str, replica_id: i32, leader_epoch: i32) -> OffsetForLeaderEpochRequest {
    let partition = message!(OffsetForLeaderPartition {
        partition: 0,
        current_leader_epoch: -1,
        leader_epoch: leader_epoch
    });
    let topic = message!(OffsetForLeaderTopic { topic: topic.into(), partitions: vec![partition] });
    let mut request = message!(OffsetForLeaderEpochRequest { topics: vec![topic] });
    if replica_id != -1 {
        request.replica_id = replica_id;
    }
    request
}

pub(super) fn delete_records(topic: &str, offset: i64) -> DeleteRecordsRequest {
    let partition = message!(DeleteRecordsPartition { partition_index: 0, offset: offset });
    let topic = message!(DeleteRecordsTopic { name: topic.into(), partitions: vec![partition] });
    message!(DeleteRecordsRequest { topics: vec![topic] })
}

async fn ten_records(scene: &mut Scene<'_>) {
    scene.create("t", 1, &[]).await;
    for _ in 0..5 {
        produce::append(scene, "t", batch(&["a", "b"])).await;
    }
}

#[test]
fn special_timestamps_need_the_version_that_brought_them() {
    with_broker(&[], async |scene| {
        ten_records(scene).await;
        for (timestamp, since, found) in [
            (-1, 1, 10),
            (-2, 1, 0),
            (-3, 7, 0),
            (-4, 8, 0),
            (-5, 9, -1),
            (-6, 11, -1),
            (0, 1, 0),
            (1000, 1, 0),
            (1001, 1, -1),
        ] {
            let response = scene.call(&at("t", 0, timestamp), since).await;
            let told = &response.topics[0].partitions[0];
            assert_eq!((told.error_code, told.offset), (0, found), "{timestamp}");
            if since > 1 {
                let response = scene.call(&at("t", 0, timestamp), since - 1).await;
                assert_eq!(response.topics[0].partitions[0].error_code, code(ErrorCode::UnsupportedVersion));
            }
        }
        let response = scene.call(&at("t", 0, -7), 11).await;
        assert_eq!(response.topics[0].partitions[0].error_code, code(ErrorCode::UnsupportedVersion));
    });
}

#[test]
fn unknown_partitions_are_refused_each_for_itself() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (topic, partition) in [("t", 1), ("t", -1), ("t", i32::MAX), ("unknown", 0)] {
            let response = scene.call(&latest(topic, partition), 11).await;
            let told = &response.topics[0].partitions[0];
            assert_eq!((told.error_code, told.offset), (code(ErrorCode::UnknownTopicOrPartition), -1));
        }
    });
}

/// Item 13. Limit: one lookup for each partition, wherever the request names it.
#[test]
fn a_partition_named_twice_is_refused_wherever_it_is_named() {
    with_broker(&[], async |scene| {
        scene.create("t", 2, &[]).await;
        let mut request = latest("t", 0);
        let again = request.topics[0].partitions[0].clone();
        request.topics[0].partitions.push(again);
        let mut other = request.topics[0].partitions[0].clone();
        other.partition_index = 1;
        request.topics[0].partitions.push(other);
        for _ in 0..1000 {
            request.topics.push(latest("t", 0).topics.remove(0));
        }
        let response = scene.call(&request, 11).await;
        let codes: Vec<_> =
            response.topics[0].partitions.iter().map(|partition| partition.error_code).collect();
        let twice = code(ErrorCode::InvalidRequest);
        assert_eq!(codes, [twice, twice, 0]);
        assert!(response.topics[1..].iter().all(|topic| topic.partitions[0].error_code == twice));
    });
}

/// KIP-207: an older client does not know OFFSET_NOT_AVAILABLE.
#[test]
fn a_new_leader_that_does_not_know_what_is_committed_says_so_in_the_clients_words() {
    let error = crate::partition::LookupError::NotAvailable {
        high_watermark: crate::ids::Offset(1),
        epoch_start: crate::ids::Offset(2),
    };
    for (version, error_code) in [(4, ErrorCode::LeaderNotAvailable), (5, ErrorCode::OffsetNotAvailable)] {
        assert_eq!(crate::api::list_offsets::code_of(&error, version), error_code, "version {version}");
    }
}

/// KIP-320: -1 is not checked, lower is over, higher is not known yet.
#[test]
fn the_clients_leader_epoch_is_checked() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (epoch, error) in
            [(-1, ErrorCode::None), (0, ErrorCode::None), (99, ErrorCode::UnknownLeaderEpoch)]
        {
            let mut request = latest("t", 0);
            request.topics[0].partitions[0].current_leader_epoch = epoch;
            let response = scene.call(&request, 11).await;
            assert_eq!(response.topics[0].partitions[0].error_code, code(error), "{epoch}");
        }
    });
}

#[test]
fn an_epoch_ends_where_the_log_ends_while_it_goes_on() {
    with_broker(&[], async |scene| {
        ten_records(scene).await;
        let response = scene.call(&epoch_end("t", -2, 0), 4).await;
        let told = &response.topics[0].partitions[0];
        assert_eq!((told.error_code, told.leader_epoch, told.end_offset), (0, 0, 10));
        let response = scene.call(&epoch_end("unknown", -2, 0), 4).await;
        let told = &response.topics[0].partitions[0];
        assert_eq!((told.error_code, told.end_offset), (code(ErrorCode::UnknownTopicOrPartition), -1));
    });
}

/// Item 28: -1 stands for the high watermark, also of an empty log; nothing beyond it.
#[test]
fn records_are_deleted_up_to_the_high_watermark_and_not_beyond() {
    with_broker(&[], async |scene| {
        scene.create("empty", 1, &[]).await;
        let response = scene.call(&delete_records("empty", -1), 2).await;
        assert_eq!(
            (response.topics[0].partitions[0].error_code, response.topics[0].partitions[0].low_watermark),
            (0, 0)
        );
        ten_records(scene).await;
        for (offset, error, start) in [
            (3, ErrorCode::None, 3),
            (2, ErrorCode::None, 3),
            (11, ErrorCode::OffsetOutOfRange, -1),
            (i64::MAX, ErrorCode::OffsetOutOfRange, -1),
            (-2, ErrorCode::OffsetOutOfRange, -1),
            (-1, ErrorCode::None, 10),
        ] {
            let response = scene.call(&delete_records("t", offset), 2).await;
            let told = &response.topics[0].partitions[0];
            assert_eq!((told.error_code, told.low_watermark), (code(error), start), "{offset}");
        }
        let response = scene.call(&at("t", 0, -2), 11).await;
        assert_eq!(response.topics[0].partitions[0].offset, 10);
    });
}

/// What was deleted does not come back: the answer waits for the checkpoint of the log starts.
#[test]
fn deleted_records_stay_deleted_when_the_process_dies_right_after_the_answer() {
    let disk = {
        let env = Wired::new(1 << 20);
        env.node.block_on(async {
            let node = node::start(&env, configured(&[])).await;
            let client = Client::connect(&env, node.server().port()).await;
            let mut scene = Scene { env: &env, node, client };
            ten_records(&mut scene).await;
            let response = scene.call(&delete_records("t", 4), 2).await;
            assert_eq!(response.topics[0].partitions[0].low_watermark, 4);
        });
        env.disk().restart_process()
    };
    let env = Wired::on(disk, 1 << 20);
    env.node.block_on(async {
        let node = node::start(&env, configured(&[])).await;
        let mut client = Client::connect(&env, node.server().port()).await;
        let response = client.call(&at("t", 0, -2), 11).await;
        assert_eq!(response.topics[0].partitions[0].offset, 4);
    });
}
