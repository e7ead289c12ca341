//! The world of production: tokio's runtimes, the machine's files, sockets and clocks.

mod clock;
mod disk;
mod net;
mod send_file;
mod task;

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub use clock::TokioClock;
pub use disk::{DirectoryLock, TokioDisk, TokioFile};
pub use net::{TokioListener, TokioNet, TokioReader, TokioStream, TokioWriter};

use jangbu_core::env::{Env, Lane, Stepper, Task};
use jangbu_core::fact::Fact;
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::runtime::{Builder, Handle, Runtime};

/// How the world is set up.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Threads that serve connections and partitions.
    pub data_workers: NonZero<usize>,
    /// Whether slices of files are sent without copying them through this process.
    pub sendfile: bool,
}

impl Default for Settings {
    /// A thread per processor, and sendfile.
    fn default() -> Self {
        let data_workers = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
        Self { data_workers, sendfile: true }
    }
}

/// The two runtimes, one per [`Lane`]. Who drops this ends all tasks.
#[derive(Debug)]
pub struct Runtimes {
    control: Runtime,
    data: Runtime,
}

impl Runtimes {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system refuses a thread or a poller.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let control =
            Builder::new_multi_thread().worker_threads(1).thread_name("control").enable_all().build()?;
        let data = Builder::new_multi_thread()
            .worker_threads(settings.data_workers.get())
            .thread_name("data")
            .enable_all()
            .build()?;
        Ok(Self { control, data })
    }

    /// The world as a node sees it.
    pub fn env(&self, settings: Settings) -> TokioEnv {
        TokioEnv(Arc::new(Inner {
            control: self.control.handle().clone(),
            data: self.data.handle().clone(),
            clock: TokioClock::start(),
            disk: TokioDisk,
            net: TokioNet::new(settings.sendfile),
        }))
    }

    /// Runs a future on the data lane and waits for it.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.data.block_on(future)
    }

    /// Ends all tasks and waits up to `patience` for work on the blocking pools.
    pub fn shutdown(self, patience: Duration) {
        self.data.shutdown_timeout(patience);
        self.control.shutdown_timeout(patience);
    }
}

/// One node's view of the machine.
#[derive(Clone, Debug)]
pub struct TokioEnv(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    control: Handle,
    data: Handle,
    clock: TokioClock,
    disk: TokioDisk,
    net: TokioNet,
}

impl Env for TokioEnv {
    type Clock = TokioClock;
    type Disk = TokioDisk;
    type Net = TokioNet;

    fn clock(&self) -> &TokioClock {
        &self.0.clock
    }

    fn disk(&self) -> &TokioDisk {
        &self.0.disk
    }

    fn net(&self) -> &TokioNet {
        &self.0.net
    }

    fn spawn(
        &self,
        lane: Lane,
        _name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task {
        let handle = match lane {
            Lane::Control => &self.0.control,
            Lane::Data => &self.0.data,
        };
        Task::new(task::TokioTask(handle.spawn(future).abort_handle()))
    }

    fn run<S: Stepper>(&self, _name: &'static str, stepper: S) -> impl Future<Output = S::Output> + Send {
        task::run(stepper)
    }

    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        let filled = getrandom(&mut bytes, GetRandomFlags::empty()).expect("the kernel has random bits");
        // The kernel never cuts a request of up to 256 bytes short.
        assert_eq!(filled, bytes.len(), "the kernel gave only {filled} random bytes");
        u64::from_ne_bytes(bytes)
    }

    /// Gives way once in a while: tokio lets a task do 128 things before others get its thread.
    fn checkpoint(&self) -> impl Future<Output = ()> + Send {
        tokio::task::coop::consume_budget()
    }

    fn observe(&self, _fact: &Fact) {}

    fn observes(&self) -> bool {
        false
    }

    fn reached(&self, _mark: &'static str) {}
}
