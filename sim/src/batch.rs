//! Many seeds of one scenario on several worker processes.
//!
//! A seed that violates an invariant is run once more in a process of its own, and only the same violation with the
//! same trace hash counts as one; anything else is non-determinism, which is a worse finding. Of the seeds that pass and
//! run twice, half do so in one process and half in two: addresses, process ids and what is drawn once per process differ
//! in the second kind alone, and what one run leaves to the next shows in the first.

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
    /// One did not, and there is no second run to compare; why.
    Unconfirmed(Outcome, String),
    /// Two runs differed.
    Differed {
        /// The first.
        first: Box<Outcome>,
        /// The second.
        second: Box<Outcome>,
    },
    /// It was killed after its limit of processor time.
    TooLong,
    /// It took its process along.
    Died(String),
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Passed(_))
    }

    /// What is wrong, in a few words; the report says it whole.
    fn in_short(&self) -> String {
        match self {
            Self::Passed(_) => "nothing".to_owned(),
            Self::Violated(outcome) | Self::Unconfirmed(outcome, _) => match &outcome.violation {
                Some(violation) => format!("{}: {}", violation.check, violation.message),
                None => "for no known reason".to_owned(),
            },
            Self::Differed { .. } => "two runs differed".to_owned(),
            Self::TooLong => "it did not end".to_owned(),
            Self::Died(how) => format!("the process ended: {how}"),
        }
    }

    /// The run, when there was exactly one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Passed(outcome) | Self::Violated(outcome) | Self::Unconfirmed(outcome, _) => Some(outcome),
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
    /// Why seeds were left out: a worker process could not be started.
    pub failure: Option<String>,
}

impl Batch {
    /// The batch, when no seed was left out.
    ///
    /// # Errors
    /// When a worker process could not be started.
    pub fn complete(self) -> anyhow::Result<Self> {
        match &self.failure {
            Some(failure) => anyhow::bail!("cannot run a worker process: {failure}"),
            None => Ok(self),
        }
    }
}

/// Runs a batch.
pub fn run(scenario: &Scenario, job: &Job, settings: &Settings, progress: &Progress) -> Batch {
    let started = Instant::now();
    let next = AtomicU64::new(settings.seeds.0);
    let stop = AtomicBool::new(false);
    let double_runs = AtomicU64::new(0);
    let failure: Mutex<Option<std::io::Error>> = Mutex::new(None);
    let mut verdicts = BTreeMap::new();
    let mut failures = 0;
    let count = settings.seeds.1.saturating_sub(settings.seeds.0).saturating_add(1);
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
            if !verdict.passed() && settings.stop_at.is_none() {
                progress.failed(seed, &verdict.in_short());
            }
            if failures >= FAILURES_MAX {
                stop.store(true, Ordering::Relaxed);
            }
            verdicts.insert(seed, verdict);
            progress.seed_done(failures);
        }
    });
    let failure = failure.into_inner().unwrap_or_else(|poison| poison.into_inner());
    Batch {
        verdicts,
        double_runs: double_runs.into_inner(),
        elapsed: started.elapsed(),
        gave_up: failures >= FAILURES_MAX,
        failure: failure.map(|error| error.to_string()),
    }
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
            let again = self.again(seed);
            let runs = if again == Again::Here { 2 } else { 1 };
            let request = Request { seed, runs, keep: self.settings.keep };
            let verdict = match worker.ask(&request, self.scenario.budget.cpu) {
                Ok(outcomes) => self.judge(outcomes, again)?,
                Err(lost) => {
                    // The verdict goes first: that no other process can be started must not hide it.
                    let verdict = Verdict::lost(lost);
                    if verdicts.send((seed, verdict)).is_err() {
                        break;
                    }
                    worker = Worker::start(self.job)?;
                    continue;
                }
            };
            if verdicts.send((seed, verdict)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Which seeds run twice is drawn from the seed itself, so that it does not hang on the number of jobs.
    fn again(&self, seed: u64) -> Again {
        let again = Again::draw(seed, self.settings.twice_percent);
        self.double_runs.fetch_add(u64::from(again != Again::No), Ordering::Relaxed);
        again
    }

    fn judge(&self, mut outcomes: Vec<Outcome>, again: Again) -> std::io::Result<Verdict> {
        let (Some(last), first) = (outcomes.pop(), outcomes.pop()) else {
            return Ok(Verdict::Died("the worker gave no answer".into()));
        };
        if let Some(first) = first
            && !is_same(&first, &last)
        {
            return Ok(Verdict::Differed { first: Box::new(first), second: Box::new(last) });
        }
        if last.violation.is_some() {
            return Ok(self.confirm(last));
        }
        if again == Again::Elsewhere {
            match self.ask_another(last.seed, self.settings.keep)? {
                Ok(second) if is_same(&last, &second) => {}
                Ok(second) => {
                    return Ok(Verdict::Differed { first: Box::new(last), second: Box::new(second) });
                }
                Err(lost) => return Ok(Verdict::lost(lost)),
            }
        }
        Ok(Verdict::Passed(Outcome { checkpoints: Vec::new(), ..last }))
    }

    /// Runs a failing seed again, alone in a process, and keeps its last events for people.
    fn confirm(&self, outcome: Outcome) -> Verdict {
        self.double_runs.fetch_add(1, Ordering::Relaxed);
        match self.ask_another(outcome.seed, true) {
            Ok(Ok(second)) if is_same(&outcome, &second) => Verdict::Violated(second),
            Ok(Ok(second)) => Verdict::Differed { first: Box::new(outcome), second: Box::new(second) },
            Ok(Err(Lost::TooLong)) => {
                Verdict::Unconfirmed(outcome, "its second run used more than its processor time".to_owned())
            }
            Ok(Err(Lost::Died(how))) => {
                Verdict::Unconfirmed(outcome, format!("the process of its second run ended: {how}"))
            }
            Err(error) => Verdict::Unconfirmed(
                outcome,
                format!("no process could be started for a second run: {error}"),
            ),
        }
    }

    /// Runs a seed once in a fresh process.
    fn ask_another(&self, seed: u64, keep: bool) -> std::io::Result<Result<Outcome, Lost>> {
        let request = Request { seed, runs: 1, keep };
        let answer = Worker::start(self.job)?.ask(&request, self.scenario.budget.cpu);
        Ok(answer.and_then(|mut outcomes| {
            outcomes.pop().ok_or_else(|| Lost::Died("the worker gave no answer".into()))
        }))
    }
}

