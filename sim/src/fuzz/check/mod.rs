//! Invariants of a replicated log, one file each, fed by what happens and asking nobody anything. Each costs a
//! constant time per event: two logs are compared by the chain hashes of their ends.

pub mod committed_prefix;
pub mod election_safety;
pub mod log_matching;
pub mod one_vote;
pub mod snapshot_image;
mod table;

use serde::Serialize;
pub use table::Table;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which invariant.
    pub check: &'static str,
    /// What happened.
    pub message: String,
}

impl Violation {
    /// Names a broken invariant.
    pub fn new(check: &'static str, message: String) -> Self {
        Self { check, message }
    }
}

/// The chain hash of a log with one more entry.
#[inline]
pub fn chain(before: u64, epoch: i32, payload: u32) -> u64 {
    let entry = (u64::from(epoch as u32) << 32) | u64::from(payload);
    let mixed = (before ^ entry).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 29)
}
