//! The promises of [`Net`], [`Listener`] and [`Stream`].

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Ground, SOON, pattern, pause, soon, within};
use crate::env::{Disk, Env, File, FileSlice, Listener, Net, Site, Stream, StreamReader, StreamWriter};

const SITE: Site = Site::new("contract.net");

type StreamOf<E> = <<E as Env>::Net as Net>::Stream;
type FileOf<E> = <<E as Env>::Disk as Disk>::File;
/// Both halves of a connection.
pub(super) type Halves<E> = (<StreamOf<E> as Stream>::Reader, <StreamOf<E> as Stream>::Writer);

async fn listen<E: Env>(ground: &Ground<E>) -> <E::Net as Net>::Listener {
    let address = format!("{}:0", ground.host);
    soon(&ground.env, "listening", ground.env.net().listen(&address)).await.expect("a free port")
}

async fn connect<E: Env>(ground: &Ground<E>, port: u16) -> io::Result<StreamOf<E>> {
    let address = format!("{}:{port}", ground.host);
    soon(&ground.env, "connecting", ground.peer.net().connect(&address)).await
}

/// A connection: the accepting side, then the connecting side.
pub(super) async fn connected<E: Env>(ground: &Ground<E>) -> (Halves<E>, Halves<E>) {
    let mut listener = listen(ground).await;
    let theirs = connect(ground, listener.local_port()).await.expect("somebody listens");
    let (ours, peer) = soon(&ground.env, "accepting", listener.accept()).await.expect("somebody connects");
    assert!(!peer.is_empty(), "the peer's address is empty");
    (ours.split(), theirs.split())
}

/// Reads until `len` bytes are there, or the peer closes its half.
async fn read_up_to<R: StreamReader>(reader: &mut R, len: usize) -> io::Result<BytesMut> {
    let mut into = BytesMut::new();
    while into.len() < len {
        if reader.read(&mut into).await? == 0 {
            break;
        }
    }
    Ok(into)
}

/// Everything until the peer closes its half.
async fn read_to_end<E: Env>(ground: &Ground<E>, reader: &mut impl StreamReader) -> BytesMut {
    soon(&ground.env, "reading to the end", read_up_to(reader, usize::MAX)).await.expect("no reset")
}

async fn write<E: Env>(ground: &Ground<E>, writer: &mut impl StreamWriter, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    soon(&ground.env, "writing", writer.write(bytes, false)).await.expect("the peer is there");
}

fn file<E: Env>(ground: &Ground<E>, name: &str, content: &[u8]) -> FileOf<E> {
    let file = ground.env.disk().create(SITE, &ground.directory.join(name)).expect("a new name");
    file.write_at(SITE, &[IoSlice::new(content)], 0).expect("a write");
    file
}

pub(super) async fn port_0_takes_a_free_port<E: Env>(ground: Ground<E>) {
    let (mut first, second) = (listen(&ground).await, listen(&ground).await);
    assert_ne!(first.local_port(), 0);
    assert_ne!(first.local_port(), second.local_port(), "two listeners on one port");
    connect(&ground, first.local_port()).await.expect("somebody listens");
    soon(&ground.env, "accepting", first.accept()).await.expect("somebody connects");
}

