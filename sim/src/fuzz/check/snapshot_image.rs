//! A snapshot holds what a replay of the committed records up to its end gives, under the name of that end.

use super::{Violation, committed_prefix::CommittedPrefix};

/// Checks a snapshot that was made or is being installed.
///
/// # Errors
/// When it holds what is not committed, or something else than its name says.
pub fn check(
    committed: &CommittedPrefix,
    node: usize,
    end: i64,
    epoch: i32,
    image: u64,
) -> Result<(), Violation> {
    if committed.is_void() {
        return Ok(());
    }
    match committed.at(end) {
        Some(expected) if expected == (image, epoch) => Ok(()),
        Some(_) => Err(Violation::new(
            "snapshot_image",
            format!("node {node}'s snapshot {end}-{epoch} is not what a replay of the log up to there gives"),
        )),
        None => Err(Violation::new(
            "snapshot_committed",
            format!("node {node}'s snapshot {end}-{epoch} holds records that are not committed"),
        )),
    }
}

/// Checks that a log which does not begin at 0 has a snapshot at or after its start (KAFKA-14240).
///
/// # Errors
/// When there is none.
pub fn check_start(node: usize, start: i64, snapshot_end: Option<i64>) -> Result<(), Violation> {
    if start == 0 || snapshot_end.is_some_and(|end| end >= start) {
        return Ok(());
    }
    Err(Violation::new(
        "snapshot_at_log_start",
        format!("node {node}'s log begins at {start} without a snapshot"),
    ))
}
