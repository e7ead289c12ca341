//! `sim bugs`: takes the guards of the museum away one by one, and shows that the tools notice each.
//!
//! A hunt has several starts, far from each other: a single lucky seed proves little about the next bug. A bug counts
//! as found when at least half of the starts find it, so that their median is a figure. A guard that another one hides
//! is taken away together with that; the other alone must not be missed, else the pair would prove nothing of the
//! first. Each seed that finds something is run once more with all guards on, and must hold every promise then.

mod finding;
mod fuzzing;
mod listing;
mod scenario;

use jangbu_core::museum::Switch;

use crate::campaign::{self, Campaign};
use crate::cli::{BugsArgs, Format, ToolChoice};
use crate::fuzz::panics::silenced;
use crate::museum::{Exhibit, Tool, exhibits, label};
use crate::report::Ending;
use crate::scenario::did_you_mean;
use finding::{Alone, Bug, Start};
use fuzzing::Fuzzer;

/// How long a start looks for what one half of a pair does alone, which is nothing: a hundred times as long as the pair
/// takes.
const ALONE_CPU_SECONDS_MAX: u64 = 3;

/// Runs the museum, or lists it.
///
/// # Errors
/// For an unknown guard, a scenario that cannot be read, or a seed that fails with all guards on too.
pub fn run(arguments: &BugsArgs) -> anyhow::Result<Ending> {
    let chosen = chosen(arguments)?;
    if arguments.list {
        match arguments.format {
            Format::Text => print!("{}", listing::text(&chosen)),
            Format::Json => println!("{}", listing::json(&chosen)),
        }
        return Ok(Ending::Passed);
    }
    let mut bugs = Vec::new();
    for exhibit in chosen {
        let bug = match exhibit.tool() {
            Some(tool) => show(arguments, exhibit, tool)?,
            None => Bug::not_hunted(exhibit),
        };
        if arguments.format == Format::Text {
            print!("{}", bug.text());
        }
        if let (Some(file), Some(tool)) = (&arguments.record, exhibit.tool()) {
            campaign::record(file, &[campaign(&bug, tool)])?;
        }
        bugs.push(bug);
    }
    match arguments.format {
        Format::Text => print!("{}", finding::summary(&bugs)),
        Format::Json => {
            println!("{}", serde_json::json!({ "scenario": arguments.scenario, "bugs": bugs }));
        }
    }
    let is_missed = |bug: &Bug| bug.found == Some(false);
    Ok(if bugs.iter().any(is_missed) { Ending::Violated } else { Ending::Passed })
}

/// The exhibits that the command line asks for.
fn chosen(arguments: &BugsArgs) -> anyhow::Result<Vec<&'static Exhibit>> {
    let names: Vec<&str> = arguments.only.iter().map(|name| name.trim()).collect();
    for name in &names {
        if *name != "all" && !exhibits().any(|exhibit| is_called(exhibit, name)) {
            let known = exhibits().flat_map(|exhibit| [exhibit.id(), exhibit.name()]);
            let meant = did_you_mean(name, known).map(|meant| format!("; did you mean `{meant}`?"));
            let meant = meant.unwrap_or_else(|| ";".to_owned());
            anyhow::bail!("`{name}` is no guard{meant} `sim bugs --list` shows all");
        }
    }
    let is_named = |exhibit: &&Exhibit| {
        let hidden = exhibit.hidden_by().map(|hidden| label(hidden.switch));
        let hides =
            |name: &&str| hidden.is_some_and(|(id, key)| id.eq_ignore_ascii_case(name) || key == *name);
        names.is_empty()
            || names.contains(&"all")
            || names.iter().any(|name| is_called(exhibit, name) || hides(name))
    };
    let is_of_tool = |exhibit: &&Exhibit| match arguments.tool {
        None => true,
        Some(ToolChoice::Scenario) => exhibit.tool() == Some(Tool::Scenario),
        Some(ToolChoice::Fuzz) => {
            matches!(exhibit.tool(), Some(Tool::FuzzRaft | Tool::FuzzReplication))
        }
    };
    let chosen: Vec<&Exhibit> = exhibits().filter(is_named).filter(is_of_tool).collect();
    anyhow::ensure!(!chosen.is_empty(), "nothing to do: --tool leaves out all that --only names");
    Ok(chosen)
}

fn is_called(exhibit: &Exhibit, name: &str) -> bool {
    exhibit.id().eq_ignore_ascii_case(name) || exhibit.name() == name
}

/// Hunts for one bug, and for each half of a pair.
fn show(arguments: &BugsArgs, exhibit: &Exhibit, tool: Tool) -> anyhow::Result<Bug> {
    let check = exhibit.hidden_by().and_then(|hidden| hidden.check);
    let hunt = |switches: &[Switch], cpu_seconds| match tool {
        Tool::Scenario => scenario::hunt(arguments, switches),
        Tool::FuzzRaft => silenced(|| fuzzing::hunt(arguments, Fuzzer::Raft, (switches, check, cpu_seconds))),
        Tool::FuzzReplication => {
            silenced(|| fuzzing::hunt(arguments, Fuzzer::Replication, (switches, check, cpu_seconds)))
        }
    };
    let mut alone = Vec::new();
    if exhibit.hidden_by().is_some() {
        for switch in exhibit.switches() {
            let cpu_seconds = arguments.cpu_seconds.min(ALONE_CPU_SECONDS_MAX);
            alone.push(Alone::new(switch, &hunt(&[switch], cpu_seconds)?));
        }
    }
    let starts = hunt(&exhibit.switches(), arguments.cpu_seconds)?;
    let tool = match tool {
        Tool::Scenario => format!("sim {}", arguments.scenario.display()),
        Tool::FuzzRaft | Tool::FuzzReplication => format!("sim {}", tool.name()),
    };
    Ok(Bug::hunted(exhibit, tool, starts, alone))
}

fn campaign(bug: &Bug, tool: Tool) -> Campaign {
    let sum = |of: fn(&Start) -> u64| bug.starts.iter().map(of).sum();
    let with = bug.with.map_or_else(String::new, |with| format!(" with {with}"));
    let verdict = match bug.found {
        Some(true) => format!(
            "found in {} of {} starts by {}, median {:.2} CPU s",
            bug.starts_found,
            bug.starts.len(),
            bug.check.as_deref().unwrap_or_default(),
            bug.cpu_seconds.unwrap_or_default()
        ),
        _ => format!("missed: found in {} of {} starts", bug.starts_found, bug.starts.len()),
    };
    Campaign {
        tool: format!("sim bugs ({})", tool.name()),
        subject: format!("{} {}{with}", bug.id, bug.name),
        seeds: sum(|start| start.seeds),
        steps: sum(|start| start.steps),
        cpu_seconds: bug.starts.iter().map(|start| start.cpu_seconds).sum(),
        verdict,
        ..Campaign::default()
    }
}
