//! What the world itself costs: processor time per simulated round trip and events per second of it.
//!
//! `cargo run --release -p sim --example world_cost`

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jangbu_core::env::{
    Clock, Disk, Env, File, Lane, Listener, Net, Site, Stream, StreamReader, StreamWriter, Task,
};
use sim::run::{Ended, run_seed};
use sim::world::{Settings, SimEnv, World};

const SITE: Site = Site::new("cost");
const CLIENTS: u64 = 4;
const ROUNDS: u64 = 20_000;

/// Answers each 200 bytes with 60, and appends them if told so.
async fn serve(env: SimEnv, appends: bool) -> std::io::Result<()> {
    let file = env.disk().create(SITE, Path::new("/log"))?;
    let mut listener = env.net().listen("0.0.0.0:9092").await?;
    let mut connections: Vec<Task> = Vec::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let file = file.clone();
        connections.push(env.spawn(Lane::Data, "connection", async move {
            let (mut reader, mut writer) = stream.split();
            let mut buffer = BytesMut::with_capacity(4096);
            let mut end = 0;
            while let Ok(1..) = reader.read(&mut buffer).await {
                while buffer.len() >= 200 {
                    let request = buffer.split_to(200);
                    if appends {
                        let written = file.write_at(
                            SITE,
                            &[IoSlice::new(&request[..61]), IoSlice::new(&request[61..])],
                            end,
                        );
                        written.expect("a healthy disk");
                        end += 200;
                    }
                    if writer.write(Bytes::from_static(&[1; 60]), false).await.is_err() {
                        return;
                    }
                }
                if buffer.capacity() < 200 {
                    buffer.reserve(4096);
                }
            }
        }));
    }
}

async fn ask(env: SimEnv, timeouts: bool) -> std::io::Result<()> {
    env.clock().sleep_until(env.clock().now() + Duration::from_millis(5)).await;
    let (mut reader, mut writer) = env.net().connect("s:9092").await?.split();
    let mut buffer = BytesMut::with_capacity(4096);
    for _ in 0..ROUNDS {
        writer.write(Bytes::from_static(&[7; 200]), false).await?;
        let mut got = 0;
        while got < 60 {
            let deadline = env.clock().now() + Duration::from_secs(30);
            got += if timeouts {
                tokio::select! {
                    biased;
                    len = reader.read(&mut buffer) => len?,
                    () = env.clock().sleep_until(deadline) => panic!("no cut was asked for"),
                }
            } else {
                reader.read(&mut buffer).await?
            };
        }
        buffer.clear();
        if buffer.capacity() < 60 {
            buffer.reserve(4096);
        }
    }
    Ok(())
}

async fn ping_pong(world: Arc<World>, appends: bool, timeouts: bool) {
    let server = world.add_node("s", move |env| async move {
        serve(env, appends).await.map_err(|error| error.to_string())
    });
    world.start(server);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let name = format!("c{client}");
            let node = world.add_node(name, move |env| async move {
                ask(env, timeouts).await.map_err(|error| error.to_string())
            });
            world.start(node);
            node
        })
        .collect();
    while clients.iter().any(|client| world.is_up(*client)) {
        world.sleep(Duration::from_millis(100)).await;
    }
}

fn main() {
    for (appends, timeouts) in [(false, false), (true, false), (true, true)] {
        for seed in 0..3 {
            let outcome =
                run_seed(Settings::default(), seed, move |world| ping_pong(world, appends, timeouts));
            assert!(matches!(outcome.ended, Ended::Finished(())) && outcome.violations.is_empty());
            let cpu = outcome.cpu.unwrap_or_default().as_secs_f64();
            println!(
                "appends {appends}, timeouts {timeouts}: {:.2} us per round trip, {:.2} M events per CPU-second, {:.0} simulated seconds per CPU-second",
                cpu * 1e6 / (CLIENTS * ROUNDS) as f64,
                outcome.events as f64 / cpu / 1e6,
                outcome.simulated.as_secs_f64() / cpu,
            );
        }
    }
}
