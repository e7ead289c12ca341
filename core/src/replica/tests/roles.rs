//! 2.7: role changes.

use super::*;
use crate::epochs::EpochStart;

#[test]
fn a_new_leader_notes_where_its_epoch_begins_data_or_none() {
    // KAFKA-7415.
    let mut script = Script::with_log(&[1, 1]);
    let change = script.metadata(1, 2, &[1, 2]);
    assert_eq!(change.epoch_start, Some(EpochStart { epoch: LeaderEpoch(2), start: Offset(2) }));
    let change = script.metadata(1, 3, &[1, 2]);
    assert_eq!(change.epoch_start, Some(EpochStart { epoch: LeaderEpoch(3), start: Offset(2) }));
}

#[test]
fn a_change_of_the_isr_alone_is_no_new_leadership() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(2);
    script.fetch(2, 2);
    let change = script.metadata(1, 1, &[1, 2, 3]);
    assert_eq!((change.became, change.epoch_start), (Became::Unchanged, None));
    assert_eq!(script.committed(), [1, 2, 3]);
}

#[test]
fn a_new_epoch_of_the_same_leader_is_followed_anew() {
    // KAFKA-7164: epochs of others may have passed in between.
    let mut script = Script::with_log(&[1]);
    assert_eq!(script.metadata(2, 1, &[1, 2]).became, Became::Follower);
    assert_eq!(script.metadata(2, 1, &[1, 2, 3]).became, Became::Unchanged);
    assert_eq!(script.metadata(2, 4, &[1, 2]).became, Became::Follower);
    let fetch = script.replica.next_fetch(BrokerEpoch(101), &script.log).expect("it follows");
    assert_eq!((fetch.current_leader_epoch, fetch.last_fetched_epoch), (LeaderEpoch(4), LeaderEpoch(1)));
    assert_eq!(fetch.fetch_offset, Offset(1));
}

#[test]
fn a_leader_forgets_its_followers_with_its_epoch() {
    // A follower outside the ISR may have been removed, wiped and added again while metadata was on its way.
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(1);
    script.fetch(3, 1);
    let mut script = script.lead(2, &[1, 2]);
    assert_eq!((script.due(), script.maximal()), (None, vec![1, 2]));
}

#[test]
fn without_a_leader_or_an_assignment_a_replica_is_idle() {
    let mut script = Script::new().lead(1, &[1, 2]);
    assert_eq!(script.metadata(-1, 2, &[]).became, Became::Idle);
    assert_eq!(script.replica.next_fetch(BrokerEpoch(101), &script.log), None);
    script.metadata(2, 3, &[2]);
    script.replicas = vec![2, 3];
    assert_eq!(script.metadata(2, 3, &[2]).became, Became::Idle);
}

#[test]
fn an_older_leader_epoch_is_not_followed() {
    let mut script = Script::new().lead(5, &[1, 2]);
    assert_eq!(script.metadata(2, 4, &[1, 2]).became, Became::Unchanged);
    assert!(script.replica.is_leader());
}

#[test]
fn a_replica_that_is_added_is_unknown_until_it_fetches() {
    let mut script = Script::new().lead(1, &[1, 2]);
    script.append(2);
    script.fetch(2, 2);
    script.replicas = vec![1, 2, 3, 4];
    script.metadata(1, 1, &[1, 2]);
    assert_eq!(script.high_watermark(), 2);
    script.fetch(4, 2);
    assert!(script.due().is_some());
}
