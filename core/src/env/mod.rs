//! The seam between the core and its world: clock, network, disk, tasks and chance.
//!
//! `broker` implements it on tokio, files and sockets, `sim` on a simulated world; one contract suite
//! ([`contract`], feature `contract`) runs against both. No method has a default body: a fault that a world
//! forgets must not compile.
//!
//! A function here is async only where the hardware makes one wait: a buffered write and a read of the page cache
//! are memory copies and therefore sync; `sync`, the network and timers are async.

mod clock;
#[cfg(feature = "contract")]
pub mod contract;
mod disk;
#[cfg(any(test, feature = "contract", feature = "shuttle"))]
pub mod memory;
mod net;
#[cfg(any(test, feature = "contract", feature = "shuttle"))]
pub mod one_node;
mod task;

pub use clock::Clock;
pub use disk::{DirEntry, Disk, File, FileSlice, OpenMode, Site};
pub use net::{Listener, Net, Stream, StreamReader, StreamWriter};
pub use task::{Lane, Step, Stepper, Task, TaskHandle};

use crate::fact::Fact;

/// Everything the core may touch outside its own memory.
///
/// One type parameter of the shell, always spelled `E: Env`; the log is generic over [`Disk`] alone. Associated types keep the network
/// and the disk together, because `sendfile` ties one to the other.
pub trait Env: Clone + Send + Sync + 'static {
    /// The clocks.
    type Clock: Clock;
    /// The disk.
    type Disk: Disk;
    /// The network, which can send this disk's files.
    type Net: Net<File = <Self::Disk as Disk>::File>;

    /// The clocks of this node.
    fn clock(&self) -> &Self::Clock;

    /// The disk of this node.
    fn disk(&self) -> &Self::Disk;

    /// The network as seen from this node.
    fn net(&self) -> &Self::Net;

    /// Starts a task on a lane. It ends when its future ends or when the returned [`Task`] is dropped.
    fn spawn(
        &self,
        lane: Lane,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Task;

    /// Runs long work step by step off the lanes that serve requests, and returns its result.
    ///
    /// Production loops the steps on a thread for blocking work; the simulator interleaves each step with everything
    /// else. Dropping the future stops the work after the step in progress.
    fn run<S: Stepper>(&self, name: &'static str, stepper: S) -> impl Future<Output = S::Output> + Send;

    /// 64 random bits.
    fn random_u64(&self) -> u64;

    /// Separates two critical sections of one task: a place to schedule others in the simulator, and in production one
    /// to give way now and then, so that no loop keeps its thread for as long as a client likes. Between two awaits a task enters at most one critical section, so that every interleaving which
    /// production can show is one that the simulator can schedule.
    fn checkpoint(&self) -> impl Future<Output = ()> + Send;

    /// Tells the checkers what happened; nothing in production. Called inside the critical section.
    fn observe(&self, fact: &Fact);

    /// Whether anyone listens to [`Env::observe`], so that facts which cost a copy are not built for nobody.
    fn observes(&self) -> bool;

    /// Marks a rare state as visited, so that a campaign which never got there is not taken for a proof.
    fn reached(&self, mark: &'static str);
}
