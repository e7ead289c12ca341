//! `sim explore`: every state of a small world, by the step functions of the real machines.
//!
//! Three brokers with [`Replica`](jangbu_core::replica::Replica), the real controller over an ideal log, two or three
//! records, two or three leader epochs, one or two faults, at most one or two messages on a connection, metadata that
//! each broker learns late, timers that may go off at any time. In the spirit of the TLA+ models of KIP-320 (Gustafson)
//! and KIP-966 (Vanlightly), but of the code itself.
//!
//! What is simpler than in a cluster: a decision of the controller is committed at once, and a registration, an
//! unfencing and a controlled shutdown are one step each; the order of the assignment is any, at each decision
//! (`metadata.rs`); a follower has a fetch under way whenever it may, which can be lost when it is outdated, and what
//! arrives without effect has arrived (`normalise.rs`); a response holds one record. What is wider: any tail of a log can
//! be lost, as if nothing had been flushed; any member of the ISR can be found late whenever it is not at the leader's
//! end; the checkpointed high watermark is 0 or the newest.
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
