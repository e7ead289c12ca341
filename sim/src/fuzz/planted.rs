//! `--only`: guards are taken away one by one, and the fuzzer must notice each.

use std::time::Duration;

use jangbu_core::museum::Switch;
use serde_json::{Value, json};

use crate::cli::{Format, FuzzArgs};
use crate::fuzz::panics::silenced;
use crate::museum::{Exhibit, Shown, Tool, exhibits, guards_shown_by, label};
use crate::report::Ending;
use crate::scenario::did_you_mean;

/// What a fuzzer is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The guard that is off.
    pub switch: Switch,
    /// First and last seed, both included.
    pub seeds: (u64, u64),
    /// No seed is begun after so many steps.
    pub steps_max: u64,
    /// Nor after so much time of the processors.
    pub cpu_max: Duration,
    /// Whether the schedule is made small.
    pub shrinks: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Planted {
    /// Seeds up to and with the one that found it.
    pub seeds: u64,
    /// Steps until then.
    pub steps: u64,
    /// Processor time until then.
    pub cpu_seconds: f64,
    /// What was found, if anything was.
    pub symptom: Option<Symptom>,
}

/// What shows that a guard is gone.
#[derive(Clone, Debug)]
pub struct Symptom {
    /// The seed.
    pub seed: u64,
    /// Which invariant broke.
    pub check: &'static str,
    /// What happened.
    pub message: String,
    /// The schedule, to be played again.
    pub script: String,
}

/// Takes away the guards that the command line names, and prints what `hunt` makes of each. What is printed for one
/// guard is a script: all that is not it is a comment there (`comment` begins one).
///
/// # Errors
/// For a name that is no guard, or one that this fuzzer cannot miss.
pub fn run(
    arguments: &FuzzArgs,
    tool: Tool,
    comment: &str,
    hunt: impl Fn(&Asked) -> Planted,
) -> anyhow::Result<Ending> {
    let switches = wanted(&arguments.only, tool)?;
    let mut bugs = Vec::new();
    let mut is_missed = false;
    for &switch in &switches {
        let asked = Asked {
            switch,
            seeds: arguments.seed_range(),
            steps_max: arguments.steps.unwrap_or(u64::MAX),
            cpu_max: Duration::from_secs(arguments.cpu_seconds),
            shrinks: !arguments.no_shrink,
        };
        let planted = silenced(|| hunt(&asked));
        is_missed |= planted.symptom.is_none();
        if arguments.format == Format::Text {
            println!("{comment} {}", line(switch, &planted));
            match (&planted.symptom, switches.len()) {
                (Some(symptom), 1) => {
                    println!(
                        "{comment} `sim {} --replay FILE` plays it again.\n\n{}",
                        tool.name(),
                        symptom.script
                    );
                }
                (Some(_), _) => {}
                (None, _) => println!("{comment} more --cpu-seconds or --steps may find it"),
            }
        }
        bugs.push(to_json(switch, tool, &planted));
    }
    match arguments.format {
        Format::Text if switches.len() > 1 => {
            println!("{comment} the schedule of one: --only {}", label(switches[0]).1);
        }
        Format::Text => {}
        Format::Json => println!("{}", json!({ "bugs": bugs })),
    }
    Ok(if is_missed { Ending::Violated } else { Ending::Passed })
}

fn line(switch: Switch, planted: &Planted) -> String {
    let (id, name) = label(switch);
    let symptom = planted.symptom.as_ref().map(|symptom| {
        let Symptom { seed, check, message, .. } = symptom;
        format!("{check} in seed {seed}: {message}")
    });
    format!(
        "{} {id:<4} {name:<26} {:>9} seeds {:>11} steps {:>7.2} CPU seconds  {}",
        if symptom.is_some() { "FOUND " } else { "MISSED" },
        planted.seeds,
        planted.steps,
        planted.cpu_seconds,
        symptom.unwrap_or_default()
    )
}

