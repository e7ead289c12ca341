//! Batches that a client must not write (each test names its limit).

use bytes::BytesMut;

use super::*;
use crate::ids::{ProducerEpoch, ProducerId};
use crate::record::batch::DELETE_HORIZON;
use crate::record::builder::{BatchBuilder, write_crc};
use crate::time::Timestamp;

const LIMITS: ProduceLimits = ProduceLimits { message_bytes_max: 10_000, produce_version: 9 };

fn batch(codec: Codec) -> BytesMut {
    let mut builder = BatchBuilder::new(codec);
    for value in [&b"one"[..], b"two", b"three"] {
        builder.append(Timestamp(7), None, Some(value), &[]);
    }
    BytesMut::from(&builder.build()[..])
}

/// A good batch with some header bytes replaced and a right CRC.
fn with(at: usize, bytes: &[u8]) -> Result<Batch, ProduceRejection> {
    let mut batch = batch(Codec::None);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    write_crc(&mut batch);
    check_produced(batch.freeze(), &LIMITS)
}

fn code(result: Result<Batch, ProduceRejection>) -> Option<ErrorCode> {
    result.err().map(|rejection| rejection.code())
}

#[test]
fn good_batches_of_every_codec_pass_and_are_not_copied() {
    for codec in Codec::ALL {
        let bytes = batch(codec).freeze();
        let passed = check_produced(bytes.clone(), &LIMITS).expect("a good batch");
        assert_eq!(passed.bytes().as_ptr(), bytes.as_ptr());
    }
}

/// Limit: exactly one batch per partition (KIP-98); in an idempotent request more than one could not be numbered.
#[test]
fn no_batch_and_two_batches_are_refused() {
    assert_eq!(code(check_produced(Bytes::new(), &LIMITS)), Some(ErrorCode::InvalidRecord));
    let mut two = batch(Codec::None);
    two.extend_from_slice(&batch(Codec::None));
    assert_eq!(code(check_produced(two.freeze(), &LIMITS)), Some(ErrorCode::InvalidRecord));
    let mut surplus = batch(Codec::None);
    surplus.extend_from_slice(b"x");
    assert_eq!(code(check_produced(surplus.freeze(), &LIMITS)), Some(ErrorCode::InvalidRecord));
}

/// Limit: the length is the batch's own, at least a header.
#[test]
fn batch_lengths_that_do_not_fit_are_refused() {
    for length in [i32::MIN, -1, 0, 48, 49, 9_000] {
        let code = code(with(8, &length.to_be_bytes())).expect("refused");
        assert!(matches!(code, ErrorCode::CorruptMessage | ErrorCode::InvalidRecord), "{length}: {code}");
    }
    assert_eq!(code(with(8, &i32::MAX.to_be_bytes())), Some(ErrorCode::MessageTooLarge));
    let whole = batch(Codec::None).freeze();
    for end in 1..whole.len() {
        assert_eq!(
            code(check_produced(whole.slice(..end), &LIMITS)),
            Some(ErrorCode::CorruptMessage),
            "cut at {end}"
        );
    }
}

/// Limit: `max.message.bytes`, of the batch as it was sent.
#[test]
fn a_batch_one_byte_too_large_is_refused_before_its_crc() {
    let mut large = batch(Codec::None);
    let limits = ProduceLimits { message_bytes_max: large.len() - 1, ..LIMITS };
    large[20] ^= 1;
    assert_eq!(code(check_produced(large.clone().freeze(), &limits)), Some(ErrorCode::MessageTooLarge));
    assert_eq!(
        code(check_produced(large.freeze(), &LIMITS)),
        Some(ErrorCode::CorruptMessage),
        "the CRC is wrong"
    );
}

/// Limit: any bit behind the CRC.
#[test]
fn a_flipped_bit_is_found() {
    let good = batch(Codec::None);
    for at in 17..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert_eq!(code(check_produced(bad.freeze(), &LIMITS)), Some(ErrorCode::CorruptMessage), "at {at}");
    }
}

/// Limit: format v2 (KIP-724).
#[test]
fn other_formats_are_refused() {
    for magic in [0, 1, 3, -1i8] {
        assert_eq!(code(with(16, &magic.to_be_bytes())), Some(ErrorCode::InvalidRecord), "magic {magic}");
    }
}

/// Limit: count and last offset delta agree, are positive, and the bytes could hold the records.
#[test]
fn counts_that_contradict_the_batch_are_refused() {
    for (last_delta, count) in
        [(2, 2), (2, 4), (3, 3), (-1, 0), (-2, -1), (i32::MAX, i32::MIN), (1 << 20, (1 << 20) + 1)]
    {
        let both = [i32::to_be_bytes(last_delta), i32::to_be_bytes(count)];
        let mut batch = batch(Codec::None);
        batch[23..27].copy_from_slice(&both[0]);
        batch[57..61].copy_from_slice(&both[1]);
        write_crc(&mut batch);
        let code = code(check_produced(batch.freeze(), &LIMITS));
        assert_eq!(code, Some(ErrorCode::InvalidRecord), "delta {last_delta}, count {count}");
    }
}

