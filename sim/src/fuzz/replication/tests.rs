//! Schedules that the fuzzer found, made small, and what every campaign must show.

use jangbu_core::museum::{Switch, Switches};

use super::action::Action::{
    self, Crash, Deliver, Drain, Exchange, Fetch, Flush, LoseDirectory, Metadata, Pause, Prefer, Produce,
    Reassign, Restart, Retain, Retry, Sessions, Tick, Timers, Write, Zombie,
};
use super::check::Violation;
use super::log::Entry;
use super::message::Kind::{
    self, AlterPartition, AlterPartitionAnswer, FetchResponse, Heartbeat, HeartbeatAnswer, ProduceAnswer,
    Register, Registered,
};
use super::profile::ClientKind::{All, Idempotent, Leader, None};
use super::profile::{Budget, Profile};
use super::run::{Settings, find, find_by, run};
use super::shrink::replay;
use super::world::World;
use crate::rng::Rng;

mod registrations;

/// Three brokers, whatever a test does not say.
fn calm() -> Profile {
    let mut profile = Profile::draw(&mut Rng::from_seed(1), Switches::default());
    profile.session_ms = 9_000;
    profile.unclean_election = false;
    profile
}

fn violation(profile: &Profile, schedule: &[Action]) -> Option<Violation> {
    replay(profile, schedule).err()
}

