//! What must hold of any text whatever as a scenario. The fuzz target `scenario` feeds it, and a test the scenarios of
//! the repository.

use std::path::Path;

use crate::case::Case;
use crate::plan::Plan;

/// More faults than this in one seed would be a plan that nobody asked for.
const ENTRIES_MAX: usize = 100_000;

/// Runs one text through the parser; what it takes for a scenario is drawn for seed 1, written as a plan and read
/// again. Returns whether it was a scenario.
///
/// # Panics
/// When something does not hold.
pub fn run(text: &str) -> bool {
    let scenario = match super::read(Path::new("trial.toml"), text.to_owned()) {
        Ok(scenario) => scenario,
        Err(error) => {
            let (line, column) = error.position();
            // One line more than there are: an error may point at the end.
            let there = text.split('\n').nth(line - 1).map(|line| line.chars().count());
            assert!(there.is_some_and(|there| column <= there + 1), "no {line}:{column} in the text");
            assert!(error.to_string().starts_with(&format!("trial.toml:{line}:{column}: ")));
            return false;
        }
    };
    assert!(scenario.seeds.0 <= scenario.seeds.1 && !scenario.prose.is_empty());
    let (case, plan) = Case::draw(&scenario, 1, None);
    assert!(case.brokers > 0 && plan.entries.len() <= ENTRIES_MAX, "{} faults", plan.entries.len());
    assert!(plan.entries.is_sorted_by_key(|entry| entry.at));
    let read = Plan::read(Path::new("plan.toml"), plan.to_toml()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(format!("{:?}", read.entries), format!("{:?}", plan.entries), "a plan survives its text");
    let (again, _) = Case::draw(&scenario, 2, Some(&read));
    assert_eq!(format!("{again:?}"), format!("{case:?}"), "a replay draws nothing anew");
    true
}
