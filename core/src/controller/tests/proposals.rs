//! In-sync sets that leaders propose: the controller's checks, in their order.

use super::cluster::Cluster;
use super::*;
use crate::ids::{PartitionEpoch, TopicPartition};

fn three() -> Cluster {
    Cluster::new(&[1, 2, 3], 2)
}

#[test]
fn a_shrink_raises_the_partition_epoch_and_leaves_the_leader_epoch() {
    let mut cluster = three();
    let state = cluster.propose(&[1, 2]).expect("a lawful shrink");
    assert_eq!((state.leader_epoch, state.partition_epoch), (LeaderEpoch(0), PartitionEpoch(1)));
    assert_eq!((state.leader, state.isr.as_slice()), (BrokerId(1), [BrokerId(1), BrokerId(2)].as_slice()));
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
    cluster.propose(&[1, 2, 3]).expect("a lawful expansion");
    assert_eq!(cluster.epochs(), (0, 2));
}

#[test]
fn the_same_set_again_changes_nothing_and_is_answered_with_what_there_is() {
    let mut cluster = three();
    let state = cluster.propose(&[1, 2, 3]).expect("nothing is wrong with it");
    assert_eq!(state.partition_epoch, PartitionEpoch(0));
    assert_eq!(cluster.epochs(), (0, 0));
}

#[test]
fn unknown_topics_and_partitions_come_first() {
    let mut cluster = three();
    let mut proposal = cluster.proposal(&[]);
    proposal.leader_epoch = LeaderEpoch(7);
    proposal.partition = TopicPartition::METADATA;
    let unknown = Rejection::UnknownTopicId(TopicPartition::METADATA.topic_id);
    assert_eq!(cluster.alter(1, proposal.clone()), Err(unknown));
    let other = TopicPartition::new(cluster.name.topic_id, 1);
    proposal.partition = other;
    assert_eq!(cluster.alter(1, proposal), Err(Rejection::UnknownPartition(other)));
}

impl Cluster {
    fn refusal(&mut self, broker: i32, isr: &[i32], change: impl Fn(&mut AlterIsr)) -> Rejection {
        let mut proposal = self.proposal(isr);
        change(&mut proposal);
        let mut before = self.partition().clone();
        let refusal = self.alter(broker, proposal).expect_err("it is refused");
        if matches!(refusal, Rejection::IneligibleReplica(_)) {
            before.partition_epoch.0 += 1;
        }
        assert_eq!(self.partition(), &before, "a refusal changes nothing but the version that it outdates");
        refusal
    }
}

#[test]
fn a_leader_that_knows_later_epochs_has_not_reached_the_controller() {
    let mut cluster = three();
    cluster.propose(&[1, 2]).expect("a shrink");
    let refusal = cluster.refusal(2, &[1, 2], |proposal| {
        proposal.leader_epoch = LeaderEpoch(1);
        proposal.partition_epoch = PartitionEpoch(0);
    });
    assert_eq!(refusal, Rejection::NotController);
    let refusal = cluster.refusal(2, &[1, 2], |proposal| proposal.partition_epoch = PartitionEpoch(2));
    assert_eq!(refusal, Rejection::NotController);
}

#[test]
fn an_older_leader_epoch_is_fenced_before_anything_else_is_looked_at() {
    let mut cluster = three();
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
    let refusal = cluster.refusal(1, &[1], |proposal| {
        proposal.leader_epoch = LeaderEpoch(0);
        proposal.partition_epoch = PartitionEpoch(0);
    });
    assert_eq!(refusal, Rejection::FencedLeaderEpoch(LeaderEpoch(1)));
}

#[test]
fn whoever_does_not_lead_proposes_nothing() {
    let mut cluster = three();
    let refusal = cluster.refusal(2, &[1, 2, 3], |proposal| proposal.partition_epoch = PartitionEpoch(0));
    assert!(matches!(refusal, Rejection::InvalidRequest(_)));
}

#[test]
fn an_older_partition_epoch_is_an_invalid_version() {
    let mut cluster = three();
    cluster.fence(3);
    cluster.beat(3);
    let refusal =
        cluster.refusal(1, &[1, 2, 3, 9 % 4], |proposal| proposal.partition_epoch = PartitionEpoch(0));
    assert_eq!(refusal, Rejection::InvalidUpdateVersion(PartitionEpoch(1)));
}

#[test]
fn a_proposal_that_was_late_does_not_bring_back_who_was_fenced_in_between() {
    let mut cluster = three();
    cluster.propose(&[1, 2]).expect("3 is slow");
    let late = cluster.proposal(&[1, 2, 3]);
    cluster.fence(2);
    cluster.beat(2);
    let refused = cluster.alter(1, late);
    assert_eq!(refused, Err(Rejection::InvalidUpdateVersion(PartitionEpoch(2))));
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
}

