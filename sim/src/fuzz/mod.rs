//! Schedule fuzzers: machines, a bag of messages and disks, in whose order anything may happen (`sim fuzz`).
//!
//! A fuzzer runs millions of steps per second because nothing in it is asynchronous: that is what finds bugs of
//! consensus, where the simulation of whole brokers is a smoke test.

pub mod alter_partition;
pub mod check;
pub mod panics;
pub mod planted;
pub mod raft;
pub mod replication;
pub mod shrink;
pub mod tally;
