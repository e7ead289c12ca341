//! Frames: an `int32` length and that many bytes, in both directions.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of the length in front of each frame.
pub const LENGTH_LEN: usize = 4;

/// How far ahead of the bytes that came a buffer is enlarged on the word of a length prefix alone.
const RESERVE_AHEAD_BYTES: usize = 64 * 1024;

/// Why a connection's bytes cannot be cut into frames any further. The connection must be closed: after a wrong
/// length nobody knows where the next frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is negative or smaller than the smallest header.
    #[error("a frame of {length} bytes cannot be: the header alone takes {min}; is the peer speaking Kafka?")]
    TooShort {
        /// What the prefix says.
        length: i32,
        /// Bytes of the smallest header.
        min: usize,
    },
    /// The length is beyond the limit of this side.
    #[error("a frame of {length} bytes is larger than the limit of {bytes_max}")]
    TooLong {
        /// What the prefix says.
        length: i32,
        /// The limit.
        bytes_max: usize,
    },
}

/// Cuts a stream of bytes into frames, however the chunks came.
#[derive(Clone, Debug)]
pub struct FrameReader {
    bytes_min: usize,
    bytes_max: usize,
}

impl FrameReader {
    /// Reads requests of at most `bytes_max` bytes (`socket.request.max.bytes`). A request begins with its key,
    /// version and correlation id: 8 bytes.
    pub fn for_requests(bytes_max: usize) -> Self {
        Self { bytes_min: 8, bytes_max }
    }

    /// Reads responses of at most `bytes_max` bytes. A response begins with its correlation id: 4 bytes.
    pub fn for_responses(bytes_max: usize) -> Self {
        Self { bytes_min: 4, bytes_max }
    }

    /// Takes the next whole frame off the front of `buffer`, without its length, or `None` when more bytes must
    /// come; then `buffer` has been given room for the next read. The frame shares the buffer's memory.
    ///
    /// Memory follows the bytes that came, not the length that was claimed: room grows by at most 64 KiB or the
    /// bytes already there, whichever is more.
    ///
    /// # Errors
    /// See [`FrameError`]; the connection is of no more use.
    pub fn feed(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(prefix) = buffer.first_chunk::<LENGTH_LEN>() else {
            return Ok(None);
        };
        let length = i32::from_be_bytes(*prefix);
        let frame_len = self.check(length)?;
        let missing = (LENGTH_LEN + frame_len).saturating_sub(buffer.len());
        if missing > 0 {
            buffer.reserve(missing.min(buffer.len().max(RESERVE_AHEAD_BYTES)));
            return Ok(None);
        }
        buffer.advance(LENGTH_LEN);
        Ok(Some(buffer.split_to(frame_len).freeze()))
    }

    fn check(&self, length: i32) -> Result<usize, FrameError> {
        match usize::try_from(length) {
            Ok(frame_len) if frame_len > self.bytes_max => {
                Err(FrameError::TooLong { length, bytes_max: self.bytes_max })
            }
            Ok(frame_len) if frame_len >= self.bytes_min => Ok(frame_len),
            _ => Err(FrameError::TooShort { length, min: self.bytes_min }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn frames_come_out_whole_however_the_chunks_were_cut() {
        let mut stream = frame(b"12345678");
        stream.extend(frame(b"another one"));
        for chunk in 1..stream.len() {
            let mut reader = FrameReader::for_requests(100);
            let mut buffer = BytesMut::new();
            let mut frames = Vec::new();
            for piece in stream.chunks(chunk) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = reader.feed(&mut buffer).expect("the frames are right") {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, ["12345678", "another one"], "in chunks of {chunk}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn lengths_no_request_can_have_are_refused_at_once() {
        for length in [-1, i32::MIN, 0, 1, 7, 101, i32::MAX] {
            let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
            assert!(FrameReader::for_requests(100).feed(&mut buffer).is_err(), "{length}");
        }
    }

    #[test]
    fn other_protocols_on_our_port_are_refused_by_their_first_four_bytes() {
        for greeting in [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02\x00\x01", &[0; 4]] {
            let mut buffer = BytesMut::from(greeting);
            assert!(FrameReader::for_requests(100 << 20).feed(&mut buffer).is_err());
        }
    }

    #[test]
    fn a_claimed_length_alone_reserves_little_memory() {
        let mut buffer = BytesMut::from(&(100i32 << 20).to_be_bytes()[..]);
        assert_eq!(FrameReader::for_requests(100 << 20).feed(&mut buffer), Ok(None));
        assert!(buffer.capacity() <= 2 * RESERVE_AHEAD_BYTES, "{}", buffer.capacity());
    }
}
