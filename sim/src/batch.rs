//! Many seeds of one scenario on several worker processes.
//!
//! A seed that violates an invariant is run once more in a process of its own, and only the same violation with the
//! same trace hash counts as one; anything else is non-determinism, which is a worse finding.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::outcome::{Job, Outcome, Request};
use crate::progress::Progress;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::trace::first_divergence;
use crate::worker::{Lost, Worker};

/// How a batch is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// First and last seed, both included.
    pub seeds: (u64, u64),
    /// Processes at a time.
    pub jobs: usize,
    /// In how many of 100 seeds the run is repeated and compared.
    pub twice_percent: u64,
    /// When to stop handing out seeds.
    pub until: Option<Duration>,
    /// Whether the last events of failing seeds are kept.
    pub keep: bool,
    /// Ends at the first seed that violates this check.
    pub stop_at: Option<&'static str>,
}

/// After so many failing seeds nobody reads on.
const FAILURES_MAX: usize = 10;

/// What came of one seed.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// All invariants held.
    Passed(Outcome),
    /// One did not, twice in the same way.
    Violated(Outcome),
    /// Two runs differed.
    Differed {
        /// The first.
        first: Box<Outcome>,
        /// The second.
        second: Box<Outcome>,
    },
    /// It was killed after its wall limit.
    TooLong,
    /// It took its process along.
    Died(String),
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }

    /// The run, when there was exactly one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Passed(outcome) | Self::Violated(outcome) => Some(outcome),
            Self::Differed { first, .. } => Some(first),
            Self::TooLong | Self::Died(_) => None,
        }
    }
}

/// What came of all seeds.
pub struct Batch {
    /// By seed.
    pub verdicts: BTreeMap<u64, Verdict>,
    /// Runs that were made to compare or confirm.
    pub double_runs: u64,
    /// Real time.
    pub elapsed: Duration,
    /// Whether it ended early because too much failed.
    pub gave_up: bool,
}

/// Runs a batch.
///
/// # Errors
/// When no worker process can be started.
pub fn run(
    scenario: &Scenario,
    job: &Job,
    settings: &Settings,
    progress: &Progress,
) -> anyhow::Result<Batch> {
    let started = Instant::now();
    let next = AtomicU64::new(settings.seeds.0);
    let stop = AtomicBool::new(false);
    let double_runs = AtomicU64::new(0);
    let failure: Mutex<Option<std::io::Error>> = Mutex::new(None);
    let mut verdicts = BTreeMap::new();
    let mut failures = 0;
    let count = settings.seeds.1 - settings.seeds.0 + 1;
    let jobs = settings.jobs.clamp(1, usize::try_from(count).unwrap_or(usize::MAX));
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let lane = Lane {
                scenario,
                job,
                settings,
                next: &next,
                stop: &stop,
                double_runs: &double_runs,
                started,
            };
            let (sender, failure) = (sender.clone(), &failure);
            scope.spawn(move || {
                if let Err(error) = lane.work(&sender) {
                    *failure.lock().unwrap_or_else(|poison| poison.into_inner()) = Some(error);
                }
            });
        }
        drop(sender);
        for (seed, verdict) in receiver {
            let hit = |check| matches!(&verdict, Verdict::Violated(outcome) if outcome.violation.as_ref().is_some_and(|violation| violation.check == check));
            if settings.stop_at.is_some_and(hit) {
                stop.store(true, Ordering::Relaxed);
            }
            failures += usize::from(!verdict.passed());
            if failures >= FAILURES_MAX {
                stop.store(true, Ordering::Relaxed);
            }
            verdicts.insert(seed, verdict);
            progress.seed_done(failures);
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(|poison| poison.into_inner()) {
        anyhow::bail!("cannot run a worker process: {error}");
    }
    Ok(Batch {
        verdicts,
        double_runs: double_runs.into_inner(),
        elapsed: started.elapsed(),
        gave_up: failures >= FAILURES_MAX,
    })
}

/// One worker process after the other, and the thread that feeds it.
struct Lane<'a> {
    scenario: &'a Scenario,
    job: &'a Job,
    settings: &'a Settings,
    next: &'a AtomicU64,
    stop: &'a AtomicBool,
    double_runs: &'a AtomicU64,
    started: Instant,
}

impl Lane<'_> {
    fn work(&self, verdicts: &Sender<(u64, Verdict)>) -> std::io::Result<()> {
        let mut worker = Worker::start(self.job)?;
        while !self.stop.load(Ordering::Relaxed)
            && self.settings.until.is_none_or(|until| self.started.elapsed() < until)
        {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed > self.settings.seeds.1 {
                break;
            }
            let verdict = match worker.ask(&self.request(seed), self.scenario.budget.wall) {
                Ok(outcomes) => self.judge(outcomes)?,
                Err(lost) => {
                    worker = Worker::start(self.job)?;
                    match lost {
                        Lost::TooLong => Verdict::TooLong,
                        Lost::Died(how) => Verdict::Died(how),
                    }
                }
            };
            if verdicts.send((seed, verdict)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Which seeds run twice is drawn from the seed itself, so that it does not hang on the number of jobs.
    fn request(&self, seed: u64) -> Request {
        let twice = Rng::stream(seed, "twice").below(100) < self.settings.twice_percent;
        self.double_runs.fetch_add(u64::from(twice), Ordering::Relaxed);
        Request { seed, runs: 1 + u32::from(twice), keep: self.settings.keep }
    }

    fn judge(&self, mut outcomes: Vec<Outcome>) -> std::io::Result<Verdict> {
        let (Some(second), first) = (outcomes.pop(), outcomes.pop()) else {
            return Ok(Verdict::Died("the worker gave no answer".into()));
        };
        if let Some(first) = first
            && first.trace_hash != second.trace_hash
        {
            return Ok(Verdict::Differed { first: Box::new(first), second: Box::new(second) });
        }
        if second.violation.is_none() {
            let mut second = second;
            second.checkpoints = Vec::new();
            return Ok(Verdict::Passed(second));
        }
        self.confirm(second)
    }

    /// Runs a failing seed again, alone in a process.
    fn confirm(&self, outcome: Outcome) -> std::io::Result<Verdict> {
        self.double_runs.fetch_add(1, Ordering::Relaxed);
        let request = Request { seed: outcome.seed, runs: 1, keep: self.settings.keep };
        let again = Worker::start(self.job)?.ask(&request, self.scenario.budget.wall);
        Ok(match again.map(|mut outcomes| outcomes.pop()) {
            Ok(Some(second))
                if second.trace_hash == outcome.trace_hash && second.violation == outcome.violation =>
            {
                Verdict::Violated(outcome)
            }
            Ok(Some(second)) => Verdict::Differed { first: Box::new(outcome), second: Box::new(second) },
            Ok(None) => Verdict::Died("the worker gave no answer".into()),
            Err(Lost::TooLong) => Verdict::TooLong,
            Err(Lost::Died(how)) => Verdict::Died(how),
        })
    }
}

/// In which window of events two runs parted.
pub fn parted(first: &Outcome, second: &Outcome) -> std::ops::Range<u64> {
    first_divergence(&first.checkpoints, &second.checkpoints)
}
