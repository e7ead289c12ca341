//! `sim <scenario.toml>...`: runs scenarios and says how they ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::batch::{self, Batch, Verdict};
use crate::campaign;
use crate::case::Case;
use crate::cli::{Format, RunArgs, default_jobs};
use crate::fault;
use crate::outcome::Job;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Ending, Report};
use crate::scenario::{self, Scenario, did_you_mean};
use crate::sites::Table;
use crate::world::{Plant, SiteCount};

/// Runs what the command line asks for.
///
/// # Errors
/// For a wrong command line, scenario or plan: exit code 2.
pub fn run(arguments: &RunArgs) -> anyhow::Result<Ending> {
    if arguments.list_faults {
        print!("{}", fault_list());
        return Ok(Ending::Passed);
    }
    if let Some(name) = &arguments.plant {
        let names: Vec<&str> = Plant::ALL.iter().map(|(name, _)| *name).collect();
        anyhow::ensure!(
            names.contains(&name.as_str()),
            "`{name}` cannot be planted; one of: {}",
            names.join(", ")
        );
    }
    for name in &arguments.switches {
        find_switch(name)?;
    }
    let mut told = Told::default();
    for (scenario, replayed_seed) in &scenarios(arguments)? {
        told.tell(arguments, scenario, &run_scenario(arguments, scenario, *replayed_seed));
    }
    told.end(arguments)
}

/// All scenarios are read before the first runs: a mistake in the last must not cost an hour.
fn scenarios(arguments: &RunArgs) -> anyhow::Result<Vec<(Scenario, Option<u64>)>> {
    if let Some(file) = &arguments.replay {
        return Ok(vec![replayed(arguments, file)?]);
    }
    anyhow::ensure!(
        !arguments.scenarios.is_empty(),
        "name a scenario, such as scenarios/fast/process_crash.toml (see --help)"
    );
    arguments.scenarios.iter().map(|path| Ok((scenario::load(path)?, None))).collect()
}

/// The scenario of a plan, and the plan's seed.
fn replayed(arguments: &RunArgs, file: &Path) -> anyhow::Result<(Scenario, Option<u64>)> {
    let plan = Plan::load(file)?;
    let path = match arguments.scenarios.as_slice() {
        [] => PathBuf::from(&plan.scenario),
        [path] => path.clone(),
        _ => anyhow::bail!("a plan belongs to one scenario"),
    };
    let scenario = scenario::load(&path)?;
    if plan.scenario_hash.as_ref().is_some_and(|hash| *hash != scenario.hash) {
        eprintln!(
            "note: {} has changed since {} was written; what the plan does not say is taken from the scenario as it is now",
            path.display(),
            file.display()
        );
    }
    let (case, plan) = Case::draw(&scenario, plan.seed, Some(&plan));
    if let Some(misfit) = plan.misfit(&case) {
        anyhow::bail!("{}: {misfit}", file.display());
    }
    Ok((scenario, Some(plan.seed)))
}

fn run_scenario(arguments: &RunArgs, scenario: &Scenario, replayed_seed: Option<u64>) -> Batch {
    let single = replayed_seed.or(arguments.seed);
    let seeds = match (single, arguments.seeds) {
        (Some(seed), _) => (seed, seed),
        (None, Some(range)) => range,
        (None, None) if arguments.time.is_some() => (1, u64::MAX - 1),
        (None, None) => scenario.seeds,
    };
    let job = Job {
        scenario: scenario.path.clone(),
        replay: arguments.replay.clone(),
        pin: arguments.pin,
        plant: arguments.plant.clone(),
        switches: arguments.switches.clone(),
    };
    let settings = batch::Settings {
        seeds,
        jobs: arguments.jobs.unwrap_or_else(default_jobs),
        twice_percent: arguments.check_determinism,
        until: arguments.time,
        keep: single.is_some(),
        stop_at: scenario.expect,
    };
    let progress = Progress::new(&scenario.name, (seeds.1 - seeds.0).saturating_add(1));
    let batch = batch::run(scenario, &job, &settings, &progress);
    progress.finish();
    batch
}

