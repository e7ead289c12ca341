//! The fault plan of one seed: plain data from a stream of its own, printed, edited and replayed.
//!
//! A plan holds every value that the scenario left open and every fault with its time, target and parameters. A
//! replay needs the scenario for what is fixed, and the plan for the rest; the generator is not asked again.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::case::Case;
use crate::fault::{self, Kind, Parameters, Target};
use crate::scenario::{
    Choice, Drawable, Drawing, Scenario, ScenarioError, Source, Table, When, check_name, during, parse_table,
};

/// A seed's values and faults.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's file.
    pub scenario: String,
    /// The seed, from which everything that is no fault is still drawn.
    pub seed: u64,
    /// The values that were drawn, in order.
    pub drawn: Vec<(String, String)>,
    /// The faults, in order of time.
    pub entries: Vec<Entry>,
}

/// One fault of a plan.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whether it strikes when the brokers are started for the first time, before the load.
    pub in_set_up: bool,
    /// When, since the load began.
    pub at: Duration,
    /// What.
    pub kind: &'static Kind,
    /// Whom.
    pub target: Target,
    /// The broker that `target` turned out to be, once it has struck; `--pin` strikes it again.
    pub resolved: Option<u64>,
    /// Its parameters.
    pub parameters: Parameters,
}

impl Entry {
    /// The order in which faults strike.
    fn order(&self) -> (bool, Duration) {
        (!self.in_set_up, self.at)
    }
}

/// More than this many of one fault in one seed is a slip of the pen.
const ENTRIES_MAX: usize = 100_000;

impl Plan {
    /// Draws the faults of one seed.
    pub fn generate(scenario: &Scenario, case: &Case, drawing: &mut Drawing) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (number, choice) in scenario.faults.iter().enumerate() {
            let title = format!("fault {} ({})", number + 1, choice.kind.name);
            let share = drawing.value(&format!("{title}.seeds_percent"), &choice.seeds_percent);
            if share < 100 && drawing.rng().below(100) >= share {
                continue;
            }
            let target = Target::from_text(&choice.target).expect("the parser checked the target");
            for at in times(&choice.when, &title, case.duration, drawing) {
                // Each strike draws its own parameters; they stand in its entry, not among the drawn values.
                let parameters = choice
                    .parameters
                    .iter()
                    .map(|(name, choice)| (*name, draw_parameter(choice, drawing)))
                    .collect();
                entries.push(Entry {
                    in_set_up: matches!(choice.when, When::SetUp),
                    at,
                    kind: choice.kind,
                    target,
                    resolved: None,
                    parameters: Parameters(parameters),
                });
            }
        }
        entries.sort_by_key(Entry::order);
        entries
    }

    /// Writes the plan as [`Plan::load`] reads it.
    pub fn to_toml(&self) -> String {
        let mut text =
            String::from("# The fault plan of one seed: run it again with --replay, edit it at will.\n");
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let _ = writeln!(text, "scenario = {}\nseed = {}\n\n[drawn]", quoted(&self.scenario), self.seed);
        for (name, value) in &self.drawn {
            let _ = writeln!(text, "{} = {}", quoted(name), quoted(value));
        }
        for entry in &self.entries {
            let _ = write!(
                text,
                "\n[[fault]]\nat = {}\nkind = {}\ntarget = {}\n",
                quoted(&entry.at.to_text()),
                quoted(entry.kind.name),
                quoted(&entry.target.to_text())
            );
            if entry.in_set_up {
                let _ = writeln!(text, "during = \"set-up\"");
            }
            if let Some(node) = entry.resolved {
                let _ = writeln!(text, "resolved = {node}");
            }
            for (name, value) in &entry.parameters.0 {
                let _ = writeln!(text, "{name} = {}", quoted(value));
            }
        }
        text
    }

    /// Strikes the brokers that were struck before, whatever the targets would resolve to now.
    pub fn pin(&mut self) {
        for entry in &mut self.entries {
            entry.target = entry.resolved.map_or(entry.target, Target::Node);
        }
    }

    /// One line per fault, for people.
    pub fn summary(&self) -> Vec<String> {
        let line = |entry: &Entry| {
            let parameters: Vec<String> =
                entry.parameters.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let at = match entry.in_set_up {
                true => "set-up".to_owned(),
                false => format!("{:.6}s", entry.at.as_secs_f64()),
            };
            format!(
                "{at:>12}  {:<22} {:<8} {}",
                entry.kind.name,
                entry.target.to_text(),
                parameters.join(" ")
            )
        };
        self.entries.iter().map(line).collect()
    }

    /// Reads a plan from its file.
    ///
    /// # Errors
    /// When the file cannot be read, or says something that is not a plan.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("{}: cannot read this plan: {error}", path.display()))?;
        Ok(Self::read(path, text)?)
    }

    /// Reads a plan from text; `path` only names it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn read(path: &Path, text: String) -> Result<Self, ScenarioError> {
        let source = Arc::new(Source { path: path.to_owned(), text });
        let mut top = parse_table(&source)?;
        let scenario = top.require("scenario")?.text(&source)?;
        let seed = top.fixed("seed")?.ok_or_else(|| top.error("a plan needs `seed`"))?;
        let mut drawn = Vec::new();
        if let Some(table) = top.table("drawn")? {
            for dotted in table.dotted()? {
                let text = match dotted.value {
                    Choice::Fixed(text) => text,
                    Choice::Range(low, high) => format!("{low}..{high}"),
                    Choice::OneOf(values) => values.join(","),
                };
                drawn.push((dotted.key, text));
            }
        }
        let mut entries = Vec::new();
        for table in top.tables("fault")? {
            entries.push(read_entry(&source, table)?);
        }
        top.finish()?;
        entries.sort_by_key(Entry::order);
        Ok(Self { scenario, seed, drawn, entries })
    }
}

