//! Small nodes to try the world with: one that appends and acknowledges, one that asks.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jangbu_core::env::{
    Clock, Disk, Env, File, Lane, Listener, Net, OpenMode, Site, Stream, StreamReader, StreamWriter, Task,
};
use sim::run::{Ended, Outcome, run_seed};
use sim::world::{NodeId, Settings, SimEnv, World};

/// The site of every append of these nodes.
pub const APPEND: Site = Site::new("toy.append");
/// The site of every sync of these nodes.
pub const SYNC: Site = Site::new("toy.sync");
/// Any other call.
pub const OTHER: Site = Site::new("toy.other");
/// The file to which they append.
pub const LOG: &str = "/data/log";

/// Runs a body to its end and returns what it returned.
pub fn run<T, F>(seed: u64, body: impl FnOnce(Arc<World>) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    finished(run_seed(Settings::default(), seed, body))
}

/// What the body of a run returned.
pub fn finished<T>(outcome: Outcome<T>) -> T {
    match outcome.ended {
        Ended::Finished(value) => value,
        Ended::Stopped => panic!("stopped: {:?}", outcome.violations),
        Ended::Panicked(message) => panic!("{message}"),
    }
}

/// Opens the log, or creates it with all that makes its name durable.
pub async fn open_log(env: &SimEnv) -> io::Result<<<SimEnv as Env>::Disk as Disk>::File> {
    let (disk, path) = (env.disk(), Path::new(LOG));
    if let Ok(file) = disk.open(OTHER, path, OpenMode::Write) {
        return Ok(file);
    }
    let _ = disk.create_dir(OTHER, Path::new("/data"));
    let file = disk.create(OTHER, path)?;
    disk.sync_dir(OTHER, Path::new("/")).await?;
    disk.sync_dir(OTHER, Path::new("/data")).await?;
    Ok(file)
}

/// Adds a node that appends whatever each connection sends and gives it back, after a sync if so told.
pub fn add_echo(world: &Arc<World>, name: &str, syncs: bool) -> NodeId {
    world.add_node(name, move |env| async move { serve(env, syncs).await.map_err(|error| error.to_string()) })
}

async fn serve(env: SimEnv, syncs: bool) -> io::Result<()> {
    let file = open_log(&env).await?;
    let mut listener = env.net().listen("0.0.0.0:9092").await?;
    let mut connections: Vec<Task> = Vec::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let (file, this) = (file.clone(), env.clone());
        connections.push(env.spawn(Lane::Data, "connection", async move {
            let (mut reader, mut writer) = stream.split();
            let mut buffer = BytesMut::new();
            while let Ok(len @ 1..) = reader.read(&mut buffer).await {
                let bytes = buffer.split_to(len).freeze();
                this.random_u64();
                let Ok(end) = file.len(OTHER) else { return };
                if file.write_at(APPEND, &[IoSlice::new(&bytes)], end).is_err() {
                    return;
                }
                if syncs && file.sync(SYNC).await.is_err() {
                    return;
                }
                this.checkpoint().await;
                if writer.write(bytes, false).await.is_err() {
                    return;
                }
            }
        }));
    }
}

/// Adds a node that does what the body says once, on its own environment, and then stays.
pub fn add_client<F>(
    world: &Arc<World>,
    name: &str,
    body: impl Fn(SimEnv) -> F + Send + Sync + 'static,
) -> NodeId
where
    F: Future<Output = ()> + Send + 'static,
{
    let node = world.add_node(name, move |env| {
        let body = body(env);
        async move {
            body.await;
            std::future::pending().await
        }
    });
    world.start(node);
    node
}

/// Sends a text and waits until as many bytes came back.
pub async fn ask(env: &SimEnv, address: &str, text: &str) -> io::Result<String> {
    let (mut reader, mut writer) = env.net().connect(address).await?.split();
    exchange(&mut reader, &mut writer, text).await
}

/// As [`ask`], on a connection that exists.
pub async fn exchange(
    reader: &mut impl StreamReader,
    writer: &mut impl StreamWriter,
    text: &str,
) -> io::Result<String> {
    writer.write(Bytes::copy_from_slice(text.as_bytes()), false).await?;
    let mut buffer = BytesMut::new();
    while buffer.len() < text.len() {
        if reader.read(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// Waits on a node's own clock.
pub async fn pause(env: &SimEnv, wait: Duration) {
    env.clock().sleep_until(env.clock().now() + wait).await;
}

/// What the log of a node holds, as processes see it.
pub fn log_of(world: &World, node: NodeId) -> String {
    String::from_utf8_lossy(&world.read_file(node, Path::new(LOG)).unwrap_or_default()).into_owned()
}

/// Milliseconds.
pub const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
