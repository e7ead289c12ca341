//! Any text as a scenario: see `sim::scenario::trial`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sim::scenario::trial;

fuzz_target!(|input: &[u8]| {
    trial::run(&String::from_utf8_lossy(input));
});
