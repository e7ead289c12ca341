//! Schedules that the fuzzer found, made small.
