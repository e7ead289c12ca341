//! The codecs of record batches. Whatever a payload claims, decompression makes no more bytes than its caller allows.

use std::io::{self, Read, Write};

use bytes::Bytes;

use super::batch::CODEC_MASK;

/// How the records of a batch are compressed: attribute bits 0 to 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the codecs' own names
#[repr(i16)]
pub enum Codec {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec named by a batch's attributes, or `None` for the numbers 5 to 7.
    pub fn from_attributes(attributes: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| *codec as i16 == attributes & CODEC_MASK)
    }

    /// The name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

/// Why a payload could not be decompressed.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// It would make more bytes than allowed, or says that it would.
    #[error("the {} payload makes more than the {limit_bytes} bytes allowed", codec.name())]
    TooLarge {
        /// The codec.
        codec: Codec,
        /// What was allowed.
        limit_bytes: usize,
    },
    /// It is not what the codec writes.
    #[error("the payload is not {}: {cause}", codec.name())]
    Corrupt {
        /// The codec.
        codec: Codec,
        /// What the codec found.
        cause: io::Error,
    },
}

fn corrupt(codec: Codec, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DecompressError {
    DecompressError::Corrupt { codec, cause: io::Error::new(io::ErrorKind::InvalidData, cause) }
}

/// zstd's own default limit, and Kafka's: a frame may ask its reader for a window of 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// How the snappy of Java frames its blocks, which is what Kafka's clients expect ("xerial"): this, then version
/// and lowest compatible version as big-endian `int32`, then blocks with a big-endian `int32` length each.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_LEN: usize = 16;
const XERIAL_BLOCK_LEN: usize = 32 * 1024;

/// One snappy element makes at most 64 bytes of 3, so that a claim beyond this many times the input is a lie.
const SNAPPY_EXPANSION_MAX: usize = 22;

impl Codec {
    /// How many times its input a codec can make at most: what a decompressor may be asked for.
    pub fn expansion_max(self) -> usize {
        match self {
            Self::None => 1,
            // Deflate: 258 bytes of 2 bits.
            Self::Gzip => 1032,
            Self::Snappy => SNAPPY_EXPANSION_MAX,
            // Each further byte of a length stands for 255.
            Self::Lz4 => 255,
            // A block that repeats one byte: 128 KiB of 4.
            Self::Zstd => 32 << 10,
        }
    }
}

/// Compresses records.
///
/// # Panics
/// When a codec fails in memory, which none does.
pub fn compress(codec: Codec, records: &[u8]) -> Bytes {
    let compressed = match codec {
        Codec::None => Ok(records.to_vec()),
        Codec::Gzip => compress_gzip(records),
        Codec::Snappy => Ok(compress_xerial(records)),
        Codec::Lz4 => compress_lz4(records),
        Codec::Zstd => zstd::stream::encode_all(records, zstd::DEFAULT_COMPRESSION_LEVEL),
    };
    compressed.expect("a codec that writes to memory does not fail").into()
}

fn compress_gzip(records: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(records)?;
    encoder.finish()
}

fn compress_xerial(records: &[u8]) -> Vec<u8> {
    let mut framed = XERIAL_MAGIC.to_vec();
    framed.extend_from_slice(&1i32.to_be_bytes());
    framed.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_LEN) {
        let compressed = encoder.compress_vec(block).expect("a block of 32 KiB is within snappy's 4 GiB");
        framed.extend_from_slice(&(compressed.len() as i32).to_be_bytes());
        framed.extend_from_slice(&compressed);
    }
    framed
}

fn compress_lz4(records: &[u8]) -> io::Result<Vec<u8>> {
    // Java's client reads independent blocks alone.
    let info = lz4_flex::frame::FrameInfo::new()
        .block_size(lz4_flex::frame::BlockSize::Max64KB)
        .block_mode(lz4_flex::frame::BlockMode::Independent);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(records)?;
    encoder.finish().map_err(io::Error::other)
}

/// Decompresses a payload to at most `limit_bytes`.
///
/// # Errors
/// See [`DecompressError`].
pub fn decompress(codec: Codec, payload: Bytes, limit_bytes: usize) -> Result<Bytes, DecompressError> {
    match codec {
        Codec::None if payload.len() > limit_bytes => Err(DecompressError::TooLarge { codec, limit_bytes }),
        Codec::None => Ok(payload),
        Codec::Gzip => read_all(codec, flate2::read::MultiGzDecoder::new(&payload[..]), limit_bytes),
        Codec::Snappy => decompress_snappy(&payload, limit_bytes),
        Codec::Lz4 => read_all(codec, lz4_flex::frame::FrameDecoder::new(&payload[..]), limit_bytes),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&payload[..])
                .map_err(|cause| DecompressError::Corrupt { codec, cause })?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|cause| DecompressError::Corrupt { codec, cause })?;
            read_all(codec, decoder, limit_bytes)
        }
    }
}

fn read_all(codec: Codec, reader: impl Read, limit_bytes: usize) -> Result<Bytes, DecompressError> {
    let mut records = Vec::new();
    let mut limited = reader.take(limit_bytes as u64 + 1);
    limited.read_to_end(&mut records).map_err(|cause| DecompressError::Corrupt { codec, cause })?;
    if records.len() > limit_bytes {
        return Err(DecompressError::TooLarge { codec, limit_bytes });
    }
    Ok(records.into())
}

fn decompress_snappy(payload: &[u8], limit_bytes: usize) -> Result<Bytes, DecompressError> {
    let mut records = Vec::new();
    // librdkafka and others write one raw block without Java's frame.
    if payload.first_chunk() != Some(XERIAL_MAGIC) {
        decompress_block(payload, limit_bytes, &mut records)?;
        return Ok(records.into());
    }
    let mut blocks = payload
        .get(XERIAL_HEADER_LEN..)
        .ok_or_else(|| corrupt(Codec::Snappy, "the frame's header is cut short"))?;
    while let Some((prefix, rest)) = blocks.split_first_chunk::<4>() {
        let block = usize::try_from(i32::from_be_bytes(*prefix))
            .ok()
            .and_then(|len| rest.get(..len))
            .ok_or_else(|| corrupt(Codec::Snappy, "a block is longer than the frame"))?;
        decompress_block(block, limit_bytes, &mut records)?;
        blocks = &rest[block.len()..];
    }
    if !blocks.is_empty() {
        return Err(corrupt(Codec::Snappy, "bytes are left behind the last block"));
    }
    Ok(records.into())
}

fn decompress_block(block: &[u8], limit_bytes: usize, records: &mut Vec<u8>) -> Result<(), DecompressError> {
    let claimed = snap::raw::decompress_len(block).map_err(|cause| corrupt(Codec::Snappy, cause))?;
    if claimed > limit_bytes - records.len() {
        return Err(DecompressError::TooLarge { codec: Codec::Snappy, limit_bytes });
    }
    if claimed > block.len().saturating_mul(SNAPPY_EXPANSION_MAX) {
        return Err(corrupt(Codec::Snappy, "a block claims more bytes than it can hold"));
    }
    let start = records.len();
    records.resize(start + claimed, 0);
    snap::raw::Decoder::new()
        .decompress(block, &mut records[start..])
        .map_err(|cause| corrupt(Codec::Snappy, cause))?;
    Ok(())
}

#[cfg(test)]
mod tests;