/// Limit: what the codec could make of the bytes. The count says how many offsets the batch takes, so that two small
/// batches would fill a segment between them.
#[test]
fn a_few_compressed_bytes_that_claim_billions_of_records_are_refused() {
    for codec in Codec::ALL {
        let mut batch = batch(codec);
        batch[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
        batch[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        write_crc(&mut batch);
        assert_eq!(
            code(check_produced(batch.freeze(), &LIMITS)),
            Some(ErrorCode::InvalidRecord),
            "{codec:?}"
        );
    }
}

#[test]
fn records_that_compress_as_well_as_records_can_are_taken() {
    let limits = ProduceLimits { message_bytes_max: usize::MAX, ..LIMITS };
    for codec in Codec::ALL {
        let mut builder = BatchBuilder::new(codec);
        for _ in 0..100_000 {
            builder.append(Timestamp(7), None, None, &[]);
        }
        check_produced(builder.build(), &limits).expect("a good batch");
    }
}

/// Limit: a client counts from 0; so no base offset can overflow.
#[test]
fn a_base_offset_other_than_0_is_refused() {
    for offset in [1, -1, i64::MAX] {
        assert_eq!(code(with(0, &offset.to_be_bytes())), Some(ErrorCode::InvalidRecord));
    }
}

/// Limit: the codec and the transactional bit are a client's to set, the last with a producer id.
#[test]
fn attributes_that_are_not_a_clients_are_refused() {
    for (attributes, expected) in [
        (CONTROL, ErrorCode::InvalidRecord),
        (CONTROL | LOG_APPEND_TIME, ErrorCode::InvalidRecord),
        (DELETE_HORIZON, ErrorCode::InvalidRecord),
        (TRANSACTIONAL, ErrorCode::InvalidRecord),
        (LOG_APPEND_TIME, ErrorCode::InvalidTimestamp),
        (1 << 7, ErrorCode::InvalidRecord),
        (i16::MIN, ErrorCode::InvalidRecord),
        (5, ErrorCode::UnsupportedCompressionType),
        (6, ErrorCode::UnsupportedCompressionType),
        (7, ErrorCode::UnsupportedCompressionType),
    ] {
        assert_eq!(code(with(21, &attributes.to_be_bytes())), Some(expected), "{attributes:#x}");
    }
}

/// Limit: zstd came with Produce version 7 (KIP-110).
#[test]
fn zstd_is_refused_before_produce_7() {
    for (produce_version, expected) in [(6, Some(ErrorCode::UnsupportedCompressionType)), (7, None)] {
        let limits = ProduceLimits { produce_version, ..LIMITS };
        assert_eq!(code(check_produced(batch(Codec::Zstd).freeze(), &limits)), expected);
    }
}

/// Limit: a producer id brings an epoch and a sequence of at least 0; the sequence may be the last before it wraps.
#[test]
fn producer_fields_that_contradict_each_other_are_refused() {
    for (id, epoch, sequence, fine) in [
        (-1, -1, -1, true),
        (-1, -1, 0, true),
        (1, 0, 0, true),
        (1, 0, i32::MAX, true),
        (1, -1, 0, false),
        (1, 0, -1, false),
        (-2, 0, 0, false),
        (i64::MIN, 0, 0, false),
    ] {
        let mut batch = batch(Codec::None);
        crate::record::builder::set_producer(&mut batch, ProducerId(id), ProducerEpoch(epoch), sequence);
        let result = code(check_produced(batch.freeze(), &LIMITS));
        assert_eq!(result, (!fine).then_some(ErrorCode::InvalidRecord), "{id} {epoch} {sequence}");
    }
}

/// Limit: none. Sarama leaves the maximum timestamp unset, so a broker that insists on it refuses a whole client.
#[test]
fn any_timestamp_is_taken() {
    for (at, timestamp) in [(27, -1), (27, i64::MIN), (27, i64::MAX), (35, -1), (35, 0), (35, i64::MAX)] {
        assert_eq!(code(with(at, &i64::to_be_bytes(timestamp))), None, "{timestamp} at {at}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let mut bytes = BytesMut::from(&bytes[..]);
        let _ = check_produced(bytes.clone().freeze(), &LIMITS);
        if bytes.len() >= HEADER_LEN {
            let batch_length = (bytes.len() - 12) as i32;
            bytes[8..12].copy_from_slice(&batch_length.to_be_bytes());
            bytes[16] = 2;
            write_crc(&mut bytes);
            let _ = check_produced(bytes.freeze(), &LIMITS);
        }
    }
}
