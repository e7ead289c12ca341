//! A network in memory, with bounded buffers, for tests of connections.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};

use crate::env::{File, FileSlice, Listener, Net, Site, Stream, StreamReader, StreamWriter};

const SEND: Site = Site::new("test.send_file");

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: BytesMut,
    capacity: usize,
    ended: bool,
    broken: bool,
    /// Of the reader and of the writer; one each, or a poll would leave a waker behind every time.
    wakers: [Option<Waker>; 2],
    writes: usize,
    /// Bytes that the reader took.
    taken: usize,
}

impl Pipe {
    fn wake(&mut self) {
        self.wakers.iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }
}

type Shared = Arc<Mutex<Pipe>>;

pub(crate) struct Reader(Shared);

impl Reader {
    /// In how many calls of `write` the bytes of this direction came.
    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut pipe = self.0.lock().unwrap();
        pipe.broken = true;
        pipe.wake();
    }
}

impl StreamReader for Reader {
    async fn read(&mut self, into: &mut BytesMut) -> io::Result<usize> {
        poll_fn(|context| {
            let mut pipe = self.0.lock().unwrap();
            if pipe.bytes.is_empty() {
                if pipe.ended {
                    return Poll::Ready(Ok(0));
                }
                pipe.wakers[0] = Some(context.waker().clone());
                return Poll::Pending;
            }
            let spare = into.capacity() - into.len();
            let count = pipe.bytes.len().min(if spare == 0 { 4096 } else { spare });
            let taken = pipe.bytes.split_to(count);
            pipe.taken += count;
            into.extend_from_slice(&taken);
            pipe.wake();
            Poll::Ready(Ok(count))
        })
        .await
    }
}

pub(crate) struct Writer<F>(Shared, PhantomData<fn() -> F>);

impl<F> Writer<F> {
    /// How many bytes the other end has taken.
    pub(crate) fn taken(&self) -> usize {
        self.0.lock().unwrap().taken
    }
}

impl<F> Drop for Writer<F> {
    fn drop(&mut self) {
        let mut pipe = self.0.lock().unwrap();
        pipe.ended = true;
        pipe.wake();
    }
}

impl<F: File> StreamWriter for Writer<F> {
    type File = F;

    async fn write(&mut self, mut bytes: Bytes, _more: bool) -> io::Result<()> {
        self.0.lock().unwrap().writes += 1;
        poll_fn(|context| {
            let mut pipe = self.0.lock().unwrap();
            if pipe.broken {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let count = bytes.len().min(pipe.capacity - pipe.bytes.len());
            pipe.bytes.extend_from_slice(&bytes[..count]);
            bytes.advance(count);
            if count > 0 {
                // Otherwise a writer that waits would wake itself for ever.
                pipe.wake();
            }
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            pipe.wakers[1] = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn send_file(&mut self, slice: &FileSlice<F>, more: bool) -> io::Result<()> {
        let mut bytes = vec![0; slice.len as usize];
        if slice.file.read_at(SEND, &mut bytes, slice.position)? < bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.write(bytes.into(), more).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        let mut pipe = self.0.lock().unwrap();
        pipe.ended = true;
        pipe.wake();
        Ok(())
    }
}

pub(crate) struct Duplex<F> {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer<F>,
}

impl<F: File> Stream for Duplex<F> {
    type File = F;
    type Reader = Reader;
    type Writer = Writer<F>;

    fn split(self) -> (Reader, Writer<F>) {
        (self.reader, self.writer)
    }
}

/// Two ends of a connection, `capacity` bytes in each direction.
pub(crate) fn duplex<F>(capacity: usize) -> (Duplex<F>, Duplex<F>) {
    let pipe = || Arc::new(Mutex::new(Pipe { capacity, ..Pipe::default() }));
    let (there, back) = (pipe(), pipe());
    let ours = Duplex { reader: Reader(Arc::clone(&back)), writer: Writer(Arc::clone(&there), PhantomData) };
    let theirs = Duplex { reader: Reader(there), writer: Writer(back, PhantomData) };
    (ours, theirs)
}

struct Waiting<F> {
    streams: VecDeque<Duplex<F>>,
    waker: Option<Waker>,
}

type Ports<F> = Arc<Mutex<BTreeMap<u16, Arc<Mutex<Waiting<F>>>>>>;

/// Listeners by port.
pub(crate) struct Wires<F> {
    capacity: usize,
    ports: Ports<F>,
}

impl<F> Clone for Wires<F> {
    fn clone(&self) -> Self {
        Self { capacity: self.capacity, ports: Arc::clone(&self.ports) }
    }
}

impl<F> Wires<F> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, ports: Arc::default() }
    }
}

pub(crate) struct Ear<F> {
    port: u16,
    waiting: Arc<Mutex<Waiting<F>>>,
    ports: Ports<F>,
}

impl<F> Drop for Ear<F> {
    fn drop(&mut self) {
        self.ports.lock().unwrap().remove(&self.port);
    }
}

impl<F: File> Listener for Ear<F> {
    type Stream = Duplex<F>;

    fn local_port(&self) -> u16 {
        self.port
    }

    async fn accept(&mut self) -> io::Result<(Duplex<F>, String)> {
        poll_fn(|context| {
            let mut waiting = self.waiting.lock().unwrap();
            match waiting.streams.pop_front() {
                Some(stream) => Poll::Ready(Ok((stream, "test:1".to_owned()))),
                None => {
                    waiting.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl<F: File> Net for Wires<F> {
    type File = F;
    type Listener = Ear<F>;
    type Stream = Duplex<F>;

    async fn listen(&self, _address: &str) -> io::Result<Ear<F>> {
        let mut ports = self.ports.lock().unwrap();
        let port = ports.keys().next_back().map_or(9092, |last| last + 1);
        let waiting = Arc::new(Mutex::new(Waiting { streams: VecDeque::new(), waker: None }));
        ports.insert(port, Arc::clone(&waiting));
        Ok(Ear { port, waiting, ports: Arc::clone(&self.ports) })
    }

    async fn connect(&self, address: &str) -> io::Result<Duplex<F>> {
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(0);
        let waiting = self.ports.lock().unwrap().get(&port).cloned();
        let waiting = waiting.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = duplex(self.capacity);
        let mut waiting = waiting.lock().unwrap();
        waiting.streams.push_back(theirs);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
        Ok(ours)
    }
}
