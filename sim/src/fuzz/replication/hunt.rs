//! Many seeds, on several threads, until one breaks an invariant; then the schedule is made small.

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jangbu_core::museum::{Switch, Switches};
use rustix::time::{ClockId, clock_gettime};

use super::check::Violation;
use super::profile::Profile;
use super::report::Counts;
use super::run::{episode, profile_of};
use super::{script, shrink};
use crate::progress::Progress;

/// Episodes after which a thread tells the others how far it is.
const EPISODES_BETWEEN_LOOKS: u64 = 16;

/// What to run.
pub struct Hunt<'a> {
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds.
    pub seeds: u64,
    /// No seed is begun after so many steps.
    pub steps_max: u64,
    /// Nor after so much time of the processors.
    pub cpu_max: Duration,
    /// Threads.
    pub jobs: usize,
    /// Which guards are off.
    pub switches: &'a [Switch],
    /// Whether a failing schedule is made small.
    pub shrinks: bool,
    /// Who is told how far it is, in steps.
    pub progress: Option<&'a Progress>,
}

/// A seed that broke an invariant.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which seed.
    pub seed: u64,
    /// What broke.
    pub violation: Violation,
    /// The schedule, as a test and as a script to be played again.
    pub script: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Hunted {
    /// Seeds that ran.
    pub seeds: u64,
    /// Processor time of all threads, until a violation was found.
    pub cpu_seconds: f64,
    /// What happened how often, the steps among it.
    pub counts: Counts,
    /// The failing seed, if there is one: the lowest of those that were found.
    pub failure: Option<Failure>,
}

impl Hunt<'_> {
    /// A hunt for what these guards prevent, on one thread.
    pub fn planted(switches: &[Switch], first_seed: u64, cpu_max: Duration) -> Hunt<'_> {
        Hunt {
            first_seed,
            seeds: u64::MAX - first_seed,
            steps_max: u64::MAX,
            cpu_max,
            jobs: 1,
            switches,
            shrinks: false,
            progress: None,
        }
    }
}

/// What the threads share.
struct Shared {
    next_seed: AtomicU64,
    steps: AtomicU64,
    nanos: AtomicU64,
    is_over: AtomicBool,
    total: Mutex<(Hunted, Option<(u64, Violation)>)>,
}

/// Runs the hunt.
pub fn run(hunt: &Hunt<'_>) -> Hunted {
    let switches = hunt.switches.iter().fold(Switches::default(), |all, switch| all.with(*switch));
    let shared = Shared {
        next_seed: AtomicU64::new(hunt.first_seed),
        steps: AtomicU64::new(0),
        nanos: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        total: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..hunt.jobs.max(1) {
            scope.spawn(|| work(hunt, switches, &shared));
        }
    });
    let (mut hunted, failed) = shared.total.into_inner().expect("all threads have ended well");
    hunted.failure = failed.map(|(seed, violation)| explain(hunt, switches, seed, violation));
    hunted
}

fn work(hunt: &Hunt<'_>, switches: Switches, shared: &Shared) {
    let mut counts = Counts::default();
    let mut schedule = Vec::with_capacity(400);
    let mut failed = None;
    let (mut seeds, mut nanos_told, mut steps_told) = (0, 0, 0);
    loop {
        let is_enough = shared.is_over.load(Ordering::Relaxed)
            || shared.steps.load(Ordering::Relaxed) >= hunt.steps_max
            || u128::from(shared.nanos.load(Ordering::Relaxed)) >= hunt.cpu_max.as_nanos();
        let seed = shared.next_seed.fetch_add(1, Ordering::Relaxed);
        if is_enough || seed - hunt.first_seed >= hunt.seeds {
            break;
        }
        let outcome = episode(seed, switches, &mut schedule, &mut counts);
        seeds += 1;
        shared.steps.fetch_add(counts.steps - steps_told, Ordering::Relaxed);
        if let Some(progress) = hunt.progress {
            progress.advance(counts.steps - steps_told);
        }
        steps_told = counts.steps;
        if seeds % EPISODES_BETWEEN_LOOKS == 1 {
            let now = thread_cpu_nanos();
            shared.nanos.fetch_add(now - nanos_told, Ordering::Relaxed);
            nanos_told = now;
        }
        if let Err(violation) = outcome {
            failed = Some((seed, violation));
            shared.is_over.store(true, Ordering::Relaxed);
            break;
        }
    }
    let mut total = shared.total.lock().expect("no thread panics while it holds the result");
    total.0.seeds += seeds;
    total.0.cpu_seconds += thread_cpu_nanos() as f64 / 1e9;
    total.0.counts += &counts;
    if let Some(failed) = failed
        && total.1.as_ref().is_none_or(|known| failed.0 < known.0)
    {
        total.1 = Some(failed);
    }
}

/// The schedule of a failing seed, as small as it gets unless it is wanted whole.
fn explain(hunt: &Hunt<'_>, switches: Switches, seed: u64, violation: Violation) -> Failure {
    let profile = profile_of(seed, switches);
    let mut schedule = Vec::new();
    let _ = episode(seed, switches, &mut schedule, &mut Counts::default());
    if hunt.shrinks {
        schedule = shrink::shrink(&profile, &schedule, violation.check);
    }
    let violation = replayed(&profile, &schedule).unwrap_or(violation);
    let script = script::text(&profile, hunt.switches, &schedule, &violation, seed);
    Failure { seed, violation, script }
}

/// What the schedule shows when it is played again; a machine that panics says it by itself.
fn replayed(profile: &Profile, schedule: &[super::action::Action]) -> Option<Violation> {
    catch_unwind(|| shrink::replay(profile, schedule).err()).ok().flatten()
}

fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
