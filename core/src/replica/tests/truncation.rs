//! 2.6: where logs part and where they are cut.

use super::*;

fn diverging(script: &mut Script, epoch: i32, end: i64) -> FollowerAction {
    let end = EpochEnd { epoch: LeaderEpoch(epoch), end: Offset(end) };
    let response = script.response(FetchBody::Diverging(end), 0);
    script.replica.handle_fetch_response(&response, &script.log)
}

fn cut(to: i64) -> FollowerAction {
    FollowerAction::Truncate(Cut { to: Offset(to), is_below_high_watermark: false })
}

#[test]
fn a_leader_answers_with_the_largest_epoch_not_above_the_one_asked_for() {
    // KIP-279: never with "unknown", which would send the follower back to its high watermark.
    let mut script = Script::with_log(&[1, 1, 4]).lead(5, &[1, 2]);
    let fetch = script.fetch_of(2, 6, 3);
    let end = EpochEnd { epoch: LeaderEpoch(1), end: Offset(2) };
    assert_eq!(script.handle(&fetch), FetchDecision::Diverging(end));
}

#[test]
fn a_follower_cuts_to_the_smaller_end_of_that_epoch_in_both_logs() {
    let mut script = Script::with_log(&[1, 1, 1, 2, 2]);
    script.metadata(2, 4, &[1, 2]);
    assert_eq!(diverging(&mut script, 1, 9), cut(3), "its own epoch 1 ends at 3");
    assert_eq!(diverging(&mut script, 1, 2), cut(2), "the leader's ends at 2");
    assert_eq!(diverging(&mut script, 0, 0), cut(0), "nothing in common");
}

#[test]
fn a_cut_below_the_own_high_watermark_is_reported() {
    let mut script = Script::with_log(&[1, 1]);
    script.metadata(2, 1, &[1, 2]);
    let response = script.response(FetchBody::Records, 2);
    script.replica.replicated(&response, &script.log);
    script.metadata(3, 2, &[1, 3]);
    let action = diverging(&mut script, 1, 1);
    assert_eq!(action, FollowerAction::Truncate(Cut { to: Offset(1), is_below_high_watermark: true }));
    script.log.end = 1;
    script.replica.truncated(&script.log);
    assert_eq!(script.high_watermark(), 1);
}

#[test]
fn a_follower_whose_log_starts_above_the_end_of_an_uncleanly_elected_leader_is_emptied_and_begins_at_that_end()
 {
    // KIP-106. Kept at its own start, it would ask for an offset that the leader lacks, and be told to cut, for ever.
    let mut leader = Script::with_log(&[1, 1]).lead(3, &[1]);
    let mut follower = Script::with_log(&[1, 1, 1, 1, 1]);
    (follower.log.start, follower.replica.high_watermark) = (4, Offset(5));
    follower.log.epochs.truncate_from_start(Offset(4));
    follower.metadata(2, 3, &[2]);
    let fetch = leader.fetch_of(2, 5, 1);
    let FetchDecision::Diverging(end) = leader.handle(&fetch) else { panic!("its log is shorter") };
    let response = follower.response(FetchBody::Diverging(end), 0);
    let action = follower.replica.handle_fetch_response(&response, &follower.log);
    assert_eq!(action, FollowerAction::Truncate(Cut { to: Offset(2), is_below_high_watermark: true }));
    follower.log = TestLog { start: 2, end: 2, epochs: Epochs::default() };
    follower.replica.truncated(&follower.log);
    assert_eq!(follower.high_watermark(), 2);
    let fetch = follower.replica.next_fetch(BrokerEpoch(102), &follower.log).expect("it follows");
    let fetch = ReplicaFetch { replica: BrokerId(2), ..fetch };
    assert!(matches!(leader.handle(&fetch), FetchDecision::Read { from: Offset(2), .. }));
}

