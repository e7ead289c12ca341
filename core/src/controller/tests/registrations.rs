//! Brokers that start.

use super::cluster::{Cluster, directory};
use super::*;
use crate::time::Instant;

#[test]
fn a_brokers_epoch_is_the_offset_of_its_registration() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let offset = cluster.scene.next_offset;
    let registration = cluster.registration(2, None);
    let epoch = cluster.register(registration).expect("2 returns");
    assert_eq!(epoch.0, offset.0);
    assert!(cluster.is_fenced(2), "until it has read the metadata");
}

#[test]
fn the_incarnation_before_leaves_isr_and_leadership_in_the_batch_of_the_registration() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let registration = cluster.registration(1, None);
    let decision = cluster.scene.decide(&Command::RegisterBroker(registration.clone())).expect("1 returns");
    assert!(decision.is_atomic);
    cluster.register(registration).expect("1 returns");
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
    assert_eq!(cluster.epochs(), (1, 1));
}

#[test]
fn a_clean_restart_leaves_like_a_fencing() {
    let mut cluster = Cluster::new(&[1, 2], 2);
    let epoch = cluster.epoch(2);
    let registration = cluster.registration(2, Some(epoch));
    cluster.register(registration).expect("2 returns");
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
}

#[test]
fn an_unclean_restart_is_out_of_every_elr() {
    let mut cluster = Cluster::new(&[1, 2], 2);
    cluster.restart_uncleanly(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr ");
}

#[test]
fn a_new_incarnation_on_the_same_directory_need_not_wait_for_the_session() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.beat(1);
    assert!(cluster.scene.controller.sessions.is_live(BrokerId(1)));
    let registration = cluster.registration(1, None);
    assert!(cluster.register(registration).is_ok(), "the directory's lock proves that the other is dead");
}

#[test]
fn another_directory_waits_for_the_session() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.beat(1);
    let impostor = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(1, None) };
    assert_eq!(cluster.register(impostor.clone()), Err(Rejection::DuplicateBroker(BrokerId(1))));
    assert_eq!(cluster.show(), "leader 1 isr 1,2,3 elr ");
    let over = Instant(0) + SESSION_TIMEOUT;
    let command = cluster.scene.controller.expired(over).expect("nobody was heard since");
    cluster.scene.run(&command).expect("1 is registered");
    assert!(cluster.register(impostor).is_ok());
}

#[test]
fn a_late_registration_of_a_dead_process_does_not_depose_the_one_that_lives() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let late = cluster.registration(2, None);
    let registration = cluster.registration(2, None);
    let epoch = cluster.register(registration).expect("2 returns");
    let refused = Err(Rejection::DuplicateBroker(BrokerId(2)));
    assert_eq!(cluster.register(late.clone()), refused, "2 has not sent a heartbeat yet");
    cluster.beat(2);
    cluster.propose(&[1, 3, 2]).expect("2 has fetched everything");
    assert_eq!(cluster.register(late.clone()), refused);
    cluster.scene.controller.begin_sessions(Instant(1));
    assert_eq!(cluster.register(late), refused, "nor when another controller has taken over");
    assert_eq!((cluster.epoch(2), cluster.show()), (epoch, "leader 1 isr 1,3,2 elr ".to_owned()));
}

#[test]
fn a_dead_process_does_not_get_in_because_the_one_that_lives_shuts_down() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let late = cluster.registration(1, None);
    cluster.start(1, None);
    cluster.propose(&[2, 3, 1]).expect("1 has fetched everything");
    cluster.elect(ElectionKind::Preferred).expect("1 is in sync");
    cluster.heartbeat(1, cluster.scene.next_offset, (false, true)).expect("1 wants to stop, and leads");
    assert_eq!(cluster.register(late), Err(Rejection::DuplicateBroker(BrokerId(1))));
}

#[test]
fn a_process_whose_clock_was_set_back_waits_for_the_session_and_no_longer() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let of_the_past = cluster.registration(3, None);
    cluster.start(3, None);
    assert_eq!(cluster.register(of_the_past.clone()), Err(Rejection::DuplicateBroker(BrokerId(3))));
    let over = Instant(0) + SESSION_TIMEOUT;
    while let Some(command) = cluster.scene.controller.expired(over) {
        cluster.scene.run(&command).expect("it is registered");
    }
    cluster.register(of_the_past).expect("the session is over");
}

#[test]
fn processes_without_an_order_wait_for_each_other_as_in_kafka() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let unordered = Registration { incarnation_id: Uuid([0x40; 16]), ..cluster.registration(1, None) };
    assert_eq!(cluster.register(unordered), Err(Rejection::DuplicateBroker(BrokerId(1))));
}

#[test]
fn a_broker_that_shuts_down_makes_way_at_once() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.heartbeat(1, cluster.scene.next_offset, (false, true)).expect("1 wants to stop");
    let successor = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(1, None) };
    assert!(cluster.register(successor).is_ok(), "KAFKA-19047");
}

#[test]
fn the_same_incarnation_again_keeps_its_epoch_and_standing() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let registration = cluster.registration(1, None);
    let epoch = cluster.register(registration.clone()).expect("1 returns");
    cluster.beat(1);
    assert!(!cluster.is_fenced(1));
    assert_eq!(cluster.register(registration), Ok(epoch), "its answer was lost");
    assert!(!cluster.is_fenced(1));
}

#[test]
fn a_directory_belongs_to_one_broker() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    for log_dirs in [vec![directory(2)], vec![Uuid([7; 16]); 2], vec![Uuid::ZERO]] {
        let registration = Registration { log_dirs, ..cluster.registration(1, None) };
        let refusal = cluster.register(registration).expect_err("it cannot be");
        assert!(matches!(refusal, Rejection::InvalidRegistration(_)), "{refusal:?}");
    }
}

#[test]
fn replicas_of_a_directory_that_is_gone_begin_anew_in_another() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    let registration = Registration { log_dirs: vec![Uuid([7; 16])], ..cluster.registration(3, None) };
    cluster.register(registration).expect("another disk");
    assert_eq!(cluster.partition().directories, [directory(1), directory(2), Uuid([7; 16])]);
    cluster.beat(3);
    cluster.propose(&[1, 2, 3]).expect("3 has fetched everything");
    cluster.fence(1);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 3 isr 3 elr 2", "and it may lead");
}

#[test]
fn a_broker_that_registers_again_because_it_did_not_hear_the_answer_is_still_fenced_when_it_falls_silent() {
    // KIP-631. Its session ended with the repeated record while it served on, so that nothing ever fenced it.
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let registration = cluster.registration(3, None);
    cluster.register(registration.clone()).expect("3 returns");
    cluster.beat(3);
    cluster.register(registration).expect("the same process");
    assert!(!cluster.is_fenced(3) && cluster.scene.controller.has_session(BrokerId(3)));
    cluster.now = Instant(1);
    for broker in [1, 2, 4] {
        cluster.beat(broker);
    }
    let (broker_id, broker_epoch) = (BrokerId(3), cluster.epoch(3));
    let expected = Command::FenceBroker { broker_id, broker_epoch };
    assert_eq!(cluster.scene.controller.expired(Instant(0) + SESSION_TIMEOUT), Some(expected));
}
