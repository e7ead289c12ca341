//! 2.2: the in-sync set.

use super::*;

fn members(asked: &AlterIsr) -> Vec<i32> {
    asked.isr.iter().map(|(id, _)| id.0).collect()
}

fn refused(rejection: AlterPartitionRejection) -> AlterPartitionOutcome {
    AlterPartitionOutcome::Answered(Err(rejection))
}

/// Broker 3 is outside, has caught up, and is proposed.
fn expanding() -> (Script, AlterIsr) {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(2);
    script.fetch(2, 2);
    script.fetch(3, 2);
    let asked = script.due().expect("broker 3 has everything");
    (script, asked)
}

#[test]
fn a_follower_that_has_everything_is_proposed_with_every_incarnation_and_both_epochs() {
    let (script, asked) = expanding();
    assert_eq!(
        asked.isr,
        [(1, 101), (2, 102), (3, 103)].map(|(id, epoch)| (BrokerId(id), BrokerEpoch(epoch)))
    );
    assert_eq!((asked.leader_epoch, asked.partition_epoch), (LeaderEpoch(1), PartitionEpoch(1)));
    assert_eq!(script.committed(), [1, 2]);
}

#[test]
fn a_proposal_that_is_sent_again_names_the_incarnation_that_fetched_not_the_one_that_lives_by_then() {
    // KAFKA-15221: the follower has restarted meanwhile, and may hold less.
    let (mut script, asked) = expanding();
    let epoch = BrokerEpoch(203);
    let standing = BrokerStanding { epoch, fenced: false, in_controlled_shutdown: false };
    script.brokers.0.push((3, standing));
    script.metadata_at(script.partition_epoch, 1, 1, &[1, 2]);
    script.answer(&asked, AlterPartitionOutcome::Unknown);
    script.pass_ms(60);
    let again = script.due().expect("it is sent again");
    assert_eq!(again.isr[2], (BrokerId(3), BrokerEpoch(103)));
}

#[test]
fn one_request_is_in_flight_and_one_change_is_pending() {
    let (mut script, _) = expanding();
    assert_eq!(script.due(), None);
    script.pass_ms(LAG_MS + 1);
    assert_eq!(script.due(), None, "a shrink waits for the expansion");
}

#[test]
fn the_maximal_set_holds_who_is_being_added() {
    let (script, _) = expanding();
    assert_eq!(script.maximal(), [1, 2, 3]);
}

#[test]
fn the_maximal_set_still_holds_who_is_being_removed() {
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.append(1);
    script.fetch(2, 1);
    script.pass_ms(LAG_MS - 1);
    script.fetch(2, 1);
    script.pass_ms(2);
    let asked = script.due().expect("broker 3 never fetched");
    assert_eq!(members(&asked), [1, 2]);
    assert_eq!((script.maximal(), script.committed()), (vec![1, 2, 3], vec![1, 2, 3]));
    assert_eq!(script.high_watermark(), 0, "which still waits for broker 3");
    script.accept(&asked);
    assert_eq!((script.maximal(), script.high_watermark()), (vec![1, 2], 1));
}

#[test]
fn a_follower_below_the_high_watermark_does_not_join() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(3);
    script.fetch(2, 3);
    assert_eq!(script.high_watermark(), 3);
    script.fetch(3, 2);
    assert_eq!(script.due(), None);
}

#[test]
fn a_follower_below_the_start_of_the_epoch_does_not_join_though_it_passed_a_stale_high_watermark() {
    // KAFKA-7128: this leader has committed records above the high watermark it knows.
    let mut script = Script::with_log(&[1, 1, 1]).lead(2, &[1, 2]);
    assert_eq!(script.high_watermark(), 0);
    script.fetch(3, 1);
    assert_eq!(script.due(), None);
    script.fetch(3, 3);
    assert!(script.due().is_some());
}

#[test]
fn a_follower_that_did_not_fetch_in_this_epoch_does_not_join() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.fetch(3, 0);
    let _ = script.due().expect("it has all there is");
    let mut script = script.lead(2, &[1, 2]);
    script.fetch(2, 0);
    assert_eq!((script.due(), script.maximal()), (None, vec![1, 2]));
}

#[test]
fn a_fenced_or_stopping_follower_or_another_incarnation_does_not_join() {
    let standing = |epoch, fenced, in_controlled_shutdown| BrokerStanding {
        epoch: BrokerEpoch(epoch),
        fenced,
        in_controlled_shutdown,
    };
    for told in [standing(103, true, false), standing(103, false, true), standing(102, false, false)] {
        let mut script = Script::new();
        script.brokers.0.push((3, told));
        let mut script = script.lead(1, &[1, 2]);
        script.append(1);
        script.fetch(2, 1);
        script.fetch(3, 1);
        assert_eq!(script.due(), None, "{told:?}");
    }
}

#[test]
fn a_follower_that_was_at_the_end_of_one_fetch_before_is_in_sync_though_the_end_moves_on() {
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.append(1);
    for end in 1..10 {
        script.fetch(2, end);
        script.fetch(3, end - 1);
        script.append(1);
        script.pass_ms(LAG_MS / 2);
    }
    assert_eq!(script.due(), None);
}

