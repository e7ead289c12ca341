//! What came of the hunts for one bug.

use std::collections::BTreeMap;

use jangbu_core::museum::Switch;
use serde::Serialize;

use crate::museum::{Exhibit, Shown, label};

/// A bug should take no longer than this, as the median of its starts.
pub const CPU_SECONDS_GOAL: f64 = 10.0;

/// One start: seeds from one on, until one of them finds something or there is no time left.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Start {
    /// Where it began.
    pub first_seed: u64,
    /// The seed that found something in time.
    pub seed: Option<u64>,
    /// Seeds up to and with that one, or all.
    pub seeds: u64,
    /// Steps, or events, of all these.
    pub steps: u64,
    /// Processor time of all these.
    pub cpu_seconds: f64,
    /// The check that fired.
    pub check: Option<String>,
    /// What it said.
    pub message: Option<String>,
}

/// One bug.
#[derive(Debug, Serialize)]
pub struct Bug {
    pub id: &'static str,
    pub name: &'static str,
    pub history: &'static str,
    pub symptom: &'static str,
    pub tool: Option<String>,
    /// Null when no tool is expected to find it.
    pub found: Option<bool>,
    pub starts_found: usize,
    /// Medians of the starts; null when fewer than half of them found it.
    pub seeds: Option<u64>,
    pub steps: Option<u64>,
    pub cpu_seconds: Option<f64>,
    /// Of the slowest start, found or not.
    pub cpu_seconds_worst: f64,
    /// The check that fired most often.
    pub check: Option<String>,
    /// The guard that was taken away with it.
    pub with: Option<&'static str>,
    /// Why it was, or why no tool is expected to find this.
    pub because: Option<&'static str>,
    /// The directed test of a guard that no tool misses.
    pub test: Option<&'static str>,
    /// What each of the two does alone.
    pub alone: Vec<Alone>,
    pub starts: Vec<Start>,
}

/// One half of a pair.
#[derive(Debug, Serialize)]
pub struct Alone {
    name: &'static str,
    starts_found: usize,
    starts: usize,
    check: Option<String>,
}

impl Alone {
    /// What these starts showed with this guard alone off.
    pub fn new(switch: Switch, starts: &[Start]) -> Self {
        Self {
            name: label(switch).1,
            starts_found: found(starts),
            starts: starts.len(),
            check: check(starts),
        }
    }
}

fn found(starts: &[Start]) -> usize {
    starts.iter().filter(|start| start.seed.is_some()).count()
}

fn check(starts: &[Start]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for check in starts.iter().filter_map(|start| start.check.as_deref()) {
        *counts.entry(check).or_default() += 1;
    }
    // The first by name of those that fired equally often.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(check, _)| check.to_owned())
}

/// The lower median; a start that found nothing is above all others.
fn median<T: Copy + PartialOrd>(starts: &[Start], of: impl Fn(&Start) -> T) -> Option<T> {
    let mut values: Vec<T> = starts.iter().filter(|start| start.seed.is_some()).map(of).collect();
    values.sort_by(|one, other| one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal));
    values.get(starts.len().saturating_sub(1) / 2).copied()
}