pub(super) async fn a_port_is_taken_once_and_freed_by_dropping<E: Env>(ground: Ground<E>) {
    let listener = listen(&ground).await;
    let port = listener.local_port();
    let address = format!("{}:{port}", ground.host);
    match soon(&ground.env, "listening", ground.env.net().listen(&address)).await {
        Ok(_) => panic!("port {port} was taken twice"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
    }
    drop(listener);
    pause(&ground.env, Duration::from_millis(20)).await;
    assert!(connect(&ground, port).await.is_err(), "connected to port {port}, where nobody listens");
    let again = soon(&ground.env, "listening", ground.env.net().listen(&address)).await;
    assert_eq!(again.expect("the port is free again").local_port(), port);
}

pub(super) async fn bytes_arrive_in_order_both_ways<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let (there, back) = (pattern(700_001, 3), pattern(500_003, 4));
    let send_there = async {
        for chunk in there.chunks(70_001) {
            theirs.1.write(Bytes::copy_from_slice(chunk), false).await.expect("the peer reads");
        }
    };
    let send_back = async {
        for chunk in back.chunks(333) {
            ours.1.write(Bytes::copy_from_slice(chunk), false).await.expect("the peer reads");
        }
    };
    let both = async {
        tokio::join!(
            send_there,
            send_back,
            read_up_to(&mut ours.0, there.len()),
            read_up_to(&mut theirs.0, back.len())
        )
    };
    let ((), (), arrived_there, arrived_back) = soon(&ground.env, "1.2 MB both ways", both).await;
    assert!(arrived_there.expect("no reset") == there, "bytes were lost, doubled or out of order");
    assert!(arrived_back.expect("no reset") == back, "bytes were lost, doubled or out of order");
}

pub(super) async fn a_read_appends_within_the_spare_capacity<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let sent = pattern(1_000, 5);
    write(&ground, &mut theirs.1, &sent).await;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let mut into = BytesMut::with_capacity(11);
        into.extend_from_slice(b"old");
        let spare = into.capacity() - into.len();
        let read = soon(&ground.env, "reading", ours.0.read(&mut into)).await.expect("no reset");
        assert!(read > 0, "0 means the end, and the peer has not closed");
        assert!(read <= spare, "{read} bytes into {spare} bytes of spare capacity");
        assert_eq!(into.len(), 3 + read, "the returned number is not what was appended");
        assert_eq!(&into[..3], b"old", "a read changed what was there");
        received.extend_from_slice(&into[3..]);
    }
    assert_eq!(received, sent);
}

pub(super) async fn a_read_without_spare_capacity_takes_4_kib_at_most<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let sent = pattern(10_000, 6);
    write(&ground, &mut theirs.1, &sent).await;
    pause(&ground.env, Duration::from_millis(20)).await;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let mut into = BytesMut::new();
        let read = soon(&ground.env, "reading", ours.0.read(&mut into)).await.expect("no reset");
        assert!((1..=4096).contains(&read), "{read} bytes into an empty buffer");
        received.extend_from_slice(&into);
    }
    assert_eq!(received, sent);
}

pub(super) async fn shutting_down_one_half_leaves_the_other_open<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    write(&ground, &mut theirs.1, b"question").await;
    soon(&ground.env, "shutting down", theirs.1.shutdown()).await.expect("the peer is there");
    assert_eq!(read_to_end(&ground, &mut ours.0).await, b"question"[..]);
    let again = soon(&ground.env, "reading past the end", ours.0.read(&mut BytesMut::new())).await;
    assert_eq!(again.expect("no reset"), 0, "the end is not the end");
    write(&ground, &mut ours.1, b"answer").await;
    drop(ours);
    assert_eq!(read_to_end(&ground, &mut theirs.0).await, b"answer"[..]);
}

pub(super) async fn dropping_the_writer_tells_the_peer<E: Env>(ground: Ground<E>) {
    let (mut ours, (mut their_reader, their_writer)) = connected(&ground).await;
    drop(their_writer);
    assert_eq!(read_to_end(&ground, &mut ours.0).await, b""[..]);
    write(&ground, &mut ours.1, b"still open").await;
    drop(ours);
    assert_eq!(read_to_end(&ground, &mut their_reader).await, b"still open"[..]);
}

pub(super) async fn everything_written_arrives_before_the_end<E: Env>(ground: Ground<E>) {
    let (mut ours, (their_reader, mut their_writer)) = connected(&ground).await;
    let sent = pattern(300_000, 7);
    let send = async {
        their_writer.write(Bytes::copy_from_slice(&sent), false).await.expect("the peer reads");
        drop(their_writer);
        drop(their_reader);
    };
    let both = async { tokio::join!(send, read_up_to(&mut ours.0, usize::MAX)) };
    let ((), arrived) = soon(&ground.env, "300 kB and the end", both).await;
    assert!(arrived.expect("a close is no reset") == sent, "closing lost bytes that had been written");
}

