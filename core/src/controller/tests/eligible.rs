//! Eligible leader replicas (KIP-966).

use super::cluster::{Cluster, cluster_settings, ids};
use super::*;

#[test]
fn whoever_leaves_the_isr_below_the_minimum_stays_eligible() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ", "two are enough: commits go on without 3");
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader -1 isr  elr 2,1 last 1");
}

#[test]
fn a_shrink_that_the_leader_proposes_makes_eligible_too() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1]).expect("a shrink");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2,3");
}

#[test]
fn when_enough_are_in_sync_again_nobody_else_is_eligible() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1]).expect("a shrink");
    cluster.propose(&[1, 3]).expect("an expansion");
    assert_eq!(cluster.show(), "leader 1 isr 1,3 elr ");
}

#[test]
fn the_minimum_is_never_more_than_there_are_replicas() {
    let mut cluster = Cluster::new(&[1, 2], 5);
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    cluster.beat(2);
    cluster.propose(&[1, 2]).expect("an expansion");
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
}

#[test]
fn without_anyone_in_sync_an_eligible_one_leads_and_is_the_isr() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    for broker in [3, 2, 1] {
        cluster.fence(broker);
    }
    cluster.beat(3);
    assert_eq!(cluster.show(), "leader -1 isr  elr 2,1 last 1", "3 may lack what was committed without it");
    cluster.beat(2);
    assert_eq!(cluster.show(), "leader 2 isr 2 elr 1");
    assert!(!cluster.partition().is_recovering, "a clean election");
    cluster.propose(&[2, 3]).expect("3 has caught up");
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
}

#[test]
fn an_unclean_stop_ends_eligibility_at_the_next_registration() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    cluster.restart_uncleanly(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn a_clean_stop_keeps_eligible() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    cluster.fence(2);
    let epoch = cluster.epoch(2);
    cluster.start(2, Some(epoch));
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
}

/// KIP-966 asks whether the log may lack records, and KIP-858 lets a replica move to another directory, empty.
#[test]
fn a_replica_that_begins_anew_in_another_directory_is_not_eligible_however_cleanly_its_broker_stopped() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    let epoch = cluster.epoch(2);
    let registration = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(2, Some(epoch)) };
    cluster.register(registration).expect("another disk");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    cluster.beat(2);
    cluster.fence(1);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1", "nobody but 1 has anything");
}

#[test]
fn a_replica_whose_directory_comes_back_after_clean_stops_leads_cleanly() {
    let mut cluster = Cluster::new(&[1], 1);
    let epoch = cluster.epoch(1);
    let registration = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(1, Some(epoch)) };
    cluster.fence(1);
    cluster.register(registration).expect("its disk is not there");
    cluster.beat(1);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1", "an empty log does not lead");
    let epoch = cluster.epoch(1);
    let log_dirs = vec![super::cluster::directory(1), Uuid([7; 16])];
    let registration = Registration { log_dirs, ..cluster.registration(1, Some(epoch)) };
    cluster.register(registration).expect("its disk is back");
    cluster.beat(1);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn a_marker_of_an_earlier_incarnation_proves_nothing() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let first = cluster.epoch(2);
    cluster.start(2, Some(first));
    cluster.propose(&[1, 2]).expect("3 is slow, 2 is back");
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    cluster.start(2, Some(first));
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn when_nobody_is_complete_the_last_known_leader_leads_and_that_is_unclean() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    for broker in [3, 2, 1] {
        cluster.fence(broker);
    }
    cluster.restart_uncleanly(2);
    assert_eq!(cluster.show(), "leader -1 isr  elr 1 last 1", "1 is still complete: wait for it");
    cluster.restart_uncleanly(3);
    let registration = cluster.registration(1, None);
    cluster.register(registration).expect("1 returns");
    assert_eq!(cluster.show(), "leader -1 isr  elr  last 1", "not while it is fenced");
    cluster.beat(1);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr  recovering");
    let epoch = cluster.epochs().0;
    let state = cluster.propose(&[1]).expect("it has recovered");
    assert_eq!((state.recovering, state.leader_epoch.0), (false, epoch));
}

#[test]
fn a_sole_replica_that_loses_power_leads_again_uncleanly() {
    let mut cluster = Cluster::new(&[1], 1);
    cluster.restart_uncleanly(1);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr  recovering");
    let epoch = cluster.epoch(1);
    cluster.start(1, Some(epoch));
    assert_eq!(cluster.epochs().0, 4, "each loss and gain of the leadership is an epoch");
}

#[test]
fn a_sole_replica_that_stops_cleanly_leads_again_cleanly() {
    let mut cluster = Cluster::new(&[1], 1);
    let epoch = cluster.epoch(1);
    cluster.start(1, Some(epoch));
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn another_minimum_ends_eligibility_in_the_same_batch() {
    for minimum in ["1", "3"] {
        let mut cluster = Cluster::new(&[1, 2, 3], 2);
        cluster.propose(&[1]).expect("a shrink");
        assert_eq!(cluster.show(), "leader 1 isr 1 elr 2,3");
        let operation = ConfigOperation::Set(Some(minimum.to_owned()));
        let edit = ConfigEdit::Incremental(vec![("min.insync.replicas".to_owned(), operation)]);
        let resources = vec![ConfigChange { resource: ConfigResource::topic("t"), edit }];
        let command = Command::AlterConfigs { resources, validate_only: false };
        let decision = cluster.scene.decide(&command).expect("a good value");
        assert!(decision.is_atomic && decision.records.len() == 2, "{decision:?}");
        cluster.scene.run(&command).expect("a good value");
        assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
    }
}

#[test]
fn the_same_minimum_in_other_words_changes_nothing() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.propose(&[1]).expect("a shrink");
    cluster.configure("min.insync.replicas", "2");
    cluster.configure("retention.ms", "7");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2,3");
}

