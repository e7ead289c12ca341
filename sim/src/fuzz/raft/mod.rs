//! The fuzzer of the metadata quorum: `sim fuzz raft`.

pub mod choice;
pub mod cluster;
mod describe;
pub mod disk;
pub mod episode;
pub mod network;
pub mod node;
pub mod settle;
pub mod swarm;
