//! The speed of the quorum's fuzzer, and its guard: `cargo bench -p sim --bench raft_fuzz` prints the steps per second
//! of processor time and fails below [`FLOOR`]. The goal is 10 million ([`GOAL`]); the floor is half of it, since the
//! machine may be busy with something else. Criterion then compares 10,000 steps (1 ms at the goal) with the run before.
//!
//! `cargo test` runs no benchmark. Should it ever be asked to (`--benches`), it builds without optimisation, where the
//! figure means nothing: then nothing is measured.

use std::process::ExitCode;

use criterion::Criterion;
use jangbu_core::museum::Switches;
use rustix::time::{ClockId, clock_gettime};
use sim::fuzz::raft::cluster::{Cluster, Shape};
use sim::fuzz::raft::episode;

/// Steps per second of processor time on one thread.
const GOAL: f64 = 10e6;
/// Less than this is a defect on any machine.
const FLOOR: f64 = GOAL / 2.0;
/// What the guard measures by, of which the best counts: others may disturb, nobody can help.
const ROUNDS: usize = 5;
const ROUND_STEPS: u64 = 4_000_000;
/// What criterion measures by.
const STEPS: u64 = 10_000;

/// Runs one seed after the other.
struct Fuzzer {
    cluster: Cluster,
    seed: u64,
}

impl Fuzzer {
    fn new() -> Self {
        let shape = Shape { voters: 3, controllers: 0, brokers: 0, is_static: true };
        Self { cluster: Cluster::new(shape, 0, Switches::default()), seed: 0 }
    }

    fn run_until(&mut self, steps: u64) {
        while self.cluster.steps < steps {
            self.seed += 1;
            episode::run(&mut self.cluster, self.seed, None);
            assert_eq!(self.cluster.violation, None, "seed {}", self.seed);
        }
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn steps_per_cpu_second() -> f64 {
    let mut fuzzer = Fuzzer::new();
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let (steps, begin) = (fuzzer.cluster.steps, cpu_seconds());
        fuzzer.run_until(steps + ROUND_STEPS);
        best = best.max((fuzzer.cluster.steps - steps) as f64 / (cpu_seconds() - begin));
    }
    best
}

fn compare() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut fuzzer = Fuzzer::new();
    // An episode ends when it ends: what it does too much is taken from the next round.
    let mut until = 0;
    criterion.bench_function("10,000 steps of the quorum's fuzzer", |bencher| {
        bencher.iter(|| {
            until += STEPS;
            fuzzer.run_until(until);
        });
    });
    criterion.final_summary();
}

fn main() -> ExitCode {
    if cfg!(debug_assertions) || !std::env::args().any(|argument| argument == "--bench") {
        println!("not measured: this needs `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let speed = steps_per_cpu_second();
    println!(
        "{:.2} million steps per CPU second, goal {:.0}, floor {:.0}",
        speed / 1e6,
        GOAL / 1e6,
        FLOOR / 1e6
    );
    compare();
    if speed < FLOOR {
        eprintln!("the quorum's fuzzer has become too slow");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
