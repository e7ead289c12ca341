//! The command line.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use jangbu::cli::{BrokerArgs, Cli, Command};
use jangbu::{keys, logging, serve};

/// Did not start, or could not go on.
const FAILED: u8 = 1;
/// Wrong usage or configuration; clap's own code for wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Broker(args) => broker(&args),
        Command::Config => config(),
    }
}

fn config() -> ExitCode {
    match std::io::stdout().write_all(keys::listing().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Such as a pager that was left: nobody waits for the rest.
        Err(_) => ExitCode::from(FAILED),
    }
}

fn broker(args: &BrokerArgs) -> ExitCode {
    let config = logging::start().and_then(|()| serve::configuration(args.config.as_deref()));
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            return ExitCode::from(USAGE);
        }
    };
    logging::abort_on_panic();
    match serve::serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", with_causes(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// The error and its causes. Many errors name their cause themselves: what has been said is not said again.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match said.as_str() {
            "" => cause,
            said if said.contains(&cause) => said.to_owned(),
            said => format!("{said}: {cause}"),
        }
    })
}
