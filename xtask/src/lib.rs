//! The workspace's chores, as a library so that `cargo test` runs them too.

pub mod conformance;
pub mod product;
pub mod tidy;
