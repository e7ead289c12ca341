//! Replicas that move (KIP-455).

use super::cluster::{Cluster, ids};
use super::*;

impl Cluster {
    fn replicas(&self) -> (Vec<i32>, Vec<i32>, Vec<i32>) {
        let numbers = |brokers: &[BrokerId]| brokers.iter().map(|id| id.0).collect();
        let of = self.partition();
        (numbers(&of.replicas), numbers(&of.adding), numbers(&of.removing))
    }
}

#[test]
fn old_replicas_go_when_all_targets_are_in_sync_and_not_before() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.reassign(Some(&[2, 3, 4])), Ok(()));
    assert_eq!(cluster.replicas(), (vec![2, 3, 4, 1], vec![4], vec![1]));
    assert_eq!(cluster.partition().directories.len(), 4);
    cluster.propose(&[1, 2, 4]).expect("4 has caught up, 3 is slow");
    assert_eq!(cluster.replicas(), (vec![2, 3, 4, 1], vec![4], vec![1]), "KAFKA-15665");
    assert_eq!(cluster.epochs().0, 0, "nobody left yet");
    let answer = cluster.propose(&[1, 2, 3, 4]);
    assert_eq!(answer, Err(Rejection::NewLeaderElected), "whoever completed it goes with it");
    assert_eq!(cluster.replicas(), (vec![2, 3, 4], vec![], vec![]));
    assert_eq!(cluster.show(), "leader 2 isr 2,3,4 elr ");
    assert_eq!(cluster.epochs().0, 1);
    assert_eq!(cluster.partition().directories, [2, 3, 4].map(cluster::directory));
}

#[test]
fn a_replica_that_leaves_the_assignment_begins_a_leader_epoch_though_the_leader_stays() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.reassign(Some(&[1, 2])), Ok(()));
    assert_eq!(cluster.replicas(), (vec![1, 2], vec![], vec![]), "both are in sync: done at once");
    assert_eq!((cluster.show().as_str(), cluster.epochs().0), ("leader 1 isr 1,2 elr ", 1));
}

#[test]
fn a_partition_grows_when_what_is_added_is_in_sync() {
    let mut cluster = Cluster::new(&[1, 2], 2);
    assert_eq!(cluster.reassign(Some(&[1, 2, 3])), Ok(()));
    assert_eq!(cluster.replicas(), (vec![1, 2, 3], vec![3], vec![]));
    cluster.propose(&[1, 2, 3]).expect("3 has caught up");
    assert_eq!(cluster.replicas(), (vec![1, 2, 3], vec![], vec![]));
    assert_eq!(cluster.epochs().0, 0, "nobody left");
}

#[test]
fn a_shrink_waits_for_those_that_stay() {
    let mut cluster = Cluster::new(&[1, 2, 3], 1);
    cluster.propose(&[1, 3]).expect("2 is slow");
    assert_eq!(cluster.reassign(Some(&[1, 2])), Ok(()));
    assert_eq!(cluster.replicas(), (vec![1, 2, 3], vec![], vec![3]));
    cluster.propose(&[1, 2]).expect("2 has caught up, 3 is slow");
    assert_eq!(cluster.replicas(), (vec![1, 2], vec![], vec![]));
}

#[test]
fn another_order_makes_another_preferred_leader_and_no_new_epoch() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.reassign(Some(&[3, 2, 1])), Ok(()));
    assert_eq!((cluster.replicas().0, cluster.epochs()), (vec![3, 2, 1], (0, 1)));
    assert_eq!(cluster.partition().directories, [3, 2, 1].map(cluster::directory));
    assert_eq!(cluster.elect(ElectionKind::Preferred), Ok(()));
    assert_eq!(cluster.show(), "leader 3 isr 1,2,3 elr ");
}

