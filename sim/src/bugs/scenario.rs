//! Hunts by the simulation of whole brokers: one generic scenario for all guards of storage.
//!
//! A start is a range of seeds, 1.., 1001.., 2001.. and so on.

use jangbu_core::museum::Switch;

use super::finding::Start;
use crate::batch::{self, Batch, Verdict};
use crate::cli::{BugsArgs, default_jobs};
use crate::museum::label;
use crate::outcome::{Job, Outcome};
use crate::progress::Progress;
use crate::scenario::{self, Scenario};

/// Between the first seeds of two starts.
const SEEDS_APART: u64 = 1000;
/// Processor time of one start, all its seeds together.
const CPU_SECONDS_MAX: f64 = 20.0;
/// Violations that say nothing of a broker: the simulator's own panics, and a seed without an end.
const NOBODYS_BUG: [&str; 2] = ["simulator", "event_budget"];

/// What one start works with.
struct Hunt<'a> {
    scenario: &'a Scenario,
    job: Job,
    jobs: usize,
}

/// All starts, with these guards off.
pub fn hunt(arguments: &BugsArgs, switches: &[Switch]) -> anyhow::Result<Vec<Start>> {
    let scenario = scenario::load(&arguments.scenario)?;
    let switches = switches.iter().map(|switch| label(*switch).1.to_owned()).collect();
    let hunt = Hunt {
        scenario: &scenario,
        job: Job { scenario: scenario.path.clone(), switches, ..Job::default() },
        jobs: arguments.jobs.unwrap_or_else(default_jobs).max(1),
    };
    let firsts = (0..arguments.starts).map(|number| 1 + number * SEEDS_APART);
    firsts.map(|first| hunt.start(first, first + arguments.seeds - 1)).collect()
}

impl Hunt<'_> {
    /// The first seed of a range that finds something. Seeds run in groups of one per process, and each group counts up
    /// to the first that finds it, so that the answer does not hang on the number of cores.
    fn start(&self, first_seed: u64, last: u64) -> anyhow::Result<Start> {
        let mut start = Start { first_seed, ..Start::default() };
        let mut first = first_seed;
        while first <= last {
            let seeds = (first, (first + self.jobs as u64 - 1).min(last));
            let batch = self.batch(&self.job, seeds)?;
            for (seed, verdict) in &batch.verdicts {
                start.seeds += 1;
                if let Some(outcome) = verdict.outcome() {
                    start.steps += outcome.events;
                    start.cpu_seconds += outcome.cpu_ns as f64 / 1e9;
                }
                if let Verdict::Violated(outcome) = verdict {
                    self.control(*seed, outcome)?;
                    let violation = outcome.violation.as_ref();
                    start.check = violation.map(|violation| violation.check.clone());
                    start.message = violation.map(|violation| violation.message.clone());
                    start.seed = (start.cpu_seconds <= CPU_SECONDS_MAX).then_some(*seed);
                    return Ok(start);
                }
            }
            first = seeds.1 + 1;
        }
        Ok(start)
    }

    fn batch(&self, job: &Job, seeds: (u64, u64)) -> anyhow::Result<Batch> {
        let settings = batch::Settings {
            seeds,
            jobs: self.jobs,
            twice_percent: 0,
            until: None,
            keep: false,
            stop_at: None,
        };
        batch::run(self.scenario, job, &settings, &Progress::new(&job.switches.join(" with "), 1)).complete()
    }

    /// What was found must come of the guard that is gone: the simulator did not fail, and with all guards on the same
    /// seed, and so the same plan, holds every promise.
    fn control(&self, seed: u64, outcome: &Outcome) -> anyhow::Result<()> {
        let found = outcome.violation.as_ref().map_or("", |violation| violation.check.as_str());
        anyhow::ensure!(
            !NOBODYS_BUG.contains(&found),
            "seed {seed} found a bug of the simulator: {outcome:?}"
        );
        let guarded = Job { scenario: self.scenario.path.clone(), ..Job::default() };
        match self.batch(&guarded, (seed, seed))?.verdicts.get(&seed) {
            Some(Verdict::Passed(_)) => Ok(()),
            other => {
                anyhow::bail!("seed {seed} does not pass with all guards on, so it shows nothing: {other:?}")
            }
        }
    }
}
