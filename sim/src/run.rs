//! One seed, from an empty world to its outcome, on an operating-system thread of its own.
//!
//! The thread must be fresh: the order of std's maps and the generators that libraries keep per thread hang on what
//! a thread did before.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, Once};
use std::task::Poll;
use std::time::Duration;

use madsim::runtime::Runtime;

use crate::trace::Event;
use crate::world::{Settings, Tally, Violation, World};

/// How the body of a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It returned.
    Finished(T),
    /// [`World::stop`] was called, by a violation or a bound.
    Stopped,
    /// The simulator itself panicked: the scenario, a check or the world.
    Panicked(String),
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub ended: Ended<T>,
    /// The hash over everything that happened.
    pub trace_hash: u64,
    /// How many events there were.
    pub events: u64,
    /// The hash after each [`crate::trace::CHECKPOINT_EVERY`] events.
    pub checkpoints: Vec<u64>,
    /// The events kept for people.
    pub kept: Vec<Event>,
    /// How much time passed in the world.
    pub simulated: Duration,
    /// How much processor time it took, where the system tells.
    pub cpu: Option<Duration>,
    /// The invariants that did not hold.
    pub violations: Vec<Violation>,
    /// What was counted.
    pub tally: Tally,
}

/// Runs one seed: `body` sets up nodes, injects faults and ends; the run ends with it.
pub fn run_seed<T, F>(
    settings: Settings,
    seed: u64,
    body: impl FnOnce(Arc<World>) -> F + Send + 'static,
) -> Outcome<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    catch_simulated_panics();
    let thread = std::thread::Builder::new().name(format!("seed {seed}")).stack_size(STACK_BYTES);
    let thread = thread
        .spawn(move || run_on_this_thread(settings, seed, body))
        .expect("the system has room for one more thread");
    thread.join().expect("panics of a run are caught on its thread")
}

/// Boot futures of a node are large in a build without optimisation.
const STACK_BYTES: usize = 16 * 1024 * 1024;

fn run_on_this_thread<T, F>(settings: Settings, seed: u64, body: impl FnOnce(Arc<World>) -> F) -> Outcome<T>
where
    F: Future<Output = T>,
{
    SIMULATING.set(true);
    let cpu_before = thread_cpu();
    // A panic must not take along what the world knows.
    let shown: Mutex<Option<Arc<World>>> = Mutex::default();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let runtime = Runtime::with_seed_and_config(seed, madsim::Config::default());
        runtime.block_on(async {
            let world = World::new(seed, settings);
            *crate::world::lock(&shown) = Some(world.clone());
            let ended = until_stopped(&world, body(world.clone())).await;
            let simulated = Duration::from_nanos(world.now().0);
            let outcome = collect(&world, seed, ended, simulated);
            // A runtime keeps the memory of tasks that have not ended.
            world.close().await;
            outcome
        })
    }));
    let mut outcome = ended.unwrap_or_else(|panic| {
        let message = panic_text(&*panic);
        match &*crate::world::lock(&shown) {
            Some(world) => collect_after_panic(world, seed, message),
            None => panic!("no world could be made: {message}"),
        }
    });
    // Read outside the runtime, inside which the clocks of the system are simulated.
    outcome.cpu = thread_cpu().zip(cpu_before).map(|(after, before)| after - before);
    SIMULATING.set(false);
    outcome
}

async fn until_stopped<T>(world: &Arc<World>, body: impl Future<Output = T>) -> Ended<T> {
    let mut body = pin!(body);
    let mut stopped = pin!(world.stopped());
    std::future::poll_fn(|context| {
        if stopped.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ended::Stopped);
        }
        body.as_mut().poll(context).map(Ended::Finished)
    })
    .await
}

fn collect<T>(world: &World, seed: u64, ended: Ended<T>, simulated: Duration) -> Outcome<T> {
    Outcome {
        seed,
        ended,
        trace_hash: world.trace_hash(),
        events: world.events(),
        checkpoints: world.checkpoints(),
        kept: world.take_kept(),
        simulated,
        cpu: None,
        violations: world.violations(),
        tally: world.tally(),
    }
}

/// Time has stopped together with the runtime.
fn collect_after_panic<T>(world: &World, seed: u64, message: String) -> Outcome<T> {
    collect(world, seed, Ended::Panicked(message), Duration::ZERO)
}

/// Processor time of this thread.
fn thread_cpu() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
}

thread_local! {
    static SIMULATING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Has panics on threads of runs noted, with their place, instead of printed: a run reports them.
fn catch_simulated_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if SIMULATING.get() {
                LAST_PANIC.set(Some(describe(info)));
            } else {
                before(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    format!("{} ({place})", payload_text(info.payload()))
}

fn payload_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a text")
}

/// The text of a panic that was caught on this thread, with its place if that is known.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    LAST_PANIC.take().unwrap_or_else(|| payload_text(payload).to_owned())
}
