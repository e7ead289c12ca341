//! A world in memory: tokio's paused clock, connections that deliver in odd chunks and can be broken, no disk.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::env::*;
use crate::fact::Fact;
use crate::time::{Instant, Timestamp};

#[derive(Clone)]
pub(super) struct MemoryEnv {
    clock: MemoryClock,
    disk: NoDisk,
    pub(super) net: MemoryNet,
    chance: Arc<Mutex<u64>>,
}

impl MemoryEnv {
    pub(super) fn new(seed: u64) -> Self {
        let chance = Arc::new(Mutex::new(seed));
        let net = MemoryNet {
            listeners: Arc::default(),
            pipes: Arc::default(),
            chance: chance.clone(),
            held: Arc::default(),
        };
        Self { clock: MemoryClock(tokio::time::Instant::now()), disk: NoDisk, net, chance }
    }
}

fn draw(chance: &Mutex<u64>) -> u64 {
    let mut state = chance.lock().expect("not poisoned");
    // splitmix64
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl Env for MemoryEnv {
    type Clock = MemoryClock;
    type Disk = NoDisk;
    type Net = MemoryNet;

    fn clock(&self) -> &MemoryClock {
        &self.clock
    }

    fn disk(&self) -> &NoDisk {
        &self.disk
    }

    fn net(&self) -> &MemoryNet {
        &self.net
    }

    fn spawn(&self, _: Lane, _: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Task {
        Task::new(Spawned(tokio::spawn(future)))
    }

    async fn run<S: Stepper>(&self, _: &'static str, mut stepper: S) -> S::Output {
        loop {
            if let Step::Done(output) = stepper.step() {
                return output;
            }
        }
    }

    fn random_u64(&self) -> u64 {
        draw(&self.chance)
    }

    async fn checkpoint(&self) {}

    fn observe(&self, _: &Fact) {}

    fn observes(&self) -> bool {
        false
    }

    fn reached(&self, _: &'static str) {}
}

struct Spawned(tokio::task::JoinHandle<()>);

impl TaskHandle for Spawned {
    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

#[derive(Clone)]
pub(super) struct MemoryClock(tokio::time::Instant);

impl Clock for MemoryClock {
    fn now(&self) -> Instant {
        Instant(self.0.elapsed().as_nanos() as u64)
    }

    fn wall(&self) -> Timestamp {
        Timestamp((self.now().0 / 1_000_000) as i64)
    }

    async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep(deadline.saturating_since(self.now())).await;
    }
}

#[derive(Clone)]
pub(super) struct MemoryNet {
    listeners: Arc<Mutex<BTreeMap<String, mpsc::UnboundedSender<MemoryStream>>>>,
    pipes: Arc<Mutex<Vec<Pipe>>>,
    chance: Arc<Mutex<u64>>,
    held: Arc<AtomicBool>,
}

impl MemoryNet {
    /// Breaks every connection there is.
    pub(super) fn break_all(&self) {
        for pipe in self.pipes.lock().expect("not poisoned").drain(..) {
            pipe.end(true);
        }
    }

    /// From now on no write comes to its end, as when nobody reads any more.
    pub(super) fn hold_writes(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    fn pipe(&self) -> Pipe {
        let pipe = Pipe { state: Arc::default(), chance: self.chance.clone(), held: self.held.clone() };
        self.pipes.lock().expect("not poisoned").push(pipe.clone());
        pipe
    }
}

impl Net for MemoryNet {
    type File = NoFile;
    type Listener = MemoryListener;
    type Stream = MemoryStream;

    async fn listen(&self, address: &str) -> io::Result<MemoryListener> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.listeners.lock().expect("not poisoned").insert(address.to_owned(), sender);
        Ok(MemoryListener(receiver))
    }

    async fn connect(&self, address: &str) -> io::Result<MemoryStream> {
        let (there, back) = (self.pipe(), self.pipe());
        let listeners = self.listeners.lock().expect("not poisoned");
        let listener = listeners.get(address).ok_or(io::ErrorKind::ConnectionRefused)?;
        let theirs = MemoryStream { incoming: there.clone(), outgoing: back.clone() };
        listener.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(MemoryStream { incoming: back, outgoing: there })
    }
}

pub(super) struct MemoryListener(mpsc::UnboundedReceiver<MemoryStream>);

impl Listener for MemoryListener {
    type Stream = MemoryStream;

    fn local_port(&self) -> u16 {
        0
    }

    async fn accept(&mut self) -> io::Result<(MemoryStream, String)> {
        let stream = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((stream, "peer".into()))
    }
}

#[derive(Default)]
struct PipeState {
    bytes: BytesMut,
    ended: bool,
    broken: bool,
    reader: Option<Waker>,
}

#[derive(Clone)]
struct Pipe {
    state: Arc<Mutex<PipeState>>,
    chance: Arc<Mutex<u64>>,
    held: Arc<AtomicBool>,
}

impl Pipe {
    fn end(&self, broken: bool) {
        let mut state = self.state.lock().expect("not poisoned");
        state.ended = true;
        state.broken |= broken;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }
}

pub(super) struct MemoryStream {
    incoming: Pipe,
    outgoing: Pipe,
}

pub(super) struct MemoryReader(Pipe);
pub(super) struct MemoryWriter(Pipe);

impl Stream for MemoryStream {
    type File = NoFile;
    type Reader = MemoryReader;
    type Writer = MemoryWriter;

    fn split(self) -> (MemoryReader, MemoryWriter) {
        (MemoryReader(self.incoming), MemoryWriter(self.outgoing))
    }
}

impl StreamReader for MemoryReader {
    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|context| {
            let mut state = self.0.state.lock().expect("not poisoned");
            if state.broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if state.bytes.is_empty() {
                if state.ended {
                    return Poll::Ready(Ok(0));
                }
                state.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            let count = 1 + draw(&self.0.chance) as usize % state.bytes.len();
            into.extend_from_slice(&state.bytes[..count]);
            state.bytes.advance(count);
            Poll::Ready(Ok(count))
        })
        .await
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        self.0.end(true);
    }
}

impl StreamWriter for MemoryWriter {
    type File = NoFile;

    async fn write(&mut self, bytes: Bytes, _: bool) -> io::Result<()> {
        if self.0.held.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
        let mut state = self.0.state.lock().expect("not poisoned");
        if state.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.bytes.extend_from_slice(&bytes);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    async fn send_file(&mut self, _: &FileSlice<NoFile>, _: bool) -> io::Result<()> {
        unreachable!("there is no disk")
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.0.end(false);
        Ok(())
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.0.end(false);
    }
}

#[derive(Clone)]
pub(super) struct NoDisk;

#[derive(Clone)]
pub(super) struct NoFile;

macro_rules! no_disk {
    ($($method:ident($($argument:ty),*) -> $output:ty;)*) => {
        $(fn $method(&self, $(_: $argument),*) -> io::Result<$output> { unreachable!("there is no disk") })*
    };
}

impl Disk for NoDisk {
    type File = NoFile;
    type Lock = ();

    no_disk! {
        create(Site, &Path) -> NoFile;
        open(Site, &Path, OpenMode) -> NoFile;
        rename(Site, &Path, &Path) -> ();
        remove_file(Site, &Path) -> ();
        create_dir(Site, &Path) -> ();
        remove_dir(Site, &Path) -> ();
        list(Site, &Path) -> Vec<DirEntry>;
        lock(Site, &Path) -> ();
    }

    async fn sync_dir(&self, _: Site, _: &Path) -> io::Result<()> {
        unreachable!("there is no disk")
    }
}

impl File for NoFile {
    no_disk! {
        write_at(Site, &[IoSlice<'_>], u64) -> ();
        read_at(Site, &mut [u8], u64) -> usize;
        truncate(Site, u64) -> ();
        allocate(Site, u64) -> ();
        len(Site) -> u64;
    }

    async fn sync(&self, _: Site) -> io::Result<()> {
        unreachable!("there is no disk")
    }
}
