//! The simulator.
pub mod case;
pub mod check;
pub mod fault;
pub mod plan;
pub mod rng;
pub mod scenario;
pub mod trace;
