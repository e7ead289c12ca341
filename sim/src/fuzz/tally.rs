//! What a clean run comes to: how much was done, and whether what is rare happened often enough to prove anything.

use serde_json::{Map, Value, json};

use crate::campaign::{self, Campaign};
use crate::report::Ending;

/// Below so many steps the floors are not looked at: a handful of seeds may miss one by chance.
const FLOOR_STEPS_MIN: u64 = 1_000_000;

/// Something rare.
pub struct Rare {
    /// What.
    pub name: &'static str,
    /// How often it happened.
    pub count: u64,
    /// How often it must, in a million steps.
    pub floor: u64,
}

/// A run of a fuzzer with all guards on.
pub struct Tally {
    /// Seeds that were run.
    pub seeds: u64,
    /// Their steps.
    pub steps: u64,
    /// Processor time of all threads.
    pub cpu_seconds: f64,
    /// What must have happened; a run in which it did not proves little.
    pub rare: Vec<Rare>,
}

impl Tally {
    fn per_million(&self, rare: &Rare) -> f64 {
        rare.count as f64 * 1e6 / self.steps.max(1) as f64
    }

    /// What happened too seldom.
    pub fn missed(&self) -> Vec<&'static str> {
        if self.steps < FLOOR_STEPS_MIN {
            return Vec::new();
        }
        let missed = self.rare.iter().filter(|rare| self.per_million(rare) < rare.floor as f64);
        missed.map(|rare| rare.name).collect()
    }

    /// How the command ends.
    pub fn ending(&self, is_violated: bool) -> Ending {
        if is_violated || !self.missed().is_empty() { Ending::Violated } else { Ending::Passed }
    }

    /// The line for the record of campaigns; `check` found something.
    pub fn campaign(&self, tool: &str, check: Option<&str>) -> Campaign {
        Campaign {
            tool: tool.to_owned(),
            subject: "all guards on".to_owned(),
            seeds: self.seeds,
            steps: self.steps,
            cpu_seconds: self.cpu_seconds,
            per_million: self.rare.iter().map(|rare| (rare.name, self.per_million(rare))).collect(),
            verdict: campaign::verdict(self.ending(check.is_some()), check),
            ..Campaign::default()
        }
    }

    /// One JSON object, with the violations that were found.
    pub fn json(&self, violations: Vec<Value>) -> Value {
        let floors: Map<String, Value> = self
            .rare
            .iter()
            .map(|rare| {
                let per_million = self.per_million(rare);
                let value = json!({ "count": rare.count, "per_million": per_million, "floor": rare.floor });
                (rare.name.to_owned(), value)
            })
            .collect();
        json!({
            "seeds": self.seeds,
            "steps": self.steps,
            "cpu_seconds": self.cpu_seconds,
            "violations": violations,
            "floors": floors,
            "floors_missed": self.missed(),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} seeds, {} steps, {:.2} CPU seconds, {:.2} million steps per CPU second\n",
            self.seeds,
            self.steps,
            self.cpu_seconds,
            self.steps as f64 / 1e6 / self.cpu_seconds.max(1e-9)
        );
        for rare in &self.rare {
            let (name, rate, floor) = (rare.name, self.per_million(rare), rare.floor);
            text.push_str(&format!("  {name:<18} {rate:>8.0} per million steps, at least {floor}\n"));
        }
        for name in self.missed() {
            text.push_str(&format!("MISSED floor: {name}\n"));
        }
        text
    }
}
