//! Any bytes as what a start finds in a log directory: see `jangbu_core::log::trial`.

#![no_main]

use jangbu_core::log::trial;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| trial::run(input));
