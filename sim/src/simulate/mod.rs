//! One seed: the scenario's choices made, a world built, faults struck, invariants watched, and what came of it.

mod board;
mod director;

pub use board::{Board, Phase};

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_core::museum::Switches;

use crate::case::Case;
use crate::check::Checks;
use crate::command::find_switch;
use crate::model::Ledger;
use crate::outcome::{Job, Outcome, Request, Violated};
use crate::plan::Plan;
use crate::run::{self, Ended};
use crate::scenario::Scenario;
use crate::trace::Recording;
use crate::world::disk::DiskSettings;
use crate::world::net::{LinkSettings, NetSettings};
use crate::world::{Plant, Settings};

/// More events than any honest seed has: one that goes in circles in simulated time is ended here, with all that is
/// known of it, and long before its limit of processor time.
const EVENTS_MAX: u64 = 5_000_000;
/// Events kept for people of a seed that is run alone.
const EVENTS_KEPT: usize = 20_000;

/// Runs a seed on a fresh thread.
pub fn run(scenario: &Scenario, job: &Job, recorded: Option<&Plan>, request: &Request) -> Outcome {
    let seed = recorded.map_or(request.seed, |plan| plan.seed);
    let (case, plan) = Case::draw(scenario, seed, recorded);
    let settings = world_settings(&case, request);
    let switches = job.switches.iter().fold(Switches::default(), |switches, name| {
        find_switch(name).map_or(switches, |switch| switches.with(switch))
    });
    let policies = case.topics.iter().map(|topic| topic.policy(&case.config)).collect();
    let of_producers = case.producers.iter().map(|producer| producer.idempotent);
    // Who creates and deletes topics is a producer too, numbered behind the others, and always idempotent.
    let idempotent = of_producers.chain(case.churners.iter().map(|_| true)).collect();
    let checks = Checks::new(&case.checks, case.promise, idempotent, Ledger::new(policies));
    let board = Arc::new(Board::new(checks, &case));
    let shown = board.clone();
    let plant = job.plant.as_deref().and_then(|name| Plant::ALL.iter().find(|(known, _)| *known == name));
    let plant = plant.map(|(_, plant)| *plant);
    let outcome = run::run_seed(settings, seed, move |world| {
        director::direct(world, case, plan, (switches, plant), shown)
    });
    summarise(outcome, &board)
}

fn world_settings(case: &Case, request: &Request) -> Settings {
    let delay_ns = case.network_delay.as_nanos() as u64;
    let sync_ns = case.sync_delay.as_nanos() as u64;
    let link =
        LinkSettings { delay_ns: delay_ns / 2, jitter_ns: delay_ns * 3 / 2, ..LinkSettings::default() };
    Settings {
        disk: DiskSettings {
            sync_ns_min: sync_ns / 2,
            sync_ns_max: (sync_ns * 2).max(1),
            ..DiskSettings::default()
        },
        net: NetSettings { link, ..NetSettings::default() },
        recording: if request.keep { Recording::Last(EVENTS_KEPT) } else { Recording::Off },
        stop_at_violation: true,
        events_max: EVENTS_MAX,
    }
}

fn summarise(outcome: run::Outcome<()>, board: &Board) -> Outcome {
    let panicked = match &outcome.ended {
        Ended::Panicked(message) => Some(Violated {
            check: "simulator".into(),
            at_ns: outcome.simulated.as_nanos() as u64,
            node: None,
            message: format!("the simulator itself panicked: {message}"),
        }),
        Ended::Finished(()) | Ended::Stopped => None,
    };
    let violation = outcome.violations.first().map(|violation| Violated {
        check: violation.check.clone(),
        at_ns: violation.at_ns,
        node: violation.node.map(|node| node.0 + 1),
        message: violation.message.clone(),
    });
    let mut armed = BTreeMap::new();
    for fault in &outcome.tally.armed {
        *armed.entry(fault.kind.to_owned()).or_default() += 1;
    }
    let struck = board.all_struck(|id| {
        let armed = id.0.checked_sub(1).and_then(|index| outcome.tally.armed.get(index as usize));
        armed.is_some_and(|fault| fault.met)
    });
    let named = |counts: &BTreeMap<&'static str, u64>| {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    Outcome {
        seed: outcome.seed,
        trace_hash: outcome.trace_hash,
        checkpoints: outcome.checkpoints,
        simulated_ns: outcome.simulated.as_nanos() as u64,
        // The worker knows better than the thread.
        cpu_ns: 0,
        events: outcome.events,
        acked_batches: board.acked_batches(),
        violation: violation.or(panicked),
        faults: outcome.tally.faults.clone(),
        armed,
        skipped: struck.iter().filter(|struck| struck.skipped).count() as u64,
        marks: named(&outcome.tally.marks),
        sites: outcome.tally.sites.iter().map(|(site, count)| (site.name().to_owned(), *count)).collect(),
        struck,
        kept: outcome.kept.iter().filter_map(|event| serde_json::to_value(event).ok()).collect(),
    }
}
