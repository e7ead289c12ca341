//! `bench`: measures the broker beside the limits of the machine it runs on, in the same run.

mod client;
mod machine;
mod namespace;
mod probe;
mod product;
mod report;
mod smoke;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures the broker beside the limits of the machine.
#[derive(Parser)]
#[command(
    name = "bench",
    after_help = "Examples:\n  cargo run --release -p bench -- smoke\n  cargo run --release -p bench -- smoke --format json\n  cargo run --release -p bench -- smoke --broker ./jangbu --rounds 7\n  cargo run --release -p bench -- smoke --only 'produce 16 KiB' --seconds 10\n\nExit codes: 0 measured, 1 a run failed, 2 usage."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Rate and CPU per request: produce, hot fetch by sendfile and by copy, one record at a time; with probes.
    Smoke(SmokeArguments),
}

/// What `bench smoke` takes.
#[derive(clap::Args)]
struct SmokeArguments {
    /// A broker binary; built by `cargo build --release -p jangbu` when absent.
    #[arg(long)]
    broker: Option<PathBuf>,
    /// How often every point is measured; medians are reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a point is measured for in one round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Measure only the points whose name contains this, such as "256 KiB".
    #[arg(long)]
    only: Option<String>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table.
    Text,
    /// One JSON object.
    Json,
}

fn main() -> ExitCode {
    let Command::Smoke(arguments) = Arguments::parse().command;
    let outcome = match namespace::enter() {
        Ok(namespace::Place::Here(network)) => smoke::run(&arguments, &network),
        Ok(namespace::Place::Child(code)) => return code,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
