//! What each guard is good for: what happens without it.

use super::cluster::{Cluster, cluster_settings};
use super::*;
use crate::ids::PartitionEpoch;
use crate::museum::Switch;

fn without(guard: Switch, replicas: &[i32], min_insync_replicas: i32) -> Cluster {
    let switches = Switches::default().with(guard);
    Cluster::with(Settings { switches, ..cluster_settings(min_insync_replicas) }, replicas)
}

#[test]
fn b5_a_late_proposal_brings_back_who_was_taken_out() {
    let mut cluster = without(Switch::NoPartitionEpoch, &[1, 2, 3], 2);
    let late = cluster.proposal(&[1, 2, 3]);
    cluster.fence(3);
    cluster.beat(3);
    assert!(cluster.alter(1, late).is_ok());
    assert_eq!(cluster.show(), "leader 1 isr 1,2,3 elr ");
}

#[test]
fn b6_a_replica_that_lost_its_log_joins() {
    let mut cluster = without(Switch::NoBrokerEpoch, &[1, 2, 3], 2);
    let mut seen = cluster.proposal(&[1, 2, 3]);
    cluster.restart_uncleanly(3);
    seen.partition_epoch = PartitionEpoch(1);
    assert!(cluster.alter(1, seen).is_ok());
}

#[test]
fn b7_a_fenced_replica_joins() {
    let mut cluster = without(Switch::IsrAllowFenced, &[1, 2, 3], 2);
    cluster.fence(3);
    assert!(cluster.propose(&[1, 2, 3]).is_ok());
}

#[test]
fn b8_the_last_one_in_sync_leads_again_whatever_it_lost() {
    let mut cluster = without(Switch::NoElr, &[1, 2, 3], 2);
    cluster.fence(3);
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader -1 isr 1 elr ");
    cluster.restart_uncleanly(1);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn b9_an_unclean_stop_is_forgiven() {
    let mut cluster = without(Switch::ElrKeepUnclean, &[1, 2], 2);
    cluster.restart_uncleanly(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
}

#[test]
fn b10_eligibility_never_ends() {
    let mut cluster = without(Switch::ElrSticky, &[1, 2, 3], 2);
    cluster.fence(3);
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr 3");
}

#[test]
fn b11_another_minimum_leaves_who_is_eligible() {
    let mut cluster = without(Switch::ElrSurvivesMinIsrChange, &[1, 2, 3], 2);
    cluster.propose(&[1]).expect("a shrink");
    cluster.configure("min.insync.replicas", "1");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2,3");
}

#[test]
fn b12_a_dead_broker_is_elected() {
    let mut cluster = without(Switch::ElectFenced, &[1, 2, 3], 2);
    for broker in [3, 2, 1] {
        cluster.fence(broker);
    }
    cluster.restart_uncleanly(2);
    let registration = cluster.registration(1, None);
    cluster.register(registration).expect("1 returns");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr  recovering");
    assert!(cluster.is_fenced(1));
}

#[test]
fn b13_a_reassignment_forgets_who_is_eligible() {
    let mut cluster = without(Switch::ElrForgetInReassign, &[1, 2, 3], 2);
    cluster.propose(&[1]).expect("a shrink");
    cluster.reassign(Some(&[1, 2, 4])).expect("4 is registered");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn b14_a_quick_restart_goes_unnoticed() {
    let mut cluster = without(Switch::ReregistrationKeepsIsr, &[1, 2, 3], 2);
    cluster.restart_uncleanly(1);
    assert_eq!(cluster.show(), "leader 1 isr 1,2,3 elr ");
    assert_eq!(cluster.epochs(), (0, 0));
}

#[test]
fn b18_a_controller_that_knows_less_judges() {
    let mut cluster = without(Switch::ZombieController, &[1, 2, 3], 2);
    let mut proposal = cluster.proposal(&[1, 2]);
    proposal.leader_epoch = LeaderEpoch(1);
    assert_eq!(cluster.alter(1, proposal), Err(Rejection::FencedLeaderEpoch(LeaderEpoch(0))));
}

#[test]
fn b20_two_fencings_on_one_state_contradict_each_other() {
    let mut cluster = without(Switch::BatchFence, &[3, 1, 2], 2);
    cluster.now = Instant(1);
    cluster.beat(3);
    cluster.beat(4);
    let command = cluster.scene.controller.expired(Instant(0) + SESSION_TIMEOUT).expect("1 and 2 are silent");
    cluster.scene.run(&command).expect("they are registered");
    assert_eq!(cluster.show(), "leader 3 isr 3,1 elr ");
    assert!(cluster.is_fenced(1) && cluster.is_fenced(2));
}

#[test]
fn b21_old_replicas_are_dropped_early() {
    let mut cluster = without(Switch::ReassignEarly, &[1, 2, 3], 2);
    cluster.reassign(Some(&[1, 4])).expect("4 is registered");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}
