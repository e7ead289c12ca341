//! Many seeds, on several threads, until one breaks an invariant; then the schedule is made small.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jangbu_core::museum::{Switch, Switches};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::choice::Choice;
use super::cluster::{Cluster, Counts, Shape};
use super::script::{Header, Played};
use super::swarm::Swarm;
use super::{episode, script};
use crate::fuzz::check::Violation;
use crate::fuzz::shrink::ddmin;
use crate::progress::Progress;
use crate::rng::Rng;

/// Schedules tried while one is made small.
const SHRINK_TRIES_MAX: usize = 20_000;

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
    pub switches: Vec<Switch>,
    /// Whether a failing schedule is made small.
    pub shrinks: bool,
    /// Who is told how far it is, in steps.
    pub progress: Option<&'a Progress>,
}

/// A seed that broke an invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Which seed.
    pub seed: u64,
    /// What broke.
    #[serde(flatten)]
    pub violation: Violation,
    /// The schedule, as a script.
    pub script: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Hunted {
    /// Seeds that ran.
    pub seeds: u64,
    /// Steps of all.
    pub steps: u64,
    /// Processor time of all threads.
    pub cpu_seconds: f64,
    /// What was rare.
    pub counts: Counts,
    /// The failing seed, if there is one: the lowest of those that were found.
    pub failure: Option<Failure>,
}

/// Runs the hunt.
pub fn run(hunt: &Hunt<'_>) -> Hunted {
    let next_seed = AtomicU64::new(hunt.first_seed);
    let (steps, nanos, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let total = Mutex::new((Hunted::default(), None::<(u64, Violation)>));
    let work = || {
        let mut cluster = new_cluster(&hunt.switches);
        let mut seeds = 0;
        let mut failed = None;
        let (mut last_nanos, mut steps_told) = (0, 0);
        loop {
            let is_enough = is_over.load(Ordering::Relaxed)
                || steps.load(Ordering::Relaxed) >= hunt.steps_max
                || u128::from(nanos.load(Ordering::Relaxed)) >= hunt.cpu_max.as_nanos();
            let seed = next_seed.fetch_add(1, Ordering::Relaxed);
            if is_enough || seed - hunt.first_seed >= hunt.seeds {
                break;
            }
            let before = cluster.steps;
            caught(&mut cluster, |cluster| episode::run(cluster, seed, None));
            seeds += 1;
            steps.fetch_add(cluster.steps - before, Ordering::Relaxed);
            if seeds % 64 == 1 {
                let now = thread_cpu_nanos();
                nanos.fetch_add(now - last_nanos, Ordering::Relaxed);
                last_nanos = now;
                if let Some(progress) = hunt.progress {
                    progress.advance(cluster.steps - steps_told);
                    steps_told = cluster.steps;
                }
            }
            if let Some(violation) = cluster.violation.take() {
                failed = Some((seed, violation));
                is_over.store(true, Ordering::Relaxed);
                break;
            }
        }
        let mut total = total.lock().expect("no thread panics while it holds the result");
        total.0.seeds += seeds;
        total.0.steps += cluster.steps;
        total.0.cpu_seconds += thread_cpu_nanos() as f64 / 1e9;
        total.0.counts.add(&cluster.counts);
        if let Some(failed) = failed
            && total.1.as_ref().is_none_or(|known| failed.0 < known.0)
        {
            total.1 = Some(failed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..hunt.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let (mut hunted, failed) = total.into_inner().expect("all threads have ended well");
    hunted.failure = failed.map(|(seed, violation)| explain(hunt, seed, violation));
    hunted
}

/// A machine that panics has noticed by itself that it is broken: that is a broken invariant like any other.
fn caught(cluster: &mut Cluster, what: impl FnOnce(&mut Cluster)) {
    let outcome = catch_unwind(AssertUnwindSafe(|| what(cluster)));
    if let Err(panic) = outcome {
        let text = panic.downcast_ref::<String>().cloned();
        let message = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        cluster.violation = Some(Violation::new("no_panic", message.unwrap_or_default()));
    }
}

fn new_cluster(switches: &[Switch]) -> Cluster {
    let switches = switches.iter().fold(Switches::default(), |all, switch| all.with(*switch));
    Cluster::new(Shape { voters: 1, controllers: 0, brokers: 0, is_static: true }, 0, switches)
}

/// The schedule of a failing seed, as small as it gets, as a script.
fn explain(hunt: &Hunt<'_>, seed: u64, violation: Violation) -> Failure {
    let mut cluster = new_cluster(&hunt.switches);
    let mut choices = Vec::new();
    caught(&mut cluster, |cluster| episode::run(cluster, seed, Some(&mut choices)));
    let swarm = Swarm::draw(&mut Rng::from_seed(seed));
    if hunt.shrinks {
        choices = ddmin(&choices, SHRINK_TRIES_MAX, |choices: &[Choice]| {
            swarm.begin(&mut cluster, seed);
            caught(&mut cluster, |cluster| {
                for choice in choices {
                    choice.perform(cluster);
                    if cluster.violation.is_some() {
                        return;
                    }
                }
            });
            cluster.violation.as_ref().is_some_and(|found| found.check == violation.check)
        });
    }
    let header = Header { shape: swarm.shape, batch_entries: swarm.batch_entries, seed };
    let mut lines = vec![header.text()];
    for switch in &hunt.switches {
        let name = Switch::ALL.iter().find(|(_, _, known)| known == switch).map_or("", |(_, name, _)| *name);
        lines.push(format!("off {name}"));
    }
    lines.extend(choices.iter().map(ToString::to_string));
    let bare = lines.join("\n");
    let played = catch_unwind(|| script::play(&bare));
    // What is told is what the small schedule comes to. What panics leaves no transcript; its commands are enough to
    // see it again.
    let (violation, text) = match played {
        Ok(Ok(Played { text, violation: Some(smaller) })) => (smaller, text),
        _ => (violation, bare),
    };
    let script = format!("# {}: {}\n{text}", violation.check, violation.message);
    Failure { seed, violation, script }
}

impl Hunt<'_> {
    /// A hunt for what these guards prevent, on one thread.
    pub fn planted(switches: &[Switch], first_seed: u64, cpu_max: Duration) -> Self {
        Self {
            first_seed,
            seeds: u64::MAX - first_seed,
            steps_max: u64::MAX,
            cpu_max,
            jobs: 1,
            switches: switches.to_vec(),
            shrinks: false,
            progress: None,
        }
    }
}

fn thread_cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
