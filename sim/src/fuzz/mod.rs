//! Schedule fuzzers: machines of the core alone, in a bag of messages, millions of steps a second.

pub mod replication;
