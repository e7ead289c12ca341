//! The fuzzer of the metadata quorum: `sim fuzz raft`.
//!
//! It owns up to seven machines of `jangbu_core::raft`, a bag of messages, and what waits for each node's disk. Every
//! step is a weighted random choice (`choice.rs`); each seed draws its own weights (`swarm.rs`); after each step the
//! checks of `fuzz/check` have been told what happened; each episode ends healed (`settle.rs`).

pub mod choice;
pub mod cluster;
pub mod command;
mod delivery;
mod describe;
pub mod disk;
pub mod episode;
mod faults;
mod hunt;
pub mod network;
pub mod node;
pub mod script;
pub mod settle;
pub mod swarm;

pub use hunt::{Failure, Hunt, Hunted, run};
