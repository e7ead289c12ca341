//! Malformed records (each test names its limit), and round trips with an independent codec.

use bytes::{BufMut, BytesMut};
use kafka_protocol::records::{Record, RecordBatchDecoder};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::record::builder::{BatchBuilder, write_crc};

const LIMIT: usize = 1 << 20;

type Input = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn build(codec: Codec, records: &[Input]) -> Batch {
    let mut builder = BatchBuilder::new(codec);
    for (timestamp, key, value, headers) in records {
        let headers: Vec<_> = headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
        builder.append(Timestamp(*timestamp), key.as_deref(), value.as_deref(), &headers);
    }
    parse(builder.producer(ProducerId(9), ProducerEpoch(1), 40).build())
}

fn parse(mut bytes: Bytes) -> Batch {
    let batch = Batch::split_from(&mut bytes).expect("a batch with a right CRC");
    assert!(bytes.is_empty());
    batch
}

/// A batch with a right CRC around any payload: what a hostile producer can send.
fn with_payload(record_count: i32, payload: &[u8]) -> Batch {
    let mut bytes = BytesMut::from(&BatchBuilder::new(Codec::None).build()[..]);
    bytes.put_slice(payload);
    let batch_length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&batch_length.to_be_bytes());
    bytes[23..27].copy_from_slice(&record_count.saturating_sub(1).to_be_bytes());
    bytes[57..61].copy_from_slice(&record_count.to_be_bytes());
    write_crc(&mut bytes);
    parse(bytes.freeze())
}

/// A record whose fields behind the length are `fields`.
fn record(fields: &[i64]) -> Vec<u8> {
    let mut body = vec![0];
    for field in fields {
        varint::put(&mut body, *field);
    }
    let mut bytes = Vec::new();
    varint::put(&mut bytes, body.len() as i64);
    [bytes, body].concat()
}

fn first_error(record_count: i32, payload: &[u8]) -> Option<String> {
    match iterate(&with_payload(record_count, payload), LIMIT) {
        Err(error) => Some(error.to_string()),
        Ok(records) => records.filter_map(Result::err).map(|error| error.to_string()).next(),
    }
}

