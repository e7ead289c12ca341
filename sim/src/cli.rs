//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::scenario::{Drawable, seed_range};

const EXAMPLES: &str = "\
Examples:
  sim scenarios/fast/process_crash.toml                   the scenario's own seeds
  sim scenarios/fast/*.toml --seeds 2000 --jobs 2         seeds 1..2000 of each, two at a time
  sim scenarios/fast/disk_error.toml --seed 17            one seed, as a failure report names it
  sim --replay target/sim/disk_error-17/plan.toml --pin   the same faults on the same nodes, without the generator
  sim scenarios/fast/topic_churn.toml --check-determinism 100   every seed twice, traces compared
  sim scenarios/fast/*.toml --time 10m --format json      as many seeds as ten minutes allow
  sim scenarios/fast/*.toml --seeds 100 --require-sites   did a crash strike at every disk call of the core?
  sim fuzz raft --steps 100000000 --jobs 2                the metadata quorum's machine alone, in any order
  sim fuzz replication --only A1                          what happens without one guard, as a short schedule
  sim bugs --list                                         bugs that others had, and what finds each here
  sim bugs --only C2,trust-index                          does the simulator find what these guards prevent?

Exit codes:
  0  all seeds passed (or the violation that the scenario expects was found)
  1  an invariant was violated (or the expected violation was not found)
  2  the command line, a scenario or a plan is wrong
  3  two runs of one seed differed
  4  the system did not recover after the faults, or a seed did not end";

/// Runs seeded simulations of the broker and checks that nothing acknowledged is lost.
#[derive(Debug, Parser)]
#[command(name = "sim", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Another command than to run scenarios.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Runs scenarios.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The other commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Takes guards away one by one and shows that the simulator notices
    Bugs(BugsArgs),
    /// Runs the core's machines alone, in any order of messages, millions of steps per second
    #[command(subcommand)]
    Fuzz(FuzzCommand),
    /// Visits every state of a small world of replicas and their controller
    #[command(after_help = EXPLORE_EXAMPLES)]
    Explore(crate::explore::ExploreArgs),
    /// Runs the seeds that stdin names; started by `sim` itself
    #[command(hide = true, name = crate::worker::COMMAND)]
    Worker,
}

/// `sim <scenario.toml>...`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Scenario files
    #[arg(value_name = "SCENARIO.toml")]
    pub scenarios: Vec<PathBuf>,
    /// Runs this seed alone
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// Seeds 1..N, or A..B with both ends included [default: the scenario's own]
    #[arg(long, value_name = "N|A..B", value_parser = seeds)]
    pub seeds: Option<(u64, u64)>,
    /// Worker processes [default: one per core]
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// Runs this share of the seeds twice and compares the traces, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=100))]
    pub check_determinism: u64,
    /// Repeats the values and faults of a plan instead of drawing them
    #[arg(long, value_name = "PLAN.toml", conflicts_with_all = ["seeds", "seed"])]
    pub replay: Option<PathBuf>,
    /// With --replay: strikes the nodes that were struck before
    #[arg(long, requires = "replay")]
    pub pin: bool,
    /// Plants misbehaviour, which must be noticed: watch, map, counter (3), spin, circle (4), abort, violate (1)
    #[arg(long, value_name = "NAME")]
    pub plant: Option<String>,
    /// Switches off a guard, by id or name (see `sim bugs`); may be given several times
    #[arg(long = "switch", value_name = "NAME")]
    pub switches: Vec<String>,
    /// Stops after this time, such as 10m; without --seeds it goes on until then
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub time: Option<Duration>,
    /// Where plans and traces of failing seeds are written
    #[arg(long, value_name = "DIR", default_value = "target/sim")]
    pub out: PathBuf,
    /// What is printed to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Prints the table of the core's disk sites, a line each, and fails unless a crash struck at every one
    #[arg(long)]
    pub require_sites: bool,
    /// Lists the faults, what they do and what must survive them
    #[arg(long)]
    pub list_faults: bool,
    /// Appends a line for each scenario to this file, such as reports/campaigns.csv
    #[arg(long, value_name = "FILE.csv")]
    pub record: Option<PathBuf>,
}

const BUGS_EXAMPLES: &str = "\
Examples:
  sim bugs                                    every guard, three starts each
  sim bugs --list                             the table alone, at once
  sim bugs --only A1,hw-under-minisr          these two
  sim bugs --tool fuzz --starts 20 --jobs 2   a campaign: medians of twenty starts
  sim bugs --starts 20 --record reports/campaigns.csv

Exit codes: 0 all found that should be, 1 one was missed, 2 a mistake, or a seed that fails with all guards on too";

/// `sim bugs`
#[derive(Args, Debug)]
#[command(after_help = BUGS_EXAMPLES)]
pub struct BugsArgs {
    /// Ids or names, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    pub only: Vec<String>,
    /// Only what this tool finds
    #[arg(long, value_enum)]
    pub tool: Option<ToolChoice>,
    /// Prints the table without looking for anything
    #[arg(long)]
    pub list: bool,
    /// Hunts for each, from seeds far apart; at least half of them must find it
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub starts: u64,
    /// CPU seconds after which a fuzzer's start ends
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub cpu_seconds: u64,
    /// Seeds of a scenario's start
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// The scenario
    #[arg(long, value_name = "SCENARIO.toml", default_value = "scenarios/museum/storage.toml")]
    pub scenario: PathBuf,
    /// Threads, or worker processes [default: one per core]
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// Appends a line for each to this file, such as reports/campaigns.csv
    #[arg(long, value_name = "FILE.csv")]
    pub record: Option<PathBuf>,
    /// What is printed to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What looks for a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ToolChoice {
    /// The schedule fuzzers of machines
    Fuzz,
    /// The simulation of whole brokers
    Scenario,
}

/// `sim fuzz`
#[derive(Debug, Subcommand)]
pub enum FuzzCommand {
    /// The metadata quorum
    #[command(after_help = FUZZ_RAFT_EXAMPLES)]
    Raft(FuzzArgs),
    /// Replicas, the fetch loop, brokers' lives and the controller
    #[command(after_help = FUZZ_REPLICATION_EXAMPLES)]
    Replication(FuzzArgs),
}

const FUZZ_RAFT_EXAMPLES: &str = "\
Examples:
  sim fuzz raft                                          10 million steps
  sim fuzz raft --steps 1000000000 --record reports/campaigns.csv
  sim fuzz raft --seeds 17..17                           one seed
  sim fuzz raft --only G4                                without this guard: the shortest schedule that shows why
  sim fuzz raft --replay core/testdata/raft/a_deposed_leader_commits_nothing.txt

Exit codes: 0 clean (with --only: all were found), 1 a violation or too few rare events, 2 a mistake";

const FUZZ_REPLICATION_EXAMPLES: &str = "\
Examples:
  sim fuzz replication                                   10 million steps
  sim fuzz replication --steps 300000000 --record reports/campaigns.csv
  sim fuzz replication --seeds 17..17                    one seed
  sim fuzz replication --only A1 > a1.txt                without this guard: the shortest schedule that shows why
  sim fuzz replication --replay a1.txt                   the same again; lines may be taken out

Exit codes: 0 clean (with --only: all were found), 1 a violation or too few rare events, 2 a mistake";

const EXPLORE_EXAMPLES: &str = "\
Examples:
  sim explore                                   lists the scopes
  sim explore tiny                              every state: seconds
  sim explore elections --states-max 2000000    the first two million, nearest first
  sim explore restart --switch B8               without this guard: the shortest way to a violation

Exit codes: 0 no violation in what was seen, be it all (`exhausted`) or not (`bound reached`); with --switch: one was
found; 1 the opposite; 2 a mistake";

/// `sim fuzz raft` and `sim fuzz replication`
#[derive(Args, Debug)]
pub struct FuzzArgs {
    /// Seeds 1..N, or A..B with both ends included [default: as many as the steps allow]
    #[arg(long, value_name = "N|A..B", value_parser = seeds)]
    pub seeds: Option<(u64, u64)>,
    /// Begins no seed after so many steps [default: 10 million, or the seeds alone if they are given]. From 1,000,000 on
    /// what is rare must have happened often enough
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// Takes guards away one by one, by id or name (`all` for all), and shows that it is noticed
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    pub only: Vec<String>,
    /// With --only: CPU seconds for each guard
    #[arg(long, value_name = "N", default_value_t = 60, requires = "only")]
    pub cpu_seconds: u64,
    /// Prints a failing schedule as it is, with all that does not matter
    #[arg(long)]
    pub no_shrink: bool,
    /// Plays a script that was printed here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "steps", "only", "format"])]
    pub replay: Option<PathBuf>,
    /// Appends a line to this file, such as reports/campaigns.csv
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["only", "replay"])]
    pub record: Option<PathBuf>,
    /// What is printed to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Steps of a fuzzer when nothing else is asked for.
const STEPS_DEFAULT: u64 = 10_000_000;

impl FuzzArgs {
    /// After how many steps no seed begins, if that is what ends it.
    pub fn steps_max(&self) -> Option<u64> {
        self.steps.or(self.seeds.is_none().then_some(STEPS_DEFAULT))
    }

    /// First and last seed, both included.
    pub fn seed_range(&self) -> (u64, u64) {
        self.seeds.unwrap_or((1, u64::MAX - 1))
    }
}

/// What is printed to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object per scenario.
    Json,
}

/// How many at a time: one at least.
fn jobs(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|jobs| *jobs > 0).ok_or_else(|| "a number from 1 on".to_owned())
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    match seed_range(text) {
        Some((count, _)) if !text.contains("..") && count > 0 => Ok((1, count)),
        Some(range) if text.contains("..") => Ok(range),
        _ => Err("a number of seeds such as 200, or a range such as 1001..1020".into()),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    Duration::from_text(text).ok_or_else(|| format!("{} is expected", Duration::EXPECTED))
}

/// One per core.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seeds_are_a_count_or_a_range() {
        assert_eq!(seeds("20"), Ok((1, 20)));
        assert_eq!(seeds("1001..1020"), Ok((1001, 1020)));
        for text in ["", "0", "9..3", "x", "1...3"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