impl Verdict {
    fn lost(lost: Lost) -> Self {
        match lost {
            Lost::TooLong => Self::TooLong,
            Lost::Died(how) => Self::Died(how),
        }
    }
}

/// Whether and where a seed runs a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    /// In the process that has just run it.
    Here,
    /// In a process of its own.
    Elsewhere,
}

impl Again {
    fn draw(seed: u64, twice_percent: u64) -> Self {
        let mut rng = Rng::stream(seed, "twice");
        match (rng.below(100) < twice_percent, rng.chance(0.5)) {
            (false, _) => Self::No,
            (true, true) => Self::Here,
            (true, false) => Self::Elsewhere,
        }
    }
}

/// Whether two runs of a seed were the same run. The rest hangs on the machine, or is part of the trace.
fn is_same(first: &Outcome, second: &Outcome) -> bool {
    let of = |outcome: &Outcome| {
        (outcome.trace_hash, outcome.events, outcome.acked_batches, outcome.violation.clone())
    };
    of(first) == of(second)
}

/// In which window of events two runs parted.
pub fn parted(first: &Outcome, second: &Outcome) -> std::ops::Range<u64> {
    first_divergence(&first.checkpoints, &second.checkpoints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Violated;

    #[test]
    fn half_of_the_double_runs_are_in_two_processes() {
        let count = |wanted, percent| (1..=1000).filter(|seed| Again::draw(*seed, percent) == wanted).count();
        assert!((450..550).contains(&count(Again::Here, 100)) && count(Again::No, 100) == 0);
        assert!((60..140).contains(&count(Again::Elsewhere, 20)), "{}", count(Again::Elsewhere, 20));
        assert_eq!(count(Again::No, 0), 1000);
    }

    #[test]
    fn runs_differ_in_their_violation_and_in_what_was_acknowledged_too() {
        let base = Outcome { seed: 1, trace_hash: 7, acked_batches: 3, ..Outcome::default() };
        let violation = Some(Violated { check: "no_gap".into(), at_ns: 1, node: None, message: "m".into() });
        assert!(is_same(&base, &Outcome { cpu_ns: 99, ..base.clone() }), "what it cost is no difference");
        for other in [
            Outcome { trace_hash: 8, ..base.clone() },
            Outcome { acked_batches: 4, ..base.clone() },
            Outcome { violation, ..base.clone() },
        ] {
            assert!(!is_same(&base, &other));
        }
    }
}
