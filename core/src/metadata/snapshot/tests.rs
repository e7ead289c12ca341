use kafka_protocol::messages as oracle;
use kafka_protocol::protocol::Decodable;

use super::*;
use crate::ids::{PartitionEpoch, PartitionIndex, Uuid};
use crate::metadata::records::{PartitionRecord, RemoveTopicRecord, ResourceType};

fn empty() -> MetadataImage {
    MetadataImage::empty("cluster".to_owned(), BrokerId(1))
}

fn partition(topic_id: Uuid, index: i32) -> Record {
    PartitionRecord {
        partition: PartitionIndex(index),
        topic_id,
        replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(1)],
        removing: Vec::new(),
        adding: Vec::new(),
        leader: BrokerId(1),
        is_recovering: false,
        leader_epoch: LeaderEpoch(4),
        partition_epoch: PartitionEpoch(9),
        directories: vec![Uuid([8; 16])],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    }
    .into()
}

fn populated(topics: u8) -> MetadataImage {
    let mut image = empty();
    let mut add = |record: Record| image.apply(&record).expect("the records fit");
    add(FeatureLevelRecord { name: METADATA_VERSION_FEATURE.to_owned(), level: 25 }.into());
    add(FeatureLevelRecord { name: "a.feature".to_owned(), level: 1 }.into());
    for number in 0..topics {
        let topic_id = Uuid([number; 16]);
        let name = format!("t{number}");
        add(TopicRecord { name: name.clone(), topic_id }.into());
        for index in 0..50 {
            add(partition(topic_id, index));
        }
        let (resource_type, value) = (ResourceType::Topic, Some(number.to_string()));
        add(ConfigRecord { resource_type, resource_name: name, name: "retention.ms".to_owned(), value }
            .into());
    }
    add(RemoveTopicRecord { topic_id: Uuid([1; 16]) }.into());
    let next_producer_id = ProducerId(5000);
    add(ProducerIdsRecord { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(1), next_producer_id }.into());
    image.offset = Offset(1234);
    image.epoch = LeaderEpoch(3);
    image
}

#[test]
fn a_snapshot_holds_the_whole_image() {
    for topics in [2, 200] {
        let image = populated(topics);
        let id = SnapshotId::of(&image);
        let bytes = encode(&image, Timestamp(5));
        let read = decode(bytes, id, empty()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read, image);
        read.check_all();
    }
}

#[test]
fn a_snapshot_of_nothing_is_whole_too() {
    let image = empty();
    let id = SnapshotId::of(&image);
    assert_eq!(id.end, Offset(0));
    let read = decode(encode(&image, Timestamp(5)), SnapshotId { epoch: image.epoch, ..id }, empty());
    assert_eq!(read.ok(), Some(image));
}

#[test]
fn a_snapshot_that_is_cut_or_damaged_anywhere_is_refused() {
    let image = populated(2);
    let id = SnapshotId::of(&image);
    let bytes = encode(&image, Timestamp(5));
    for len in (0..bytes.len()).step_by(37) {
        assert!(decode(bytes.slice(..len), id, empty()).is_err(), "cut at {len}");
    }
    // Base offset and leader epoch of a batch lie outside its CRC, and a snapshot does not hang on them.
    for at in (21..bytes.len()).step_by(41) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 0x10;
        if let Ok(read) = decode(damaged.into(), id, empty()) {
            assert_eq!(read, image, "damaged at {at}");
        }
    }
}

#[test]
fn snapshots_are_named_as_kafka_names_them() {
    let id = SnapshotId { end: Offset(17), epoch: LeaderEpoch(2) };
    assert_eq!(id.file_name(), "00000000000000000017-0000000002.checkpoint");
    assert_eq!(SnapshotId::parse(&id.file_name()), Some(id));
    for name in [
        "",
        "17-2.checkpoint",
        "00000000000000000017-0000000002.checkpoint.part",
        "0-0",
        "x.checkpoint",
        "99999999999999999999-0000000002.checkpoint",
        "-0000000000000000017-000000002.checkpoint",
    ] {
        assert_eq!(SnapshotId::parse(name), None, "{name}");
    }
}

fn only_record(mut bytes: Bytes) -> (Bytes, Bytes) {
    let batch = Batch::split_from(&mut bytes).expect("a whole batch");
    assert!(batch.header().is_control());
    let mut records = iterate(&batch, 1000).expect("records");
    let record = records.next().expect("one record").expect("a good record");
    assert!(records.next().is_none());
    (record.key.expect("a key"), record.value.expect("a value"))
}

#[test]
fn header_and_footer_are_in_kafkas_form() {
    let mut bytes = encode(&empty(), Timestamp(77));
    let header = Batch::split_from(&mut bytes).expect("the header batch");
    let (key, mut value) = only_record(header.bytes().clone());
    assert_eq!(key, [0, 0, 0, 3].as_slice());
    let message = oracle::SnapshotHeaderRecord::decode(&mut value, 0).expect("version 0");
    assert_eq!(message.last_contained_log_timestamp, 77);
    let (key, mut value) = only_record(bytes);
    assert_eq!(key, [0, 0, 0, 4].as_slice());
    assert_eq!(oracle::SnapshotFooterRecord::decode(&mut value, 0).expect("version 0").version, 0);
}
