//! The seeded, deterministic simulator that proves the core.
//!
//! [`scenario`] says what is built, what load it carries and what strikes it; [`plan`] is what one seed makes of that;
//! [`simulate`] runs it in a [`world`]; [`check`] watches; [`batch`] runs many seeds and [`report`] tells about them.

pub mod batch;
pub mod bugs;
pub mod campaign;
pub mod case;
pub mod check;
pub mod cli;
pub mod command;
pub mod explore;
pub mod fault;
pub mod fuzz;
pub mod model;
pub mod museum;
pub mod outcome;
pub mod plan;
pub mod progress;
pub mod report;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod simulate;
pub mod sites;
pub mod trace;
pub mod worker;
pub mod workload;
pub mod world;