#[test]
fn a_reassignment_that_is_given_up_takes_out_what_was_added() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.reassign(None), Err(Rejection::NoReassignmentInProgress));
    cluster.reassign(Some(&[4, 2])).expect("4 is registered");
    cluster.propose(&[1, 3, 4]).expect("4 has caught up, 2 is slow");
    assert_eq!(cluster.reassign(None), Ok(()));
    assert_eq!(cluster.replicas(), (vec![2, 1, 3], vec![], vec![]));
    assert_eq!((cluster.show().as_str(), cluster.epochs().0), ("leader 1 isr 1,3 elr ", 1));
}

#[test]
fn it_is_not_given_up_when_only_added_replicas_are_complete() {
    let mut cluster = Cluster::new(&[1, 2], 1);
    cluster.reassign(Some(&[3])).expect("3 is registered");
    cluster.propose(&[1, 3]).expect_err("that completes it");
    cluster.reassign(Some(&[1, 2])).expect("and back");
    cluster.propose(&[3, 1]).expect("1 has caught up, 2 has not");
    cluster.fence(3);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    let refused = cluster.reassign(None);
    assert!(matches!(refused, Err(Rejection::InvalidReplicaAssignment(_))), "{refused:?}");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1");
    let refused = cluster.reassign(None);
    assert!(matches!(refused, Err(Rejection::InvalidReplicaAssignment(_))), "nor when they are eligible");
    cluster.configure("unclean.leader.election.enable", "true");
    cluster.beat(3);
    assert_eq!(cluster.reassign(None), Ok(()), "unless that was asked for");
    assert_eq!(cluster.show(), "leader 3 isr 3 elr  recovering");
}

#[test]
fn a_reassignment_may_be_replaced_before_it_is_complete() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.reassign(Some(&[4, 2, 3])).expect("4 is registered");
    cluster.reassign(Some(&[1, 2, 4])).expect("so are all");
    assert_eq!(cluster.replicas(), (vec![1, 2, 4, 3], vec![4], vec![3]));
    cluster.reassign(Some(&[1, 2, 3])).expect("so are all");
    assert_eq!(cluster.replicas(), (vec![1, 2, 3], vec![], vec![]), "all in sync: 4 goes");
    assert_eq!(cluster.epochs().0, 1);
}

#[test]
fn targets_must_be_brokers_each_once() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    for targets in [&[1, 1][..], &[9], &[]] {
        let refused = cluster.reassign(Some(targets));
        assert!(matches!(refused, Err(Rejection::InvalidReplicaAssignment(_))), "{targets:?}");
    }
    assert_eq!(cluster.epochs(), (0, 0));
}

#[test]
fn whoever_is_eligible_stays_so_while_replicas_move() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1]).expect("2 and 3 are slow");
    cluster.reassign(Some(&[1, 2, 4])).expect("4 is registered");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2,3");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader 2 isr 2 elr 3,1");
    assert_eq!(cluster.reassign(None), Ok(()));
    assert_eq!(cluster.show(), "leader 2 isr 2 elr 3,1");
}

#[test]
fn partitions_that_are_added_meanwhile_get_as_many_replicas_as_there_shall_be() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.reassign(Some(&[4, 2])).expect("4 is registered");
    let topics = vec![NewPartitions { name: "t".to_owned(), count: 2, assignments: None }];
    cluster.scene.run(&Command::CreatePartitions { topics, validate_only: false }).expect("t is there");
    let image = cluster.scene.controller.image().topic("t").expect("t is there").clone();
    assert_eq!(image.partitions[0].replicas, ids(&[4, 2, 1, 3]));
    assert_eq!(image.partitions[1].replicas.len(), 2);
}

#[test]
fn it_is_not_given_up_when_that_would_leave_acknowledged_records_on_too_few() {
    // The replication fuzzer's: 3 made up the two that min.insync.replicas asks for.
    let mut cluster = Cluster::new(&[1, 2], 2);
    cluster.reassign(Some(&[1, 3])).expect("3 is registered");
    cluster.propose(&[1]).expect("2 is slow");
    cluster.reassign(Some(&[1, 2, 3])).expect("all are registered");
    cluster.propose(&[1, 3]).expect("3 has caught up");
    let refused = cluster.reassign(None);
    assert!(matches!(refused, Err(Rejection::InvalidReplicaAssignment(_))), "{refused:?}");
}
