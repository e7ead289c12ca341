//! Any bytes as a produced batch. The checksum is made right first, or nothing behind it would ever be reached.

#![no_main]

use bytes::{Bytes, BytesMut};
use jangbu_core::record::batch::{self, Batch};
use jangbu_core::record::records;
use jangbu_core::record::validate::{ProduceLimits, check_produced};
use libfuzzer_sys::fuzz_target;

const DECOMPRESSED_BYTES_MAX: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let mut bytes = BytesMut::from(input);
    if bytes.len() >= batch::HEADER_LEN {
        let length = (bytes.len() - batch::LENGTH_PREFIX_LEN) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        let crc = batch::crc32c(&bytes[batch::CRC_START..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    let bytes = bytes.freeze();
    let limits = ProduceLimits { message_bytes_max: 1 << 20, produce_version: 9 };
    if let Ok(batch) = check_produced(bytes.clone(), &limits) {
        assert!(batch.header().record_count > 0 && batch.header().next_offset().is_some());
        iterate(&batch);
    }
    // What is on disk may have come from anywhere: it must be survived even when a producer may not send it.
    if let Ok(batch) = Batch::split_from(&mut Bytes::clone(&bytes)) {
        iterate(&batch);
    }
});

fn iterate(batch: &Batch) {
    let Ok(records) = records::iterate(batch, DECOMPRESSED_BYTES_MAX) else { return };
    for record in records {
        let Ok(record) = record else { return };
        assert!(record.headers.iter().count() == record.headers.len());
    }
}