fn read_entry(source: &Arc<Source>, mut table: Table<'_>) -> Result<Entry, ScenarioError> {
    let kinds: Vec<&str> = fault::ALL.iter().map(|kind| kind.name).collect();
    let kind_entry = table.require("kind")?;
    let name = kind_entry.text(source)?;
    check_name(source, kind_entry.span(), &name, &kinds, "fault")?;
    let kind = fault::find(&name).expect("the name was checked");
    let at = table.fixed("at")?.ok_or_else(|| table.error("a fault of a plan needs `at`"))?;
    let in_set_up = table.take("during").map(|entry| during(source, &entry)).transpose()?.is_some();
    let target_entry = table.require("target")?;
    let target = Target::from_text(&target_entry.text(source)?)
        .map_err(|message| ScenarioError::new(source, target_entry.span(), message))?;
    let resolved = table.fixed("resolved")?;
    let mut parameters = Parameters::default();
    for parameter in kind.parameters {
        let entry = table.require(parameter.name)?;
        let text = entry.text(source)?;
        if !parameter.accepts(&text) {
            return Err(ScenarioError::new(
                source,
                entry.span(),
                format!("`{text}` is no {}", parameter.name),
            )
            .remedy(parameter.doc));
        }
        parameters.0.insert(parameter.name, text);
    }
    table.finish()?;
    Ok(Entry { in_set_up, at, kind, target, resolved, parameters })
}

fn times(when: &When, title: &str, duration: Duration, drawing: &mut Drawing) -> Vec<Duration> {
    match when {
        When::SetUp => vec![Duration::ZERO],
        When::At(at) => vec![drawing.value(&format!("{title}.at"), at)],
        When::Every { mean, first_after } => {
            let mean = drawing.value(&format!("{title}.mean_every"), mean).max(Duration::from_micros(1));
            let mut at = drawing.value(&format!("{title}.first_after"), first_after);
            let mut times = Vec::new();
            loop {
                at += exponential(drawing, mean);
                if at >= duration || times.len() == ENTRIES_MAX {
                    return times;
                }
                times.push(at);
            }
        }
    }
}

/// A waiting time with this mean, cut at eight times the mean, in whole microseconds.
fn exponential(drawing: &mut Drawing, mean: Duration) -> Duration {
    let unit = drawing.rng().unit();
    let wait = mean.mul_f64((-(1.0 - unit).ln()).min(8.0));
    Duration::from_micros(wait.as_micros() as u64)
}

fn draw_parameter(choice: &Choice<String>, drawing: &mut Drawing) -> String {
    let value = |text: &String| Duration::from_text(text);
    match choice {
        Choice::Fixed(text) => text.clone(),
        Choice::OneOf(texts) => texts[drawing.rng().below(texts.len() as u64) as usize].clone(),
        Choice::Range(low, high) => match (value(low), value(high)) {
            (Some(low), Some(high)) => {
                Duration::between(&low, &high, drawing.rng()).expect("times have ranges").to_text()
            }
            _ => String::between(low, high, drawing.rng()).expect("the parser checked the range"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    const SCENARIO: &str = r#"
# Nothing here needs to survive.
seeds = "1..3"
duration = "20s..40s"
[cluster]
[[topic]]
name = "t"
partitions = "1..8"
config.segment.bytes = "16KiB..64KiB"
[[workload]]
kind = "produce"
clients = "1..4"
acks = ["all", "1"]
[[fault]]
kind = "power_loss"
mean_every = "3s"
[[fault]]
kind = "crash_at_disk_call"
at = "5s"
target = "node 1"
calls = "1..50"
site = ["log.dir.*", "any"]
[[fault]]
kind = "crash_at_disk_call"
during = "set-up"
"#;

    #[test]
    fn a_plan_survives_its_text() {
        let scenario = scenario::read(Path::new("x/s.toml"), SCENARIO.trim_start().into()).expect("legal");
        for seed in 1..50 {
            let (case, plan) = Case::draw(&scenario, seed, None);
            let text = plan.to_toml();
            let read =
                Plan::read(Path::new("plan.toml"), text.clone()).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.to_toml().lines().count(), text.lines().count());
            assert_eq!(format!("{:?}", read.entries), format!("{:?}", plan.entries));
            let (again, _) = Case::draw(&scenario, seed + 1000, Some(&read));
            assert_eq!(format!("{again:?}"), format!("{case:?}"), "a replay draws nothing anew");
        }
    }

    #[test]
    fn a_seed_always_means_the_same_plan() {
        let scenario = scenario::read(Path::new("x/s.toml"), SCENARIO.trim_start().into()).expect("legal");
        let text = |seed| Case::draw(&scenario, seed, None).1.to_toml();
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }
}
