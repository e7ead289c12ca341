//! `sim fuzz raft`: what it prints and how it ends.

use std::time::Duration;

use jangbu_core::museum::Switch;
use serde_json::json;

use super::cluster::Counts;
use super::hunt::{self, Failure, Found, Hunt, Hunted};
use super::script;
use crate::campaign;
use crate::cli::{Format, FuzzArgs, default_jobs};
use crate::fuzz::panics::silenced;
use crate::fuzz::tally::{Rare, Tally};
use crate::museum::{Tool, guards_shown_by};
use crate::report::Ending;

/// What it calls itself.
const TOOL: &str = "sim fuzz raft";

/// A name, what is counted, and how often it must be.
type Floor = (&'static str, fn(&Counts) -> u64, u64);

/// What must have happened so often in a million steps; a run in which it did not proves little. Fixed since the
/// weights were tuned.
const FLOORS: &[Floor] = &[
    ("elections", |counts| counts.elections, 300),
    ("truncations", |counts| counts.truncations, 100),
    ("tails_lost", |counts| counts.tails_lost, 1_000),
    ("snapshot_installs", |counts| counts.snapshot_installs, 20),
    ("voter_changes", |counts| counts.voter_changes, 20),
];

/// Runs what the command line asks for.
///
/// # Errors
/// For an unknown guard, a script that cannot be read, or a record that cannot be written.
pub fn run(arguments: &FuzzArgs) -> anyhow::Result<Ending> {
    if let Some(path) = &arguments.replay {
        let text =
            std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        let played = script::play(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        print!("{}", played.text);
        return Ok(if played.violation.is_some() { Ending::Violated } else { Ending::Passed });
    }
    if !arguments.only.is_empty() {
        return find_planted(arguments);
    }
    let (first, last) = arguments.seed_range();
    let hunted = silenced(|| {
        hunt::run(&Hunt {
            first_seed: first,
            seeds: last - first + 1,
            steps_max: arguments.steps_max().unwrap_or(u64::MAX),
            cpu_max: Duration::MAX,
            jobs: arguments.jobs.unwrap_or_else(default_jobs),
            switches: Vec::new(),
            shrinks: !arguments.no_shrink,
        })
    });
    let tally = tally(&hunted);
    match arguments.format {
        Format::Text => print!("{}{}", tally.text(), failure_text(hunted.failure.as_ref())),
        Format::Json => {
            println!("{}", tally.json(hunted.failure.iter().map(|failure| json!(failure)).collect()))
        }
    }
    if let Some(file) = &arguments.record {
        let check = hunted.failure.as_ref().map(|failure| failure.violation.check);
        campaign::record(file, &[tally.campaign(TOOL, check)])?;
    }
    Ok(tally.ending(hunted.failure.is_some()))
}

fn tally(hunted: &Hunted) -> Tally {
    let rare = |(name, count, floor): &Floor| Rare { name, count: count(&hunted.counts), floor: *floor };
    Tally {
        seeds: hunted.seeds,
        steps: hunted.steps,
        cpu_seconds: hunted.cpu_seconds,
        rare: FLOORS.iter().map(rare).collect(),
    }
}

fn failure_text(failure: Option<&Failure>) -> String {
    let Some(Failure { seed, violation, script, .. }) = failure else { return String::new() };
    format!(
        "VIOLATION {} in seed {seed}: {}\nThe schedule, to be kept as a file in core/testdata/raft:\n\n{script}",
        violation.check, violation.message
    )
}

fn find_planted(arguments: &FuzzArgs) -> anyhow::Result<Ending> {
    let mut bugs = Vec::new();
    let mut script = None;
    for name in &arguments.only {
        let name = name.trim();
        let of_raft: Vec<Switch> = guards_shown_by(Tool::FuzzRaft).collect();
        let known = Switch::ALL.iter().filter(|(id, key, switch)| {
            (name == "all" || id.eq_ignore_ascii_case(name) || *key == name) && of_raft.contains(switch)
        });
        let before = bugs.len();
        let first_seed = arguments.seeds.map_or(1, |(first, _)| first);
        for (id, key, switch) in known {
            let mut hunt = Hunt::planted(*switch, first_seed, Duration::from_secs(arguments.cpu_seconds));
            hunt.shrinks = !arguments.no_shrink;
            let hunted = silenced(|| hunt::run(&hunt));
            let found = Found::from(&hunted);
            if arguments.format == Format::Text {
                println!("{}", line(id, key, &found));
            }
            script = hunted.failure.map(|failure| failure.script);
            bugs.push(json!({ "id": id, "name": key, "tool": TOOL, "result": found }));
        }
        anyhow::ensure!(bugs.len() > before, "`{name}` is no guard of the raft machine");
    }
    if let (Format::Text, 1, Some(script)) = (arguments.format, bugs.len(), script) {
        print!("\n{script}");
    }
    if arguments.format == Format::Json {
        println!("{}", json!({ "bugs": bugs }));
    }
    let all_found = bugs.iter().all(|bug| bug["result"]["found"] == true);
    Ok(if all_found { Ending::Passed } else { Ending::Violated })
}

fn line(id: &str, name: &str, found: &Found) -> String {
    format!(
        "{} {id:<4} {name:<20} {:>9} seeds {:>11} steps {:>7.2} CPU seconds  {}",
        if found.found { "FOUND " } else { "MISSED" },
        found.seeds,
        found.steps,
        found.cpu_seconds,
        found.check.unwrap_or_default()
    )
}
