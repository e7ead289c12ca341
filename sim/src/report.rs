//! What a batch is told as: a verdict in plain words, or one JSON object.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::batch::{Batch, Verdict, parted};
use crate::campaign::{self, Campaign};
use crate::case::Case;
use crate::outcome::{Outcome, Violated};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::world::SiteCount;

/// How a scenario ended, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// All is well.
    Passed,
    /// The system did not recover, or a seed did not end.
    Stuck,
    /// An invariant was violated, the expected violation was not found, or nothing was tried.
    Violated,
    /// Two runs of one seed differed.
    Differed,
}

impl Ending {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Violated => 1,
            Self::Differed => 3,
            Self::Stuck => 4,
        }
    }
}

/// Checks whose violation means that nothing went on, rather than that something wrong happened.
const LIVENESS: [&str; 2] = ["liveness", "event_budget"];

/// From so many seeds on, a fault that nothing met is no accident.
const SEEDS_THAT_TELL: u64 = 20;

/// Everything about one batch.
pub struct Report<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// What came of its seeds.
    pub batch: &'a Batch,
    /// Whether a plan was repeated, and from where.
    pub replay: Option<&'a Path>,
    /// Whether on the brokers that were struck before.
    pub pin: bool,
    /// What was planted.
    pub plant: Option<&'a str>,
    /// Guards that were off.
    pub switches: &'a [String],
    /// Where the plans of failing seeds were written.
    pub out: &'a Path,
    /// Disk sites of the core at which no crash struck in this scenario.
    pub unreached: Vec<String>,
}

/// The JSON object of a batch.
#[derive(Serialize)]
struct Summary {
    scenario: String,
    revision: String,
    seeds: usize,
    passed: usize,
    /// Seeds that found the violation which the scenario expects.
    expected: usize,
    failed: usize,
    verdict: &'static str,
    /// What was not tried, though the scenario asks for it.
    vacuous: Vec<String>,
    violations: Vec<Violation>,
    trace_hash: String,
    simulated_seconds: f64,
    cpu_seconds: f64,
    events: u64,
    acked_batches: u64,
    seeds_that_count: usize,
    double_runs: u64,
    /// Faults that took effect.
    faults: BTreeMap<String, u64>,
    /// Faults that were armed, whether anything met them or not.
    armed: BTreeMap<String, u64>,
    faults_skipped: u64,
    reached: BTreeMap<String, u64>,
    sites: BTreeMap<String, SiteCount>,
    unreached: Vec<String>,
}

#[derive(Serialize)]
struct Violation {
    seed: u64,
    check: String,
    message: String,
    at: String,
    replay: String,
}

