//! 2.3: the high watermark.

use super::*;

#[test]
fn it_is_the_smallest_end_of_the_leader_and_the_in_sync_replicas() {
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.append(5);
    script.fetch(2, 4);
    assert_eq!(script.high_watermark(), 0, "broker 3 did not fetch in this epoch");
    script.fetch(3, 3);
    assert_eq!(script.high_watermark(), 3);
}

#[test]
fn it_waits_for_a_replica_that_is_being_added() {
    // KAFKA-8836: the controller may have applied the change and elect broker 3.
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    script.fetch(2, 1);
    script.fetch(3, 1);
    assert!(script.due().is_some());
    script.append(1);
    script.fetch(2, 2);
    script.pass_ms(10 * LAG_MS);
    assert_eq!(script.high_watermark(), 1);
}

#[test]
fn it_waits_for_an_eligible_replica_that_is_caught_up_but_not_for_one_that_trails() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(4);
    script.fetch(2, 3);
    script.fetch(3, 1);
    script.fetch(2, 4);
    assert_eq!(script.high_watermark(), 4, "broker 3 never was at the end");
    let mut script = Script::with_log(&[1, 1]).lead(2, &[1, 2]);
    script.fetch(3, 2);
    let asked = script.due().expect("broker 3 has all");
    script.answer(&asked, AlterPartitionOutcome::Answered(Err(AlterPartitionRejection::IneligibleReplica)));
    script.append(1);
    script.fetch(2, 3);
    assert_eq!(script.high_watermark(), 2, "broker 3 had everything a moment ago");
}

#[test]
fn it_stands_still_while_fewer_than_min_insync_replicas_are_confirmed() {
    // KAFKA-15583, KIP-966: the eligible leader replicas stay complete.
    let mut script = Script::new().lead(1, &[1]);
    script.append(3);
    assert_eq!(script.high_watermark(), 0);
    script.fetch(2, 3);
    assert_eq!(script.maximal(), [1, 2]);
    assert_eq!(script.high_watermark(), 0, "the maximal set does not count here");
    let asked = script.due().expect("broker 2 has everything");
    script.accept(&asked);
    assert_eq!(script.high_watermark(), 3);
}

#[test]
fn it_never_moves_back_within_an_epoch() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(3);
    script.fetch(2, 3);
    script.fetch(2, 1);
    script.metadata(1, 1, &[1, 2, 3]);
    script.fetch(3, 0);
    assert_eq!(script.high_watermark(), 3);
}

#[test]
fn an_accepted_shrink_moves_it_though_nobody_fetches() {
    // KAFKA-13091.
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.append(1);
    script.fetch(2, 1);
    script.now_ms += LAG_MS;
    script.fetch(2, 1);
    script.pass_ms(1);
    let asked = script.due().expect("broker 3 trails");
    script.accept(&asked);
    assert_eq!(script.high_watermark(), 1);
}

#[test]
fn a_shrink_in_the_metadata_moves_it() {
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.append(1);
    script.fetch(2, 1);
    script.metadata(1, 1, &[1, 2]);
    assert_eq!(script.high_watermark(), 1);
}

#[test]
fn the_append_of_a_leader_that_is_enough_alone_moves_it() {
    let mut script = Script::new();
    script.replicas = vec![1];
    script.metadata(1, 1, &[1]);
    script.append(2);
    assert_eq!(script.high_watermark(), 0, "min.insync.replicas=2");
}

#[test]
fn a_new_leader_starts_with_its_own_and_counts_nobody_of_another_epoch() {
    // KIP-320: a follower of an older epoch may be cut later.
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(2);
    script.fetch(2, 1);
    assert_eq!(script.high_watermark(), 1);
    let mut script = script.lead(2, &[1, 2]);
    script.append(1);
    assert_eq!(script.high_watermark(), 1);
    script.fetch(2, 3);
    assert_eq!(script.high_watermark(), 3);
}

