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

/// All.
pub fn all() -> Vec<Scope> {
    vec![
        small(),
        Scope { name: "elect", records: 2, leader_epochs: 3, registrations: 3, faults: 2, ..small() },
        Scope {
            name: "lossy1",
            kinds: Faults::LOSSY,
            leader_epochs: 3,
            registrations: 4,
            faults: 1,
            ..small()
        },
        Scope {
            name: "lossy",
            records: 2,
            kinds: Faults::LOSSY,
            leader_epochs: 3,
            registrations: 4,
            ..small()
        },
        Scope {
            name: "all",
            records: 2,
            leader_epochs: 3,
            registrations: 4,
            faults: 2,
            kinds: Faults::ALL,
            has_acks_leader: true,
            ..small()
        },
    ]
}

/// A scope by its name.
pub fn find(name: &str) -> Option<Scope> {
    all().into_iter().find(|scope| scope.name == name)
}
