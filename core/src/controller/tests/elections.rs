//! Who leads.

use super::cluster::Cluster;
use super::*;

#[test]
fn the_first_in_sync_that_serves_leads_next_in_a_new_epoch() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1, 3]).expect("a shrink");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader 3 isr 3 elr 1");
    assert_eq!(cluster.epochs(), (1, 2));
}

#[test]
fn nobody_from_outside_leads_unless_the_configuration_says_so() {
    let mut cluster = Cluster::new(&[1, 2, 3], 1);
    cluster.propose(&[1]).expect("a shrink");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1");
    cluster.configure("unclean.leader.election.enable", "true");
    assert_eq!(cluster.show(), "leader 2 isr 2 elr  recovering", "in the batch of the configuration");
}

#[test]
fn a_lower_minimum_and_unclean_election_in_one_request_elect_and_end_eligibility() {
    // KIP-106, KIP-966: either key by itself had its effect, the two together elected nobody.
    let edit = || {
        let set = |key: &str, value: &str| (key.to_owned(), ConfigOperation::Set(Some(value.to_owned())));
        let keys = [("min.insync.replicas", "1"), ("unclean.leader.election.enable", "true")];
        ConfigEdit::Incremental(keys.map(|(key, value)| set(key, value)).to_vec())
    };
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1, 2]).expect("a shrink");
    for broker in [2, 1] {
        cluster.fence(broker);
    }
    assert_eq!(cluster.show(), "leader -1 isr  elr 2,1 last 1");
    cluster.scene.alter("t", edit()).expect("good values");
    assert_eq!(cluster.show(), "leader 3 isr 3 elr  recovering");

    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1]).expect("a shrink");
    cluster.scene.alter("t", edit()).expect("good values");
    assert_eq!(
        cluster.show(),
        "leader 1 isr 1 elr ",
        "where somebody leads, the others are eligible no longer"
    );
}

#[test]
fn an_unclean_election_prefers_whoever_is_complete() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.configure("unclean.leader.election.enable", "true");
    cluster.propose(&[1, 3]).expect("a shrink");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader 3 isr 3 elr 1");
    cluster.fence(3);
    assert_eq!(
        cluster.show(),
        "leader 2 isr 2 elr  recovering",
        "available before complete: it was asked for"
    );
}

#[test]
fn an_operator_may_order_an_unclean_election() {
    let mut cluster = Cluster::new(&[1, 2, 3], 1);
    assert_eq!(cluster.elect(ElectionKind::Unclean), Err(Rejection::ElectionNotNeeded));
    cluster.propose(&[1]).expect("a shrink");
    for broker in [1, 2, 3] {
        cluster.fence(broker);
    }
    assert_eq!(cluster.elect(ElectionKind::Unclean), Err(Rejection::EligibleLeadersNotAvailable));
    cluster.beat(3);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1");
    assert_eq!(cluster.elect(ElectionKind::Unclean), Ok(()));
    assert_eq!(cluster.show(), "leader 3 isr 3 elr  recovering");
}

#[test]
fn the_preferred_leader_gets_its_leadership_back_when_it_is_in_sync() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.elect(ElectionKind::Preferred), Err(Rejection::ElectionNotNeeded));
    cluster.fence(1);
    cluster.beat(1);
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
    assert_eq!(cluster.elect(ElectionKind::Preferred), Err(Rejection::PreferredLeaderNotAvailable));
    cluster.propose(&[2, 3, 1]).expect("1 has caught up");
    assert_eq!(cluster.elect(ElectionKind::Preferred), Ok(()));
    assert_eq!(cluster.show(), "leader 1 isr 2,3,1 elr ");
    assert_eq!(cluster.epochs(), (2, 3));
}

#[test]
fn an_election_of_all_answers_for_those_that_needed_one() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.scene.create(NewTopic { partitions: 5, ..topic("other") }).expect("a new topic");
    cluster.fence(1);
    cluster.beat(1);
    let command = Command::ElectLeaders { kind: ElectionKind::Preferred, partitions: None };
    let Ok(Response::LeadersElected(results)) = cluster.scene.run(&command) else {
        panic!("an answer to ElectLeaders")
    };
    let of_ours = results.iter().find(|(name, _)| *name == cluster.name);
    assert_eq!(of_ours.map(|(_, result)| result), Some(&Err(Rejection::PreferredLeaderNotAvailable)));
    assert!(results.len() < 6, "partitions that 1 did not lead need none");
}

#[test]
fn a_partition_that_is_named_twice_is_elected_once() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(1);
    cluster.beat(1);
    cluster.propose(&[2, 3, 1]).expect("1 has caught up");
    let partitions = Some(vec![cluster.name; 2]);
    let command = Command::ElectLeaders { kind: ElectionKind::Preferred, partitions };
    let Ok(Response::LeadersElected(results)) = cluster.scene.run(&command) else {
        panic!("an answer to ElectLeaders")
    };
    assert!(results[0].1.is_ok() && matches!(results[1].1, Err(Rejection::InvalidRequest(_))), "{results:?}");
    assert_eq!(cluster.show(), "leader 1 isr 2,3,1 elr ");
}

#[test]
fn a_replica_whose_directory_is_gone_does_not_lead() {
    let mut cluster = Cluster::new(&[1], 1);
    let epoch = cluster.epoch(1);
    let registration = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(1, Some(epoch)) };
    cluster.fence(1);
    cluster.register(registration).expect("another disk");
    cluster.beat(1);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1", "it waits for its disk");
    assert_eq!(cluster.partition().directories, [cluster::directory(1)]);
    assert_eq!(cluster.elect(ElectionKind::Unclean), Ok(()), "unless the operator gives it up");
    assert_eq!(cluster.partition().directories, [Uuid([7; 16])]);
}

#[test]
fn a_replica_with_a_new_disk_may_lead_once_it_is_in_sync_again() {
    // The replication fuzzer's: 3 led last when its disk was lost, so the recorded directory was kept for its return.
    // Broker 2 was eligible and led instead, 3 fetched everything anew, and when 2 stopped nobody could lead.
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    for broker in [1, 2, 3] {
        cluster.fence(broker);
    }
    assert_eq!(cluster.show(), "leader -1 isr  elr 2,3 last 3");
    let registration = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(3, None) };
    cluster.register(registration).expect("its session is over");
    cluster.beat(3);
    cluster.beat(2);
    assert_eq!(cluster.show(), "leader 2 isr 2 elr ");
    cluster.propose(&[2, 3]).expect("3 has caught up");
    assert_eq!(cluster.partition().directory(BrokerId(3)), Uuid([7; 16]));
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 3 isr 3 elr 2");
}
