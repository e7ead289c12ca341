//! skeleton
/// Every check.
pub const NAMES: &[&str] = &["acked_is_durable", "offsets_unique", "no_gap", "no_duplicate", "recovery_equals_scan", "producer_fold", "epoch_cache", "no_panic", "liveness"];