#[test]
fn with_flush_messages_1_only_what_is_on_the_leaders_disk_counts() {
    let mut script = Script::with_settings(&[], true).lead(1, &[1, 2]);
    script.append(2);
    script.fetch(2, 2);
    assert_eq!(script.high_watermark(), 0);
    script.flush();
    assert_eq!(script.high_watermark(), 2);
}

#[test]
fn with_flush_messages_1_a_follower_flushes_before_it_fetches_on() {
    let mut script = Script::with_settings(&[1], true);
    script.metadata(2, 1, &[1, 2]);
    assert!(
        script.replica.next_fetch(BrokerEpoch(101), &script.log).is_some(),
        "recovery read it from the disk"
    );
    script.log.end = 2;
    assert_eq!(script.replica.next_fetch(BrokerEpoch(101), &script.log), None);
    script.flush();
    assert!(script.replica.next_fetch(BrokerEpoch(101), &script.log).is_some());
}

#[test]
fn with_flush_messages_1_what_a_dead_process_left_in_the_page_cache_is_neither_fetched_behind_nor_counted() {
    let mut script = Script::with_settings(&[1, 1], true);
    let settings = script.replica.settings;
    script.replica = Replica::new(BrokerId(1), settings, &script.log, Offset(2), Offset(1));
    assert_eq!(script.high_watermark(), 1, "the power may yet take the rest");
    script.metadata(2, 1, &[1, 2]);
    assert_eq!(script.replica.next_fetch(BrokerEpoch(101), &script.log), None);
    script.flush();
    assert!(script.replica.next_fetch(BrokerEpoch(101), &script.log).is_some());
}

#[test]
fn a_followers_is_the_leaders_as_far_as_its_own_log_goes() {
    let mut script = Script::with_log(&[1, 1]);
    script.metadata(2, 1, &[1, 2]);
    let response = script.response(FetchBody::Records, 9);
    assert_eq!(script.replica.handle_fetch_response(&response, &script.log), FollowerAction::Append);
    assert_eq!(script.high_watermark(), 0, "not before the records are there");
    script.log.end = 4;
    script.replica.replicated(&response, &script.log);
    assert_eq!(script.high_watermark(), 4);
}

#[test]
fn a_followers_does_not_move_with_a_diverging_answer() {
    // KAFKA-14704.
    let mut script = Script::with_log(&[1, 1, 1]);
    script.metadata(2, 2, &[1, 2]);
    let diverging = EpochEnd { epoch: LeaderEpoch(1), end: Offset(1) };
    let response = script.response(FetchBody::Diverging(diverging), 3);
    let action = script.replica.handle_fetch_response(&response, &script.log);
    assert_eq!(action, FollowerAction::Truncate(Cut { to: Offset(1), is_below_high_watermark: false }));
    assert_eq!(script.high_watermark(), 0);
}

#[test]
fn a_followers_may_move_back_after_an_election() {
    let mut script = Script::with_log(&[1, 1]);
    script.metadata(2, 1, &[1, 2]);
    let response = script.response(FetchBody::Records, 2);
    script.replica.replicated(&response, &script.log);
    script.metadata(3, 2, &[1, 3]);
    let response = script.response(FetchBody::Records, 1);
    script.replica.replicated(&response, &script.log);
    assert_eq!(script.high_watermark(), 1);
}

#[test]
fn it_is_never_below_the_log_start_of_a_replica_that_started_over() {
    // KAFKA-9491.
    let mut script = Script::with_log(&[1]);
    script.metadata(2, 1, &[2, 3]);
    let response = FetchResponse { log_start: Offset(7), ..script.response(FetchBody::OutOfRange, 9) };
    let action = script.replica.handle_fetch_response(&response, &script.log);
    assert_eq!(action, FollowerAction::StartOver(Offset(7)));
    script.log = TestLog { start: 7, end: 7, epochs: Epochs::default() };
    script.replica.started_over(&script.log);
    assert_eq!(script.high_watermark(), 7);
}
