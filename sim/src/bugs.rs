//! `sim bugs`: takes guards away one by one, and shows that one generic scenario notices each.
//!
//! A bug counts as found when at least two of the seed ranges 1.., 1001.. and 2001.. find it: a single lucky seed
//! proves little about the next bug.

use serde::Serialize;

use crate::batch::{self, Verdict};
use crate::cli::{BugsArgs, Format, default_jobs};
use crate::command::find_switch;
use crate::outcome::Job;
use crate::progress::Progress;
use crate::report::Ending;
use crate::scenario::{self, Scenario};
use jangbu_core::museum::Switch;

const RANGES: [u64; 3] = [1, 1001, 2001];

#[derive(Serialize)]
struct Bug {
    id: &'static str,
    name: &'static str,
    found: bool,
    tool: String,
    /// Seeds up to and with the one that found it, per range; null where none did.
    seeds: Vec<Option<u64>>,
    steps: u64,
    cpu_seconds: f64,
    check: Option<String>,
    message: Option<String>,
}

/// Runs the museum.
///
/// # Errors
/// For an unknown guard, or a scenario that cannot be read.
pub fn run(arguments: &BugsArgs) -> anyhow::Result<Ending> {
    let scenario = scenario::load(&arguments.scenario)?;
    let wanted: Vec<Switch> =
        arguments.only.iter().map(|name| find_switch(name.trim())).collect::<anyhow::Result<_>>()?;
    let mut bugs = Vec::new();
    for (id, name, switch) in Switch::ALL {
        if wanted.is_empty() || wanted.contains(switch) {
            let bug = hunt(arguments, &scenario, id, name)?;
            if arguments.format == Format::Text {
                println!("{}", line(&bug));
            }
            bugs.push(bug);
        }
    }
    if arguments.format == Format::Json {
        println!("{}", serde_json::json!({ "scenario": scenario.path, "bugs": bugs }));
    }
    Ok(if bugs.iter().all(|bug| bug.found) { Ending::Passed } else { Ending::Violated })
}

fn hunt(
    arguments: &BugsArgs,
    scenario: &Scenario,
    id: &'static str,
    name: &'static str,
) -> anyhow::Result<Bug> {
    let tool = format!("sim {}", scenario.path.display());
    let mut bug = Bug {
        id,
        name,
        found: false,
        tool,
        seeds: Vec::new(),
        steps: 0,
        cpu_seconds: 0.0,
        check: None,
        message: None,
    };
    let job = Job { scenario: scenario.path.clone(), switches: vec![name.to_owned()], ..Job::default() };
    for first in RANGES {
        // One process at a time, so that "the first seed that finds it" does not hang on the number of cores.
        let settings = batch::Settings {
            seeds: (first, first + arguments.seeds - 1),
            jobs: 1,
            twice_percent: 0,
            until: None,
            keep: false,
            stop_at: None,
        };
        let found = hunt_range(arguments, scenario, &job, &settings, &mut bug)?;
        bug.seeds.push(found.map(|seed| seed - first + 1));
    }
    bug.found = bug.seeds.iter().flatten().count() >= 2;
    Ok(bug)
}

fn hunt_range(
    arguments: &BugsArgs,
    scenario: &Scenario,
    job: &Job,
    settings: &batch::Settings,
    bug: &mut Bug,
) -> anyhow::Result<Option<u64>> {
    let jobs = arguments.jobs.unwrap_or_else(default_jobs) as u64;
    let mut first = settings.seeds.0;
    while first <= settings.seeds.1 {
        let last = (first + jobs - 1).min(settings.seeds.1);
        let settings = batch::Settings { seeds: (first, last), jobs: jobs as usize, ..settings.clone() };
        let batch = batch::run(scenario, job, &settings, &Progress::new(bug.name, 1)).complete()?;
        for (seed, verdict) in &batch.verdicts {
            if let Some(outcome) = verdict.outcome() {
                bug.steps += outcome.events;
                bug.cpu_seconds += outcome.cpu_ns as f64 / 1e9;
            }
            if let Verdict::Violated(outcome) = verdict {
                let violation = outcome.violation.as_ref();
                bug.check = bug.check.take().or_else(|| violation.map(|violation| violation.check.clone()));
                bug.message =
                    bug.message.take().or_else(|| violation.map(|violation| violation.message.clone()));
                return Ok(Some(*seed));
            }
        }
        first = last + 1;
    }
    Ok(None)
}

fn line(bug: &Bug) -> String {
    let seeds: Vec<String> =
        bug.seeds.iter().map(|seed| seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string())).collect();
    format!(
        "{} {:<4} {:<22} seeds needed {:<12} {:>7.2} CPU seconds  {}",
        if bug.found { "FOUND " } else { "MISSED" },
        bug.id,
        bug.name,
        seeds.join(" / "),
        bug.cpu_seconds,
        bug.check.as_deref().unwrap_or("")
    )
}