fn to_json(switch: Switch, tool: Tool, planted: &Planted) -> Value {
    let (id, name) = label(switch);
    let symptom = planted.symptom.as_ref();
    json!({ "id": id, "name": name, "tool": format!("sim {}", tool.name()), "result": {
        "found": symptom.is_some(),
        "seeds": planted.seeds,
        "steps": planted.steps,
        "cpu_seconds": planted.cpu_seconds,
        "check": symptom.map(|symptom| symptom.check),
        "message": symptom.map(|symptom| &symptom.message),
        "seed": symptom.map(|symptom| symptom.seed),
        "script": symptom.map(|symptom| &symptom.script),
    } })
}

/// The guards of these names; `all` are those that this fuzzer is to notice.
fn wanted(names: &[String], tool: Tool) -> anyhow::Result<Vec<Switch>> {
    let mut switches = Vec::new();
    for name in names.iter().map(|name| name.trim()) {
        if name == "all" {
            switches.extend(guards_shown_by(tool));
            continue;
        }
        let called: Vec<&Exhibit> = exhibits()
            .filter(|exhibit| exhibit.id().eq_ignore_ascii_case(name) || exhibit.name() == name)
            .collect();
        let here = called.iter().filter(|exhibit| matches!(exhibit.shown, Shown::By(by) if by == tool));
        let before = switches.len();
        switches.extend(here.filter_map(|exhibit| exhibit.switch()));
        anyhow::ensure!(switches.len() > before, "{}", why_not(name, &called, tool));
    }
    Ok(switches)
}

/// Why this fuzzer cannot be asked for a guard.
fn why_not(name: &str, called: &[&Exhibit], tool: Tool) -> String {
    let Some(exhibit) = called.first() else {
        let known = exhibits().flat_map(|exhibit| [exhibit.id(), exhibit.name()]);
        let meant = did_you_mean(name, known).map(|meant| format!("; did you mean `{meant}`?"));
        return format!(
            "`{name}` is no guard{} `sim bugs --list` shows all",
            meant.unwrap_or(";".to_owned())
        );
    };
    match &exhibit.shown {
        Shown::By(Tool::Scenario) => {
            format!("`{name}` is not missed by `sim {}`: sim bugs --only {name}", tool.name())
        }
        Shown::By(by) => format!("`{name}` is shown by `sim {} --only {name}`", by.name()),
        Shown::Paired(_, hidden) => {
            format!("`{name}` is hidden by `{}`: sim bugs --only {name}", label(hidden.switch).1)
        }
        Shown::Tested(why, test) => format!("`{name}` is shown by the test {test}: {why}"),
        Shown::Companion(why) | Shown::Inapplicable(why) => format!("`{name}` is never missed alone: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, tool: Tool) -> String {
        wanted(&[name.to_owned()], tool).expect_err("it cannot be asked for").to_string()
    }

    #[test]
    fn a_guard_that_a_fuzzer_cannot_miss_is_refused_with_what_shows_it() {
        assert!(refused("A1", Tool::FuzzRaft).contains("sim fuzz replication --only A1"));
        assert!(refused("G4", Tool::FuzzReplication).contains("sim fuzz raft --only G4"));
        assert!(refused("trunc-to-hv", Tool::FuzzReplication).contains("did you mean `trunc-to-hw`?"));
        assert!(refused("minisr-append-only", Tool::FuzzReplication).contains("sim bugs --only"));
        assert!(refused("A3", Tool::FuzzReplication).contains("by the test"));
        assert!(refused("C2", Tool::FuzzRaft).contains("sim bugs --only C2"));
    }

    #[test]
    fn all_are_those_of_the_fuzzer_and_an_id_is_all_its_guards() {
        let all = wanted(&["all".to_owned()], Tool::FuzzRaft).expect("known");
        assert!(all.iter().all(|switch| label(*switch).0.starts_with('G')));
        assert_eq!(wanted(&["b6".to_owned()], Tool::FuzzReplication).expect("known").len(), 2);
    }
}