impl Report<'_> {
    /// How the batch ended.
    pub fn ending(&self) -> Ending {
        let ending = |verdict: &Verdict| match verdict {
            Verdict::Passed(_) => Ending::Passed,
            Verdict::Violated(outcome) => match &outcome.violation {
                Some(violation) if Some(violation.check.as_str()) == self.scenario.expect => Ending::Passed,
                Some(violation) if LIVENESS.contains(&violation.check.as_str()) => Ending::Stuck,
                _ => Ending::Violated,
            },
            // What nobody could confirm is no proof of what a scenario expects.
            Verdict::Unconfirmed(outcome, _) => match &outcome.violation {
                Some(violation) if LIVENESS.contains(&violation.check.as_str()) => Ending::Stuck,
                _ => Ending::Violated,
            },
            Verdict::Differed { .. } => Ending::Differed,
            Verdict::TooLong => Ending::Stuck,
            Verdict::Died(_) => Ending::Violated,
        };
        let worst = self.batch.verdicts.values().map(ending).max().unwrap_or(Ending::Passed);
        let missing = self.scenario.expect.is_some() && self.expected_seed().is_none();
        // That no process could be started is told elsewhere.
        let vacuous = worst == Ending::Passed && self.batch.failure.is_none() && !self.vacuous().is_empty();
        if missing || vacuous { worst.max(Ending::Violated) } else { worst }
    }

    /// What was not tried: a batch that passes without it proves nothing.
    pub fn vacuous(&self) -> Vec<String> {
        if self.batch.verdicts.is_empty() {
            return vec!["no seed was run".to_owned()];
        }
        if self.scenario.expect.is_some() {
            return Vec::new();
        }
        let mut vacuous = Vec::new();
        let seeds = self.outcomes().count() as u64;
        if self.sum(|outcome| outcome.acked_batches) == 0 {
            vacuous.push("no batch was acknowledged".to_owned());
        } else if seeds >= SEEDS_THAT_TELL && self.seeds_that_count() == 0 {
            let least = self.scenario.budget.acked_batches_min;
            vacuous.push(format!("no seed had the {least} acknowledged batches with which it counts"));
        }
        // A replay tells of its plan, not of the scenario.
        for (index, fault) in self.scenario.faults.iter().enumerate().filter(|_| self.replay.is_none()) {
            let of = Some(index as u64 + 1);
            let struck =
                || self.outcomes().flat_map(|outcome| &outcome.struck).filter(|struck| struck.of == of);
            let share = fault.seeds_percent.ends().0;
            if seeds * share / 100 >= SEEDS_THAT_TELL && !struck().any(|struck| struck.met) {
                let armed = struck().filter(|struck| !struck.skipped).count();
                vacuous.push(format!(
                    "fault {} ({}) was armed {armed} times in {seeds} seeds, and nothing met it",
                    index + 1,
                    fault.kind.name
                ));
            }
        }
        vacuous
    }

    fn seeds_that_count(&self) -> usize {
        let least = self.scenario.budget.acked_batches_min;
        self.outcomes().filter(|outcome| outcome.acked_batches >= least).count()
    }

    fn is_expected(&self, verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Violated(outcome) if self.scenario.expect.is_some()
            && outcome.violation.as_ref().map(|violation| violation.check.as_str()) == self.scenario.expect)
    }

    /// The first seed that found what the scenario expects.
    fn expected_seed(&self) -> Option<(u64, &Violated)> {
        self.batch.verdicts.iter().find_map(|(seed, verdict)| match verdict {
            Verdict::Violated(outcome) => {
                let violation = outcome.violation.as_ref()?;
                (Some(violation.check.as_str()) == self.scenario.expect).then_some((*seed, violation))
            }
            _ => None,
        })
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.batch.verdicts.values().filter_map(Verdict::outcome)
    }

    fn sum(&self, of: impl Fn(&Outcome) -> u64) -> u64 {
        self.outcomes().map(of).sum()
    }

    fn sum_by_name(&self, of: impl Fn(&Outcome) -> &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (name, count) in self.outcomes().flat_map(of) {
            *sums.entry(name.clone()).or_default() += count;
        }
        sums
    }

    /// The hashes of all seeds, folded in their order. A seed that gave no hash counts with its number. How many seeds
    /// were already under way when the expected violation was found is chance: what lies behind it does not count.
    pub fn trace_hash(&self) -> u64 {
        let last = self.expected_seed().map_or(u64::MAX, |(seed, _)| seed);
        self.batch.verdicts.range(..=last).fold(0, |hash, (seed, verdict)| {
            let word = verdict.outcome().map_or_else(|| !seed, |outcome| outcome.trace_hash);
            (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    /// Its line in the record of campaigns.
    pub fn campaign(&self) -> Campaign {
        let check = self.violations().into_iter().next().map(|violation| violation.check);
        Campaign {
            tool: "sim".to_owned(),
            subject: self.scenario.path.to_string_lossy().into_owned() + &self.options(),
            seeds: self.batch.verdicts.len() as u64 + self.batch.double_runs,
            steps: self.sum(|outcome| outcome.events),
            simulated_seconds: Some(self.sum(|outcome| outcome.simulated_ns) as f64 / 1e9),
            cpu_seconds: self.sum(|outcome| outcome.cpu_ns) as f64 / 1e9,
            per_million: Vec::new(),
            verdict: campaign::verdict(self.ending(), check.as_deref()),
        }
    }

    /// The JSON object.
    pub fn json(&self) -> String {
        let mut sites: BTreeMap<String, SiteCount> = BTreeMap::new();
        for (name, count) in self.outcomes().flat_map(|outcome| &outcome.sites) {
            *sites.entry(name.clone()).or_default() += *count;
        }
        let count = |counts: &dyn Fn(&Verdict) -> bool| {
            self.batch.verdicts.values().filter(|verdict| counts(verdict)).count()
        };
        let passed = count(&Verdict::passed);
        let expected = count(&|verdict| self.is_expected(verdict));
        let vacuous = self.vacuous();
        let summary = Summary {
            scenario: self.scenario.path.to_string_lossy().into_owned(),
            revision: revision(),
            seeds: self.batch.verdicts.len(),
            passed,
            expected,
            failed: self.batch.verdicts.len() - passed - expected,
            verdict: match self.ending() {
                Ending::Violated if passed == self.batch.verdicts.len() && !vacuous.is_empty() => "vacuous",
                Ending::Passed => "passed",
                Ending::Stuck => "stuck",
                Ending::Violated => "violated",
                Ending::Differed => "differed",
            },
            vacuous,
            violations: self.violations(),
            trace_hash: format!("{:016x}", self.trace_hash()),
            simulated_seconds: self.sum(|outcome| outcome.simulated_ns) as f64 / 1e9,
            cpu_seconds: self.sum(|outcome| outcome.cpu_ns) as f64 / 1e9,
            events: self.sum(|outcome| outcome.events),
            acked_batches: self.sum(|outcome| outcome.acked_batches),
            seeds_that_count: self.seeds_that_count(),
            double_runs: self.batch.double_runs,
            faults: self.sum_by_name(|outcome| &outcome.faults),
            armed: self.sum_by_name(|outcome| &outcome.armed),
            faults_skipped: self.sum(|outcome| outcome.skipped),
            reached: self.sum_by_name(|outcome| &outcome.marks),
            sites,
            unreached: self.unreached.clone(),
        };
        serde_json::to_string(&summary).expect("a summary is plain data")
    }

    fn violations(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (&seed, verdict) in &self.batch.verdicts {
            let (check, message, at_ns) = match verdict {
                Verdict::Passed(_) => continue,
                Verdict::Violated(outcome) | Verdict::Unconfirmed(outcome, _) => match &outcome.violation {
                    Some(violation) => (violation.check.clone(), violation.message.clone(), violation.at_ns),
                    None => continue,
                },
                Verdict::Differed { first, second } => {
                    ("determinism".to_owned(), difference(first, second), first.simulated_ns)
                }
                Verdict::TooLong => ("cpu_limit".to_owned(), self.too_long(), 0),
                Verdict::Died(how) => ("process".to_owned(), format!("the process ended: {how}"), 0),
            };
            let at = format!("{:.6}s", at_ns as f64 / 1e9);
            violations.push(Violation { seed, check, message, at, replay: self.command(seed) });
        }
        violations
    }

    fn too_long(&self) -> String {
        format!(
            "the seed did not end within {:?} of processor time, or stood still, and was killed",
            self.scenario.budget.cpu
        )
    }

    fn command(&self, seed: u64) -> String {
        match self.replay {
            Some(plan) => self.replay_command(plan, self.pin),
            None => {
                let options = self.options();
                format!("cargo run -p sim -- {} --seed {seed}{options}", self.scenario.path.display())
            }
        }
    }

    fn replay_command(&self, plan: &Path, pin: bool) -> String {
        let pin = if pin { " --pin" } else { "" };
        format!("cargo run -p sim -- --replay {}{pin}{}", plan.display(), self.options())
    }

    /// Whatever makes a run another one.
    fn options(&self) -> String {
        let plant = self.plant.map(|name| format!(" --plant {name}")).unwrap_or_default();
        let switches: String = self.switches.iter().map(|name| format!(" --switch {name}")).collect();
        plant + &switches
    }

    /// The verdict for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let verdicts = &self.batch.verdicts;
        let passed = verdicts.values().filter(|verdict| verdict.passed()).count();
        let name = &self.scenario.name;
        let faults = self.sum_by_name(|outcome| &outcome.faults);
        let total: u64 = faults.values().sum();
        let armed = self.sum_by_name(|outcome| &outcome.armed);
        let list: Vec<String> = armed
            .iter()
            .map(|(kind, count)| match faults.get(kind).copied().unwrap_or_default() {
                met if met == *count => format!("{kind} {met}"),
                met => format!("{kind} {met} of {count} armed"),
            })
            .collect();
        let _ = match (self.ending(), self.expected_seed()) {
            (Ending::Passed, Some((seed, violation))) => writeln!(
                text,
                "PASS  {name}: found what it expects, a violation of {}, in seed {seed} ({} seeds run)\n      {}",
                violation.check,
                verdicts.len(),
                violation.message
            ),
            (Ending::Passed, None) => writeln!(
                text,
                "PASS  {name}: {passed} of {} seeds; no promise was broken and the system recovered every time",
                verdicts.len()
            ),
            (Ending::Violated, None) if passed == verdicts.len() && !self.vacuous().is_empty() => {
                writeln!(
                    text,
                    "FAIL  {name}: {passed} seeds passed and prove nothing: {}",
                    self.vacuous().join("; ")
                )
            }
            (_, None) if self.scenario.expect.is_some() && passed == verdicts.len() => writeln!(
                text,
                "FAIL  {name}: the expected violation of {} was found in none of {passed} seeds",
                self.scenario.expect.unwrap_or_default()
            ),
            _ => {
                writeln!(text, "FAIL  {name}: {} of {} seeds failed", verdicts.len() - passed, verdicts.len())
            }
        };
        let _ = writeln!(
            text,
            "      {total} faults ({}); {} acknowledged batches; {:.0} simulated seconds in {:.1} CPU seconds; {} double runs; trace {:016x}",
            list.join(", "),
            self.sum(|outcome| outcome.acked_batches),
            self.sum(|outcome| outcome.simulated_ns) as f64 / 1e9,
            self.sum(|outcome| outcome.cpu_ns) as f64 / 1e9,
            self.batch.double_runs,
            self.trace_hash()
        );
        self.failures(&mut text);
        text
    }

    /// The first failing seed on at most one screen; the others in a line each.
    fn failures(&self, text: &mut String) {
        let failing =
            self.batch.verdicts.iter().filter(|(_, verdict)| !verdict.passed() && !self.is_expected(verdict));
        for (index, (&seed, verdict)) in failing.enumerate() {
            let what = match verdict {
                Verdict::Passed(_) => continue,
                Verdict::Violated(outcome) | Verdict::Unconfirmed(outcome, _) => {
                    outcome.violation.as_ref().map_or_else(String::new, |violation| {
                        let node = violation.node.map_or_else(String::new, |node| format!(" on node {node}"));
                        format!(
                            "{} at {:.6}s{node}: {}",
                            violation.check,
                            violation.at_ns as f64 / 1e9,
                            violation.message
                        )
                    })
                }
                Verdict::Differed { first, second } => difference(first, second),
                Verdict::TooLong => self.too_long(),
                Verdict::Died(how) => format!("the seed's process ended: {how}"),
            };
            let _ = writeln!(text, "\nseed {seed}: {what}");
            match index {
                0 => self.first_failure(seed, verdict, text),
                // The plan of each is in its file.
                _ => {
                    let _ = writeln!(text, "again:   {}", self.command(seed));
                    let _ = writeln!(text, "plan:    {}", self.plan_file(seed).display());
                }
            }
        }
        if self.batch.gave_up {
            let _ = writeln!(text, "\n(no more seeds were run after so many failures)");
        }
    }

    fn first_failure(&self, seed: u64, verdict: &Verdict, text: &mut String) {
        let _ = match verdict {
            Verdict::Violated(outcome) => writeln!(
                text,
                "confirmed in a process of its own, with the same trace {:016x}",
                outcome.trace_hash
            ),
            Verdict::Unconfirmed(_, why) => writeln!(text, "not confirmed: {why}"),
            _ => Ok(()),
        };
        let plan = match self.plan_of(seed, verdict) {
            Ok(plan) => plan,
            Err(error) => {
                let _ = writeln!(text, "(its plan cannot be shown: {error})");
                return;
            }
        };
        if !plan.drawn.is_empty() {
            let drawn: Vec<String> =
                plan.drawn.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let _ = writeln!(text, "drawn: {}", drawn.join("; "));
        }
        let _ = writeln!(text, "fault plan:");
        for line in plan.summary() {
            let _ = writeln!(text, "  {line}");
        }
        let file = self.plan_file(seed);
        let _ = writeln!(text, "again:   {}", self.command(seed));
        let _ = writeln!(text, "edited:  {}", self.replay_command(&file, false));
        let _ = writeln!(text, "pinned:  {}", self.replay_command(&file, true));
    }

    /// Where the plan of a failing seed is written. A replay has another place: the plan that it repeats may be one that
    /// somebody is editing.
    fn plan_file(&self, seed: u64) -> PathBuf {
        let ending = if self.replay.is_some() { "-replayed" } else { "" };
        self.out.join(format!("{}-{seed}{ending}", self.scenario.name)).join("plan.toml")
    }

    /// The plan of a seed, with the brokers that its targets turned out to be.
    fn plan_of(&self, seed: u64, verdict: &Verdict) -> anyhow::Result<Plan> {
        let recorded = self.replay.map(Plan::load).transpose()?;
        let (_, mut plan) = Case::draw(self.scenario, seed, recorded.as_ref());
        if let Some(outcome) = verdict.outcome() {
            plan.resolve(&outcome.struck);
        }
        Ok(plan)
    }

    /// Writes the plan of each failing seed, and its last events when they were kept.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_files(&self) -> anyhow::Result<()> {
        for (&seed, verdict) in self.batch.verdicts.iter().filter(|(_, verdict)| !verdict.passed()) {
            let file = self.plan_file(seed);
            let dir = file.parent().expect("a plan lies in a directory");
            std::fs::create_dir_all(dir)?;
            std::fs::write(&file, self.plan_of(seed, verdict)?.to_toml())?;
            let mut lines = String::new();
            for event in verdict.outcome().map(|outcome| outcome.kept.as_slice()).unwrap_or_default() {
                lines.push_str(&serde_json::to_string(event)?);
                lines.push('\n');
            }
            if !lines.is_empty() {
                std::fs::write(dir.join("trace.jsonl"), lines)?;
            }
        }
        Ok(())
    }
}

fn difference(first: &Outcome, second: &Outcome) -> String {
    let window = parted(first, second);
    format!(
        "two runs of the seed differ: traces {:016x} and {:016x}, {} and {} events; they part within events {} to {}",
        first.trace_hash, second.trace_hash, first.events, second.events, window.start, window.end
    )
}

/// The commit that is checked out, with a mark when files were changed since, other than reports.
pub fn revision() -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (
        git(&["rev-parse", "--short=12", "HEAD"]),
        git(&["status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)reports"]),
    ) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit}-changed"),
        _ => "unknown".to_owned(),
    }
}