#[test]
fn another_history_below_the_leaders_log_start_is_not_in_sync() {
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 1,
        budget: Budget::KillsOnly,
        flush_before_ack: false,
        lag_ms: 4000,
        clock_rates: [1000, 950, 1050, 1000, 1050],
        clients: vec![None, Idempotent],
        has_retention: true,
        stays_down: Some(3),
        window: 3,
        ..calm()
    };
    let schedule = [
        Tick { ms: 9500 },
        Crash { broker: 3, lost: 0 },
        Produce { client: 0, via: 2, fails: false },
        Deliver { from: 10, to: 1, kind: Kind::Produce, nth: 0 },
        Sessions,
        Metadata { broker: 2, states: 1 },
        Restart { broker: 3 },
        Deliver { from: 3, to: 0, kind: Register, nth: 0 },
        Produce { client: 0, via: 2, fails: false },
        Deliver { from: 10, to: 2, kind: Kind::Produce, nth: 0 },
        Metadata { broker: 2, states: 2 },
        Retain { broker: 2, count: 2 },
        Metadata { broker: 1, states: 5 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Metadata { broker: 2, states: 1 },
        Fetch { broker: 1 },
        Deliver { from: 1, to: 2, kind: Kind::Fetch, nth: 0 },
        Deliver { from: 2, to: 0, kind: AlterPartition, nth: 0 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_leader_elected_uncleanly_recovers_and_its_isr_grows_again() {
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 1,
        budget: Budget::FlushedLossy,
        flush_before_ack: true,
        lag_ms: 10000,
        clock_rates: [950, 950, 950, 1000, 1000],
        clients: vec![None],
        has_retention: true,
        stays_down: Option::None,
        window: 3,
        ..calm()
    };
    let schedule = [
        Tick { ms: 9500 },
        Flush { broker: 2 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
        Produce { client: 0, via: 1, fails: false },
        Deliver { from: 10, to: 1, kind: Kind::Produce, nth: 0 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Sessions,
        Crash { broker: 2, lost: 4 },
        Tick { ms: 9500 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_replica_that_lost_its_disk_and_fetched_everything_anew_may_lead() {
    let profile = Profile {
        brokers: 5,
        replicas: 3,
        min_insync_replicas: 2,
        budget: Budget::Lossy,
        flush_before_ack: false,
        lag_ms: 4000,
        clock_rates: [1000, 1050, 1000, 1050, 1000],
        clients: vec![Idempotent, Leader, Idempotent],
        has_retention: false,
        stays_down: Option::None,
        window: 3,
        ..calm()
    };
    let schedule = [
        Crash { broker: 3, lost: 1 },
        Tick { ms: 9500 },
        LoseDirectory { broker: 3 },
        Restart { broker: 3 },
        Sessions,
        Sessions,
        Metadata { broker: 2, states: 255 },
        Drain { broker: 2 },
        Drain { broker: 1 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_reassignment_is_not_given_up_while_its_new_replicas_are_needed() {
    let profile = Profile {
        brokers: 3,
        replicas: 2,
        min_insync_replicas: 2,
        budget: Budget::Lossy,
        flush_before_ack: false,
        lag_ms: 4000,
        clock_rates: [1050, 1000, 1000, 1050, 1000],
        clients: vec![Idempotent, Idempotent, Idempotent],
        has_retention: false,
        stays_down: Option::None,
        window: 1,
        ..calm()
    };
    let schedule = [
        Produce { client: 0, via: 2, fails: false },
        Deliver { from: 10, to: 1, kind: Kind::Produce, nth: 0 },
        Tick { ms: 700 },
        Tick { ms: 2500 },
        Reassign { brokers: 7 },
        Metadata { broker: 1, states: 255 },
        Tick { ms: 700 },
        Metadata { broker: 3, states: 2 },
        Timers { broker: 1 },
        Deliver { from: 1, to: 0, kind: AlterPartition, nth: 0 },
        Deliver { from: 0, to: 1, kind: AlterPartitionAnswer, nth: 0 },
        Fetch { broker: 3 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Deliver { from: 1, to: 0, kind: AlterPartition, nth: 0 },
        Deliver { from: 1, to: 3, kind: FetchResponse, nth: 0 },
        Deliver { from: 0, to: 1, kind: AlterPartitionAnswer, nth: 0 },
        Fetch { broker: 3 },
        Reassign { brokers: 0 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Retry { client: 0, via: 2 },
        Metadata { broker: 3, states: 5 },
        Retry { client: 0, via: 3 },
        Deliver { from: 10, to: 1, kind: Kind::Produce, nth: 1 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_reassignment_is_not_given_up_while_the_last_known_leader_is_among_its_new_replicas() {
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 2,
        budget: Budget::KillsOnly,
        flush_before_ack: true,
        lag_ms: 10000,
        clock_rates: [1000, 950, 950, 950, 1000],
        clients: vec![Idempotent],
        has_retention: false,
        stays_down: Some(2),
        window: 3,
        ..calm()
    };
    let schedule = [
        Reassign { brokers: 6 },
        Metadata { broker: 2, states: 2 },
        Produce { client: 0, via: 3, fails: false },
        Tick { ms: 2500 },
        Timers { broker: 1 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Deliver { from: 0, to: 1, kind: HeartbeatAnswer, nth: 0 },
        Tick { ms: 9500 },
        Retry { client: 0, via: 2 },
        Deliver { from: 10, to: 2, kind: Kind::Produce, nth: 0 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
        Reassign { brokers: 7 },
        Tick { ms: 1 },
        Sessions,
        Metadata { broker: 1, states: 255 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Metadata { broker: 2, states: 5 },
        Fetch { broker: 1 },
        Deliver { from: 1, to: 2, kind: Kind::Fetch, nth: 0 },
        Deliver { from: 2, to: 0, kind: AlterPartition, nth: 0 },
        Crash { broker: 2, lost: 0 },
        Tick { ms: 9500 },
        Sessions,
        Sessions,
        Reassign { brokers: 0 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_broker_may_die_for_good_only_when_none_of_the_others_drains() {
    // Brokers 1 and 3 had been told to stop and had not told the controller yet: with min.insync.replicas=1 the
    // leaderships they handed to broker 2 left it alone with what is committed.
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 1,
        budget: Budget::KillsOnly,
        flush_before_ack: false,
        lag_ms: 4000,
        clock_rates: [1050, 1000, 1000, 950, 950],
        clients: vec![Idempotent, Idempotent, Idempotent],
        has_retention: false,
        stays_down: Some(2),
        window: 2,
        ..calm()
    };
    let schedule = [
        Produce { client: 1, via: 2, fails: false },
        Deliver { from: 11, to: 1, kind: Kind::Produce, nth: 0 },
        Fetch { broker: 2 },
        Deliver { from: 2, to: 1, kind: Kind::Fetch, nth: 0 },
        Deliver { from: 1, to: 2, kind: FetchResponse, nth: 0 },
        Fetch { broker: 3 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Retry { client: 1, via: 3 },
        Tick { ms: 9500 },
        Deliver { from: 11, to: 1, kind: Kind::Produce, nth: 0 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Deliver { from: 1, to: 3, kind: FetchResponse, nth: 0 },
        Deliver { from: 0, to: 1, kind: HeartbeatAnswer, nth: 0 },
        Deliver { from: 3, to: 0, kind: Heartbeat, nth: 0 },
        Fetch { broker: 3 },
        Fetch { broker: 2 },
        Flush { broker: 2 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
        Tick { ms: 2500 },
        Drain { broker: 3 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Drain { broker: 1 },
        Deliver { from: 0, to: 3, kind: HeartbeatAnswer, nth: 0 },
        Deliver { from: 2, to: 1, kind: Kind::Fetch, nth: 0 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_producer_whose_removed_batches_a_new_replica_never_had_begins_with_any_sequence() {
    // Nobody who had them is a replica any more, so that no log's start tells of it (KIP-360).
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 1,
        budget: Budget::KillsOnly,
        flush_before_ack: false,
        lag_ms: 30000,
        clock_rates: [1050, 1050, 1000, 1000, 950],
        clients: vec![Idempotent, None],
        has_retention: true,
        stays_down: Option::None,
        window: 1,
        ..calm()
    };
    let schedule = [
        Fetch { broker: 2 },
        Produce { client: 1, via: 1, fails: false },
        Deliver { from: 11, to: 1, kind: Kind::Produce, nth: 0 },
        Deliver { from: 2, to: 1, kind: Kind::Fetch, nth: 0 },
        Deliver { from: 1, to: 2, kind: FetchResponse, nth: 0 },
        Fetch { broker: 2 },
        Deliver { from: 2, to: 1, kind: Kind::Fetch, nth: 0 },
        Fetch { broker: 3 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Deliver { from: 1, to: 3, kind: FetchResponse, nth: 0 },
        Fetch { broker: 3 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Retain { broker: 1, count: 2 },
        Reassign { brokers: 4 },
        Metadata { broker: 3, states: 1 },
        Produce { client: 0, via: 3, fails: false },
        Deliver { from: 10, to: 3, kind: Kind::Produce, nth: 0 },
        Deliver { from: 3, to: 10, kind: ProduceAnswer, nth: 0 },
        Produce { client: 0, via: 3, fails: false },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_follower_cuts_nothing_because_its_next_leader_says_so_who_leads_an_older_epoch_still() {
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 2,
        budget: Budget::KillsOnly,
        flush_before_ack: false,
        lag_ms: 30000,
        clock_rates: [1000; 5],
        clients: vec![Idempotent],
        has_retention: false,
        stays_down: Option::None,
        window: 1,
        ..calm()
    };
    let schedule = [
        Write { client: 0, via: 1 },
        Exchange { broker: 3 },
        Prefer { broker: 2 },
        Metadata { broker: 2, states: 2 },
        Prefer { broker: 1 },
        Metadata { broker: 1, states: 4 },
        Metadata { broker: 3, states: 4 },
        Exchange { broker: 3 },
        Prefer { broker: 2 },
        Metadata { broker: 3, states: 2 },
        Exchange { broker: 3 },
        Metadata { broker: 2, states: 2 },
        Exchange { broker: 2 },
        Exchange { broker: 2 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
    let switches = Switches::default().with(Switch::UnfencedTruncation);
    let found =
        violation(&Profile { switches, ..profile }, &schedule).expect("broker 3 lacks what is committed");
    assert_eq!(found.check, "W2");
}

#[test]
fn a_log_that_is_opened_again_below_what_was_on_the_disk_is_seen() {
    let (brokers, replicas, clients) = (3, 3, vec![Idempotent]);
    let profile = Profile { budget: Budget::KillsOnly, brokers, replicas, clients, ..calm() };
    let mut world = World::new(&profile);
    let steps = [Write { client: 0, via: 1 }, Flush { broker: 1 }, Crash { broker: 1, lost: 0 }];
    for step in steps {
        world.step(&step).expect("nothing is wrong yet");
    }
    let mut damaged = world.broker(1).log.clone();
    damaged.truncate(0);
    world.broker_mut(1).log = damaged;
    world.broker_mut(1).checkpoint = 0;
    assert_eq!(world.step(&Restart { broker: 1 }).expect_err("a record is gone").check, "W20");
}

#[test]
fn a_record_of_the_metadata_that_is_lost_on_its_way_is_seen() {
    let mut world = World::new(&calm());
    assert_eq!(super::check::metadata(&world), Ok(()));
    world.controller.forget_last_record();
    assert_eq!(super::check::metadata(&world).expect_err("the images differ").check, "W21");
}

#[test]
fn an_older_copy_of_a_proposal_that_was_refused_for_a_fenced_replica_is_not_carried_out_when_it_serves_again()
{
    let profile = Profile {
        brokers: 4,
        replicas: 3,
        min_insync_replicas: 2,
        budget: Budget::Lossy,
        flush_before_ack: false,
        lag_ms: 10000,
        clock_rates: [1000, 1000, 1000, 1000, 950],
        clients: vec![Leader, None],
        has_retention: true,
        stays_down: Some(1),
        window: 1,
        ..calm()
    };
    let schedule = [
        Crash { broker: 2, lost: 4 },
        Restart { broker: 2 },
        Deliver { from: 2, to: 0, kind: Register, nth: 0 },
        Deliver { from: 0, to: 2, kind: Registered, nth: 0 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
        Deliver { from: 0, to: 2, kind: HeartbeatAnswer, nth: 0 },
        Metadata { broker: 2, states: 1 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
        Deliver { from: 0, to: 2, kind: HeartbeatAnswer, nth: 0 },
        Metadata { broker: 1, states: 255 },
        Exchange { broker: 2 },
        Tick { ms: 9500 },
        Exchange { broker: 2 },
        Metadata { broker: 3, states: 255 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Deliver { from: 3, to: 0, kind: Heartbeat, nth: 0 },
        Timers { broker: 1 },
        Sessions,
        Tick { ms: 120 },
        Exchange { broker: 3 },
        Deliver { from: 1, to: 0, kind: AlterPartition, nth: 1 },
        Deliver { from: 2, to: 0, kind: Heartbeat, nth: 0 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
    let switches = Switches::default().with(Switch::IneligibleKeepsEpoch);
    let found = violation(&Profile { switches, ..profile }, &schedule).expect("broker 2 is not waited for");
    assert_eq!(found.check, "W4");
}

/// What retention removed of a history that an unclean election ended.
fn removed_from_a_history_that_an_unclean_election_ended() -> (Profile, Vec<Action>) {
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 1,
        budget: Budget::Beyond,
        flush_before_ack: false,
        lag_ms: 10000,
        clock_rates: [1000, 1000, 1050, 1050, 950],
        clients: vec![All],
        unclean_election: true,
        has_retention: true,
        stays_down: Option::None,
        window: 2,
        ..calm()
    };
    let schedule = vec![
        Crash { broker: 1, lost: 4 },
        Crash { broker: 3, lost: 1 },
        Restart { broker: 1 },
        Deliver { from: 1, to: 0, kind: Register, nth: 0 },
        Restart { broker: 3 },
        Deliver { from: 3, to: 0, kind: Register, nth: 0 },
        Deliver { from: 0, to: 1, kind: Registered, nth: 0 },
        Deliver { from: 0, to: 3, kind: Registered, nth: 0 },
        Write { client: 0, via: 2 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Deliver { from: 0, to: 1, kind: HeartbeatAnswer, nth: 0 },
        Metadata { broker: 2, states: 255 },
        Metadata { broker: 3, states: 2 },
        Produce { client: 0, via: 3, fails: false },
        Deliver { from: 10, to: 2, kind: Kind::Produce, nth: 1 },
        Retain { broker: 2, count: 1 },
        Crash { broker: 2, lost: 1 },
        Metadata { broker: 1, states: 255 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Restart { broker: 2 },
        Deliver { from: 2, to: 0, kind: Register, nth: 0 },
    ];
    (profile, schedule)
}

#[test]
fn a_leader_that_removed_all_it_had_before_an_unclean_election_goes_on_at_its_end_and_matches_in_what_both_hold()
 {
    let (profile, schedule) = removed_from_a_history_that_an_unclean_election_ended();
    let world = replay(&profile, &schedule).expect("what nobody holds is no difference");
    let (emptied, leader) = (&world.broker(2).log, &world.broker(1).log);
    assert_eq!((emptied.start(), emptied.end()), (1, 2), "it follows from its own end on");
    assert_eq!((leader.start(), leader.end()), (0, 2), "and the other history begins at the same offset");
    assert_eq!(emptied.entry(1), leader.entry(1));
}

#[test]
fn beyond_the_budget_a_difference_in_what_both_hold_is_seen_wherever_the_logs_begin() {
    let (profile, schedule) = removed_from_a_history_that_an_unclean_election_ended();
    let mut world = replay(&profile, &schedule).expect("all is well");
    let entry = *world.broker(2).log.entry(1).expect("it follows");
    let log = &mut world.broker_mut(2).log;
    log.truncate(1);
    log.append(Entry { value: entry.value + 1, ..entry }, false);
    assert_eq!(super::check::converged(&world).expect_err("another record at offset 1").check, "W3");
}

#[test]
fn a_deposed_controller_names_no_new_leader_for_it_can_commit_no_election() {
    let profile = Profile {
        brokers: 3,
        replicas: 3,
        min_insync_replicas: 1,
        budget: Budget::KillsOnly,
        flush_before_ack: false,
        lag_ms: 10000,
        clock_rates: [1000, 1000, 950, 950, 1050],
        clients: vec![None],
        has_retention: false,
        stays_down: Some(1),
        window: 2,
        ..calm()
    };
    let schedule = [
        Tick { ms: 2500 },
        Tick { ms: 9500 },
        Timers { broker: 1 },
        Deliver { from: 1, to: 0, kind: AlterPartition, nth: 0 },
        Deliver { from: 1, to: 0, kind: Heartbeat, nth: 0 },
        Reassign { brokers: 4 },
        Crash { broker: 2, lost: 0 },
        Restart { broker: 2 },
        Metadata { broker: 1, states: 4 },
        Deliver { from: 2, to: 0, kind: Register, nth: 0 },
        Fetch { broker: 3 },
        Deliver { from: 3, to: 1, kind: Kind::Fetch, nth: 0 },
        Zombie { broker: 1, back: 1 },
    ];
    assert_eq!(violation(&profile, &schedule), Option::None);
}

#[test]
fn a_guard_that_hides_behind_another_is_found_by_its_own_symptom() {
    // The high watermark does not move while too few are in sync, so that whatever is complete was complete before.
    let limit = std::time::Duration::from_secs(60);
    let both = [Switch::MinIsrAppendOnly, Switch::HighWatermarkUnderMinIsr];
    assert!(find_by("W8", &both, 1, limit).is_some());
    let short = std::time::Duration::from_secs(1);
    assert!(find_by("W8", &both[1..], 1, short).is_none());
    assert!(find(&both[..1], 1, short).is_none());
}

#[test]
fn nothing_is_found_while_all_guards_are_on_and_no_floor_is_missed() {
    let report =
        run(&Settings { seed: 1, steps: 400_000, switches: Switches::default(), cpu_limit: Option::None });
    assert!(report.failure.is_none(), "{:?}", report.failure);
    let missed = report.counts.missed_floors();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn a_schedule_repeats_itself() {
    let report = || {
        run(&Settings { seed: 7, steps: 20_000, switches: Switches::default(), cpu_limit: Option::None })
            .counts
    };
    assert_eq!(report(), report());
}

#[test]
fn a_guard_that_is_off_is_found_and_its_schedule_is_short() {
    let limit = std::time::Duration::from_secs(60);
    assert!(find(&[Switch::NoMaximalIsr], 1, limit).is_some());
    let switches = Switches::default().with(Switch::TruncateToHighWatermark);
    let report = run(&Settings { seed: 1, steps: 1_000_000, switches, cpu_limit: Option::None });
    let failure = report.failure.expect("a follower cuts what is committed");
    assert!(failure.steps <= 40, "{}", failure.script);
}
