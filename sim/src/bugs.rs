//! `sim bugs`: takes guards away one by one, and shows that one generic scenario notices each.
//!
//! A bug counts as found when at least two of the seed ranges 1.., 1001.. and 2001.. find it, each in at most
//! [`CPU_SECONDS_MAX`]: a single lucky seed proves little about the next bug. A guard that another one hides is
//! taken away together with that; the other alone must not be missed, else the pair would prove nothing of the first.

use serde::Serialize;

use crate::batch::{self, Verdict};
use crate::cli::{BugsArgs, Format, default_jobs};
use crate::command::find_switch;
use crate::museum::{EXHIBITS, Exhibit, label};
use crate::outcome::Job;
use crate::progress::Progress;
use crate::report::Ending;
use crate::scenario::{self, Scenario};
use jangbu_core::museum::Switch;

const RANGES: [u64; 3] = [1, 1001, 2001];
/// Processor time of one range, all its seeds together.
const CPU_SECONDS_MAX: f64 = 20.0;

#[derive(Serialize)]
struct Bug {
    id: &'static str,
    name: &'static str,
    history: &'static str,
    found: bool,
    tool: String,
    /// Seeds up to and with the one that found it, per range; null where none did.
    seeds: Vec<Option<u64>>,
    cpu_seconds: f64,
    cpu_seconds_per_range: Vec<f64>,
    steps: u64,
    check: Option<String>,
    message: Option<String>,
    /// The guard that was taken away with it.
    with: Option<&'static str>,
    /// What that one does.
    hidden_because: Option<&'static str>,
    /// What each of the two does alone.
    alone: Vec<Alone>,
}

#[derive(Serialize)]
struct Alone {
    name: &'static str,
    seeds: Vec<Option<u64>>,
    check: Option<String>,
}

/// What the three ranges had to show.
#[derive(Default)]
struct Hunt {
    seeds: Vec<Option<u64>>,
    cpu_seconds: Vec<f64>,
    steps: u64,
    /// Of the first violation: check and message.
    violation: Option<(String, String)>,
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
    for exhibit in EXHIBITS {
        let hidden = exhibit.hidden_by.as_ref().map(|hidden| hidden.switch);
        let is_wanted = |switch: &Switch| *switch == exhibit.switch || Some(*switch) == hidden;
        if wanted.is_empty() || wanted.iter().any(is_wanted) {
            let bug = show(arguments, &scenario, exhibit)?;
            if arguments.format == Format::Text {
                print!("{}", text(&bug));
            }
            bugs.push(bug);
        }
    }
    if arguments.format == Format::Json {
        println!("{}", serde_json::json!({ "scenario": scenario.path, "bugs": bugs }));
    }
    Ok(if bugs.iter().all(|bug| bug.found) { Ending::Passed } else { Ending::Violated })
}

fn show(arguments: &BugsArgs, scenario: &Scenario, exhibit: &Exhibit) -> anyhow::Result<Bug> {
    let (id, name) = label(exhibit.switch);
    let with = exhibit.hidden_by.as_ref().map(|hidden| label(hidden.switch).1);
    let mut alone = Vec::new();
    if let Some(with) = with {
        for name in [name, with] {
            let hunt = hunt(arguments, scenario, &[name])?;
            alone.push(Alone { name, seeds: hunt.seeds, check: hunt.violation.map(|(check, _)| check) });
        }
    }
    let names: Vec<&'static str> = [Some(name), with].into_iter().flatten().collect();
    let hunt = hunt(arguments, scenario, &names)?;
    let blames_other =
        alone.iter().any(|one| Some(one.name) == with && one.seeds.iter().any(Option::is_some));
    let (check, message) = hunt.violation.clone().unzip();
    Ok(Bug {
        id,
        name,
        history: exhibit.history,
        found: hunt.is_success() && !blames_other,
        tool: format!("sim {}", scenario.path.display()),
        cpu_seconds: hunt.cpu_seconds.iter().sum(),
        seeds: hunt.seeds,
        cpu_seconds_per_range: hunt.cpu_seconds,
        steps: hunt.steps,
        check,
        message,
        with,
        hidden_because: exhibit.hidden_by.as_ref().map(|hidden| hidden.why),
        alone,
    })
}

