use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use jangbu_core::env::{Env, File, FileSlice, Listener, Net, Stream, StreamReader, StreamWriter};
use jangbu_core::time::Instant;
use sim::world::disk::PowerLoss;
use sim::world::net::{Hold, LinkSettings};
use sim::world::{Crash, NodeId, SimEnv, World};

use crate::toy::{APPEND, LOG, add_client, add_echo, ask, exchange, ms, open_log, pause, run};

/// What clients noted, with the world's time in milliseconds.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(String, u64)>>>);

impl Notes {
    fn add(&self, world: &World, text: impl Into<String>) {
        let Instant(now) = world.now();
        self.0.lock().expect("no panic").push((text.into(), now / 1_000_000));
    }

    fn take(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }

    fn only(&self) -> (String, u64) {
        let mut notes = self.take();
        assert_eq!(notes.len(), 1, "{notes:?}");
        notes.remove(0)
    }
}

/// A server that answers with what it gets, at work.
fn start_echo(world: &Arc<World>) -> NodeId {
    let server = add_echo(world, "s", false);
    world.start(server);
    server
}

/// A client that takes notes, and what it noted.
fn add_noting<F>(
    world: &Arc<World>,
    body: impl Fn(SimEnv, Notes) -> F + Send + Sync + 'static,
) -> (NodeId, Notes)
where
    F: Future<Output = ()> + Send + 'static,
{
    let notes = Notes::default();
    let seen = notes.clone();
    (add_client(world, "c", move |env| body(env, notes.clone())), seen)
}

#[test]
fn bytes_go_there_and_back() {
    run(1, |world| async move {
        start_echo(&world);
        let (_, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let answer = ask(&env, "s:9092", "hello").await.expect("a healthy network");
            notes.add(env.world(), answer);
            let error = ask(&env, "s:1", "hello").await.expect_err("nobody listens");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            assert!(ask(&env, "nowhere:1", "hello").await.is_err());
        });
        world.sleep(ms(100)).await;
        let (answer, at) = seen.only();
        assert!(answer == "hello" && (20..25).contains(&at), "{at}");
        assert_eq!(world.violations(), []);
    });
}

#[test]
fn a_cut_stalls_one_way_and_heals_without_losing_a_byte() {
    run(2, |world| async move {
        let server = start_echo(&world);
        let (client, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let (mut reader, mut writer) =
                env.net().connect("s:9092").await.expect("a healthy network").split();
            for number in 0..100 {
                let text = format!("request {number}");
                let answer = exchange(&mut reader, &mut writer, &text).await.expect("cuts lose nothing");
                assert_eq!(answer, text);
                notes.add(env.world(), answer);
                pause(&env, ms(10)).await;
            }
        });
        world.sleep(ms(200)).await;
        world.cut(server, client);
        assert!(world.is_cut(server, client) && !world.is_cut(client, server));
        world.sleep(ms(5)).await;
        seen.take();
        world.sleep(ms(1000)).await;
        assert_eq!(seen.take(), []);
        world.heal(server, client);
        world.sleep(ms(2000)).await;
        assert!(seen.take().len() > 50);
        assert_eq!(world.violations(), []);
    });
}

#[test]
fn connecting_over_a_cut_hangs_until_it_is_healed() {
    run(3, |world| async move {
        let server = start_echo(&world);
        let (client, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let answer = ask(&env, "s:9092", "late").await.expect("it is healed in the end");
            notes.add(env.world(), answer);
        });
        world.cut(client, server);
        world.sleep(ms(10_000)).await;
        assert_eq!(seen.take(), []);
        world.heal_all();
        world.sleep(ms(10_000)).await;
        assert_eq!(seen.only().0, "late");
    });
}

