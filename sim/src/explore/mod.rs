//! `sim explore`: every state of a small world, by the step functions of the real machines.
//!
//! Three brokers with [`Replica`](jangbu_core::replica::Replica), the real controller over an ideal log, two or three
//! records, two or three leader epochs, one or two faults, at most one or two messages on a connection, metadata that
//! each broker learns late, timers that may go off at any time. In the spirit of the TLA+ models of KIP-320 (Gustafson)
//! and KIP-966 (Vanlightly), but of the code itself.
//!
//! A state is a handful of numbers of interned parts; states that differ in the names of the brokers alone are one. Of
//! a state seen 64 bits are kept: among n states two are taken for one with a probability of about n²/2⁶⁵, which is
//! one in ten thousand for 50 million.

mod broker;
mod check;
mod command;
mod fingerprint;
mod intern;
mod log;
mod message;
mod metadata;
mod normalise;
mod permutation;
mod scope;
mod scopes;
mod search;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod words;
mod world;

pub use check::Violation;
pub use command::{ExploreArgs, run};
pub use scope::{Faults, Scope};
pub use scopes::{all, find};
pub use search::{Counts, Ending, Report, explore};

/// How many brokers there are, each with a replica.
pub const BROKERS: usize = 3;
