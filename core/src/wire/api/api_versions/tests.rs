use kafka_protocol::messages as oracle;
use kafka_protocol::protocol::Decodable;

use super::*;
use crate::wire::frame::FrameReader;

const METADATA_VERSION: Feature = Feature { name: "metadata.version", min: 7, max: 30 };
const GROUP_VERSION: Feature = Feature { name: "group.version", min: 0, max: 1 };

fn body_of(mut buffer: BytesMut, correlation_id: i32) -> Bytes {
    let frame = FrameReader::for_responses(1 << 20).feed(&mut buffer).expect("framed").expect("whole");
    assert!(buffer.is_empty());
    assert_eq!(response::correlation_id(&frame), Ok(correlation_id));
    response::body(&frame, false).expect("the header is classic in every version")
}

#[test]
fn every_version_lists_the_table_and_the_oracle_reads_it() {
    for version in 0..=4 {
        let features =
            Features { supported: &[METADATA_VERSION], finalized: &[METADATA_VERSION], finalized_epoch: 9 };
        let mut buffer = BytesMut::new();
        encode_response(7, version, 5, features, &mut buffer);
        let body = body_of(buffer, 7);
        let mut rest = body.clone();
        let theirs = oracle::ApiVersionsResponse::decode(&mut rest, version).expect("the oracle decodes");
        assert!(rest.is_empty(), "version {version}");
        assert_eq!(theirs.throttle_time_ms, if version >= 1 { 5 } else { 0 });
        let listed: Vec<_> =
            theirs.api_keys.iter().map(|key| (key.api_key, key.min_version, key.max_version)).collect();
        let expected: Vec<_> =
            ApiKey::ALL.iter().map(|key| (key.code(), key.versions().min, key.versions().max)).collect();
        assert_eq!(listed, expected);
        assert_eq!(Offered::decode(&body, version), Ok(Offered { error_code: 0, ranges: expected }));
        if version >= 3 {
            assert_eq!(theirs.supported_features[0].max_version, 30);
            assert_eq!(theirs.finalized_features[0].max_version_level, 30);
            assert_eq!(theirs.finalized_features_epoch, 9);
        }
    }
}

#[test]
fn features_with_minimum_zero_are_hidden_from_version_3() {
    for (version, shown) in [(3, 1), (4, 2)] {
        let features = Features { supported: &[METADATA_VERSION, GROUP_VERSION], ..Features::NONE };
        let mut buffer = BytesMut::new();
        encode_response(1, version, 0, features, &mut buffer);
        let theirs = oracle::ApiVersionsResponse::decode(&mut body_of(buffer, 1), version)
            .expect("the oracle decodes");
        assert_eq!(theirs.supported_features.len(), shown, "KAFKA-17011, version {version}");
    }
}

#[test]
fn an_unknown_version_is_answered_in_version_0_with_our_range() {
    let mut buffer = BytesMut::new();
    encode_unsupported_version(3, &mut buffer);
    let mut body = body_of(buffer, 3);
    let theirs = oracle::ApiVersionsResponse::decode(&mut body, 0).expect("the oracle decodes");
    assert_eq!(theirs.error_code, 35);
    assert_eq!(theirs.api_keys.len(), 1);
    assert_eq!((theirs.api_keys[0].api_key, theirs.api_keys[0].max_version), (18, 4));
}

#[test]
fn requests_survive_and_cut_ones_are_refused() {
    let request = ApiVersionsRequest {
        client_software_name: StrBytes::from("librdkafka"),
        client_software_version: StrBytes::from("2.15"),
    };
    for version in 0..=4 {
        let mut buffer = BytesMut::new();
        request.encode(version, &mut buffer);
        let body = buffer.freeze();
        let expected = if version >= 3 { request.clone() } else { ApiVersionsRequest::default() };
        assert_eq!(ApiVersionsRequest::decode(&body, version), Ok(expected));
        for end in 0..body.len() {
            assert!(ApiVersionsRequest::decode(&body.slice(..end), version).is_err());
        }
    }
}

#[test]
fn the_common_version_is_the_highest_that_both_serve() {
    let offered = |min, max| Offered { error_code: 0, ranges: vec![(0, min, max)] };
    assert_eq!(offered(0, 8).highest_common(ApiKey::Produce), Some(8));
    assert_eq!(offered(3, 99).highest_common(ApiKey::Produce), Some(13));
    assert_eq!(offered(0, 2).highest_common(ApiKey::Produce), None);
    assert_eq!(offered(14, 99).highest_common(ApiKey::Produce), None);
    assert_eq!(offered(0, 8).highest_common(ApiKey::Fetch), None);
}

/// KIP-511.
#[test]
fn names_and_versions_of_clients_are_letters_digits_dots_and_dashes() {
    let request = |name: &str, version: &str| ApiVersionsRequest {
        client_software_name: StrBytes::from(name),
        client_software_version: StrBytes::from(version),
    };
    for (name, version, valid) in [
        ("apache-kafka-java", "4.0.0", true),
        ("a", "1", true),
        ("", "1", false),
        ("a", "", false),
        ("-a", "1", false),
        ("a.", "1", false),
        ("a b", "1", false),
        ("a", "1\u{1b}[31m", false),
    ] {
        assert_eq!(request(name, version).is_valid(3), valid, "{name:?} {version:?}");
        assert!(request(name, version).is_valid(2), "before version 3 there are none");
    }
    let mut buffer = BytesMut::new();
    encode_refusal(3, 4, ErrorCode::InvalidRequest, &mut buffer);
    let mut body = body_of(buffer, 3);
    let theirs = oracle::ApiVersionsResponse::decode(&mut body, 4).expect("the oracle decodes");
    assert_eq!((theirs.error_code, theirs.api_keys.len()), (42, 0));
}
