//! Any bytes as the body of any request in any version, through the decoders that the server uses; what decodes is
//! encoded again and must decode to the same.

#![no_main]

use bytes::{Bytes, BytesMut};
use jangbu_core::wire::api::api_versions::ApiVersionsRequest;
use jangbu_core::wire::api::produce::ProduceRequest;
use jangbu_core::wire::api_key::ApiKey;
use jangbu_core::wire::messages::*;
use jangbu_core::wire::request::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [key, version, body @ ..] = input else { return };
    let key = ApiKey::ALL[usize::from(*key) % ApiKey::ALL.len()];
    let versions = key.versions();
    let count = (versions.max - versions.served_min + 1) as u8;
    let version = versions.served_min + i16::from(*version % count);
    let body = Bytes::copy_from_slice(body);
    match key {
        ApiKey::Produce => produce(&body, version),
        ApiKey::ApiVersions => {
            ApiVersionsRequest::decode(&body, version).ok();
        }
        ApiKey::Fetch => generated::<FetchRequest>(&body, version),
        ApiKey::ListOffsets => generated::<ListOffsetsRequest>(&body, version),
        ApiKey::Metadata => generated::<MetadataRequest>(&body, version),
        ApiKey::FindCoordinator => generated::<FindCoordinatorRequest>(&body, version),
        ApiKey::CreateTopics => generated::<CreateTopicsRequest>(&body, version),
        ApiKey::DeleteTopics => generated::<DeleteTopicsRequest>(&body, version),
        ApiKey::DeleteRecords => generated::<DeleteRecordsRequest>(&body, version),
        ApiKey::InitProducerId => generated::<InitProducerIdRequest>(&body, version),
        ApiKey::OffsetForLeaderEpoch => generated::<OffsetForLeaderEpochRequest>(&body, version),
        ApiKey::DescribeConfigs => generated::<DescribeConfigsRequest>(&body, version),
        ApiKey::AlterConfigs => generated::<AlterConfigsRequest>(&body, version),
        ApiKey::CreatePartitions => generated::<CreatePartitionsRequest>(&body, version),
        ApiKey::IncrementalAlterConfigs => generated::<IncrementalAlterConfigsRequest>(&body, version),
        ApiKey::DescribeCluster => generated::<DescribeClusterRequest>(&body, version),
        ApiKey::DescribeTopicPartitions => generated::<DescribeTopicPartitionsRequest>(&body, version),
    }
});

fn generated<M: KafkaRequest + std::fmt::Debug + PartialEq>(body: &Bytes, version: i16) {
    let Ok(message) = decode::<M>(body, version) else { return };
    let mut frame = BytesMut::new();
    // Some decoded values cannot be written in the version they came in (a null where none is allowed): an error then.
    if jangbu_core::wire::request::encode(1, None, &message, version, &mut frame).is_ok() {
        let key = ApiKey::from_code(M::API_KEY.value()).expect("a key with a handler");
        let (_, again) = jangbu_core::wire::header::decode(&frame.freeze().slice(4..), key).expect("our own header");
        assert_eq!(decode::<M>(&again, version).expect("our own encoding"), message);
    }
}

fn produce(body: &Bytes, version: i16) {
    let Ok(request) = ProduceRequest::decode(body, version) else { return };
    let mut again = BytesMut::new();
    request.encode(version, &mut again);
    let decoded = ProduceRequest::decode(&again.freeze(), version).expect("our own encoding");
    assert_eq!(format!("{decoded:?}"), format!("{request:?}"));
}