fn refused(payload: &[u8], why: &str) {
    let error = first_error(1, payload).unwrap_or_default();
    assert!(error.contains(why), "{payload:?}: expected {why:?}, got {error:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_was_built_is_read_by_us_and_by_the_oracle(
        codec in prop::sample::select(&Codec::ALL[..]),
        records in vec(
            (
                -1..=i64::from(u32::MAX),
                option::of(vec(any::<u8>(), 0..40)),
                option::of(vec(any::<u8>(), 0..300)),
                vec(("[a-z]{0,9}", option::of(vec(any::<u8>(), 0..9))), 0..3),
            ),
            1..20,
        ),
    ) {
        let batch = build(codec, &records);
        prop_assert_eq!(batch.header().record_count as usize, records.len());
        prop_assert_eq!(batch.header().last_offset_delta as usize, records.len() - 1);
        prop_assert_eq!(batch.header().max_timestamp.0, records.iter().map(|record| record.0).max().unwrap_or(-1));
        let read: Vec<_> = iterate(&batch, LIMIT).expect("iterates").collect::<Result<_, _>>().expect("well-formed");
        let ours: Vec<Input> = read
            .iter()
            .map(|record| {
                let headers = record.headers.iter().map(|(key, value)| {
                    (String::from_utf8(key.to_vec()).expect("UTF-8"), value.map(|value| value.to_vec()))
                });
                let bytes = |field: &Option<Bytes>| field.as_ref().map(|field| field.to_vec());
                (record.timestamp.0, bytes(&record.key), bytes(&record.value), headers.collect())
            })
            .collect();
        prop_assert_eq!(&ours, &records);
        // The oracle has only the codecs that we enable for it, and merges headers of the same key.
        if codec == Codec::None {
            let theirs = RecordBatchDecoder::decode(&mut batch.bytes().clone()).expect("the oracle decodes");
            prop_assert_eq!(theirs.records.len(), read.len());
            for (index, (ours, theirs)) in read.iter().zip(&theirs.records).enumerate() {
                let Record { offset, sequence, timestamp, key, value, producer_id, .. } = theirs;
                prop_assert_eq!((*offset, *sequence, *producer_id), (index as i64, 40 + index as i32, 9));
                prop_assert_eq!((*timestamp, key, value), (ours.timestamp.0, &ours.key, &ours.value));
            }
        }
    }

    #[test]
    fn any_payload_behind_a_right_checksum_is_survived(
        count in prop_oneof![0..5i32, any::<i32>()],
        payload in vec(any::<u8>(), 0..80),
        codec in 0..8i16,
    ) {
        let mut bytes = BytesMut::from(&with_payload(1, &payload).bytes()[..]);
        bytes[21..23].copy_from_slice(&codec.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        write_crc(&mut bytes);
        if let Ok(records) = iterate(&parse(bytes.freeze()), LIMIT) {
            for record in records.flatten() {
                record.headers.iter().for_each(drop);
            }
        }
    }
}

#[test]
fn equal_header_keys_and_keys_that_are_not_text_are_kept() {
    let mut fields = record(&[0, 0, -1, -1, 2]);
    for header in [&b"\x02\xff\x02a"[..], b"\x02\xff\x01"] {
        fields.extend_from_slice(header);
    }
    fields[0] = ((fields.len() - 1) * 2) as u8;
    let mut records = iterate(&with_payload(1, &fields), LIMIT).expect("iterates");
    let record = records.next().expect("one").expect("well-formed");
    let headers: Vec<_> = record.headers.iter().collect();
    let key = Bytes::from_static(b"\xff");
    assert_eq!(headers, [(key.clone(), Some(Bytes::from_static(b"a"))), (key, None)]);
    assert!(records.next().is_none());
}

/// Limit: a record takes at least 7 bytes.
#[test]
fn a_count_that_the_payload_cannot_hold_is_refused() {
    for count in [-1, i32::MIN, 2, i32::MAX] {
        let error = first_error(count, &record(&[0, 0, -1, -1, 0])).unwrap_or_default();
        assert!(error.contains("cannot be in"), "{count}: {error}");
    }
    assert_eq!(first_error(1, &record(&[0, 0, -1, -1, 0])), None);
    assert_eq!(first_error(0, &[]), None, "compaction may leave an empty batch");
}

/// Limit: a record lies inside its batch, at least with its fields.
#[test]
fn records_of_length_zero_negative_or_beyond_the_batch_are_refused() {
    let padding = [0; 20];
    for (length, why) in
        [(0, "attributes"), (-1, "leaves the batch"), (100, "leaves the batch"), (1, "timestamp")]
    {
        let mut payload = Vec::new();
        varint::put(&mut payload, length);
        payload.extend_from_slice(&padding);
        refused(&payload, why);
    }
    refused(&[0xff; 20], "no length");
}

/// Limit: -1 is null and no other negative length exists; a field lies inside its record.
#[test]
fn keys_and_values_that_leave_the_record_are_refused() {
    refused(&record(&[0, 0, -2, -1, 0]), "its key");
    refused(&record(&[0, 0, i32::MAX.into(), -1, 0]), "its key");
    refused(&record(&[0, 0, 2 << 30, -1, 0]), "its key");
    refused(&record(&[0, 0, -1, -2, 0]), "its value");
    refused(&record(&[0, 0, -1, 4, 0]), "its value");
}

/// Limit: a header takes at least two bytes of its record and its key is never null.
#[test]
fn header_counts_and_null_header_keys_are_refused() {
    for headers in [&[i32::MAX.into()][..], &[-1], &[1], &[1, -1, -1], &[1, 0, -2], &[2, 0, -1], &[1, 9, 0]] {
        let mut fields = vec![0, 0, -1, -1];
        fields.extend_from_slice(headers);
        refused(&record(&fields), "its headers");
    }
}

/// Limit: none of memory; the headers are read where they lie.
#[test]
fn a_million_empty_headers_cost_their_own_bytes_only() {
    let mut body = vec![0, 0, 0, 1, 1];
    varint::put(&mut body, 1_000_000);
    body.extend(std::iter::repeat_n([0, 1], 1_000_000).flatten());
    let mut payload = Vec::new();
    varint::put(&mut payload, body.len() as i64);
    payload.extend_from_slice(&body);
    let mut records = iterate(&with_payload(1, &payload), 4 << 20).expect("iterates");
    let record = records.next().expect("one").expect("well-formed");
    assert_eq!(record.headers.len(), 1_000_000);
    assert_eq!(
        record.headers.iter().filter(|(key, value)| key.is_empty() && value.is_none()).count(),
        1_000_000
    );
}

/// Limit: offset deltas rise and stay within the batch.
#[test]
fn offset_deltas_out_of_order_are_refused() {
    for deltas in [[0, 0], [1, 0], [0, 2], [-1, 0]] {
        let payload: Vec<u8> = deltas.iter().flat_map(|delta| record(&[0, *delta, -1, -1, 0])).collect();
        let error = first_error(2, &payload).unwrap_or_default();
        assert!(error.contains("out of order"), "{deltas:?}: {error}");
    }
}

/// Limit: offsets below 2^63-1.
#[test]
fn a_base_offset_at_the_end_of_the_range_is_refused() {
    let mut bytes = BytesMut::from(&with_payload(1, &record(&[0, 0, -1, -1, 0])).bytes()[..]);
    bytes[..8].copy_from_slice(&i64::MAX.to_be_bytes());
    let error = iterate(&parse(bytes.freeze()), LIMIT).expect_err("no next offset exists");
    assert!(matches!(error, RecordError::OffsetOverflow));
}

/// Limit: timestamps saturate; nothing overflows.
#[test]
fn timestamps_at_the_ends_of_the_range_saturate() {
    let mut bytes = BytesMut::from(&with_payload(1, &record(&[i64::MAX, 0, -1, -1, 0])).bytes()[..]);
    bytes[27..35].copy_from_slice(&i64::MAX.to_be_bytes());
    write_crc(&mut bytes);
    let record = iterate(&parse(bytes.freeze()), LIMIT).expect("iterates").next().expect("one");
    assert_eq!(record.expect("well-formed").timestamp, Timestamp(i64::MAX));
}

/// Limit: the payload ends with its last record, and a record with its last header.
#[test]
fn surplus_bytes_are_refused() {
    let one = record(&[0, 0, -1, -1, 0]);
    refused(&[&one[..], &one[..]].concat(), "7 bytes are left");
    refused(&record(&[0, 0, -1, -1, 0, 0]), "left behind it");
}

/// Limit: codecs 0 to 4; a payload of another codec than named is refused by the named one.
#[test]
fn the_codec_in_the_attributes_must_be_the_payloads() {
    let records = [(1, None, Some(vec![b'v'; 100]), vec![])];
    for (written, named) in [(1, 2), (1, 4), (4, 1), (3, 1), (0, 4), (1, 5), (1, 7)] {
        let codec = Codec::from_attributes(written).expect("0 to 4 are codecs");
        let mut bytes = BytesMut::from(&build(codec, &records).bytes()[..]);
        bytes[21..23].copy_from_slice(&i16::to_be_bytes(named));
        write_crc(&mut bytes);
        assert!(iterate(&parse(bytes.freeze()), LIMIT).is_err(), "{written} named {named}");
    }
}

#[test]
fn log_append_time_replaces_every_timestamp() {
    let batch = build(Codec::None, &[(5, None, None, vec![]), (3, None, None, vec![])]);
    let mut bytes = BytesMut::from(&batch.bytes()[..]);
    bytes[21..23].copy_from_slice(&LOG_APPEND_TIME.to_be_bytes());
    bytes[35..43].copy_from_slice(&99_i64.to_be_bytes());
    write_crc(&mut bytes);
    let stamped = parse(bytes.freeze());
    let times: Vec<_> =
        iterate(&stamped, LIMIT).expect("iterates").map(|r| r.expect("ok").timestamp.0).collect();
    assert_eq!(times, [99, 99]);
    assert_eq!(stamped.header().max_timestamp, Timestamp(99));
}
