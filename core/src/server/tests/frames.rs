//! Items 1 to 8 of the hostile inputs: frames and headers. Each ends in a closed connection, and others are served.

use super::*;

const LARGE: usize = 1 << 20;

/// Sends these bytes on one connection, which must be closed without an answer; another connection is then served.
fn is_refused(bytes: &[u8]) {
    with_server(LARGE, &[], async |env, server| {
        let mut hostile = Client::connect(env, server.port()).await;
        hostile.send(bytes.to_vec()).await;
        assert!(hostile.is_closed().await, "{bytes:?}");
        let mut other = Client::connect(env, server.port()).await;
        other.send(ping(7)).await;
        assert_eq!(correlation_id(&other.receive().await.expect("others are served")), 7);
        assert_eq!(server.shared.budget.charged(), 0);
    });
}

/// Item 1; limit: `socket.request.max.bytes`, and 8 bytes from below.
#[test]
fn a_length_no_request_can_have_closes_the_connection() {
    let above = 104_857_601;
    for length in [-1, i32::MIN, 0, 1, 7, above, i32::MAX] {
        is_refused(&length.to_be_bytes());
    }
}

/// Item 3.
#[test]
fn other_protocols_close_the_connection() {
    for greeting in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9\r\n", b"\x16\x03\x01\x02\0\x01\0", &[0; 4]]
    {
        is_refused(greeting);
    }
}

/// Item 4.
#[test]
fn an_unknown_key_or_version_closes_the_connection() {
    for (key, version) in [(-1i16, 0i16), (4, 0), (9999, 0), (i16::MAX, i16::MAX), (3, -1), (3, 99), (1, 3)] {
        let mut frame = key.to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0, 0]);
        is_refused(&framed(&frame));
    }
}

/// Produce 0 to 2 are listed for librdkafka's sake and not served (KAFKA-18659).
#[test]
fn produce_0_to_2_are_listed_and_refused() {
    for version in 0..3 {
        is_refused(&request(ApiKey::Produce, version, 1, &[0; 16]));
    }
}

/// Item 4: KIP-511, so that a newer client can ask again.
#[test]
fn api_versions_of_any_version_is_answered_in_version_0() {
    with_server(LARGE, &[], async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        for version in [5, 99, i16::MAX, -1, i16::MIN] {
            client.send(request(ApiKey::ApiVersions, version, 3, b"whatever this version holds")).await;
            let answer = client.receive().await.expect("an answer");
            let range = [0, 18, 0, 0, 0, 4];
            assert_eq!(answer[..], [&[0, 0, 0, 3, 0, 35, 0, 0, 0, 1][..], &range].concat(), "{version}");
        }
        client.send(ping(4)).await;
        assert_eq!(correlation_id(&client.receive().await.expect("the connection goes on")), 4);
    });
}

/// Item 5; limit: a string of 32,767 bytes.
#[test]
fn a_client_id_of_any_kind_is_served_or_closes() {
    let with_id = |length: i16, id: &[u8]| {
        let mut frame = vec![0, 18, 0, 0, 0, 0, 0, 9];
        frame.extend(length.to_be_bytes());
        frame.extend(id);
        framed(&frame)
    };
    with_server(LARGE, &[], async |env, server| {
        let longest = vec![b'x'; 32_767];
        for (length, id) in [(-1, &b""[..]), (0, b""), (32_767, &longest), (6, b"\x1b[31m\n"), (3, b"a\0b")] {
            let mut client = Client::connect(env, server.port()).await;
            client.send(with_id(length, id)).await;
            assert_eq!(correlation_id(&client.receive().await.expect("an answer")), 9);
        }
    });
    is_refused(&with_id(2, b"\xff\xfe"));
    is_refused(&with_id(-2, b""));
    is_refused(&with_id(100, b"too short"));
}

/// Item 5: the header of the other flexibility.
#[test]
fn a_header_of_the_wrong_flexibility_closes_the_connection() {
    // Version 3 wants a tag count behind the client id, and finds the body.
    let mut frame = vec![0, 18, 0, 3, 0, 0, 0, 9, 0, 0];
    frame.extend(b"\x05abc");
    is_refused(&framed(&frame));
}

/// Item 6; limit: 64 tagged fields, in rising order, within the frame.
#[test]
fn hostile_tagged_fields_close_the_connection() {
    let header = [0, 18, 0, 3, 0, 0, 0, 9, 0, 0];
    let tags: [&[u8]; 6] = [
        b"\x80\xda\xc4\x09",                 // 20 million fields
        b"\x02\x01\x00\x01\x00",             // one tag twice
        b"\x02\x02\x00\x01\x00",             // falling tags
        b"\x01\x01\xff\xff\xff\xff\x0f",     // a size beyond the frame
        b"\x01\xff\xff\xff\xff\xff\xff\x0f", // a tag of more than 32 bits
        b"\xff\xff\xff\xff\x0f",             // 2^32-1 fields
    ];
    for tags in tags {
        is_refused(&framed(&[&header[..], tags].concat()));
    }
}

/// Item 6: what a later protocol may add is skipped.
#[test]
fn unknown_tagged_fields_are_skipped() {
    with_server(LARGE, &[], async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        let header = [0, 18, 0, 3, 0, 0, 0, 9, 0, 0];
        let tags = b"\x02\x05\x01x\xff\xff\xff\xff\x0f\x00\x02a\x02b\x01\x07\x01y";
        client.send(framed(&[&header[..], tags].concat())).await;
        assert_eq!(correlation_id(&client.receive().await.expect("an answer")), 9);
    });
}

/// Item 7: librdkafka sends Metadata with three bytes too many.
#[test]
fn trailing_bytes_are_ignored() {
    with_server(LARGE, &[], async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        client.send(request(ApiKey::ApiVersions, 3, 9, b"\x02a\x02b\x00surplus")).await;
        assert_eq!(correlation_id(&client.receive().await.expect("an answer")), 9);
    });
}

/// Item 7: never an answer, never a panic.
#[test]
fn a_request_that_ends_early_at_any_place_closes_the_connection() {
    let whole = request(ApiKey::ApiVersions, 3, 9, b"\x02a\x02b\x00");
    for end in 4..whole.len() {
        is_refused(&framed(&whole[4..end]));
    }
}

/// Item 8: the correlation id is the client's own affair.
#[test]
fn correlation_ids_may_repeat_and_be_negative() {
    with_server(LARGE, &[], async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        for id in [0, 0, -1, i32::MIN, i32::MAX] {
            client.send(ping(id)).await;
            assert_eq!(correlation_id(&client.receive().await.expect("an answer")), id);
        }
    });
}

/// Half a frame, and then the end: nothing is answered and nothing is kept.
#[test]
fn a_frame_cut_by_the_end_of_the_connection_is_dropped() {
    with_server(LARGE, &[], async |env, server| {
        let mut client = Client::connect(env, server.port()).await;
        client.send(ping(1)[..9].to_vec()).await;
        let _ = client.stream.writer.shutdown().await;
        assert!(client.is_closed().await);
        assert_eq!(server.shared.budget.charged(), 0);
    });
}