pub(super) async fn closing_both_halves_fails_the_peers_writes<E: Env>(ground: Ground<E>) {
    let (mut ours, theirs) = connected(&ground).await;
    drop(theirs);
    let write_on = async {
        loop {
            if let Err(error) = ours.1.write(Bytes::from(vec![0; 10_000]), false).await {
                return error;
            }
            pause(&ground.env, Duration::from_millis(1)).await;
        }
    };
    let error = soon(&ground.env, "noticing that the peer closed", write_on).await;
    assert!(
        matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
        ),
        "writing to a closed connection failed with {error}"
    );
    let later = soon(&ground.env, "a later write", ours.1.write(Bytes::from_static(b"x"), false)).await;
    assert_eq!(later.expect_err("the writer is broken").kind(), ErrorKind::BrokenPipe);
    let read = soon(&ground.env, "reading", ours.0.read(&mut BytesMut::new())).await;
    assert!(!matches!(read, Ok(1..)), "bytes arrived that nobody sent");
}

/// More than any world buffers.
const FLOOD: usize = 64 << 20;

/// Writes until the writer waits, and drops the write then; returns how much was surely taken.
async fn fill<E: Env>(ground: &Ground<E>, writer: &mut impl StreamWriter) -> usize {
    let chunk = Bytes::from(pattern(1 << 20, 8));
    let mut taken = 0;
    while taken < FLOOD {
        match within(&ground.env, Duration::from_millis(300), writer.write(chunk.clone(), false)).await {
            Some(result) => result.expect("the peer is there"),
            None => return taken,
        }
        taken += chunk.len();
    }
    panic!("{FLOOD} bytes were written to a peer that reads nothing");
}

pub(super) async fn a_writer_waits_while_its_peer_does_not_read<E: Env>(ground: Ground<E>) {
    let (mut ours, _theirs) = connected(&ground).await;
    fill(&ground, &mut ours.1).await;
}

pub(super) async fn a_waiting_writer_goes_on_when_its_peer_reads<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let sent = pattern(24 << 20, 9);
    let send = async {
        ours.1.write(Bytes::copy_from_slice(&sent), false).await.expect("the peer reads at last");
        drop(ours);
    };
    let receive = async {
        pause(&ground.env, Duration::from_millis(100)).await;
        let mut received = BytesMut::with_capacity(sent.len());
        while theirs.0.read(&mut received).await.expect("no reset") > 0 {}
        received
    };
    let both = async { tokio::join!(send, receive) };
    let ((), received) = soon(&ground.env, "24 MiB to a late reader", both).await;
    assert!(received == sent, "bytes were lost, doubled or out of order");
}

pub(super) async fn an_empty_write_sends_nothing<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    write(&ground, &mut ours.1, b"").await;
    let early = within(&ground.env, Duration::from_millis(20), theirs.0.read(&mut BytesMut::new())).await;
    assert!(early.is_none(), "an empty write was read as {early:?}");
    write(&ground, &mut ours.1, b"x").await;
    drop(ours);
    assert_eq!(read_to_end(&ground, &mut theirs.0).await, b"x"[..]);
}

pub(super) async fn small_pieces_with_more_to_come_arrive_whole<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let sent = pattern(1_000, 10);
    for piece in sent.chunks(7) {
        let last = piece.as_ptr_range().end == sent.as_ptr_range().end;
        let write = ours.1.write(Bytes::copy_from_slice(piece), !last);
        soon(&ground.env, "writing a piece", write).await.expect("the peer is there");
    }
    // Nothing follows, and the connection stays open: the last piece must have pushed the others out.
    let read = within(&ground.env, SOON, read_up_to(&mut theirs.0, sent.len())).await;
    assert!(read.expect("pieces are held back").expect("no reset") == sent);
}

