use bytes::Bytes;
use kafka_protocol::messages::{KRaftVersionRecord, LeaderChangeMessage, VotersRecord};
use kafka_protocol::protocol::Decodable;

use super::*;
use crate::record::batch::Batch;
use crate::record::records::iterate;

/// The key and the value of the only record of a control batch.
fn only_record(record: &ControlRecord) -> (Bytes, Bytes) {
    let mut bytes = record.batch(Timestamp(1)).build();
    let batch = Batch::split_from(&mut bytes).expect("a whole batch");
    assert!(bytes.is_empty() && batch.header().is_control());
    let mut records = iterate(&batch, batch.bytes().len()).expect("records");
    let record = records.next().expect("one record").expect("whole");
    assert!(records.next().is_none());
    (record.key.unwrap_or_default(), record.value.unwrap_or_default())
}

fn samples() -> Vec<ControlRecord> {
    let listens = |host: &str| VoterEndpoint { listener: "CONTROLLER".into(), host: host.into(), port: 9093 };
    let voter = |id: i32, endpoints| {
        let directory = Uuid([id as u8; 16]);
        VoterRecord { id: BrokerId(id), directory, endpoints, kraft_versions: (0, 1) }
    };
    vec![
        ControlRecord::sole_leader(BrokerId(3)),
        ControlRecord::LeaderChange {
            leader: BrokerId(1),
            voters: vec![BrokerId(1), BrokerId(2), BrokerId(3)],
            granting: vec![BrokerId(1), BrokerId(3)],
        },
        ControlRecord::KRaftVersion(1),
        ControlRecord::Voters(vec![voter(1, vec![listens("one"), listens("::1")]), voter(2, vec![])]),
        ControlRecord::Voters(vec![]),
        ControlRecord::SnapshotHeader { last_contained: Timestamp(77) },
        ControlRecord::SnapshotFooter,
    ]
}

#[test]
fn what_is_written_is_read_back() {
    for record in samples() {
        let (key, value) = only_record(&record);
        assert_eq!(ControlRecord::decode(&key, &value), Ok(Some(record)));
    }
}

#[test]
fn a_stranger_to_this_codec_reads_them_as_they_were_meant() {
    let samples = samples();
    let (key, mut value) = only_record(&samples[1]);
    assert_eq!(key[..], [0, 0, 0, 2]);
    // In version 0, as Kafka's ControlRecordUtils reads whatever it finds.
    let read = LeaderChangeMessage::decode(&mut value, 0).expect("Kafka's bytes");
    assert_eq!((read.version, read.leader_id.0, read.voters.len()), (0, 1, 3));
    assert_eq!((read.granting_voters[1].voter_id, value.len()), (3, 0));

    let (key, mut value) = only_record(&samples[2]);
    assert_eq!(key[..], [0, 0, 0, 5]);
    let read = KRaftVersionRecord::decode(&mut value, 0).expect("Kafka's bytes");
    assert_eq!((read.version, read.k_raft_version, value.len()), (0, 1, 0));

    let (key, mut value) = only_record(&samples[3]);
    assert_eq!(key[..], [0, 0, 0, 6]);
    let read = VotersRecord::decode(&mut value, 0).expect("Kafka's bytes");
    assert_eq!((read.version, read.voters.len(), value.len()), (0, 2, 0));
    let voter = &read.voters[0];
    assert_eq!((voter.voter_id.0, voter.voter_directory_id.as_bytes()), (1, &[1; 16]));
    let endpoint = &voter.endpoints[1];
    assert_eq!((endpoint.name.as_str(), endpoint.host.as_str(), endpoint.port), ("CONTROLLER", "::1", 9093));
    let feature = &voter.k_raft_version_feature;
    assert_eq!((feature.min_supported_version, feature.max_supported_version), (0, 1));
}

#[test]
fn a_leader_change_with_directories_is_read_as_well() {
    let voter = |id| [&[0, 0, 0, id][..], &[7; 16], &[0]].concat();
    let value = [&[0, 1, 0, 0, 0, 1, 3][..], &voter(1), &voter(2), &[2], &voter(1), &[0]].concat();
    let record = ControlRecord::LeaderChange {
        leader: BrokerId(1),
        voters: vec![BrokerId(1), BrokerId(2)],
        granting: vec![BrokerId(1)],
    };
    assert_eq!(ControlRecord::decode(&[0, 0, 0, 2], &value), Ok(Some(record)));
}

#[test]
fn a_kind_of_a_later_protocol_is_passed_over() {
    assert_eq!(ControlRecord::decode(&[0, 0, 0, 77], &[1, 2, 3]), Ok(None));
}

#[test]
fn no_bytes_end_the_process() {
    for record in samples() {
        let (key, value) = only_record(&record);
        for end in 0..value.len() {
            assert!(ControlRecord::decode(&key, &value[..end]).is_err(), "{record:?} cut at {end}");
        }
        for place in 0..value.len() {
            let mut damaged = value.to_vec();
            damaged[place] = 0xff;
            // Whatever it says then: it is read or refused.
            let _ = ControlRecord::decode(&key, &damaged);
        }
    }
    for end in 0..KEY_LEN {
        assert_eq!(ControlRecord::decode(&[0; KEY_LEN][..end], &[]), Err(CodecError::Truncated));
    }
    // A count of two billion voters, of which there is none.
    let count = [0, 0, 0xff, 0xff, 0xff, 0xff, 0x07];
    let refused = ControlRecord::decode(&[0, 0, 0, 6], &count);
    assert!(matches!(refused, Err(CodecError::Length { there: 0, .. })), "{refused:?}");
}
