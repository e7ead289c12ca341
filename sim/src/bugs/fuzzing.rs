//! Hunts by the schedule fuzzers. A start runs on one thread, several starts run side by side.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jangbu_core::museum::Switch;

use super::finding::Start;
use crate::cli::{BugsArgs, default_jobs};
use crate::fuzz::{raft, replication};
use crate::museum::label;
use crate::progress::Progress;

/// Between the first seeds of two starts; no start gets so far.
const SEEDS_APART: u64 = 10_000_000;

/// Which machines are fuzzed.
#[derive(Clone, Copy, Debug)]
pub enum Fuzzer {
    /// The metadata quorum.
    Raft,
    /// Brokers and controller.
    Replication,
}

/// All starts, with these guards off; only what `check` finds counts, if one is named.
pub fn hunt(
    arguments: &BugsArgs,
    fuzzer: Fuzzer,
    (switches, check, cpu_seconds): (&[Switch], Option<&'static str>, u64),
) -> anyhow::Result<Vec<Start>> {
    let names: Vec<&str> = switches.iter().map(|switch| label(*switch).1).collect();
    let progress = Progress::counting(&names.join(" with "), "starts", Some(arguments.starts));
    let cpu_max = Duration::from_secs(cpu_seconds);
    let next = AtomicU64::new(0);
    let starts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.unwrap_or_else(default_jobs).clamp(1, arguments.starts as usize) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.starts {
                        break;
                    }
                    let first_seed = 1 + number * SEEDS_APART;
                    let start = match check {
                        Some(check) => start_by(check, switches, first_seed, cpu_max),
                        None => start(fuzzer, switches, first_seed, cpu_max),
                    };
                    progress.advance(1);
                    starts.lock().unwrap_or_else(|poison| poison.into_inner()).push(start);
                }
            });
        }
    });
    progress.finish();
    let mut starts = starts.into_inner().unwrap_or_else(|poison| poison.into_inner());
    starts.sort_by_key(|start| start.first_seed);
    for seed in starts.iter().filter_map(|start| start.seed) {
        let fault = fault_of(fuzzer, seed);
        anyhow::ensure!(
            fault.is_none(),
            "seed {seed} fails with all guards on, so it shows nothing: {fault:?}"
        );
    }
    Ok(starts)
}

fn start(fuzzer: Fuzzer, switches: &[Switch], first_seed: u64, cpu_max: Duration) -> Start {
    match fuzzer {
        Fuzzer::Raft => {
            let hunt = raft::Hunt::planted(switches, first_seed, cpu_max);
            let raft::Hunted { seeds, steps, cpu_seconds, failure, .. } = raft::run(&hunt);
            Start {
                first_seed,
                seed: failure.as_ref().map(|failure| failure.seed),
                seeds,
                steps,
                cpu_seconds,
                check: failure.as_ref().map(|failure| failure.violation.check.to_owned()),
                message: failure.map(|failure| failure.violation.message),
            }
        }
        Fuzzer::Replication => {
            let hunt = replication::hunt::Hunt::planted(switches, first_seed, cpu_max);
            let replication::hunt::Hunted { seeds, cpu_seconds, counts, failure } =
                replication::hunt::run(&hunt);
            Start {
                first_seed,
                seed: failure.as_ref().map(|failure| failure.seed),
                seeds,
                steps: counts.steps,
                cpu_seconds,
                check: failure.as_ref().map(|failure| failure.violation.check.to_owned()),
                message: failure.map(|failure| failure.violation.message),
            }
        }
    }
}

/// A start at which other checks than one do not count. Only the fuzzer of brokers has guards that need it.
fn start_by(check: &str, switches: &[Switch], first_seed: u64, cpu_max: Duration) -> Start {
    match replication::find_by(check, switches, first_seed, cpu_max) {
        Some(found) => Start {
            first_seed,
            seed: Some(found.seed),
            seeds: found.seed - first_seed + 1,
            steps: found.steps,
            cpu_seconds: found.cpu.as_secs_f64(),
            check: Some(found.check.to_owned()),
            message: None,
        },
        None => Start { first_seed, cpu_seconds: cpu_max.as_secs_f64(), ..Start::default() },
    }
}

/// What breaks in this seed with all guards on: nothing, if what was found came of a guard.
fn fault_of(fuzzer: Fuzzer, seed: u64) -> Option<String> {
    match fuzzer {
        Fuzzer::Raft => {
            let hunt = raft::Hunt { seeds: 1, ..raft::Hunt::planted(&[], seed, Duration::MAX) };
            raft::run(&hunt).failure.map(|failure| format!("{:?}", failure.violation))
        }
        Fuzzer::Replication => {
            let hunt = replication::hunt::Hunt::planted(&[], seed, Duration::MAX);
            let hunt = replication::hunt::Hunt { seeds: 1, ..hunt };
            replication::hunt::run(&hunt).failure.map(|failure| format!("{:?}", failure.violation))
        }
    }
}
