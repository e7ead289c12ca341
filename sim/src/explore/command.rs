//! What `sim explore` prints and how it ends.

use clap::Args;
use jangbu_core::museum::{Switch, Switches};
use serde_json::{Value, json};

use super::scope::Scope;
use super::scopes::{all, find};
use super::search::{Counts, Ending, Report, explore};
use crate::cli::Format;
use crate::command::find_switch;
use crate::progress::Progress;
use crate::report;

/// `sim explore`
#[derive(Args, Debug)]
pub struct ExploreArgs {
    /// The scope; without one all are listed
    #[arg(value_name = "SCOPE")]
    pub scope: Option<String>,
    /// Switches off a guard, by id or name; may be given several times. A violation is then expected
    #[arg(long = "switch", value_name = "NAME,...", value_delimiter = ',', requires = "scope")]
    pub switches: Vec<String>,
    /// Ends after so many states
    #[arg(long, value_name = "N", default_value_t = 50_000_000, requires = "scope")]
    pub states_max: u64,
    /// Looks only for the loss of acknowledged records
    #[arg(long, requires = "scope")]
    pub only_loss: bool,
    /// What is printed to stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Runs what the command line asks for.
///
/// # Errors
/// For an unknown scope or guard.
pub fn run(arguments: &ExploreArgs) -> anyhow::Result<report::Ending> {
    let Some(name) = &arguments.scope else {
        match arguments.format {
            Format::Text => all().iter().for_each(|scope| println!("{}", describe(scope))),
            Format::Json => {
                println!("{}", json!({ "scopes": all().iter().map(scope_json).collect::<Vec<_>>() }))
            }
        }
        return Ok(report::Ending::Passed);
    };
    let names: Vec<&str> = all().iter().map(|scope| scope.name).collect();
    let Some(scope) = find(name) else { anyhow::bail!("`{name}` is no scope; one of: {}", names.join(", ")) };
    let mut switches = Switches::default();
    for name in &arguments.switches {
        switches = switches.with(find_switch(name)?);
    }
    let only_loss = arguments.only_loss || scope.only_loss;
    let scope = Scope { switches, only_loss, ..scope };
    let progress = Progress::counting(&format!("sim explore {name}"), "states", None);
    let report = explore(&scope, arguments.states_max, Some(&progress));
    progress.finish();
    let is_violated = matches!(report.ending, Ending::Violated { .. });
    let is_expected = !arguments.switches.is_empty();
    match arguments.format {
        Format::Text => print!("{}", text(&report)),
        Format::Json => println!("{}", json(&report)),
    }
    if is_expected && !is_violated {
        eprintln!(
            "no violation with {} off: try a wider scope, or a fuzzer (`sim bugs --list` says which)",
            arguments.switches.join(", ")
        );
    }
    Ok(if is_violated == is_expected { report::Ending::Passed } else { report::Ending::Violated })
}

fn describe(scope: &Scope) -> String {
    format!(
        "{:<10} 3 replicas, min.insync.replicas={}, {} records{}, {} leader epochs, {} changes of the registration, \
         {} of {}, {} messages on a connection",
        scope.name,
        scope.min_insync_replicas,
        scope.records,
        if scope.has_acks_leader { " (acks=all or 1)" } else { "" },
        scope.leader_epochs,
        scope.registrations,
        scope.faults,
        scope.kinds,
        scope.messages,
    )
}

fn scope_json(scope: &Scope) -> Value {
    json!({
        "name": scope.name,
        "replicas": super::BROKERS,
        "records": scope.records,
        "min_insync_replicas": scope.min_insync_replicas,
        "leader_epochs": scope.leader_epochs,
        "registrations": scope.registrations,
        "faults": scope.faults,
        "fault_kinds": scope.kinds.to_string(),
        "messages": scope.messages,
    })
}

/// The guards that are off, by name.
fn off(scope: &Scope) -> Vec<&'static str> {
    let off = Switch::ALL.iter().filter(|(_, _, switch)| scope.switches.off(*switch));
    off.map(|(_, name, _)| *name).collect()
}

fn outcome(report: &Report) -> &'static str {
    match report.ending {
        Ending::Exhausted => "exhausted",
        Ending::Bound => "bound reached",
        Ending::Violated { .. } => "violated",
    }
}

fn text(report: &Report) -> String {
    let seconds = report.took.as_secs_f64();
    let mut text = format!("{}\n", describe(&report.scope));
    let off = off(&report.scope);
    if !off.is_empty() {
        text.push_str(&format!("without {}\n", off.join(", ")));
    }
    if report.scope.only_loss {
        text.push_str("looks for the loss of acknowledged records alone\n");
    }
    text.push_str(&format!(
        "{}: {} states up to the brokers' names, {} transitions, depth {}, {seconds:.1} s, {:.0} states/s\n",
        outcome(report),
        report.states,
        report.transitions,
        report.depth,
        report.states as f64 / seconds,
    ));
    let Counts { acknowledged, elections, eligible_elections, truncations, lost_tails, shrinks, expansions } =
        report.counts;
    text.push_str(&format!(
        "on the way to new states: {acknowledged} acknowledgements, {elections} elections ({eligible_elections} from \
         the ELR), {truncations} truncations, {lost_tails} lost tails, {shrinks} shrinks, {expansions} expansions; \
         {} states of a broker, {} of the controller\n",
        report.broker_states, report.controller_states
    ));
    if let Ending::Violated { violation, trace } = &report.ending {
        text.push_str(&format!("{}: {}\n", violation.invariant, violation.message));
        for (number, line) in (1..).zip(trace) {
            text.push_str(&format!("{number:>3}. {line}\n"));
        }
    }
    text
}

fn json(report: &Report) -> Value {
    let scope = &report.scope;
    let (violation, trace) = match &report.ending {
        Ending::Violated { violation, trace } => {
            (json!({"invariant": violation.invariant, "message": violation.message}), json!(trace))
        }
        Ending::Exhausted | Ending::Bound => (Value::Null, Value::Null),
    };
    json!({
        "scope": scope_json(scope),
        "only_loss": scope.only_loss,
        "off": off(scope),
        "ending": outcome(report),
        "states": report.states,
        "transitions": report.transitions,
        "depth": report.depth,
        "seconds": report.took.as_secs_f64(),
        "acknowledgements": report.counts.acknowledged,
        "elections": report.counts.elections,
        "eligible_elections": report.counts.eligible_elections,
        "truncations": report.counts.truncations,
        "lost_tails": report.counts.lost_tails,
        "shrinks": report.counts.shrinks,
        "expansions": report.counts.expansions,
        "broker_states": report.broker_states,
        "controller_states": report.controller_states,
        "violation": violation,
        "trace": trace,
    })
}