/// What the scenarios came to so far. Each is told of as soon as it has ended: nobody should wait an hour to read what
/// was found in the first minute.
#[derive(Default)]
struct Told {
    worst: Option<Ending>,
    failures: Vec<anyhow::Error>,
    sites: BTreeMap<String, SiteCount>,
}

impl Told {
    fn tell(&mut self, arguments: &RunArgs, scenario: &Scenario, batch: &Batch) {
        let sites =
            || batch.verdicts.values().filter_map(Verdict::outcome).flat_map(|outcome| &outcome.sites);
        for (name, count) in sites() {
            *self.sites.entry(name.clone()).or_default() += *count;
        }
        let report = Report {
            scenario,
            batch,
            replay: arguments.replay.as_deref(),
            pin: arguments.pin,
            plant: arguments.plant.as_deref(),
            switches: &arguments.switches,
            out: &arguments.out,
            unreached: Table::new(sites()).missed(),
        };
        // First what was found: it must not be lost when a file cannot be written.
        match arguments.format {
            Format::Text => print!("{}", report.text()),
            Format::Json => println!("{}", report.json()),
        }
        self.worst = self.worst.max(Some(report.ending()));
        if let Some(file) = &arguments.record {
            self.failures.extend(campaign::record(file, &[report.campaign()]).err());
        }
        self.failures.extend(report.write_files().err().map(|error| {
            anyhow::anyhow!("cannot write plans and traces to {}: {error}", arguments.out.display())
        }));
        self.failures.extend(
            batch
                .failure
                .as_ref()
                .map(|failure| anyhow::anyhow!("{}: cannot run a worker process: {failure}", scenario.name)),
        );
    }

    /// The disk sites are looked at over all scenarios together: no single one gets to all of them.
    fn end(mut self, arguments: &RunArgs) -> anyhow::Result<Ending> {
        let mut worst = self.worst.unwrap_or(Ending::Passed);
        if arguments.require_sites {
            let table = Table::new(self.sites.iter());
            match arguments.format {
                Format::Text => print!("{}", table.text()),
                Format::Json => print!("{}", table.json()),
            }
            if !table.missed().is_empty() {
                worst = worst.max(Ending::Violated);
            }
        }
        // What went wrong around a batch must not hide what the batch has found.
        let fatal = if worst == Ending::Passed { self.failures.pop() } else { None };
        for failure in &self.failures {
            eprintln!("error: {failure:#}");
        }
        fatal.map_or(Ok(worst), Err)
    }
}

/// A guard by its id in the bug museum or its name.
///
/// # Errors
/// When there is no such guard, with the one that was probably meant.
pub fn find_switch(name: &str) -> anyhow::Result<jangbu_core::museum::Switch> {
    let all = jangbu_core::museum::Switch::ALL;
    let called: Vec<_> =
        all.iter().filter(|(id, key, _)| id.eq_ignore_ascii_case(name) || *key == name).collect();
    match *called {
        [] => {}
        [(_, _, switch)] => return Ok(*switch),
        _ => {
            let keys: Vec<_> = called.iter().map(|(_, key, _)| *key).collect();
            anyhow::bail!("`{name}` is several guards; name one: {}", keys.join(", "));
        }
    }
    let keys = all.iter().flat_map(|(id, key, _)| [*id, *key]);
    match did_you_mean(name, keys.clone()) {
        Some(meant) => anyhow::bail!("`{name}` is no guard; did you mean `{meant}`?"),
        None => anyhow::bail!("`{name}` is no guard; known: {}", keys.collect::<Vec<_>>().join(", ")),
    }
}

fn fault_list() -> String {
    let mut text = String::new();
    for kind in fault::ALL {
        text.push_str(&format!("{}\n    must survive: {}\n", kind.name, kind.survives));
        for parameter in kind.parameters {
            text.push_str(&format!(
                "    {:<7} {} [{}]\n",
                parameter.name,
                parameter.doc,
                parameter.default.replace('|', " | ")
            ));
        }
    }
    text
}
