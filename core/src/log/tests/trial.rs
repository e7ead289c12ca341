//! What the fuzzer found once, and what it begins with, in every run of the tests.
#![allow(clippy::disallowed_methods)] // the seeds lie in the repository

use crate::log::trial;

const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/recovery");

#[test]
fn every_seed_of_the_fuzzer_stands_the_trial() {
    let mut count = 0;
    for entry in std::fs::read_dir(SEEDS).expect("the seeds are in the repository") {
        let path = entry.expect("readable").path();
        trial::run(&std::fs::read(&path).expect("readable"));
        count += 1;
    }
    assert!(count > 0);
}
