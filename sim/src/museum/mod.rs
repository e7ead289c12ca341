//! The museum: bugs that other logs had, what history calls them, and what shows that they cannot happen here unnoticed.
//!
//! A file per family, in the order of their ids: [`truncation`] (A), [`in_sync`] (B), [`storage`] (C), [`producers`] (D),
//! [`quorum`] (G). Every guard that can be switched off stands in one of them, and so does every bug of these families
//! that has no guard here, with the reason.

pub mod in_sync;
pub mod producers;
pub mod quorum;
pub mod storage;
pub mod truncation;

use jangbu_core::museum::Switch;

/// One bug.
#[derive(Debug)]
pub struct Exhibit {
    /// The guard against it.
    pub guard: Guard,
    /// Where it was met, and what went wrong.
    pub history: &'static str,
    /// What somebody would see of it.
    pub symptom: &'static str,
    /// What notices that the guard is gone.
    pub shown: Shown,
}

/// The guard against a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It can be switched off.
    Switch(Switch),
    /// There is none to switch off. The id and the name that the bug would have.
    Absent(&'static str, &'static str),
}

/// What notices that a guard is gone.
#[derive(Debug)]
pub enum Shown {
    /// This tool finds the bug.
    By(Tool),
    /// This tool does, but only when another guard is gone too.
    Paired(Tool, Hidden),
    /// No tool does, and why; this directed test shows what the guard does.
    Tested(&'static str, &'static str),
    /// It is harmless, and exists only to be taken away together with another; why.
    Companion(&'static str),
    /// The bug cannot be expressed here; why.
    Inapplicable(&'static str),
}

/// Why a guard that is gone is not missed: another one does its work.
#[derive(Debug)]
pub struct Hidden {
    /// The other guard.
    pub switch: Switch,
    /// How it hides the bug.
    pub why: &'static str,
    /// The check that sees this bug and not the other one, where the other one is missed alone.
    pub check: Option<&'static str>,
}

/// What looks for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Whole brokers, under the scenario of the museum.
    Scenario,
    /// The metadata quorum's machine alone.
    FuzzRaft,
    /// The machines of brokers and controller.
    FuzzReplication,
}

impl Tool {
    /// What it is called in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::FuzzRaft => "fuzz raft",
            Self::FuzzReplication => "fuzz replication",
        }
    }
}

impl Exhibit {
    /// Its id in the museum.
    pub fn id(&self) -> &'static str {
        match self.guard {
            Guard::Switch(switch) => label(switch).0,
            Guard::Absent(id, _) => id,
        }
    }

    /// The name of the guard.
    pub fn name(&self) -> &'static str {
        match self.guard {
            Guard::Switch(switch) => label(switch).1,
            Guard::Absent(_, name) => name,
        }
    }

    /// The guard, if it can be switched off.
    pub fn switch(&self) -> Option<Switch> {
        match self.guard {
            Guard::Switch(switch) => Some(switch),
            Guard::Absent(..) => None,
        }
    }

    /// The tool that must find it.
    pub fn tool(&self) -> Option<Tool> {
        match self.shown {
            Shown::By(tool) | Shown::Paired(tool, _) => Some(tool),
            Shown::Tested(..) | Shown::Companion(_) | Shown::Inapplicable(_) => None,
        }
    }

    /// The guard that has to be taken away with its own.
    pub fn hidden_by(&self) -> Option<&Hidden> {
        match &self.shown {
            Shown::Paired(_, hidden) => Some(hidden),
            _ => None,
        }
    }

    /// The guards that are taken away to show it.
    pub fn switches(&self) -> Vec<Switch> {
        self.switch().into_iter().chain(self.hidden_by().map(|hidden| hidden.switch)).collect()
    }

    const fn new(switch: Switch, history: &'static str, symptom: &'static str, shown: Shown) -> Self {
        Self { guard: Guard::Switch(switch), history, symptom, shown }
    }

    /// A bug that has no place here, and why.
    const fn absent(
        (id, name): (&'static str, &'static str),
        history: &'static str,
        symptom: &'static str,
        why: &'static str,
    ) -> Self {
        Self { guard: Guard::Absent(id, name), history, symptom, shown: Shown::Inapplicable(why) }
    }
}

