//! Small scopes, whole, and for each guard the smallest scope that shows why it is there.

use jangbu_core::museum::{Switch, Switches};

use super::check::{ACKNOWLEDGEMENT, CANDIDATE_COMPLETENESS, HIGH_WATERMARK, LEADER_COMPLETENESS};
use super::scope::{Faults, Scope};
use super::scopes::find;
use super::search::{Ending, Report, explore};
use super::step::Step;
use super::world::World;

/// One record, one epoch, no faults, one change of the registration.
fn least() -> Scope {
    Scope { leader_epochs: 1, registrations: 1, faults: 0, ..named("tiny") }
}

fn named(name: &str) -> Scope {
    find(name).expect("it has this name")
}

fn without(switches: &[Switch]) -> Switches {
    switches.iter().fold(Switches::default(), |off, switch| off.with(*switch))
}

fn whole(scope: &Scope) -> Report {
    let report = explore(scope, 1_000_000, None);
    assert_eq!(report.ending, Ending::Exhausted, "{scope:?}");
    report
}

/// The invariant that is violated and the length of the trace, with these guards off; with them on the same scope is
/// exhausted and nothing is wrong.
fn found(scope: &Scope, off: &[Switch]) -> (&'static str, usize) {
    whole(scope);
    match explore(&Scope { switches: without(off), ..*scope }, 1_000_000, None).ending {
        Ending::Violated { violation, trace } => (violation.invariant, trace.len()),
        other => panic!("{off:?}: {other:?}"),
    }
}

#[test]
fn the_least_scope_is_exhausted_and_records_are_acknowledged_in_it() {
    let report = whole(&least());
    assert!(report.counts.acknowledged > 0 && report.counts.shrinks > 0, "{:?}", report.counts);
}

#[test]
fn a_search_repeats_itself() {
    let figures = || {
        let report = whole(&least());
        (report.states, report.transitions, report.depth)
    };
    assert_eq!(figures(), figures());
}

#[test]
fn states_that_differ_in_the_names_of_brokers_are_one() {
    let mut world = World::new(Scope { faults: 1, kinds: Faults::KILL, ..least() });
    let first = world.first();
    let successors = world.successors(&first, Vec::new());
    let fingerprint_after_crash_of = |world: &mut World, broker: usize| {
        let crashed =
            successors.iter().find(|one| matches!(one.step, Step::Crash(index, ..) if index == broker));
        world.fingerprint(&crashed.expect("any broker may crash").state)
    };
    let of_leader = fingerprint_after_crash_of(&mut world, 0);
    let of_follower = fingerprint_after_crash_of(&mut world, 1);
    assert_eq!(of_follower, fingerprint_after_crash_of(&mut world, 2));
    assert_ne!(of_follower, of_leader);
}

#[test]
fn a1_a_follower_that_cuts_to_its_high_watermark_cuts_what_is_committed() {
    let scope = Scope { leader_epochs: 2, faults: 1, kinds: Faults::ELECT, ..least() };
    assert_eq!(found(&scope, &[Switch::TruncateToHighWatermark]).0, CANDIDATE_COMPLETENESS);
}

#[test]
fn a13_a_high_watermark_at_the_largest_end_is_above_what_the_isr_holds() {
    let scope = Scope { registrations: 0, ..least() };
    assert_eq!(found(&scope, &[Switch::HighWatermarkMax]).0, HIGH_WATERMARK);
}

#[test]
fn a13_a_high_watermark_that_ignores_a_replica_is_above_what_it_holds() {
    let scope = Scope { registrations: 0, ..least() };
    assert_eq!(found(&scope, &[Switch::HighWatermarkIgnoreOne]).0, HIGH_WATERMARK);
}

#[test]
fn b4_a_replica_that_is_forgotten_before_the_controller_agrees_can_still_be_elected() {
    assert_eq!(found(&least(), &[Switch::ShrinkEager]).0, CANDIDATE_COMPLETENESS);
}

#[test]
fn b8_without_eligible_leader_replicas_who_lost_what_was_committed_stays_in_sync() {
    let scope = Scope { leader_epochs: 2, registrations: 2, faults: 1, kinds: Faults::LOSSY, ..least() };
    let off = Scope { switches: without(&[Switch::NoElr]), ..scope };
    let Ending::Violated { violation, trace } = explore(&off, 1_000_000, None).ending else {
        panic!("a replica that lost a committed record is all that may be elected");
    };
    assert_eq!(violation.invariant, CANDIDATE_COMPLETENESS);
    assert!(trace.iter().any(|line| line.contains("crashes and keeps 0 of 1 records")), "{trace:#?}");
}

/// The whole way to the loss, in which a broker that crashed registers, catches up and leads.
#[test]
fn b8_without_eligible_leader_replicas_what_was_acknowledged_is_lost() {
    let scope = super::scopes::find("restart").expect("it has a name");
    let off = Scope { switches: without(&[Switch::NoElr]), only_loss: true, ..scope };
    let Ending::Violated { violation, trace } = explore(&off, 1_000_000, None).ending else {
        panic!("a replica that lost an acknowledged record may be elected");
    };
    assert_eq!((violation.invariant, trace.len()), (LEADER_COMPLETENESS, 14), "{trace:#?}");
}

#[test]
fn b14_a_leader_that_returns_within_its_session_with_a_shorter_log_leads_no_more() {
    let scope = Scope { registrations: 0, faults: 1, kinds: Faults::LOSSY, only_loss: true, ..least() };
    assert_eq!(found(&scope, &[Switch::ReregistrationKeepsIsr]).0, LEADER_COMPLETENESS);
}

#[test]
fn b17_acks_all_is_taken_only_with_enough_in_sync() {
    assert_eq!(found(&least(), &[Switch::MinIsrAckOnly]).0, ACKNOWLEDGEMENT);
}

/// Alone it is masked: nothing is committed while too few are in sync, so nothing is there to be acknowledged.
#[test]
fn b17_acks_all_is_answered_only_with_enough_in_sync() {
    whole(&Scope { switches: without(&[Switch::MinIsrAppendOnly]), ..least() });
    let off = [Switch::MinIsrAppendOnly, Switch::HighWatermarkUnderMinIsr];
    let (invariant, _) = found(&least(), &off);
    assert_eq!(invariant, ACKNOWLEDGEMENT);
}