#[test]
fn a_replica_that_restarts_or_changes_its_role_cuts_nothing() {
    // KIP-101: what lies above its high watermark may be committed.
    let mut script = Script::with_log(&[1, 1, 1]);
    assert_eq!(script.metadata(2, 2, &[1, 2]).truncate_to, None);
    assert_eq!(script.metadata(1, 3, &[1, 2]).truncate_to, None);
    assert_eq!(script.metadata(2, 4, &[1, 2]).truncate_to, None);
}

#[test]
fn several_rounds_lead_to_the_common_prefix() {
    let leaders = [1, 1, 2, 2, 7];
    let mut leader = Script::with_log(&leaders).lead(8, &[1]);
    let mut log = vec![1, 3, 3, 5, 6];
    let mut rounds = 0;
    loop {
        let fetch = leader.fetch_of(2, log.len() as i64, log.last().copied().unwrap_or(-1));
        let FetchDecision::Diverging(end) = leader.handle(&fetch) else { break };
        let mut follower = Script::with_log(&log);
        follower.metadata(2, 8, &[2]);
        let response = follower.response(FetchBody::Diverging(end), 0);
        let FollowerAction::Truncate(cut) = follower.replica.handle_fetch_response(&response, &follower.log)
        else {
            panic!("it follows");
        };
        log.truncate(cut.to.0 as usize);
        rounds += 1;
    }
    assert_eq!((log, rounds), (vec![1], 1));
}

#[test]
fn a_leader_that_cannot_tell_where_the_logs_part_cuts_nobody() {
    let mut script = Script::with_log(&[1, 1]).lead(2, &[1, 2]);
    let fetch = script.fetch_of(2, 2, 3);
    assert_eq!(script.handle(&fetch), FetchDecision::Refused(FetchRefusal::OutOfRange));
    let mut script = Script::with_log(&[1, 1]);
    script.metadata(2, 2, &[1, 2]);
    let response = script.response(FetchBody::OutOfRange, 0);
    assert_eq!(script.replica.handle_fetch_response(&response, &script.log), FollowerAction::Ignore);
}

#[test]
fn the_epoch_cache_follows_a_cut_at_the_logs_end_and_a_recovery_keeps_epoch_0() {
    // KAFKA-10706, KAFKA-10432.
    assert!(!may_keep_epochs(Offset(5), Offset(5), Switches::default()));
    let batches = [(0, 0), (0, 1), (2, 2)].map(|(epoch, offset)| (LeaderEpoch(epoch), Offset(offset)));
    let epochs = recovered_epochs(batches.into_iter(), Switches::default());
    assert_eq!(epochs.entries().len(), 2);
}

#[test]
fn a_follower_with_another_history_below_the_leaders_start_does_not_count_until_it_dropped_it() {
    // The fuzzer's: an old leader held an uncommitted record of epoch 0 at offset 0. Epoch 1 committed another one
    // there, and retention removed it. The old leader's end is the new one's start, no epoch tells the two apart, and
    // once in sync it could be elected and would serve its own record 0.
    let mut script = Script::with_log(&[1]).lead(2, &[1, 2]);
    script.fetch(2, 1);
    script.log.start = 1;
    script.log.epochs.truncate_from_start(Offset(1));
    let fetch = script.fetch_of(3, 1, 0);
    assert_eq!(script.handle(&fetch), FetchDecision::Read { from: Offset(1), bound: Offset(1) });
    assert_eq!(script.maximal(), [1, 2]);
    let fetch = script.fetch_of(3, 1, -1);
    assert_eq!(script.handle(&fetch), FetchDecision::Read { from: Offset(1), bound: Offset(1) });
    assert_eq!(script.maximal(), [1, 2, 3], "its log is empty now");
}

#[test]
fn an_empty_log_continues_no_epoch() {
    let mut script = Script::with_log(&[1]);
    script.log.start = 1;
    script.metadata(2, 2, &[1, 2]);
    let fetch = script.replica.next_fetch(BrokerEpoch(101), &script.log).expect("it follows");
    assert_eq!((fetch.fetch_offset, fetch.last_fetched_epoch), (Offset(1), LeaderEpoch::NONE));
}
