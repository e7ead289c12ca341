//! Log directories that fail while their broker runs (KIP-858).

use super::cluster::{Cluster, directory};
use super::*;

const SPARE: Uuid = Uuid([7; 16]);

/// Broker `broker` has two directories, its replica lies in the first, and everybody of `isr` is in sync.
fn with_two_directories(broker: i32, isr: &[i32]) -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let log_dirs = vec![directory(broker), SPARE];
    let registration = Registration { log_dirs, ..cluster.registration(broker, None) };
    cluster.register(registration).expect("it returns");
    cluster.beat(broker);
    cluster.propose(isr).expect("all have fetched everything");
    cluster
}

/// A heartbeat that tells of failed directories: whether the broker is fenced.
fn tell(cluster: &mut Cluster, broker: i32, offline: &[Uuid]) -> bool {
    cluster.offline_log_dirs = offline.to_vec();
    let response = cluster.beat(broker);
    cluster.offline_log_dirs.clear();
    matches!(response, Response::Heartbeat { is_fenced: true, .. })
}

#[test]
fn a_broker_whose_directory_fails_leads_nothing_of_it_any_more_and_serves_on() {
    let mut cluster = with_two_directories(1, &[2, 3, 1]);
    cluster.elect(ElectionKind::Preferred).expect("1 is in sync");
    assert!(!tell(&mut cluster, 1, &[directory(1)]));
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
    let broker = cluster.scene.controller.image().broker(BrokerId(1)).expect("it is registered").clone();
    assert_eq!((broker.log_dirs.clone(), broker.fenced), (vec![SPARE], false));
    assert!(cluster.elect(ElectionKind::Preferred).is_err());
}

#[test]
fn partitions_in_other_directories_stay_as_they_are() {
    let mut cluster = with_two_directories(1, &[2, 3, 1]);
    let (before, epochs) = (cluster.show(), cluster.epochs());
    tell(&mut cluster, 1, &[SPARE]);
    assert_eq!((cluster.show(), cluster.epochs()), (before, epochs));
}

#[test]
fn a_replica_in_a_failed_directory_is_not_eligible_for_what_was_on_its_way_to_the_disk_may_be_lost() {
    let mut cluster = with_two_directories(3, &[1, 2, 3]);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1,3 elr ");
    tell(&mut cluster, 3, &[directory(3)]);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    // It stops cleanly, and the directory is there again.
    let epoch = cluster.epoch(3);
    let log_dirs = vec![directory(3), SPARE];
    let registration = Registration { log_dirs, ..cluster.registration(3, Some(epoch)) };
    cluster.register(registration).expect("3 returns");
    cluster.beat(3);
    cluster.fence(1);
    assert_eq!(
        cluster.show(),
        "leader -1 isr  elr 1 last 1",
        "its marker tells of the other directory alone"
    );
}

#[test]
fn a_replica_that_was_eligible_is_so_no_longer_when_its_directory_fails() {
    let mut cluster = with_two_directories(3, &[1, 2, 3]);
    cluster.fence(2);
    cluster.fence(3);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 3");
    assert!(tell(&mut cluster, 3, &[directory(3)]), "it is judged when it is heard the next time");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    assert!(!tell(&mut cluster, 3, &[directory(3)]));
}

#[test]
fn the_only_one_in_sync_is_waited_for_and_nobody_is_elected_in_its_place() {
    let mut cluster = with_two_directories(1, &[2, 3, 1]);
    cluster.elect(ElectionKind::Preferred).expect("1 is in sync");
    cluster.restart_uncleanly(2);
    cluster.restart_uncleanly(3);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    tell(&mut cluster, 1, &[directory(1)]);
    assert_eq!(cluster.show(), "leader -1 isr  elr  last 1");
    let log_dirs = vec![directory(1), SPARE];
    let registration = Registration { log_dirs, ..cluster.registration(1, None) };
    cluster.register(registration).expect("1 returns, and so does the directory");
    cluster.beat(1);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr  recovering");
}

#[test]
fn no_proposal_from_before_brings_a_replica_back_whose_directory_failed() {
    let mut cluster = with_two_directories(3, &[1, 2]);
    let late = cluster.proposal(&[1, 2, 3]);
    tell(&mut cluster, 3, &[directory(3)]);
    let refusal = cluster.alter(1, late).expect_err("it rests on a fetch from before");
    assert!(matches!(refusal, Rejection::FencedLeaderEpoch(_)), "{refusal:?}");
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
}

#[test]
fn a_failure_that_is_told_again_changes_nothing() {
    let mut cluster = with_two_directories(3, &[1, 2, 3]);
    tell(&mut cluster, 3, &[directory(3)]);
    let before = cluster.scene.next_offset;
    tell(&mut cluster, 3, &[directory(3)]);
    assert_eq!(cluster.scene.next_offset, before);
}

#[test]
fn a_broker_without_a_directory_is_fenced_once() {
    let mut cluster = with_two_directories(1, &[2, 3, 1]);
    cluster.elect(ElectionKind::Preferred).expect("1 is in sync");
    assert!(tell(&mut cluster, 1, &[directory(1), SPARE]));
    assert_eq!((cluster.show().as_str(), cluster.is_fenced(1)), ("leader 2 isr 2,3 elr ", true));
    let before = cluster.scene.next_offset;
    assert!(tell(&mut cluster, 1, &[directory(1), SPARE]), "and stays so");
    assert_eq!(cluster.scene.next_offset, before);
}

#[test]
fn a_broker_that_is_fenced_is_not_eligible_when_its_last_directory_fails() {
    // The random walks found it in the ELR, with a marker that said nothing about the directories.
    let mut cluster = Cluster::new(&[1, 2], 2);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    assert!(tell(&mut cluster, 2, &[directory(2)]));
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    let before = cluster.scene.next_offset;
    assert!(tell(&mut cluster, 2, &[directory(2)]));
    assert_eq!(cluster.scene.next_offset, before);
}