pub(super) async fn a_file_slice_arrives_like_written_bytes<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let content = pattern(3_000_000, 11);
    let file = file(&ground, "segment", &content);
    let mut sent = Vec::new();
    for (position, len) in [(0, 0), (17, 100), (4_095, 16_383), (1, 16_384), (70_000, 65_537), (5, 2_900_000)]
    {
        sent.extend_from_slice(b"header");
        sent.extend_from_slice(&content[position..position + len]);
    }
    let send = async {
        for (position, len) in
            [(0, 0), (17, 100), (4_095, 16_383), (1, 16_384), (70_000, 65_537), (5, 2_900_000)]
        {
            let slice = FileSlice { file: file.clone(), position, len };
            ours.1.write(Bytes::from_static(b"header"), true).await.expect("the peer reads");
            ours.1.send_file(&slice, position != 5).await.expect("the peer reads");
        }
        ours.1.write(Bytes::from_static(b"end"), false).await.expect("the peer reads");
    };
    sent.extend_from_slice(b"end");
    let both = async { tokio::join!(send, read_up_to(&mut theirs.0, sent.len())) };
    let ((), arrived) = soon(&ground.env, "file slices", both).await;
    assert!(arrived.expect("no reset") == sent, "a file slice arrived changed");
}

pub(super) async fn a_slice_of_a_removed_file_arrives<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let content = pattern(100_000, 12);
    let slice = FileSlice { file: file(&ground, "gone", &content), position: 0, len: 100_000 };
    ground.env.disk().remove_file(SITE, &ground.directory.join("gone")).expect("a removal");
    let both =
        async { tokio::join!(ours.1.send_file(&slice, false), read_up_to(&mut theirs.0, content.len())) };
    let (sent, arrived) = soon(&ground.env, "a slice of a removed file", both).await;
    sent.expect("the slice keeps the file");
    assert!(arrived.expect("no reset") == content);
}

pub(super) async fn a_file_shorter_than_the_slice_is_an_unexpected_end<E: Env>(ground: Ground<E>) {
    for (name, there, len) in [("small", 50, 100), ("big", 90_000, 100_000), ("empty", 0, 20_000)] {
        let (mut ours, mut theirs) = connected(&ground).await;
        let content = pattern(there, 13);
        let slice = FileSlice { file: file(&ground, name, &content), position: 0, len };
        let sent = soon(&ground.env, "a short file", ours.1.send_file(&slice, false)).await;
        assert_eq!(sent.expect_err("the file is too short").kind(), ErrorKind::UnexpectedEof);
        broken(&ground, &mut ours.1, &slice).await;
        drop(ours);
        let arrived = read_to_end(&ground, &mut theirs.0).await;
        assert!(content.starts_with(&arrived), "bytes were sent that are not in the file");
    }
}

/// After an error or a cancelled call, every later call fails.
async fn broken<E: Env, W: StreamWriter>(ground: &Ground<E>, writer: &mut W, slice: &FileSlice<W::File>) {
    let write = soon(&ground.env, "a later write", writer.write(Bytes::from_static(b"x"), false)).await;
    assert_eq!(write.expect_err("a write after a broken one").kind(), ErrorKind::BrokenPipe);
    let send = soon(&ground.env, "a later send_file", writer.send_file(slice, false)).await;
    assert_eq!(send.expect_err("a send_file after a broken call").kind(), ErrorKind::BrokenPipe);
    let shutdown = soon(&ground.env, "a later shutdown", writer.shutdown()).await;
    assert_eq!(shutdown.expect_err("a shutdown after a broken call").kind(), ErrorKind::BrokenPipe);
}

