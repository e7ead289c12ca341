use proptest::prelude::*;

use super::*;
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId, Uuid};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hex digits")).collect()
}

fn partition() -> PartitionRecord {
    PartitionRecord {
        partition: PartitionIndex(1),
        topic_id: Uuid([0x91; 16]),
        replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(1)],
        removing: Vec::new(),
        adding: Vec::new(),
        leader: BrokerId(1),
        is_recovering: false,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        directories: vec![Uuid([0x10; 16])],
        elr: Vec::new(),
        last_known_elr: Vec::new(),
    }
}

/// One of each type, with all fields in use.
fn samples() -> Vec<Record> {
    let topic_id = Uuid([7; 16]);
    let mut change = PartitionChangeRecord::new(topic_id, PartitionIndex(3));
    change.isr = Some(vec![BrokerId(1), BrokerId(2)]);
    change.leader = Some(BrokerId::NONE);
    change.replicas = Some(vec![BrokerId(1), BrokerId(2), BrokerId(3)]);
    change.removing = Some(vec![BrokerId(3)]);
    change.adding = Some(Vec::new());
    change.is_recovering = Some(true);
    change.elr = Some(vec![BrokerId(3)]);
    change.last_known_elr = Some(vec![BrokerId(3)]);
    change.directories = Some(vec![topic_id]);
    vec![
        RegisterBrokerRecord {
            broker_id: BrokerId(1),
            incarnation_id: Uuid([2; 16]),
            broker_epoch: BrokerEpoch(77),
            endpoints: vec![BrokerEndpoint {
                name: "PLAINTEXT".to_owned(),
                host: "kafka.example".to_owned(),
                port: 65535,
                security_protocol: 0,
            }],
            features: vec![BrokerFeature { name: "metadata.version".to_owned(), min: 1, max: 25 }],
            rack: Some("r".to_owned()),
            fenced: true,
            in_controlled_shutdown: true,
            log_dirs: vec![Uuid([3; 16]), Uuid([4; 16])],
        }
        .into(),
        UnregisterBrokerRecord { broker_id: BrokerId(1), broker_epoch: BrokerEpoch(5) }.into(),
        BrokerRegistrationChangeRecord {
            broker_id: BrokerId(1),
            broker_epoch: BrokerEpoch(5),
            fenced: Some(false),
            begins_controlled_shutdown: true,
            log_dirs: Some(vec![topic_id]),
        }
        .into(),
        TopicRecord { name: "t".to_owned(), topic_id }.into(),
        PartitionRecord {
            is_recovering: true,
            elr: vec![BrokerId(4)],
            last_known_elr: vec![BrokerId(5)],
            removing: vec![BrokerId(1)],
            adding: vec![BrokerId(2)],
            ..partition()
        }
        .into(),
        change.into(),
        PartitionChangeRecord::new(topic_id, PartitionIndex(0)).into(),
        RemoveTopicRecord { topic_id }.into(),
        ConfigRecord {
            resource_type: ResourceType::Topic,
            resource_name: "t".to_owned(),
            name: "retention.ms".to_owned(),
            value: None,
        }
        .into(),
        FeatureLevelRecord { name: METADATA_VERSION_FEATURE.to_owned(), level: METADATA_VERSION }.into(),
        ProducerIdsRecord {
            broker_id: BrokerId(1),
            broker_epoch: BrokerEpoch(2),
            next_producer_id: ProducerId(3000),
        }
        .into(),
        NoOpRecord.into(),
    ]
}

#[test]
fn every_record_is_read_back_as_it_was_written() {
    for record in samples() {
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

#[test]
fn records_are_in_kafkas_own_bytes() {
    // As Apache Kafka writes them into its metadata log.
    let level = FeatureLevelRecord { name: "metadata.version".to_owned(), level: 20 };
    let bytes = hex("01 0c 00 11 6d657461646174612e76657273696f6e 0014 00");
    assert_eq!(Record::from(level).encode(), bytes);

    let topic = TopicRecord { name: "foo".to_owned(), topic_id: Uuid([0x40; 16]) };
    let bytes = hex("01 02 00 04 666f6f 40404040404040404040404040404040 00");
    assert_eq!(Record::from(topic).encode(), bytes);
}

#[test]
fn earlier_versions_of_a_record_are_read() {
    // PartitionRecord version 1, from before KIP-966.
    let bytes = hex(
        "01 03 01 00000001 91919191919191919191919191919191 02 00000001 02 00000001 01 01 00000001 00000000 00000000 \
         02 10101010101010101010101010101010 00",
    );
    assert_eq!(Record::decode(&bytes), Ok(partition().into()));
    // RegisterBrokerRecord version 0: no migration flag, no shutdown flag, no directories.
    let bytes = hex("01 00 00 00000001 02020202020202020202020202020202 0000000000000005 01 01 00 00 00");
    let Ok(Record::RegisterBroker(broker)) = Record::decode(&bytes) else { panic!("version 0 must be read") };
    assert_eq!((broker.broker_epoch, broker.fenced, broker.log_dirs.len()), (BrokerEpoch(5), false, 0));
}

#[test]
fn what_is_not_understood_is_an_error_that_names_the_remedy() {
    let refused = |bytes: &str| Record::decode(&hex(bytes)).expect_err("must be refused").to_string();
    assert!(refused("01 63 00").contains("type 99 is unknown"));
    assert!(refused("01 63 00").contains("start the version that wrote it"));
    assert!(refused("02 02 00").contains("later version"));
    assert!(refused("01 02 01").contains("TopicRecord version 1 is unknown"));
    assert!(refused("01 14 00 00 ff").contains("1 bytes that belong to nothing"));
    assert!(refused("").contains("frame"));
    // A config of a resource type that is not there.
    assert!(refused("01 04 00 63 02 61 02 61 02 61 00").contains("99"));
}

#[test]
fn unknown_tags_are_passed_over() {
    let bytes = hex("01 14 00 01 05 03 aabbcc");
    assert_eq!(Record::decode(&bytes), Ok(NoOpRecord.into()));
    let out_of_order = hex("01 14 00 02 05 00 05 00");
    assert!(Record::decode(&out_of_order).is_err());
}

#[test]
fn a_claimed_count_reserves_nothing() {
    // Replicas: 2^32 - 2 of them, with no bytes behind.
    let bytes = hex("01 03 02 00000001 91919191919191919191919191919191 ff ff ff ff 0f");
    let error = Record::decode(&bytes).expect_err("there are no such bytes");
    assert!(error.to_string().contains("is more than the 0 bytes behind it"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), key in 0u8..22, version in 0u8..4) {
        let framed = [&[1, key, version], bytes.as_slice()].concat();
        let _ = Record::decode(&framed);
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn damaged_records_are_survived(index in 0usize..12, at in 0usize..200, byte in any::<u8>()) {
        let mut bytes = samples()[index].encode().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(record) = Record::decode(&bytes) {
            // Whatever is understood is written in one way only.
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }
}