impl Bug {
    fn new(exhibit: &Exhibit) -> Self {
        let (because, test) = match &exhibit.shown {
            Shown::By(_) => (None, None),
            Shown::Paired(_, hidden) => (Some(hidden.why), None),
            Shown::Companion(why) | Shown::Inapplicable(why) => (Some(*why), None),
            Shown::Tested(test, why) => (Some(*why), Some(*test)),
        };
        Self {
            id: exhibit.id(),
            name: exhibit.name(),
            history: exhibit.history,
            symptom: exhibit.symptom,
            tool: None,
            found: None,
            starts_found: 0,
            seeds: None,
            steps: None,
            cpu_seconds: None,
            cpu_seconds_worst: 0.0,
            check: None,
            with: exhibit.hidden_by().map(|hidden| label(hidden.switch).1),
            because,
            test,
            alone: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// One that no tool looks for.
    pub fn not_hunted(exhibit: &Exhibit) -> Self {
        Self::new(exhibit)
    }

    /// What these starts showed.
    pub fn hunted(exhibit: &Exhibit, tool: String, starts: Vec<Start>, alone: Vec<Alone>) -> Self {
        let bug = Self::new(exhibit);
        let starts_found = found(&starts);
        let blames_other = alone.iter().any(|one| Some(one.name) == bug.with && one.starts_found > 0);
        Self {
            tool: Some(tool),
            found: Some(2 * starts_found >= starts.len() && starts_found > 0 && !blames_other),
            starts_found,
            seeds: median(&starts, |start| start.seeds),
            steps: median(&starts, |start| start.steps),
            cpu_seconds: median(&starts, |start| start.cpu_seconds),
            cpu_seconds_worst: starts.iter().map(|start| start.cpu_seconds).fold(0.0, f64::max),
            check: check(&starts),
            alone,
            starts,
            ..bug
        }
    }

    /// For people: a line of figures, a line of history, and what else is to be said.
    pub fn text(&self) -> String {
        let name = match self.with {
            Some(with) => format!("{} (with {with})", self.name),
            None => self.name.to_owned(),
        };
        let mut text = format!("{:<7}{:<4} {name:<30} {}\n", self.verdict(), self.id, self.figures());
        let mut line = |what: String| text.push_str(&format!("            {what}\n"));
        line(format!("{}: {}", self.history, self.symptom));
        match (self.because, self.with) {
            (Some(why), Some(_)) => line(format!("hidden otherwise: {why}")),
            (Some(why), None) => line(format!("because: {why}")),
            (None, _) => {}
        }
        if let Some(test) = self.test {
            line(format!("directed test: {test}"));
        }
        for Alone { name, starts_found, starts, check } in &self.alone {
            let check = check.as_deref().map_or_else(String::new, |check| format!(": {check}"));
            line(format!("{name} alone: found in {starts_found} of {starts} starts{check}"));
        }
        text
    }

    fn verdict(&self) -> &'static str {
        match (self.found, self.test) {
            (Some(true), _) => "FOUND",
            (Some(false), _) => "MISSED",
            (None, Some(_)) => "TESTED",
            (None, None) => "-",
        }
    }

    fn figures(&self) -> String {
        let Some(tool) = &self.tool else { return String::new() };
        let tool = tool.rsplit('/').next().unwrap_or_default();
        let counts = format!("{}/{} starts", self.starts_found, self.starts.len());
        let (Some(seeds), Some(steps), Some(seconds)) = (self.seeds, self.steps, self.cpu_seconds) else {
            return format!("{counts}  {tool}");
        };
        let slow = if seconds > CPU_SECONDS_GOAL { " SLOW" } else { "" };
        let worst = self.cpu_seconds_worst;
        let check = self.check.as_deref().unwrap_or_default();
        format!(
            "{counts}, median {seconds:.2} CPU s (worst {worst:.2}){slow}, {seeds} seeds, {steps} steps  {tool}: {check}"
        )
    }
}

/// The last lines.
pub fn summary(bugs: &[Bug]) -> String {
    let with = |found: Option<bool>| bugs.iter().filter(move |bug| bug.found == found);
    let mut text = format!(
        "{} found, {} missed, {} that no tool looks for; medians of {} starts\n",
        with(Some(true)).count(),
        with(Some(false)).count(),
        with(None).count(),
        bugs.iter().map(|bug| bug.starts.len()).max().unwrap_or_default()
    );
    for bug in with(Some(false)) {
        text.push_str(&format!("MISSED {} {}\n", bug.id, bug.name));
    }
    let is_slow = |bug: &&Bug| bug.cpu_seconds.is_some_and(|seconds| seconds > CPU_SECONDS_GOAL);
    for bug in with(Some(true)).filter(is_slow) {
        let seconds = bug.cpu_seconds.unwrap_or_default();
        text.push_str(&format!("SLOW {} {}: median {seconds:.1} CPU s\n", bug.id, bug.name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::museum::exhibits;

    fn start(seed: Option<u64>, cpu_seconds: f64) -> Start {
        Start { seed, cpu_seconds, check: seed.map(|_| "W2".to_owned()), ..Start::default() }
    }

    fn exhibit(name: &str) -> &'static Exhibit {
        exhibits().find(|exhibit| exhibit.name() == name).expect("it is shown")
    }

    fn bug(starts: Vec<Start>) -> Bug {
        Bug::hunted(exhibit("trunc-to-hw"), "sim fuzz replication".to_owned(), starts, Vec::new())
    }

    #[test]
    fn a_median_is_a_figure_when_half_of_the_starts_found_something() {
        let missed = || start(None, 60.0);
        let found = bug(vec![start(Some(1), 3.0), missed(), start(Some(2), 1.0)]);
        assert_eq!((found.found, found.cpu_seconds, found.cpu_seconds_worst), (Some(true), Some(3.0), 60.0));
        let half = bug(vec![start(Some(1), 3.0), missed()]);
        assert_eq!((half.found, half.cpu_seconds), (Some(true), Some(3.0)));
        let less = bug(vec![missed(), start(Some(1), 3.0), missed()]);
        assert_eq!((less.found, less.cpu_seconds), (Some(false), None));
        assert_eq!(bug(Vec::new()).found, Some(false), "nothing was tried");
    }

    #[test]
    fn a_pair_whose_other_half_is_missed_alone_proves_nothing() {
        let exhibit = exhibit("marker-delete-late");
        let both = || vec![start(Some(1), 1.0); 3];
        let alone = |starts: &[Start]| vec![Alone::new(Switch::ServeWhileLoading, starts)];
        let hunted = |alone| Bug::hunted(exhibit, "sim".to_owned(), both(), alone).found;
        assert_eq!(hunted(alone(&[start(None, 1.0)])), Some(true));
        assert_eq!(hunted(alone(&[start(Some(9), 1.0)])), Some(false));
    }

    #[test]
    fn a_slow_find_is_named_with_its_figure() {
        let slow = bug(vec![start(Some(1), 11.0); 3]);
        assert!(slow.text().contains("SLOW"), "{}", slow.text());
        assert!(summary(&[slow]).contains("SLOW A1 trunc-to-hw: median 11.0 CPU s"));
        let quick = bug(vec![start(Some(1), 1.0); 3]);
        assert!(!quick.text().contains("SLOW"), "{}", quick.text());
    }
}