pub(super) async fn a_cancelled_read_loses_no_byte<E: Env>(ground: Ground<E>) {
    let (mut ours, mut theirs) = connected(&ground).await;
    let sent = pattern(2_000, 14);
    let send = async {
        for piece in sent.chunks(20) {
            theirs.1.write(Bytes::copy_from_slice(piece), false).await.expect("the peer reads");
            pause(&ground.env, Duration::from_micros(900)).await;
        }
        drop(theirs);
    };
    let receive = async {
        let mut into = BytesMut::new();
        loop {
            let wait = Duration::from_micros(ground.env.random_u64() % 1_500);
            let read = within(&ground.env, wait, ours.0.read(&mut into)).await;
            if read.is_some_and(|read| read.expect("no reset") == 0) {
                return into;
            }
        }
    };
    let both = async { tokio::join!(send, receive) };
    let ((), received) = soon(&ground.env, "2,000 bytes in pieces", both).await;
    assert!(received == sent, "a cancelled read lost, doubled or moved bytes");
}

pub(super) async fn a_cancelled_write_breaks_the_pipe<E: Env>(ground: Ground<E>) {
    let (mut ours, theirs) = connected(&ground).await;
    fill(&ground, &mut ours.1).await;
    let slice = FileSlice { file: file(&ground, "file", b"content"), position: 0, len: 7 };
    broken(&ground, &mut ours.1, &slice).await;
    drop(theirs);
}

pub(super) async fn a_cancelled_send_file_breaks_the_pipe<E: Env>(ground: Ground<E>) {
    let (mut ours, theirs) = connected(&ground).await;
    let file = file(&ground, "file", &pattern(4 << 20, 15));
    let slice = FileSlice { file, position: 0, len: 4 << 20 };
    let mut taken = 0;
    while let Some(sent) =
        within(&ground.env, Duration::from_millis(300), ours.1.send_file(&slice, false)).await
    {
        sent.expect("the peer is there");
        taken += 4 << 20;
        assert!(taken < FLOOD, "{FLOOD} bytes of a file were sent to a peer that reads nothing");
    }
    broken(&ground, &mut ours.1, &slice).await;
    drop(theirs);
}

pub(super) async fn a_cancelled_accept_loses_no_connection<E: Env>(ground: Ground<E>) {
    let mut listener = listen(&ground).await;
    let port = listener.local_port();
    let dial = async {
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(connect(&ground, port).await.expect("somebody listens"));
            pause(&ground.env, Duration::from_micros(ground.env.random_u64() % 1_000)).await;
        }
        streams
    };
    let accept = async {
        let mut streams = Vec::new();
        while streams.len() < 20 {
            let wait = Duration::from_micros(ground.env.random_u64() % 1_000);
            if let Some(accepted) = within(&ground.env, wait, listener.accept()).await {
                streams.push(accepted.expect("somebody connects").0);
            }
        }
        streams
    };
    let both = async { tokio::join!(dial, accept) };
    let (dialled, accepted) = soon(&ground.env, "20 connections", both).await;
    assert_eq!((dialled.len(), accepted.len()), (20, 20));
}

pub(super) async fn every_connection_is_accepted_once<E: Env>(ground: Ground<E>) {
    let mut listener = listen(&ground).await;
    let mut theirs = Vec::new();
    for number in 0..30_u8 {
        let stream = connect(&ground, listener.local_port()).await.expect("somebody listens");
        let mut halves = stream.split();
        write(&ground, &mut halves.1, &[number]).await;
        theirs.push(halves);
    }
    let mut seen = BTreeSet::new();
    for _ in 0..30 {
        let accepted = soon(&ground.env, "accepting", listener.accept()).await.expect("somebody connected");
        let (mut reader, _writer) = accepted.0.split();
        let first = soon(&ground.env, "the first byte", read_up_to(&mut reader, 1)).await.expect("no reset");
        seen.insert(first[0]);
    }
    assert_eq!(seen.len(), 30, "a connection was accepted twice or never");
    let more = within(&ground.env, Duration::from_millis(20), listener.accept()).await;
    assert!(more.is_none(), "a connection was accepted that nobody made");
}