#[test]
fn a_dead_process_closes_its_connections_and_a_dead_machine_says_nothing() {
    for (crash, told) in [(Crash::Process, true), (Crash::Power(PowerLoss::EVERYTHING), false)] {
        run(4, move |world| async move {
            let server = start_echo(&world);
            let (_, seen) = add_noting(&world, |env, notes| async move {
                pause(&env, ms(20)).await;
                let (mut reader, mut writer) =
                    env.net().connect("s:9092").await.expect("a healthy network").split();
                exchange(&mut reader, &mut writer, "hello").await.expect("a healthy network");
                let end = reader.read(&mut BytesMut::new()).await;
                notes.add(env.world(), format!("{:?}", end.map_err(|error| error.kind())));
                drop((reader, writer));
                let refused = env.net().connect("s:9092").await.map(|_| ()).map_err(|error| error.kind());
                notes.add(env.world(), format!("{refused:?}"));
            });
            world.sleep(ms(100)).await;
            world.crash(server, crash);
            world.sleep(ms(5000)).await;
            let texts: Vec<_> = seen.take().into_iter().map(|(text, _)| text).collect();
            let expected: &[&str] = if told { &["Ok(0)", "Err(ConnectionRefused)"] } else { &[] };
            assert_eq!(texts, expected);
        });
    }
}

#[test]
fn a_machine_that_returns_resets_who_still_waits_for_it() {
    run(5, |world| async move {
        let server = start_echo(&world);
        let (_, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let (mut reader, mut writer) =
                env.net().connect("s:9092").await.expect("a healthy network").split();
            exchange(&mut reader, &mut writer, "hello").await.expect("a healthy network");
            pause(&env, ms(200)).await;
            let lost =
                exchange(&mut reader, &mut writer, "is anyone there").await.map_err(|error| error.kind());
            notes.add(env.world(), format!("{lost:?}"));
        });
        world.sleep(ms(100)).await;
        world.crash(server, Crash::Power(PowerLoss::EVERYTHING));
        world.sleep(ms(2000)).await;
        assert_eq!(seen.take(), []);
        world.start(server);
        world.sleep(ms(5000)).await;
        assert_eq!(seen.only().0, "Err(ConnectionReset)");
    });
}

#[test]
fn a_writer_waits_for_a_reader_that_does_not_read() {
    run(6, |world| async move {
        add_client(&world, "s", |env| async move {
            let mut listener = env.net().listen("0.0.0.0:1").await.expect("the port is free");
            let (stream, _) = listener.accept().await.expect("a healthy network");
            let (mut reader, _writer) = stream.split();
            pause(&env, ms(1000)).await;
            let mut buffer = BytesMut::with_capacity(10_000);
            while reader.read(&mut buffer).await.expect("a healthy network") > 0 {
                assert!(buffer.iter().all(|byte| *byte == 7));
                buffer.clear();
            }
        });
        let (_, seen) = add_noting(&world, |env, notes| async move {
            let (_reader, mut writer) = env.net().connect("s:1").await.expect("a healthy network").split();
            writer.write(Bytes::from(vec![7; 200_000]), false).await.expect("it fits the window");
            notes.add(env.world(), "first");
            writer.write(Bytes::from(vec![7; 2_000_000]), false).await.expect("it waits");
            notes.add(env.world(), "second");
            writer.shutdown().await.expect("a healthy network");
            assert!(writer.write(Bytes::from_static(b"x"), false).await.is_err());
        });
        world.sleep(ms(3000)).await;
        let notes = seen.take();
        let [(_, first), (_, second)] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(*first < 10 && (1000..1100).contains(second), "{notes:?}");
        assert_eq!(world.violations(), []);
    });
}

