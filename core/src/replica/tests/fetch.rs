//! 2.6: how a leader answers a replica.

use super::*;

const REFUSED: fn(FetchRefusal) -> FetchDecision = FetchDecision::Refused;

#[test]
fn a_fetch_of_an_older_epoch_is_fenced_and_of_a_newer_one_unknown_and_neither_counts() {
    let mut script = Script::with_log(&[1, 1]).lead(5, &[1, 2]);
    let right = script.fetch_of(2, 2, 1);
    let older = ReplicaFetch { current_leader_epoch: LeaderEpoch(4), ..right };
    let newer = ReplicaFetch { current_leader_epoch: LeaderEpoch(6), ..right };
    assert_eq!(script.handle(&older), REFUSED(FetchRefusal::FencedLeaderEpoch));
    assert_eq!(script.handle(&newer), REFUSED(FetchRefusal::UnknownLeaderEpoch));
    assert_eq!(script.high_watermark(), 0);
    assert_eq!(script.handle(&right), FetchDecision::Read { from: Offset(2), bound: Offset(2) });
    assert_eq!(script.high_watermark(), 2);
}

#[test]
fn a_diverging_fetch_of_another_epoch_is_not_told_where_to_cut() {
    let mut script = Script::with_log(&[1, 1]).lead(5, &[1, 2]);
    let fetch = ReplicaFetch { current_leader_epoch: LeaderEpoch(6), ..script.fetch_of(2, 9, 1) };
    assert_eq!(script.handle(&fetch), REFUSED(FetchRefusal::UnknownLeaderEpoch));
}

#[test]
fn an_earlier_incarnation_of_a_follower_says_nothing_about_the_present_one() {
    // KIP-903.
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    let fetch = ReplicaFetch { broker_epoch: BrokerEpoch(50), ..script.fetch_of(2, 1, 1) };
    assert_eq!(script.handle(&fetch), REFUSED(FetchRefusal::NotLeader));
    assert_eq!(script.high_watermark(), 0);
}

#[test]
fn a_fetch_below_the_log_start_is_out_of_range_before_epochs_are_compared() {
    let mut script = Script::with_log(&[1, 1, 1]).lead(2, &[1, 2]);
    script.log.start = 2;
    script.log.epochs.truncate_from_start(Offset(2));
    let fetch = script.fetch_of(2, 1, 0);
    assert_eq!(script.handle(&fetch), REFUSED(FetchRefusal::OutOfRange));
}

#[test]
fn a_diverging_fetch_gets_no_records_and_does_not_count() {
    // KAFKA-13141.
    let mut script = Script::with_log(&[1, 1, 1]).lead(3, &[1, 2]);
    let fetch = script.fetch_of(2, 5, 2);
    let end = EpochEnd { epoch: LeaderEpoch(1), end: Offset(3) };
    assert_eq!(script.handle(&fetch), FetchDecision::Diverging(end));
    let fetch = script.fetch_of(2, 4, 1);
    assert_eq!(script.handle(&fetch), FetchDecision::Diverging(end));
    assert_eq!(script.high_watermark(), 0);
}

#[test]
fn who_is_no_replica_is_not_answered() {
    let mut script = Script::new().lead(1, &[1, 2]);
    assert_eq!(script.fetch(4, 0), REFUSED(FetchRefusal::NotLeader));
}

#[test]
fn a_follower_leads_nobody() {
    let mut script = Script::new();
    script.metadata(2, 1, &[1, 2]);
    assert_eq!(script.fetch(3, 0), REFUSED(FetchRefusal::NotLeader));
}

#[test]
fn an_empty_log_is_a_prefix_of_any_that_begins_there() {
    let mut script = Script::with_log(&[1]).lead(2, &[1, 2]);
    assert_eq!(script.fetch(2, 0), FetchDecision::Read { from: Offset(0), bound: Offset(1) });
}

#[test]
fn a_log_that_retention_emptied_goes_on_at_its_end_though_its_leaders_begins_below() {
    let mut leader = Script::with_log(&[1, 1, 1]).lead(2, &[1, 2]);
    let fetch = leader.fetch_of(2, 2, -1);
    assert_eq!(leader.handle(&fetch), FetchDecision::Read { from: Offset(2), bound: Offset(3) });
    let mut follower = Script::new();
    (follower.log.start, follower.log.end) = (2, 2);
    follower.metadata(2, 2, &[1, 2]);
    let response = follower.response(FetchBody::Records, 3);
    assert_eq!(response.log_start, Offset(0));
    let action = follower.replica.handle_fetch_response(&response, &follower.log);
    assert_eq!(action, FollowerAction::Append, "in sync, it must never fall below what it was counted for");
}

#[test]
fn a_response_to_another_offset_epoch_or_role_is_ignored() {
    let mut script = Script::with_log(&[1, 1]);
    script.metadata(2, 2, &[1, 2]);
    let right = script.response(FetchBody::Records, 0);
    let diverging = FetchBody::Diverging(EpochEnd { epoch: LeaderEpoch(1), end: Offset(0) });
    let ignored = |script: &mut Script, response: &FetchResponse| {
        assert_eq!(script.replica.handle_fetch_response(response, &script.log), FollowerAction::Ignore);
    };
    ignored(&mut script, &FetchResponse { fetch_offset: Offset(1), ..right });
    ignored(&mut script, &FetchResponse { leader_epoch: LeaderEpoch(1), body: diverging, ..right });
    script.metadata(1, 3, &[1, 2]);
    // KAFKA-13207: it leads now.
    ignored(&mut script, &FetchResponse { body: diverging, ..right });
}
