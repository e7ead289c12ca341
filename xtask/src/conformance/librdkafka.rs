//! librdkafka through the `rdkafka` crate: idempotent, acks=all, while the broker is killed five times.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs the long tests of `broker/tests/librdkafka.rs` against the product binary.
///
/// # Errors
/// When a test fails.
pub fn run(root: &Path, binary: &Path) -> Result<()> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "test",
            "--package",
            "jangbu",
            "--test",
            "librdkafka",
            "--",
            "--include-ignored",
            "--nocapture",
        ])
        .args(["--test-threads", "1"])
        .env("JANGBU_BINARY", binary.canonicalize()?)
        .current_dir(root)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "the librdkafka tests failed");
    Ok(())
}