/// All families, in the order of their letters.
pub const FAMILIES: [(&str, &[Exhibit]); 5] = [
    ("truncation, fetch, high watermark", truncation::EXHIBITS),
    ("in-sync replicas, elections, the controller, a broker's life", in_sync::EXHIBITS),
    ("storage and recovery", storage::EXHIBITS),
    ("idempotent producers", producers::EXHIBITS),
    ("the metadata quorum", quorum::EXHIBITS),
];

/// All bugs.
pub fn exhibits() -> impl Iterator<Item = &'static Exhibit> {
    FAMILIES.iter().flat_map(|(_, exhibits)| *exhibits)
}

/// The guards that a tool must miss when they go alone.
pub fn guards_shown_by(tool: Tool) -> impl Iterator<Item = Switch> {
    let alone = move |exhibit: &&Exhibit| matches!(exhibit.shown, Shown::By(by) if by == tool);
    exhibits().filter(alone).filter_map(Exhibit::switch)
}

/// Id and name of a guard.
///
/// # Panics
/// Never: every guard stands in the list of all.
pub fn label(switch: Switch) -> (&'static str, &'static str) {
    let row = Switch::ALL.iter().find(|(_, _, of)| *of == switch);
    row.map(|(id, name, _)| (*id, *name)).expect("the list of all switches is made with the enum")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_guard_that_can_be_switched_off_is_shown_once_in_the_family_of_its_letter() {
        for (id, name, switch) in Switch::ALL {
            let shown = exhibits().filter(|exhibit| exhibit.switch() == Some(*switch)).count();
            assert_eq!(shown, 1, "{id} {name}");
        }
        for ((title, exhibits), letter) in FAMILIES.iter().zip(["A", "B", "C", "D", "G"]) {
            for exhibit in *exhibits {
                assert!(exhibit.id().starts_with(letter), "{} in {title}", exhibit.id());
            }
        }
    }

    #[test]
    fn a_tool_finds_at_least_45_of_them() {
        let found = exhibits().filter(|exhibit| exhibit.switch().is_some() && exhibit.tool().is_some());
        assert!(found.count() >= 45);
    }

    #[test]
    fn a_bug_without_a_guard_has_a_name_of_its_own_and_a_reason() {
        let names: BTreeSet<_> = Switch::ALL.iter().map(|(_, name, _)| *name).collect();
        for exhibit in exhibits().filter(|exhibit| exhibit.switch().is_none()) {
            assert!(!names.contains(exhibit.name()), "{} has a guard", exhibit.name());
            assert!(matches!(exhibit.shown, Shown::Inapplicable(_)), "{}", exhibit.name());
        }
    }

    #[test]
    fn no_guard_hides_behind_itself_nor_behind_one_that_is_missed_alone() {
        let missed: Vec<Switch> = exhibits()
            .filter(|exhibit| matches!(exhibit.shown, Shown::By(_)))
            .filter_map(Exhibit::switch)
            .collect();
        for exhibit in exhibits() {
            let Some(hidden) = exhibit.hidden_by() else { continue };
            assert_ne!(Some(hidden.switch), exhibit.switch());
            let tells_apart = hidden.check.is_some() || !missed.contains(&hidden.switch);
            assert!(tells_apart, "{}: the pair would prove nothing", exhibit.name());
        }
    }

    #[test]
    fn every_bug_of_the_families_has_its_number() {
        let ids: BTreeSet<&str> = exhibits().map(Exhibit::id).collect();
        let all = (1..=18).map(|number| format!("A{number}"));
        let all = all.chain((1..=25).map(|number| format!("B{number}")));
        let all = all.chain([1, 2, 4, 5].map(|number| format!("D{number}")));
        for id in all.chain((1..=15).map(|number| format!("G{number}"))) {
            assert!(ids.contains(id.as_str()), "{id}");
        }
    }
}
