//! Hostile payloads (each test names its limit), and facts about framing that other implementations got wrong.

use super::*;

const LIMIT: usize = 1 << 20;

fn text() -> Vec<u8> {
    (0..100_000u32).flat_map(|number| [(number / 100) as u8, b'k']).collect()
}

fn too_large(codec: Codec, payload: impl Into<Bytes>, limit: usize) -> bool {
    matches!(decompress(codec, payload.into(), limit), Err(DecompressError::TooLarge { .. }))
}

fn is_corrupt(codec: Codec, payload: impl Into<Bytes>) -> bool {
    matches!(decompress(codec, payload.into(), LIMIT), Err(DecompressError::Corrupt { .. }))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
        .collect()
}

#[test]
fn every_codec_gives_back_what_it_took() {
    for codec in Codec::ALL {
        for records in [vec![], vec![7], text()] {
            let compressed = compress(codec, &records);
            let back = decompress(codec, compressed.clone(), records.len()).expect("decompresses");
            assert_eq!(back, records, "{}", codec.name());
            if !records.is_empty() {
                assert!(
                    too_large(codec, compressed, records.len() - 1),
                    "{}: the limit is exact",
                    codec.name()
                );
            }
        }
    }
}

#[test]
fn numbers_5_to_7_are_no_codec() {
    for (attributes, codec) in
        [(0, Some(Codec::None)), (4, Some(Codec::Zstd)), (5, None), (6, None), (7, None)]
    {
        assert_eq!(Codec::from_attributes(attributes), codec);
        assert_eq!(Codec::from_attributes(attributes | 0x38), codec, "the other bits are not the codec's");
    }
}

/// The frame of snappy-java: magic, then version and compatible version 1 in big-endian order. Written
/// little-endian once by another broker, which kafka-python could not read (dpkp/kafka-python#2414).
#[test]
fn xerial_frames_have_big_endian_versions_and_lengths() {
    let framed = compress(Codec::Snappy, b"hello");
    assert_eq!(&framed[..16], unhex("82 53 4e 41 50 50 59 00 00000001 00000001"));
    assert_eq!(&framed[16..20], &((framed.len() - 20) as i32).to_be_bytes());
    let golden =
        unhex("82 53 4e 41 50 50 59 00 00000001 00000001 00000007 05 10 68656c6c6f 00000003 01 00 21");
    assert_eq!(decompress(Codec::Snappy, golden.into(), LIMIT).expect("two blocks"), "hello!");
}

/// librdkafka and Go clients may send one raw block (tychedelia/kafka-protocol-rs#79).
#[test]
fn raw_snappy_is_read_too() {
    let raw = unhex("05 10 68656c6c6f");
    assert_eq!(decompress(Codec::Snappy, raw.into(), LIMIT).expect("a raw block"), "hello");
}

/// Limit: the caller's, checked before memory is reserved; and 22 times the block's own length.
#[test]
fn snappy_that_claims_4_gib_is_refused() {
    let claim = unhex("ff ff ff ff 0f 00 61");
    assert!(too_large(Codec::Snappy, claim.clone(), LIMIT));
    let within_a_careless_limit = decompress(Codec::Snappy, claim.into(), usize::MAX);
    assert!(matches!(within_a_careless_limit, Err(DecompressError::Corrupt { .. })), "7 bytes hold no 4 GiB");
}

/// Limit: a block lies inside its frame, and nothing follows the last.
#[test]
fn xerial_blocks_that_leave_the_frame_are_refused() {
    let header = unhex("82 53 4e 41 50 50 59 00 00000001 00000001");
    for blocks in ["ffffffff", "80000000", "7fffffff 00", "00000008 05 10 68656c6c6f", "0000", "00000000"] {
        assert!(is_corrupt(Codec::Snappy, [header.clone(), unhex(blocks)].concat()), "{blocks}");
    }
    for cut in 8..16 {
        assert!(is_corrupt(Codec::Snappy, header[..cut].to_vec()), "cut at {cut}");
    }
}

/// The frame format with a right header checksum: Kafka's first clients computed it wrongly, which is why the
/// broken variant belongs to message formats that are gone (IBM/sarama#875).
#[test]
fn lz4_is_the_frame_format_with_a_right_header_checksum() {
    let mut framed = compress(Codec::Lz4, &text()).to_vec();
    assert_eq!(&framed[..4], unhex("04 22 4d 18"), "the magic number, little-endian");
    assert_eq!(framed[4] & 0b0110_0000, 0b0110_0000, "version 1, independent blocks");
    assert_eq!(framed[5], 0x40, "blocks of 64 KiB");
    // xxhash32 of FLG and BD, second byte: the value for 60 40 is a published constant of Kafka's clients.
    assert_eq!((framed[4], framed[6]), (0x60, 0x82));
    framed[6] ^= 0xff;
    assert!(is_corrupt(Codec::Lz4, framed));
}

