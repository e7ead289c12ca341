use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use jangbu_core::env::{Env, Listener, Net, Stream, StreamReader, StreamWriter};
use sim::rng::Rng;
use sim::world::net::LinkSettings;
use sim::world::{SimEnv, World};

use crate::toy::{add_client, ms, pause, run};

const BYTES: u64 = 300_000;

/// The byte at a position of the endless text that every sender sends.
fn byte_at(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

/// Sends the text in pieces of any size and pace, then closes.
async fn send(env: &SimEnv, mut writer: impl StreamWriter, mut rng: Rng) -> std::io::Result<()> {
    let mut at = 0;
    while at < BYTES {
        let len = rng.within(0..20_000).min(BYTES - at);
        let piece: Vec<u8> = (at..at + len).map(byte_at).collect();
        writer.write(Bytes::from(piece), rng.chance(0.3)).await?;
        at += len;
        if rng.chance(0.5) {
            pause(env, ms(rng.below(30))).await;
        }
    }
    writer.shutdown().await
}

/// Reads to the end at any pace; whatever comes must be the text so far.
async fn receive(env: &SimEnv, mut reader: impl StreamReader, mut rng: Rng) -> std::io::Result<u64> {
    let mut at = 0;
    loop {
        let mut buffer = BytesMut::with_capacity(rng.within(1..30_000) as usize);
        if reader.read(&mut buffer).await? == 0 {
            return Ok(at);
        }
        for byte in buffer {
            assert_eq!(byte, byte_at(at), "byte {at}");
            at += 1;
        }
        if rng.chance(0.3) {
            pause(env, ms(rng.below(20))).await;
        }
    }
}

/// Both directions of a few connections under faults. Returns how many ends came to a whole text and how many to an error.
async fn exchange(world: Arc<World>, seed: u64, resets: bool) -> (u64, u64) {
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let both = {
        let counts = counts.clone();
        move |env: SimEnv, stream: <<SimEnv as Env>::Net as Net>::Stream, salt: u64| {
            let counts = counts.clone();
            async move {
                let (reader, writer) = stream.split();
                let rng = |purpose: u64| Rng::from_seed(seed << 8 | salt << 1 | purpose);
                let (sent, received) =
                    tokio::join!(send(&env, writer, rng(0)), receive(&env, reader, rng(1)));
                let whole = sent.is_ok() && received.is_ok_and(|received| received == BYTES);
                counts[usize::from(!whole)].fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let accept = both.clone();
    let server = add_client(&world, "s", move |env| {
        let both = accept.clone();
        async move {
            let mut listener = env.net().listen("s:1").await.expect("a free port");
            let mut tasks = Vec::new();
            for salt in 0..3 {
                let (stream, _) = listener.accept().await.expect("nobody crashes");
                tasks.push(env.spawn(
                    jangbu_core::env::Lane::Data,
                    "exchange",
                    both(env.clone(), stream, salt),
                ));
            }
            std::future::pending::<()>().await;
        }
    });
    let clients: Vec<_> = (0..3)
        .map(|salt| {
            let both = both.clone();
            add_client(&world, &format!("c{salt}"), move |env| {
                let both = both.clone();
                async move {
                    pause(&env, ms(10)).await;
                    let stream = env.net().connect("s:1").await.expect("somebody listens");
                    both(env, stream, 10 + salt).await;
                }
            })
        })
        .collect();
    world.sleep(ms(15)).await;
    let mut faults = world.stream("plan");
    for _ in 0..20 {
        world.sleep(ms(faults.below(60))).await;
        let client = clients[faults.below(3) as usize];
        let (from, to) = if faults.chance(0.5) { (client, server) } else { (server, client) };
        match faults.below(if resets { 5 } else { 4 }) {
            0 => world.cut(from, to),
            1 => world.heal(from, to),
            2 => {
                let slow = LinkSettings {
                    bytes_per_second: faults.within(100_000..10_000_000),
                    ..world.default_link()
                };
                world.set_link(from, to, Some(slow));
            }
            3 => world.set_link(from, to, None),
            _ => {
                world.reset_connections(from, to);
            }
        }
    }
    world.heal_all();
    world.sleep(ms(60_000)).await;
    assert_eq!(world.violations(), []);
    let [whole, broken] = counts.map(|count| count.load(Ordering::Relaxed));
    assert_eq!(whole + broken, 6, "an end hangs although every cut was healed");
    assert_eq!(world.connections_open(), 0);
    (whole, broken)
}

#[test]
fn cuts_and_slow_links_lose_no_byte() {
    for seed in 0..60 {
        let counts = run(seed, move |world| exchange(world, seed, false));
        assert_eq!(counts, (6, 0), "seed {seed}");
    }
}

#[test]
fn a_reset_ends_both_ends_and_never_changes_a_byte() {
    let broken: u64 = (0..60).map(|seed| run(seed, move |world| exchange(world, seed, true)).1).sum();
    assert!(broken > 60, "only {broken} ends were broken");
}