#[test]
fn a_file_is_read_when_its_bytes_are_delivered() {
    run(7, |world| async move {
        let server = add_client(&world, "s", |env| async move {
            let file = open_log(&env).await.expect("a healthy disk");
            file.write_at(APPEND, &[IoSlice::new(b"before")], 0).expect("a healthy disk");
            let mut listener = env.net().listen("0.0.0.0:1").await.expect("the port is free");
            let (stream, _) = listener.accept().await.expect("a healthy network");
            let (_reader, mut writer) = stream.split();
            let slice = FileSlice { file: file.clone(), position: 0, len: 6 };
            writer.write(Bytes::from_static(b"->"), true).await.expect("a healthy network");
            writer.send_file(&slice, false).await.expect("a healthy network");
            file.write_at(APPEND, &[IoSlice::new(b"after!")], 0).expect("a healthy disk");
            let short = FileSlice { file, position: 3, len: 6 };
            let error = writer.send_file(&short, false).await.expect_err("the file is shorter");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            std::future::pending::<()>().await;
        });
        let (_, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let (mut reader, _writer) = env.net().connect("s:1").await.expect("a healthy network").split();
            let mut buffer = BytesMut::new();
            while buffer.len() < 8 {
                reader.read(&mut buffer).await.expect("a healthy network");
            }
            notes.add(env.world(), String::from_utf8_lossy(&buffer));
        });
        world.sleep(ms(100)).await;
        assert_eq!((seen.only().0.as_str(), world.violations()), ("->after!", vec![]));
        assert!(world.is_up(server));
    });
}

#[test]
fn what_a_machine_without_power_had_sent_arrives_as_it_was_when_it_left() {
    run(7, |world| async move {
        let notes = Notes::default();
        let seen = notes.clone();
        let server = add_client(&world, "s", |env| async move {
            let file = open_log(&env).await.expect("a healthy disk");
            file.write_at(APPEND, &[IoSlice::new(b"before")], 0).expect("a healthy disk");
            let mut listener = env.net().listen("0.0.0.0:1").await.expect("the port is free");
            let (stream, _) = listener.accept().await.expect("a healthy network");
            let (_reader, mut writer) = stream.split();
            pause(&env, ms(20)).await;
            writer
                .send_file(&FileSlice { file, position: 0, len: 6 }, false)
                .await
                .expect("a healthy network");
            std::future::pending::<()>().await;
        });
        let client = add_client(&world, "c", move |env| {
            let notes = notes.clone();
            async move {
                pause(&env, ms(20)).await;
                let stream = env.net().connect("s:1").await.expect("a healthy network");
                let (mut reader, _writer) = stream.split();
                let mut buffer = BytesMut::new();
                while buffer.len() < 6 {
                    reader.read(&mut buffer).await.expect("a healthy network");
                }
                notes.add(env.world(), String::from_utf8_lossy(&buffer));
            }
        });
        let slow = LinkSettings { delay_ns: 50_000_000, jitter_ns: 0, ..world.default_link() };
        world.sleep(ms(30)).await;
        assert_eq!(world.connections_open(), 1);
        world.set_link(server, client, Some(slow));
        world.sleep(ms(40)).await;
        world.crash(server, Crash::Power(PowerLoss::EVERYTHING));
        assert_eq!(
            world.read_file(server, Path::new(LOG)),
            Some(Vec::new()),
            "the bytes are gone from the disk"
        );
        world.sleep(ms(200)).await;
        assert_eq!((seen.only().0.as_str(), world.violations()), ("before", vec![]));
    });
}

#[test]
fn half_a_connection_can_be_closed() {
    run(8, |world| async move {
        add_client(&world, "s", |env| async move {
            let mut listener = env.net().listen("0.0.0.0:1").await.expect("the port is free");
            let (stream, _) = listener.accept().await.expect("a healthy network");
            let (mut reader, mut writer) = stream.split();
            let mut all = BytesMut::new();
            while reader.read(&mut all).await.expect("a healthy network") > 0 {}
            writer.write(all.freeze(), false).await.expect("this way is open");
        });
        let (_, seen) = add_noting(&world, |env, notes| async move {
            let (mut reader, mut writer) = env.net().connect("s:1").await.expect("a healthy network").split();
            writer.write(Bytes::from_static(b"all of it"), false).await.expect("a healthy network");
            drop(writer);
            let mut all = BytesMut::new();
            while reader.read(&mut all).await.expect("a healthy network") > 0 {}
            notes.add(env.world(), String::from_utf8_lossy(&all));
        });
        world.sleep(ms(100)).await;
        assert_eq!(seen.only().0, "all of it");
    });
}

