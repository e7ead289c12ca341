//! Any bytes, in any chunks, through the frame reader and the header.

#![no_main]

use bytes::{Bytes, BytesMut};
use jangbu_core::wire::api_key::ApiKey;
use jangbu_core::wire::frame::FrameReader;
use jangbu_core::wire::header;
use libfuzzer_sys::fuzz_target;

const FRAME_BYTES_MAX: usize = 4096;

fuzz_target!(|input: &[u8]| {
    // The first byte says how the rest is cut into chunks.
    let Some((&chunk_bytes, input)) = input.split_first() else { return };
    let mut reader = FrameReader::for_requests(FRAME_BYTES_MAX);
    let mut buffer = BytesMut::new();
    for chunk in input.chunks(usize::from(chunk_bytes).max(1)) {
        buffer.extend_from_slice(chunk);
        loop {
            match reader.feed(&mut buffer) {
                Ok(Some(frame)) => look_at(&frame),
                Ok(None) => break,
                Err(_) => return,
            }
        }
        assert!(buffer.capacity() <= 2 * FRAME_BYTES_MAX + 8192, "{} bytes held for a frame", buffer.capacity());
    }
});

fn look_at(frame: &Bytes) {
    assert!(frame.len() <= FRAME_BYTES_MAX);
    if let Ok(peek) = header::peek(frame)
        && let Some(key) = ApiKey::from_code(peek.api_key)
    {
        header::decode(frame, key).ok();
    }
}
