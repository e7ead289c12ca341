//! The speed of the quorum's fuzzer: the time of 10,000 steps on one thread. The goal is 10 million steps per second,
//! that is 1 ms; `cargo bench -p sim --bench raft_fuzz` compares with the run before.

use criterion::{Criterion, criterion_group, criterion_main};
use jangbu_core::museum::Switches;
use sim::fuzz::raft::cluster::{Cluster, Shape};
use sim::fuzz::raft::episode;

const STEPS: u64 = 10_000;

fn fuzz(criterion: &mut Criterion) {
    let shape = Shape { voters: 3, controllers: 0, brokers: 0, is_static: true };
    let mut cluster = Cluster::new(shape, 0, Switches::default());
    let mut seed = 0;
    // An episode ends when it ends: what it does too much is taken from the next round.
    let mut until = 0;
    criterion.bench_function("10,000 steps of the quorum's fuzzer", |bencher| {
        bencher.iter(|| {
            until += STEPS;
            while cluster.steps < until {
                seed += 1;
                episode::run(&mut cluster, seed, None);
            }
        });
    });
}

criterion_group!(benches, fuzz);
criterion_main!(benches);