#[test]
fn who_sends_to_a_closed_end_is_reset_and_so_is_who_left_bytes_unread() {
    run(9, |world| async move {
        add_client(&world, "s", |env| async move {
            let mut listener = env.net().listen("0.0.0.0:1").await.expect("the port is free");
            let (stream, _) = listener.accept().await.expect("a healthy network");
            pause(&env, ms(50)).await;
            drop(stream);
            std::future::pending::<()>().await;
        });
        let (_, seen) = add_noting(&world, |env, notes| async move {
            let (mut reader, mut writer) = env.net().connect("s:1").await.expect("a healthy network").split();
            writer.write(Bytes::from_static(b"never read"), false).await.expect("a healthy network");
            let end = reader.read(&mut BytesMut::new()).await.map_err(|error| error.kind());
            notes.add(env.world(), format!("{end:?}"));
            assert!(writer.write(Bytes::from_static(b"x"), false).await.is_err());
        });
        world.sleep(ms(200)).await;
        assert_eq!((seen.only().0.as_str(), world.violations()), ("Err(ConnectionReset)", vec![]));
        assert_eq!(world.connections_open(), 0);
    });
}

#[test]
fn connections_are_reset_on_demand() {
    run(10, |world| async move {
        let server = start_echo(&world);
        let (client, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let (mut reader, writer) = env.net().connect("s:9092").await.expect("a healthy network").split();
            let end = reader.read(&mut BytesMut::new()).await.map_err(|error| error.kind());
            notes.add(env.world(), format!("{end:?}"));
            drop((reader, writer));
        });
        world.sleep(ms(100)).await;
        assert_eq!(world.reset_connections(server, client), 1);
        world.sleep(ms(10)).await;
        assert_eq!(seen.only().0, "Err(ConnectionReset)");
        assert_eq!(world.connections_open(), 0);
    });
}

#[test]
fn an_abandoned_write_breaks_its_stream() {
    run(11, |world| async move {
        add_client(&world, "s", |env| async move {
            let mut listener = env.net().listen("0.0.0.0:1").await.expect("the port is free");
            let _connection = listener.accept().await.expect("a healthy network");
            std::future::pending::<()>().await;
        });
        add_client(&world, "c", |env| async move {
            let (_reader, mut writer) = env.net().connect("s:1").await.expect("a healthy network").split();
            let deadline = pause(&env, ms(50));
            tokio::select! {
                biased;
                _ = writer.write(Bytes::from(vec![0; 1_000_000]), false) => panic!("nobody reads"),
                () = deadline => {}
            }
            let error =
                writer.write(Bytes::from_static(b"x"), false).await.expect_err("the stream is broken");
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        });
        world.sleep(ms(100)).await;
        assert_eq!(world.violations(), []);
    });
}

#[test]
fn one_kind_of_message_is_held_up_and_no_other() {
    run(12, |world| async move {
        let server = start_echo(&world);
        let (client, seen) = add_noting(&world, |env, notes| async move {
            pause(&env, ms(20)).await;
            let (mut reader, mut writer) =
                env.net().connect("s:9092").await.expect("a healthy network").split();
            // Length 8, key, version 0, correlation id 1: what comes back as it is would not be a response to it.
            for api_key in [3u8, 22] {
                let frame = [0, 0, 0, 8, 0, api_key, 0, 0, 0, 0, 0, 1];
                let text = String::from_utf8(frame.to_vec()).expect("small bytes");
                exchange(&mut reader, &mut writer, &text).await.expect("a healthy network");
                notes.add(env.world(), format!("key {api_key}"));
            }
        });
        let hold = Hold { from: client, to: server, api_key: 22, responses: false, delay_ns: 500_000_000 };
        let number = world.hold_messages(hold);
        world.sleep(ms(2000)).await;
        let notes = seen.take();
        let [(_, other), (_, held)] = notes.as_slice() else { panic!("{notes:?}") };
        assert!(*other < 30 && (520..530).contains(held), "{notes:?}");
        assert_eq!(world.tally().faults["message_held"], 1);
        world.release_messages(number);
    });
}