#[test]
fn a_set_holds_replicas_each_once_and_the_leader_among_them() {
    let mut cluster = three();
    for isr in [&[1, 4][..], &[1, 1], &[2, 3], &[]] {
        let refusal = cluster.refusal(1, isr, |_| {});
        assert!(matches!(refusal, Rejection::InvalidRequest(_)), "{isr:?}: {refusal:?}");
    }
}

#[test]
fn a_leader_that_recovers_is_in_sync_with_nobody() {
    let mut cluster = Cluster::new(&[1, 2, 3], 1);
    cluster.configure("unclean.leader.election.enable", "true");
    cluster.propose(&[1]).expect("a shrink");
    let refusal = cluster.refusal(1, &[1], |proposal| proposal.recovering = true);
    assert!(matches!(refusal, Rejection::InvalidRequest(_)), "it has recovered");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader 2 isr 2 elr  recovering");
    let refusal = cluster.refusal(2, &[2, 3], |proposal| proposal.recovering = true);
    assert!(matches!(refusal, Rejection::InvalidRequest(_)), "{refusal:?}");
    let state = cluster.propose(&[2, 3]).expect("it has recovered");
    assert!(!state.recovering);
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
}

#[test]
fn nobody_fenced_stopping_or_reborn_joins() {
    let mut cluster = three();
    cluster.propose(&[1]).expect("a shrink");
    cluster.fence(2);
    assert_eq!(cluster.refusal(1, &[1, 2], |_| {}), Rejection::IneligibleReplica(BrokerId(2)));
    cluster.beat(2);
    let seen = cluster.proposal(&[1, 2]);
    cluster.restart_uncleanly(2);
    let version = cluster.partition().partition_epoch;
    let reborn = AlterIsr { partition_epoch: version, ..seen };
    assert_eq!(cluster.alter(1, reborn), Err(Rejection::IneligibleReplica(BrokerId(2))));
    cluster.propose(&[1, 2]).expect("the new incarnation has caught up");

    // 2 leads nothing but has others to wait for: make it a leader that stops.
    cluster.fence(1);
    cluster.beat(1);
    cluster.heartbeat(2, cluster.scene.next_offset, (false, true)).expect("2 wants to stop");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2", "eligible, though it stops: it has everything");
    assert_eq!(cluster.refusal(1, &[1, 2], |_| {}), Rejection::IneligibleReplica(BrokerId(2)));
}

#[test]
fn an_incarnation_that_is_over_proposes_nothing() {
    let mut cluster = three();
    let old = cluster.epoch(1);
    cluster.restart_uncleanly(1);
    let partitions = vec![cluster.proposal(&[2, 3])];
    let command = Command::AlterPartition { broker_id: BrokerId(1), broker_epoch: old, partitions };
    assert_eq!(
        cluster.scene.run(&command),
        Err(Rejection::StaleBrokerEpoch { broker_id: BrokerId(1), epoch: old })
    );
}

#[test]
fn a_partition_that_is_named_twice_is_judged_once() {
    let mut cluster = three();
    let partitions = vec![cluster.proposal(&[1, 2]), cluster.proposal(&[1, 3])];
    let command =
        Command::AlterPartition { broker_id: BrokerId(1), broker_epoch: cluster.epoch(1), partitions };
    let Ok(Response::PartitionsAltered(results)) = cluster.scene.run(&command) else {
        panic!("an answer to AlterPartition")
    };
    assert!(results[0].is_ok() && matches!(results[1], Err(Rejection::InvalidRequest(_))), "{results:?}");
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
}

/// INELIGIBLE_REPLICA lets the leader take its proposal back (KIP-497): its high watermark may pass whoever was to join.
#[test]
fn an_older_copy_of_a_proposal_that_was_ineligible_is_outdated_when_the_replica_serves_again() {
    let mut cluster = three();
    cluster.propose(&[1, 2]).expect("3 is slow");
    let copy = cluster.proposal(&[1, 2, 3]);
    cluster.fence(3);
    assert_eq!(cluster.epochs(), (0, 1), "3 was not in sync: its fencing leaves the partition as it is");
    assert_eq!(cluster.alter(1, copy.clone()), Err(Rejection::IneligibleReplica(BrokerId(3))));
    cluster.beat(3);
    let refused = cluster.alter(1, copy);
    assert_eq!(refused, Err(Rejection::InvalidUpdateVersion(PartitionEpoch(2))));
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
    cluster.propose(&[1, 2, 3]).expect("a proposal on the new version");
}

#[test]
fn an_ineligible_replica_is_no_reason_to_raise_an_epoch_that_is_outdated_already() {
    let mut cluster = three();
    cluster.propose(&[1, 2]).expect("3 is slow");
    let copy = cluster.proposal(&[1, 2, 3]);
    cluster.fence(3);
    cluster.alter(1, copy.clone()).expect_err("3 is fenced");
    assert_eq!(cluster.alter(1, copy), Err(Rejection::InvalidUpdateVersion(PartitionEpoch(2))));
    assert_eq!(cluster.epochs(), (0, 2), "a leader that has not read of it raises nothing");
}
