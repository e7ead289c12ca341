//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// What `--help` says behind the options.
const EXAMPLES: &str = "\
Examples:
  jangbu broker                              data in ./data, clients on port 9092
  jangbu broker --config server.properties   with Kafka's own keys
  jangbu config > server.properties          every key with its default, commented out
  kcat -b localhost:9092 -L                  clients that need no groups and no transactions will do

Not supported by this version, and refused:
  consumer groups (kcat -G), transactions, SSL and SASL, several listeners, log compaction, more than one node

Environment:
  JANGBU_LOG   which events are logged: info (default), debug, or jangbu_core::log=debug,warn
  NO_COLOR     when set, the log has no colours even on a terminal

Exit codes:
  0    stopped by SIGTERM or SIGINT, everything closed
  1    did not start, or could not go on; the log says why
  2    wrong usage or configuration
  134  a defect: a panic was logged and the process aborted; acknowledged records are kept";

/// A log broker that speaks Kafka's wire protocol.
#[derive(Debug, Parser)]
#[command(name = "jangbu", version, about, after_help = EXAMPLES, subcommand_required = true)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a broker in the foreground until SIGTERM or SIGINT
    #[command(after_help = EXAMPLES)]
    Broker(BrokerArgs),
    /// Prints every supported key with its meaning and default, as a commented server.properties
    Config,
}

/// The options of `jangbu broker`.
#[derive(Debug, Args)]
pub struct BrokerArgs {
    /// A file with Kafka's keys; without it, every key has its default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_broker_needs_no_configuration() {
        let Cli { command: Command::Broker(args) } =
            Cli::try_parse_from(["jangbu", "broker"]).expect("it parses")
        else {
            panic!("another command")
        };
        assert_eq!(args.config, None);
    }
}
