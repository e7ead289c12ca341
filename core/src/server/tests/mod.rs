//! Connections against a small world in memory.

mod frames;
mod limits;
pub(crate) mod node;
pub(crate) mod pipe;

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Server;
use crate::config::Config;
use crate::env::memory::{MemoryDisk, MemoryFile};
use crate::env::one_node::{OneNode, World};
use crate::env::{Clock, Env, Lane, Net, Stepper, StreamReader, StreamWriter, Task};
use crate::fact::Fact;
use crate::wire::api_key::ApiKey;
use pipe::{Duplex, Wires};

/// [`OneNode`] with a network.
#[derive(Clone)]
pub(crate) struct Wired {
    pub(crate) node: OneNode<MemoryDisk>,
    wires: Wires<MemoryFile>,
}

impl Wired {
    /// Connections buffer `capacity` bytes in each direction.
    pub(crate) fn new(capacity: usize) -> Self {
        Self::on(MemoryDisk::new(1), capacity)
    }

    /// The same with a disk that may hold something already.
    pub(crate) fn on(disk: MemoryDisk, capacity: usize) -> Self {
        Self { node: OneNode::new(disk), wires: Wires::new(capacity) }
    }

    pub(crate) async fn sleep(&self, wait: Duration) {
        self.clock().sleep_until(self.clock().now() + wait).await;
    }
}

impl Env for Wired {
    type Clock = World;
    type Disk = MemoryDisk;
    type Net = Wires<MemoryFile>;

    fn clock(&self) -> &World {
        self.node.clock()
    }

    fn disk(&self) -> &MemoryDisk {
        self.node.disk()
    }

    fn net(&self) -> &Wires<MemoryFile> {
        &self.wires
    }

    fn spawn(
        &self,
        lane: Lane,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        self.node.spawn(lane, name, future)
    }

    async fn run<S: Stepper>(&self, name: &'static str, stepper: S) -> S::Output {
        self.node.run(name, stepper).await
    }

    fn random_u64(&self) -> u64 {
        self.node.random_u64()
    }

    async fn checkpoint(&self) {
        self.node.checkpoint().await;
    }

    fn observe(&self, fact: &Fact) {
        self.node.observe(fact);
    }

    fn observes(&self) -> bool {
        self.node.observes()
    }

    fn reached(&self, mark: &'static str) {
        self.node.reached(mark);
    }
}

/// The other end of a connection: raw bytes out, frames in.
pub(crate) struct Client {
    stream: Duplex<MemoryFile>,
    buffer: BytesMut,
}

impl Client {
    pub(crate) async fn connect(env: &Wired, port: u16) -> Self {
        let stream = env.net().connect(&format!("test:{port}")).await.expect("somebody listens");
        Self { stream, buffer: BytesMut::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>) {
        // The server may have closed already, which is what many tests look for.
        let _ = self.stream.writer.write(bytes.into(), false).await;
    }

    /// The next frame without its length, or `None` when the server closed.
    pub(crate) async fn receive(&mut self) -> Option<Bytes> {
        loop {
            if let Some(prefix) = self.buffer.first_chunk::<4>() {
                let length = 4 + u32::from_be_bytes(*prefix) as usize;
                if self.buffer.len() >= length {
                    return Some(self.buffer.split_to(length).split_off(4).freeze());
                }
            }
            if self.stream.reader.read(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// As [`Client::receive`], over a line that carries so many bytes at a time.
    pub(crate) async fn receive_slowly(
        &mut self,
        env: &Wired,
        bytes: usize,
        rest: Duration,
    ) -> Option<Bytes> {
        loop {
            if let Some(prefix) = self.buffer.first_chunk::<4>() {
                let length = 4 + u32::from_be_bytes(*prefix) as usize;
                if self.buffer.len() >= length {
                    return Some(self.buffer.split_to(length).split_off(4).freeze());
                }
            }
            let mut some = BytesMut::with_capacity(bytes);
            if self.stream.reader.read(&mut some).await.ok()? == 0 {
                return None;
            }
            self.buffer.extend_from_slice(&some);
            env.sleep(rest).await;
        }
    }

    /// Sends no more.
    pub(crate) async fn end(&mut self) {
        let _ = self.stream.writer.shutdown().await;
    }

    /// Whether the server closes without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.receive().await.is_none() && self.buffer.is_empty()
    }
}

/// A request frame with an empty client id and this body.
pub(crate) fn request(key: ApiKey, version: i16, correlation_id: i32, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(key.code().to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(correlation_id.to_be_bytes());
    frame.extend([0, 0]);
    if key.is_flexible(version) {
        frame.push(0);
    }
    frame.extend(body);
    framed(&frame)
}

pub(crate) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frame = (bytes.len() as i32).to_be_bytes().to_vec();
    frame.extend(bytes);
    frame
}

/// ApiVersions version 0, which has no body.
pub(crate) fn ping(correlation_id: i32) -> Vec<u8> {
    request(ApiKey::ApiVersions, 0, correlation_id, &[])
}

pub(crate) fn correlation_id(frame: &Bytes) -> i32 {
    i32::from_be_bytes(frame[..4].try_into().expect("a response has a correlation id"))
}

/// Runs a test against a broker with this configuration, over connections that buffer `capacity` bytes.
fn with_server<T>(
    capacity: usize,
    config: &[(&str, &str)],
    test: impl AsyncFnOnce(&Wired, &Server<Wired>) -> T,
) -> T {
    let env = Wired::new(capacity);
    env.node.block_on(async {
        let served = node::start(&env, configured(config)).await;
        test(&env, served.server()).await
    })
}

pub(crate) fn configured(pairs: &[(&str, &str)]) -> Config {
    let data = ("log.dirs", "/data");
    let is_given = pairs.iter().any(|(key, _)| *key == data.0);
    let pairs = if is_given { pairs.to_vec() } else { [&[data], pairs].concat() };
    let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Config::parse(pairs).expect("the test's configuration is right")
}