#[test]
fn idle_followers_at_the_end_stay() {
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.fetch(2, 0);
    script.fetch(3, 0);
    script.pass_ms(10 * LAG_MS);
    assert_eq!(script.due(), None);
    assert_eq!(script.replica.next_deadline(&script.log), None);
}

#[test]
fn the_next_deadline_is_when_the_first_follower_has_trailed_too_long() {
    let mut script = Script::new().lead(1, &[1, 2, 3]);
    script.append(1);
    script.fetch(2, 1);
    let deadline = script.replica.next_deadline(&script.log).expect("broker 3 trails");
    assert_eq!(deadline.saturating_since(script.now()).as_millis() as u64, LAG_MS);
    script.pass_ms(LAG_MS + 1);
    assert_eq!(script.replica.next_deadline(&script.log), Some(script.now()), "the proposal is due");
}

#[test]
fn a_member_that_joins_while_it_trails_stays_until_it_trailed_for_the_whole_lag() {
    // KIP-16 in reverse: it reached the high watermark and never the end, so it joined, was taken out at once and joined
    // again, each time by the controller.
    for is_told_by_metadata in [false, true] {
        let mut script = Script::new().lead(1, &[1, 2]);
        script.append(2);
        script.fetch(2, 1);
        script.fetch(3, 1);
        let asked = script.due().expect("broker 3 has all that is committed");
        match is_told_by_metadata {
            true => drop(script.metadata(1, 1, &[1, 2, 3])),
            false => script.accept(&asked),
        }
        assert_eq!(script.committed(), [1, 2, 3]);
        script.fetch(2, 2);
        script.pass_ms(LAG_MS);
        assert_eq!((script.due(), script.replica.has_pending_isr()), (None, false));
        script.pass_ms(1);
        assert_eq!(script.due().map(|asked| members(&asked)), Some(vec![1, 2]));
    }
}

#[test]
fn an_accepted_change_is_adopted() {
    let (mut script, asked) = expanding();
    script.accept(&asked);
    assert_eq!((script.committed(), script.due()), (vec![1, 2, 3], None));
    assert_eq!(script.replica.partition_epoch(), PartitionEpoch(2));
}

#[test]
fn only_ineligible_replica_takes_a_proposal_back() {
    let (mut script, asked) = expanding();
    script.answer(&asked, refused(AlterPartitionRejection::IneligibleReplica));
    assert_eq!((script.maximal(), script.due()), (vec![1, 2], None));
}

#[test]
fn a_superseded_proposal_stays_pending_until_the_metadata_arrives() {
    let (mut script, asked) = expanding();
    script.answer(&asked, refused(AlterPartitionRejection::Superseded));
    script.pass_ms(1_000);
    assert_eq!((script.maximal(), script.due()), (vec![1, 2, 3], None));
    script.metadata(1, 1, &[1, 2, 3]);
    assert_eq!((script.committed(), script.replica.has_pending_isr()), (vec![1, 2, 3], false));
}

#[test]
fn an_unknown_outcome_sends_the_same_proposal_again_after_a_while() {
    for outcome in [AlterPartitionOutcome::Unknown, refused(AlterPartitionRejection::TryAgain)] {
        let (mut script, asked) = expanding();
        script.answer(&asked, outcome);
        assert_eq!((script.due(), script.maximal()), (None, vec![1, 2, 3]));
        script.now_ms += 50;
        assert_eq!(script.due(), Some(asked));
    }
}

#[test]
fn a_record_with_a_higher_partition_epoch_overrides_what_is_pending() {
    let (mut script, _) = expanding();
    script.metadata(1, 1, &[1]);
    assert_eq!((script.maximal(), script.replica.has_pending_isr()), (vec![1], false));
}

#[test]
fn an_older_record_changes_nothing() {
    let (mut script, asked) = expanding();
    script.accept(&asked);
    script.metadata_at(1, 1, 1, &[1]);
    assert_eq!(script.committed(), [1, 2, 3]);
}

#[test]
fn a_late_answer_to_a_replaced_proposal_is_ignored() {
    let (mut script, asked) = expanding();
    script.metadata(1, 1, &[1, 2]);
    script.fetch(3, 2);
    let again = script.due().expect("proposed anew, on the newer version");
    assert_ne!(again.ticket, asked.ticket);
    script.answer(&asked, refused(AlterPartitionRejection::IneligibleReplica));
    assert_eq!(script.maximal(), [1, 2, 3]);
}

#[test]
fn an_answer_of_another_leadership_is_ignored() {
    let (script, asked) = expanding();
    let mut script = script.lead(2, &[1, 2]);
    script.fetch(3, 2);
    assert_eq!(script.maximal(), [1, 2, 3]);
    script.answer(&asked, refused(AlterPartitionRejection::IneligibleReplica));
    assert_eq!(script.maximal(), [1, 2, 3]);
}
