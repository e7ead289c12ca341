//! The seeded, deterministic simulator that proves the core.

pub mod rng;
pub mod run;
pub mod trace;
pub mod world;