#[test]
fn a_higher_minimum_outdates_what_leaders_propose_who_have_not_heard_of_it() {
    let mut cluster = Cluster::new(&[1, 2], 1);
    let late = cluster.proposal(&[1]);
    cluster.configure("min.insync.replicas", "2");
    // Accepted, it would make 2 eligible while 1 still commits alone.
    let refused = cluster.alter(1, late);
    assert!(matches!(refused, Err(Rejection::InvalidUpdateVersion(_))), "{refused:?}");
}

#[test]
fn another_minimum_leaves_who_is_eligible_where_nobody_leads() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    for broker in [3, 2, 1] {
        cluster.fence(broker);
    }
    cluster.configure("min.insync.replicas", "1");
    assert_eq!(cluster.show(), "leader -1 isr  elr 2,1 last 1");
    cluster.beat(2);
    assert_eq!(cluster.show(), "leader 2 isr 2 elr ", "one is enough now");
}

#[test]
fn a_controller_with_another_file_reckons_with_the_clusters_min_insync_replicas() {
    // KIP-966. Each process took the number from its own file; one that had 1 there took nobody for eligible.
    let mut cluster = Cluster::new(&[1, 2], 2);
    let image = cluster.scene.controller.image().clone();
    assert_eq!(image.cluster_defaults()["min.insync.replicas"], "2", "of the first process");
    cluster.scene.controller = Controller::new(cluster_settings(1), image);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
}

#[test]
fn a_broker_with_another_file_does_not_change_the_clusters_min_insync_replicas() {
    let mut cluster = Cluster::new(&[1, 2], 2);
    let image = cluster.scene.controller.image().clone();
    cluster.scene.controller = Controller::new(cluster_settings(1), image);
    cluster.restart_uncleanly(2);
    assert_eq!(cluster.scene.controller.image().cluster_defaults()["min.insync.replicas"], "2");
}

#[test]
fn another_default_of_the_cluster_clears_the_elr_of_topics_without_a_number_of_their_own() {
    let mut cluster = Cluster::new(&[1, 2, 3], 3);
    let own = vec![("min.insync.replicas".to_owned(), Some("3".to_owned()))];
    let assignments = vec![(PartitionIndex(0), ids(&[1, 2, 3]))];
    cluster.scene.create(NewTopic { configs: own, assignments, ..topic("own") }).expect("it is new");
    cluster.fence(3);
    let (_, partition_epoch) = cluster.epochs();
    let set = |value: &str| ConfigOperation::Set(Some(value.to_owned()));
    cluster.configure_all("min.insync.replicas", set("2")).expect("a good value");
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
    assert_eq!(cluster.epochs().1, partition_epoch + 1, "a proposal by the old number is outdated");
    let image = cluster.scene.controller.image();
    assert_eq!(image.topic("own").expect("it is there").partitions[0].elr, ids(&[3]));
    assert_eq!(image.cluster_defaults()["min.insync.replicas"], "2");
}

/// The topic's number ends and the default becomes the same: each alone changes nothing of the topic.
#[test]
fn the_default_of_the_cluster_is_not_altered_together_with_a_topic() {
    let mut cluster = Cluster::new(&[1, 2, 3], 3);
    cluster.configure("min.insync.replicas", "3");
    cluster.fence(3);
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr 3");
    let delete = ConfigEdit::Incremental(vec![("min.insync.replicas".to_owned(), ConfigOperation::Delete)]);
    let topic = ConfigChange { resource: ConfigResource::topic("t"), edit: delete };
    let set = ConfigOperation::Set(Some("1".to_owned()));
    let edit = ConfigEdit::Incremental(vec![("min.insync.replicas".to_owned(), set)]);
    let default = ConfigChange { resource: ConfigResource::cluster_default(), edit };
    let command = Command::AlterConfigs { resources: vec![topic, default], validate_only: false };
    let response = cluster.scene.run(&command).expect("answered one by one");
    let Response::ConfigsAltered(results) = response else { panic!("{response:?}") };
    assert!(results[0].is_ok() && matches!(results[1], Err(Rejection::InvalidRequest(_))), "{results:?}");
    assert_eq!(cluster.scene.controller.image().cluster_defaults()["min.insync.replicas"], "3");
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr 3", "three are still needed");
}

#[test]
fn the_clusters_min_insync_replicas_can_be_neither_removed_nor_joined_by_other_keys() {
    let mut cluster = Cluster::new(&[1, 2], 2);
    let refusal = cluster.configure_all("min.insync.replicas", ConfigOperation::Delete);
    assert!(matches!(refusal, Err(Rejection::InvalidConfig(_))), "{refusal:?}");
    let other = cluster.configure_all("log.retention.ms", ConfigOperation::Set(Some("5".to_owned())));
    assert!(matches!(&other, Err(Rejection::InvalidRequest(text)) if text.contains("file")), "{other:?}");
    let refusal = cluster.configure_all("retention.ms", ConfigOperation::Set(Some("5".to_owned())));
    assert!(matches!(refusal, Err(Rejection::InvalidRequest(_))), "{refusal:?}");
    let bad = cluster.configure_all("min.insync.replicas", ConfigOperation::Set(Some("bad".to_owned())));
    assert!(matches!(bad, Err(Rejection::InvalidConfig(_))), "{bad:?}");
}