/// Limit: the caller's, whatever the frame says of its content; legacy frames are no frames.
#[test]
fn lz4_that_lies_about_its_content_is_refused() {
    let info = lz4_flex::frame::FrameInfo::new().content_size(Some(1 << 40));
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(b"little").expect("writes to memory");
    assert!(encoder.finish().is_err(), "the encoder itself refuses to lie");
    // So the lie is made by hand: a frame with a content size of 2^40, and one block of one stored byte.
    let info = lz4_flex::frame::FrameInfo::new().content_size(Some(1));
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(b"x").expect("writes to memory");
    let mut framed = encoder.finish().expect("the size is right");
    framed[6..14].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert!(is_corrupt(Codec::Lz4, framed), "the header's checksum covers the size");
    assert!(is_corrupt(Codec::Lz4, unhex("02 21 4c 18 ff ff ff 7f 00")), "legacy magic, a block of 2 GiB");
}

/// Limit: the caller's. The bomb of 2 KB makes 64 MiB; we stop after 1 MiB.
#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    let bomb = compress(Codec::Zstd, &zeros);
    assert!(bomb.len() < 8 << 10, "{}", bomb.len());
    assert!(too_large(Codec::Zstd, bomb, LIMIT));
    assert!(too_large(Codec::Gzip, compress(Codec::Gzip, &zeros), LIMIT));
    assert!(too_large(Codec::Lz4, compress(Codec::Lz4, &zeros), LIMIT));
    assert!(too_large(Codec::Snappy, compress(Codec::Snappy, &zeros), LIMIT));
}

/// Limit: one layer. What is inside is a payload like any other, and members of gzip add up under one limit.
#[test]
fn gzip_in_gzip_is_unpacked_once_and_members_share_the_limit() {
    let inner = compress(Codec::Gzip, &text());
    let outer = compress(Codec::Gzip, &inner);
    assert_eq!(decompress(Codec::Gzip, outer, LIMIT).expect("one layer"), inner);
    let member = compress(Codec::Gzip, &[1; 1000]);
    let two = [&member[..], &member[..]].concat();
    assert_eq!(decompress(Codec::Gzip, two.clone().into(), 2000).expect("two members").len(), 2000);
    assert!(too_large(Codec::Gzip, two, 1999));
}

/// Limit: a window of 128 MiB, as in Kafka's own clients.
#[test]
fn zstd_that_needs_a_window_of_2_gib_is_refused() {
    // Magic, a descriptor without single segment or size, window descriptor of exponent 21 (2 GiB), one raw block.
    assert!(is_corrupt(Codec::Zstd, unhex("28b52ffd 00 a8 090000 61")));
}

/// Limit: the stream must end where the payload ends, or be refused; never a panic.
#[test]
fn cut_streams_and_surplus_bytes_are_survived() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let whole = compress(codec, &text());
        for cut in (1..whole.len()).step_by(whole.len() / 50 + 1) {
            match decompress(codec, whole.slice(..cut), LIMIT) {
                // A snappy frame may be cut between two blocks.
                Ok(back) => assert!(codec == Codec::Snappy && back.len() < text().len()),
                Err(error) => assert!(matches!(error, DecompressError::Corrupt { .. }), "{error}"),
            }
        }
        let surplus = [&whole[..], b"\xff\xffsurplus"].concat();
        if let Ok(back) = decompress(codec, surplus.into(), LIMIT) {
            assert_eq!(back, text(), "{}: bytes behind the stream never become records", codec.name());
        }
    }
}

/// Limit: a codec reads nothing but its own format.
#[test]
fn a_codec_other_than_the_payloads_is_refused() {
    for written in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let payload = compress(written, &text());
        for read in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            if read != written {
                assert!(
                    decompress(read, payload.clone(), LIMIT).is_err(),
                    "{} as {}",
                    written.name(),
                    read.name()
                );
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_are_survived_and_the_limit_holds(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        at in proptest::num::usize::ANY,
        byte in proptest::num::u8::ANY,
    ) {
        for codec in Codec::ALL {
            let mut damaged = compress(codec, &bytes).to_vec();
            if let Some(len) = std::num::NonZeroUsize::new(damaged.len()) {
                damaged[at % len] = byte;
            }
            for payload in [bytes.clone(), damaged] {
                if let Ok(records) = decompress(codec, payload.into(), 150) {
                    assert!(records.len() <= 150);
                }
            }
        }
    }
}
