//! `sim fuzz replication`: what it prints and how it ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::check::Violation;
use super::hunt::{self, Failure, Hunt, Hunted};
use super::report::FLOORS;
use super::script;
use crate::campaign;
use crate::cli::{Format, FuzzArgs, default_jobs};
use crate::fuzz::panics::silenced;
use crate::fuzz::planted::{self, Asked, Planted, Symptom};
use crate::fuzz::tally::{Rare, Tally};
use crate::museum::Tool;
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
        return planted::run(arguments, Tool::FuzzReplication, "//", hunt_planted);
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

fn hunt_planted(asked: &Asked) -> Planted {
    let (first, last) = asked.seeds;
    let switches = [asked.switch];
    let hunt = Hunt {
        seeds: last - first + 1,
        steps_max: asked.steps_max,
        shrinks: asked.shrinks,
        ..Hunt::planted(&switches, first, asked.cpu_max)
    };
    let hunted = hunt::run(&hunt);
    let symptom = |Failure { seed, violation, script }| {
        let Violation { check, message } = violation;
        Symptom { seed, check, message, script }
    };
    let (seeds, steps, cpu_seconds) = (hunted.seeds, hunted.counts.steps, hunted.cpu_seconds);
    Planted { seeds, steps, cpu_seconds, symptom: hunted.failure.map(symptom) }
}
