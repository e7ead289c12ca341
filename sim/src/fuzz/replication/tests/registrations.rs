//! Registrations that come late.

use super::*;

/// Broker 2 died while its registration was on its way, and its next process is registered.
fn with_a_late_registration() -> World {
    let profile =
        Profile { brokers: 3, replicas: 3, min_insync_replicas: 2, budget: Budget::Lossy, ..calm() };
    let mut world = World::new(&profile);
    for action in [
        Crash { broker: 2, lost: 0 },
        Restart { broker: 2 },
        Crash { broker: 2, lost: 0 },
        Restart { broker: 2 },
        Deliver { from: 2, to: 0, kind: Register, nth: 1 },
        Deliver { from: 0, to: 2, kind: Registered, nth: 0 },
        Metadata { broker: 2, states: 9 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
    ] {
        world.step(&action).expect("nothing is wrong");
    }
    world
}

const LATE: Action = Deliver { from: 2, to: 0, kind: Register, nth: 0 };

#[test]
fn a_late_registration_of_a_dead_process_does_not_depose_the_one_that_lives() {
    let mut world = with_a_late_registration();
    world.step(&LATE).expect("nothing is wrong");
    assert_eq!(world.counts.late_registrations, 0);
}

#[test]
fn a_broker_that_was_deposed_by_a_late_registration_while_it_stood_still_serves_again() {
    let mut world = with_a_late_registration();
    let pause = [Pause { broker: 2 }, Tick { ms: 20_000 }];
    for action in pause.into_iter().chain([Sessions; 3]).chain([LATE]) {
        world.step(&action).expect("nothing is wrong");
    }
    assert_eq!(world.counts.late_registrations, 1);
    assert_eq!(world.heal().err(), Option::None);
}
