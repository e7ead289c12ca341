//! What can go wrong. One file per fault, which says in prose what must survive it.
//!
//! A fault is data until it strikes: a kind, a target and parameters, all of them text in a plan. `strike` turns
//! them into calls on the [`Stage`], which also keeps what has to be undone later.

mod bit_rot;
mod connection_reset;
mod crash_at_disk_call;
mod crash_while_recovering;
mod disk_error;
mod disk_full;
mod disk_stall;
mod lying_sync;
mod pause;
mod power_loss;
mod process_crash;
mod restart;
mod slow_disk;
mod stage;

pub use stage::{Blow, FollowUp, Stage};

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenario::Drawable;

/// One kind of fault.
#[derive(Debug)]
pub struct Kind {
    /// Its name in scenarios and plans.
    pub name: &'static str,
    /// What must survive it, and why.
    pub survives: &'static str,
    /// What can be set.
    pub parameters: &'static [Parameter],
    /// Makes it happen to a node.
    pub strike: fn(&mut Stage, usize, &Parameters) -> Result<(), Skipped>,
}

/// One thing that can be set about a fault.
#[derive(Debug)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// Its type.
    pub what: What,
    /// Its value when the scenario says nothing, in the scenario's notation; for names `a|b` means "any of them".
    pub default: &'static str,
    /// What it does, in a few words.
    pub doc: &'static str,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A time.
    Time,
    /// A number.
    Number,
    /// One of these names.
    OneOf(&'static [&'static str]),
    /// A disk site of the core, or `any`. In a scenario also the beginning of several with a star, `log.dir.*`: each
    /// strike draws one of them, so that sites which are seldom called are struck as often as others.
    Site,
}

/// Why a fault did not happen: its target was not in a state that allows it. It is noted, not an error: faults of
/// one plan overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped(pub &'static str);

/// Every kind of fault, in the order in which `--list-faults` prints them.
pub const ALL: &[&Kind] = &[
    &process_crash::KIND,
    &power_loss::KIND,
    &crash_at_disk_call::KIND,
    &crash_while_recovering::KIND,
    &restart::KIND,
    &pause::KIND,
    &connection_reset::KIND,
    &slow_disk::KIND,
    &disk_stall::KIND,
    &disk_error::KIND,
    &disk_full::KIND,
    &bit_rot::KIND,
    &lying_sync::KIND,
];

/// The kind of that name.
pub fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().copied().find(|kind| kind.name == name)
}

/// Whom a fault strikes, as an expression that is resolved when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any broker; which one is drawn when the fault strikes.
    Any,
    /// The broker with this id.
    Node(u64),
}

impl Target {
    /// Reads `any` or `node 2`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_text(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        match text.strip_prefix("node ").map(|id| id.trim().parse()) {
            Some(Ok(id)) if id > 0 => Ok(Self::Node(id)),
            _ => Err(format!("`{text}` names nobody")),
        }
    }

    /// Writes it as [`Target::from_text`] reads it.
    pub fn to_text(self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::Node(id) => format!("node {id}"),
        }
    }
}

/// The parameters of one fault of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(pub BTreeMap<&'static str, String>);

impl Parameters {
    /// A time.
    ///
    /// # Panics
    /// When the kind's table has no such parameter of this type: plans are checked when they are read.
    pub fn time(&self, name: &str) -> Duration {
        self.value(name)
    }

    /// A number.
    ///
    /// # Panics
    /// As [`Parameters::time`].
    pub fn number(&self, name: &str) -> u64 {
        self.value(name)
    }

    /// A name.
    ///
    /// # Panics
    /// As [`Parameters::time`].
    pub fn name(&self, name: &str) -> &str {
        self.0.get(name).expect("every parameter of the table is in the plan")
    }

    fn value<T: Drawable>(&self, name: &str) -> T {
        T::from_text(self.name(name)).expect("a plan's values are checked when it is read")
    }
}

impl Parameter {
    /// Whether a text is a value of this parameter.
    pub fn accepts(&self, text: &str) -> bool {
        match self.what {
            What::Time => Duration::from_text(text).is_some(),
            What::Number => u64::from_text(text).is_some(),
            What::OneOf(names) => names.contains(&text),
            What::Site => text == "any" || crate::sites::matching(text) == [text],
        }
    }
}

/// `down`: how long a node that went down stays down.
const DOWN: Parameter =
    Parameter { name: "down", what: What::Time, default: "0ms..3s", doc: "until the node is started again" };

/// `mode`: what a loss of power leaves of the writes that were not synced.
const POWER_MODE: Parameter = Parameter {
    name: "mode",
    what: What::OneOf(&["nothing", "prefix", "subset", "zeros", "garbage"]),
    default: "nothing|prefix|subset|zeros|garbage",
    doc: "what is left of writes that were not synced",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Choice;

    #[test]
    fn every_default_is_legal() {
        for parameter in ALL.iter().flat_map(|kind| kind.parameters) {
            let legal = match parameter.what {
                What::Time => Choice::<Duration>::from_text(parameter.default).is_some(),
                What::Number => Choice::<u64>::from_text(parameter.default).is_some(),
                What::OneOf(names) => parameter.default.split('|').all(|name| names.contains(&name)),
                What::Site => parameter.accepts(parameter.default),
            };
            assert!(legal, "{} = {}", parameter.name, parameter.default);
        }
    }

    #[test]
    fn targets_survive_their_text() {
        for target in [Target::Any, Target::Node(3)] {
            assert_eq!(Target::from_text(&target.to_text()), Ok(target));
        }
        for text in ["", "node", "node 0", "node x", "leader"] {
            assert!(Target::from_text(text).is_err(), "{text}");
        }
    }
}
