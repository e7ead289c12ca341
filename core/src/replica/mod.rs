//! A partition's replication state, without its bytes: pure machines and folds.

pub mod producers;
