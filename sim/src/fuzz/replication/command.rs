//! `sim fuzz replication`: what it prints and how it ends.

use std::time::Duration;

use jangbu_core::museum::Switch;
use serde_json::{Value, json};

use super::hunt::{self, Failure, Hunt, Hunted};
use super::report::FLOORS;
use super::script;
use crate::campaign;
use crate::cli::{Format, FuzzArgs, default_jobs};
use crate::fuzz::panics::silenced;
use crate::fuzz::tally::{Rare, Tally};
use crate::museum::{Tool, guards_shown_by};
use crate::progress::Progress;
use crate::report::Ending;

/// What it calls itself.
const TOOL: &str = "sim fuzz replication";

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
    let progress = Progress::counting(TOOL, "steps", arguments.steps_max());
    let hunted = silenced(|| {
        hunt::run(&Hunt {
            first_seed: first,
            seeds: last - first + 1,
            steps_max: arguments.steps_max().unwrap_or(u64::MAX),
            cpu_max: Duration::MAX,
            jobs: arguments.jobs.unwrap_or_else(default_jobs),
            switches: &[],
            shrinks: !arguments.no_shrink,
            progress: Some(&progress),
        })
    });
    progress.finish();
    let tally = tally(&hunted);
    match arguments.format {
        Format::Text => print!("{}{}", tally.text(), failure_text(hunted.failure.as_ref())),
        Format::Json => println!("{}", tally.json(hunted.failure.iter().map(failure_json).collect())),
    }
    if let Some(file) = &arguments.record {
        let check = hunted.failure.as_ref().map(|failure| failure.violation.check);
        campaign::record(file, &[tally.campaign(TOOL, check)])?;
    }
    Ok(tally.ending(hunted.failure.is_some()))
}

fn tally(hunted: &Hunted) -> Tally {
    let named = hunted.counts.named();
    let count = |name| named.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count);
    Tally {
        seeds: hunted.seeds,
        steps: hunted.counts.steps,
        cpu_seconds: hunted.cpu_seconds,
        rare: FLOORS.iter().map(|&(name, floor)| Rare { name, count: count(name), floor }).collect(),
    }
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "seed": failure.seed,
        "check": failure.violation.check,
        "message": failure.violation.message,
        "script": failure.script,
    })
}

fn failure_text(failure: Option<&Failure>) -> String {
    let Some(Failure { seed, violation, script }) = failure else { return String::new() };
    format!(
        "VIOLATION {} in seed {seed}: {}\nThe schedule, a test for sim/src/fuzz/replication/tests.rs; --replay FILE \
         plays it:\n\n{script}",
        violation.check, violation.message
    )
}

/// Takes guards away one by one.
fn find_planted(arguments: &FuzzArgs) -> anyhow::Result<Ending> {
    let mut bugs = Vec::new();
    let mut script = None;
    for switch in wanted(&arguments.only)? {
        let (id, name) = crate::museum::label(switch);
        let first_seed = arguments.seeds.map_or(1, |(first, _)| first);
        let switches = [switch];
        let hunted = silenced(|| {
            hunt::run(&Hunt {
                shrinks: !arguments.no_shrink,
                ..Hunt::planted(&switches, first_seed, Duration::from_secs(arguments.cpu_seconds))
            })
        });
        if arguments.format == Format::Text {
            println!("{}", line(id, name, &hunted));
        }
        bugs.push(json!({ "id": id, "name": name, "tool": TOOL, "result": json!({
            "found": hunted.failure.is_some(),
            "seeds": hunted.seeds,
            "steps": hunted.counts.steps,
            "cpu_seconds": hunted.cpu_seconds,
            "check": hunted.failure.as_ref().map(|failure| failure.violation.check),
            "message": hunted.failure.as_ref().map(|failure| &failure.violation.message),
            "seed": hunted.failure.as_ref().map(|failure| failure.seed),
        }) }));
        script = hunted.failure.map(|failure| failure.script);
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

/// The guards of these names; `all` are those that this fuzzer is to notice.
fn wanted(names: &[String]) -> anyhow::Result<Vec<Switch>> {
    let mut switches = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        if name == "all" {
            switches.extend(guards_shown_by(Tool::FuzzReplication));
            continue;
        }
        let known = Switch::ALL.iter().filter(|(id, key, _)| {
            !id.starts_with(['C', 'G']) && (id.eq_ignore_ascii_case(name) || *key == name)
        });
        let before = switches.len();
        switches.extend(known.map(|(_, _, switch)| *switch));
        anyhow::ensure!(
            switches.len() > before,
            "`{name}` is no guard of replication (see `sim bugs --list`)"
        );
    }
    Ok(switches)
}

fn line(id: &str, name: &str, hunted: &Hunted) -> String {
    format!(
        "{} {id:<4} {name:<26} {:>9} seeds {:>11} steps {:>7.2} CPU seconds  {}",
        if hunted.failure.is_some() { "FOUND " } else { "MISSED" },
        hunted.seeds,
        hunted.counts.steps,
        hunted.cpu_seconds,
        hunted.failure.as_ref().map_or("", |failure| failure.violation.check)
    )
}
