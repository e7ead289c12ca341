//! The scopes that have names.

use jangbu_core::museum::Switches;

use super::scope::{Faults, Scope};

fn small() -> Scope {
    Scope {
        name: "tiny",
        records: 1,
        has_acks_leader: false,
        min_insync_replicas: 2,
        leader_epochs: 2,
        registrations: 2,
        faults: 1,
        kinds: Faults::ELECT,
        messages: 1,
        switches: Switches::default(),
        only_loss: false,
    }
}

/// All, the smallest first.
pub fn all() -> Vec<Scope> {
    let restarts = Scope { kinds: Faults::LOSSY, leader_epochs: 3, registrations: 4, ..small() };
    vec![
        small(),
        Scope { name: "two-messages", messages: 2, ..small() },
        Scope { name: "election", records: 2, ..small() },
        Scope { name: "restart", ..restarts },
        Scope { name: "elections", records: 2, leader_epochs: 3, registrations: 3, faults: 2, ..small() },
        Scope { name: "restarts", records: 2, faults: 2, ..restarts },
        Scope {
            name: "faults",
            records: 3,
            faults: 2,
            kinds: Faults::ALL,
            has_acks_leader: true,
            messages: 2,
            ..restarts
        },
    ]
}

/// A scope by its name.
pub fn find(name: &str) -> Option<Scope> {
    all().into_iter().find(|scope| scope.name == name)
}
