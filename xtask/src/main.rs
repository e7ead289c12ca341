//! The workspace's chores: `cargo xtask tidy`, `cargo xtask product`, `cargo xtask conformance`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of this repository.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask tidy\n  cargo xtask product\n  cargo xtask conformance --only kcat"
)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check what no compiler checks: import rings, file lengths, biased selects, reasons for dependencies.
    Tidy,
    /// Build the broker by itself and prove that it holds no switch of the museum and nothing of the simulator.
    Product,
    /// Run unmodified clients against the real broker; installs what it needs.
    Conformance {
        /// Run only this part: `kcat` or `librdkafka`.
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let outcome = match Arguments::parse().chore {
        Chore::Tidy => xtask::tidy::run(&root),
        Chore::Product => xtask::product::run(&root),
        Chore::Conformance { only } => xtask::conformance::run(&root, only.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
