//! The speed of the replication fuzzer: the time of 10,000 steps on one thread. The goal is 1 million steps per second,
//! that is 10 ms; `cargo bench -p sim --bench replication_fuzz` compares with the run before.

use criterion::{Criterion, criterion_group, criterion_main};
use jangbu_core::museum::Switches;
use sim::fuzz::replication::{Settings, run};

const STEPS: u64 = 10_000;

fn fuzz(criterion: &mut Criterion) {
    let mut seed = 0;
    // A campaign ends with an episode: what it does too much is taken from the next round.
    let (mut until, mut done) = (0, 0);
    criterion.bench_function("10,000 steps of the replication fuzzer", |bencher| {
        bencher.iter(|| {
            until += STEPS;
            if done < until {
                let switches = Switches::default();
                let report = run(&Settings { seed, steps: until - done, switches, cpu_limit: None });
                assert!(report.failure.is_none(), "{:?}", report.failure);
                seed += report.counts.episodes;
                done += report.counts.steps;
            }
        });
    });
}

criterion_group!(benches, fuzz);
criterion_main!(benches);