impl Hunt {
    fn is_success(&self) -> bool {
        let quick = self.seeds.iter().zip(&self.cpu_seconds);
        quick.filter(|(seed, cpu_seconds)| seed.is_some() && **cpu_seconds <= CPU_SECONDS_MAX).count() >= 2
    }
}

/// Looks for a violation in each range, with these guards off.
fn hunt(arguments: &BugsArgs, scenario: &Scenario, names: &[&'static str]) -> anyhow::Result<Hunt> {
    let switches = names.iter().map(|name| (*name).to_owned()).collect();
    let job = Job { scenario: scenario.path.clone(), switches, ..Job::default() };
    let mut hunt = Hunt::default();
    for first in RANGES {
        hunt.cpu_seconds.push(0.0);
        let range = (first, first + arguments.seeds - 1);
        let found = hunt_range(arguments, scenario, &job, range, &mut hunt)?;
        hunt.seeds.push(found.map(|seed| seed - first + 1));
    }
    Ok(hunt)
}

/// The first seed of a range that finds something. Seeds run in groups of one per process, and each group counts up to
/// the first that finds it, so that the answer does not hang on the number of cores.
fn hunt_range(
    arguments: &BugsArgs,
    scenario: &Scenario,
    job: &Job,
    (mut first, last): (u64, u64),
    hunt: &mut Hunt,
) -> anyhow::Result<Option<u64>> {
    let jobs = arguments.jobs.unwrap_or_else(default_jobs).max(1);
    while first <= last {
        let seeds = (first, (first + jobs as u64 - 1).min(last));
        let settings =
            batch::Settings { seeds, jobs, twice_percent: 0, until: None, keep: false, stop_at: None };
        let batch = batch::run(scenario, job, &settings, &Progress::new(&job.switches.join(" with "), 1))?;
        for (seed, verdict) in &batch.verdicts {
            if let Some(outcome) = verdict.outcome() {
                hunt.steps += outcome.events;
                if let Some(sum) = hunt.cpu_seconds.last_mut() {
                    *sum += outcome.cpu_ns as f64 / 1e9;
                }
            }
            if let Verdict::Violated(outcome) = verdict {
                if let (None, Some(violation)) = (&hunt.violation, &outcome.violation) {
                    hunt.violation = Some((violation.check.clone(), violation.message.clone()));
                }
                return Ok(Some(*seed));
            }
        }
        first = seeds.1 + 1;
    }
    Ok(None)
}

fn seeds_text(seeds: &[Option<u64>]) -> String {
    let texts = seeds.iter().map(|seed| seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string()));
    texts.collect::<Vec<_>>().join(" / ")
}

fn text(bug: &Bug) -> String {
    let verdict = if bug.found { "FOUND " } else { "MISSED" };
    let name = match bug.with {
        Some(with) => format!("{} (with {with})", bug.name),
        None => bug.name.to_owned(),
    };
    let cpu: Vec<String> = bug.cpu_seconds_per_range.iter().map(|seconds| format!("{seconds:.2}")).collect();
    let mut text = format!(
        "{verdict} {:<4} {name:<46} seeds needed {:<12} CPU seconds {:<20} {}\n              {}\n",
        bug.id,
        seeds_text(&bug.seeds),
        cpu.join(" / "),
        bug.check.as_deref().unwrap_or(""),
        bug.history
    );
    if let Some(why) = bug.hidden_because {
        text.push_str(&format!("              hidden otherwise: {why}\n"));
    }
    for Alone { name, seeds, check } in &bug.alone {
        let check = check.as_deref().unwrap_or("nothing to be found");
        text.push_str(&format!("              {name} alone: {} {check}\n", seeds_text(seeds)));
    }
    text
}
