//! Brokers that serve, stop and go.

use super::cluster::Cluster;
use super::*;

fn answer(is_caught_up: bool, is_fenced: bool, should_shut_down: bool) -> Result<Response, Rejection> {
    Ok(Response::Heartbeat { is_caught_up, is_fenced, should_shut_down })
}

#[test]
fn a_broker_is_unfenced_when_it_has_read_its_registration_and_wants_to_serve() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let registration = cluster.registration(3, None);
    let own = Offset(cluster.register(registration).expect("3 returns").0);
    assert_eq!(cluster.heartbeat(3, Offset(own.0 - 1), (false, false)), answer(false, true, false));
    assert_eq!(cluster.heartbeat(3, own, (true, false)), answer(true, true, false), "it loads its logs");
    assert_eq!(cluster.heartbeat(3, own, (false, false)), answer(true, false, false));
    assert!(!cluster.is_fenced(3));
    let before = cluster.scene.next_offset;
    cluster.beat(3);
    assert_eq!(cluster.scene.next_offset, before, "nothing new is nothing to record");
}

#[test]
fn a_heartbeat_of_an_incarnation_that_is_over_is_refused_and_keeps_nobody_alive() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let old = cluster.epoch(1);
    cluster.fence(1);
    let registration = cluster.registration(1, None);
    cluster.register(registration).expect("1 returns");
    let command = Command::Heartbeat {
        broker_id: BrokerId(1),
        broker_epoch: old,
        metadata_offset: cluster.scene.next_offset,
        wants_fence: false,
        wants_shutdown: false,
        offline_log_dirs: Vec::new(),
    };
    let stale = Rejection::StaleBrokerEpoch { broker_id: BrokerId(1), epoch: old };
    assert_eq!(cluster.scene.run(&command), Err(stale));
    cluster.scene.controller.heard(BrokerId(1), old, Offset(0), Instant(1));
    let over = Some(Instant(0) + SESSION_TIMEOUT);
    assert_eq!(cluster.scene.controller.next_deadline(), over, "as the registration began it");
}

#[test]
fn fencing_leaves_all_isrs_and_leaderships_in_one_batch() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.scene.create(NewTopic { partitions: 8, replication_factor: 3, ..topic("u") }).expect("u is new");
    let (broker_id, broker_epoch) = (BrokerId(1), cluster.epoch(1));
    let command = Command::FenceBroker { broker_id, broker_epoch };
    let decision = cluster.scene.decide(&command).expect("1 is registered");
    assert!(decision.is_atomic);
    cluster.fence(1);
    assert!(cluster.is_fenced(1));
    for partition in cluster.scene.controller.image().topics().flat_map(|topic| &topic.partitions) {
        assert!(partition.leader != broker_id && !partition.isr.contains(&broker_id), "{partition:?}");
    }
    let before = cluster.scene.next_offset;
    cluster.fence(1);
    assert_eq!(cluster.scene.next_offset, before, "it is fenced");
}

#[test]
fn a_broker_may_ask_to_be_fenced() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.heartbeat(1, Offset(99), (true, false)), answer(true, true, false));
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
}

#[test]
fn a_controlled_shutdown_hands_over_and_waits_until_all_who_serve_know() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let stop = (false, true);
    assert_eq!(cluster.heartbeat(1, cluster.scene.next_offset, stop), answer(true, false, false));
    assert_eq!(cluster.show(), "leader 2 isr 2,3 elr ");
    let shutdown = Offset(cluster.scene.next_offset.0 - 1);
    cluster.heartbeat(2, shutdown, (false, false)).expect("2 serves");
    cluster.heartbeat(3, Offset(shutdown.0 - 1), (false, false)).expect("3 serves");
    cluster.heartbeat(4, shutdown, (false, false)).expect("4 serves");
    assert_eq!(cluster.heartbeat(1, shutdown, stop), answer(true, false, false), "3 may still fetch from it");
    cluster.heartbeat(3, shutdown, (false, false)).expect("3 serves");
    assert_eq!(cluster.heartbeat(1, shutdown, stop), answer(true, true, true));
    assert!(cluster.is_fenced(1));
}

#[test]
fn the_offset_of_a_shutdown_is_noted_once_whatever_is_written_meanwhile() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let stop = (false, true);
    cluster.heartbeat(1, cluster.scene.next_offset, stop).expect("1 wants to stop");
    let shutdown = Offset(cluster.scene.next_offset.0 - 1);
    for name in ["a", "b", "c"] {
        cluster.scene.create(topic(name)).expect("a new topic");
        cluster.heartbeat(1, shutdown, stop).expect("1 waits");
    }
    for broker in [2, 3, 4] {
        cluster.heartbeat(broker, shutdown, (false, false)).expect("it serves");
    }
    assert_eq!(cluster.heartbeat(1, shutdown, stop), answer(true, true, true));
}

#[test]
fn a_controller_that_takes_over_lets_a_shutdown_go_on() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    let stop = (false, true);
    cluster.heartbeat(1, cluster.scene.next_offset, stop).expect("1 wants to stop");
    cluster.scene.controller.begin_sessions(cluster.now);
    let offset = cluster.scene.next_offset;
    assert_eq!(cluster.heartbeat(1, offset, stop), answer(true, false, false), "nobody else was heard yet");
    for broker in [2, 3, 4] {
        cluster.beat(broker);
    }
    assert_eq!(cluster.heartbeat(1, offset, stop), answer(true, true, true));
}

#[test]
fn a_broker_that_leads_nothing_stops_at_once() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    assert_eq!(cluster.heartbeat(3, Offset(99), (false, true)), answer(true, true, true));
    assert_eq!(cluster.show(), "leader 1 isr 1,2 elr ");
    assert_eq!(cluster.heartbeat(3, Offset(99), (false, true)), answer(true, true, true), "and again");
}

#[test]
fn a_sole_leader_that_stops_leaves_an_eligible_one() {
    let mut cluster = Cluster::new(&[1, 2], 2);
    cluster.fence(2);
    cluster.heartbeat(1, cluster.scene.next_offset, (false, true)).expect("1 wants to stop");
    assert_eq!(cluster.show(), "leader -1 isr  elr 2,1 last 1");
    cluster.beat(2);
    assert_eq!(cluster.show(), "leader 2 isr 2 elr 1");
}

#[test]
fn one_that_was_fenced_while_it_shut_down_does_not_serve_again() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.heartbeat(1, cluster.scene.next_offset, (false, true)).expect("1 wants to stop");
    cluster.fence(1);
    assert_eq!(cluster.heartbeat(1, Offset(99), (false, false)), answer(true, true, false));
    let epoch = cluster.epoch(1);
    cluster.start(1, Some(epoch));
    assert!(!cluster.is_fenced(1), "its next incarnation does");
}

#[test]
fn an_unregistered_broker_is_in_no_isr_and_no_elr() {
    let mut cluster = Cluster::new(&[1, 2, 3], 2);
    cluster.fence(3);
    cluster.fence(2);
    assert_eq!(cluster.show(), "leader 1 isr 1 elr 2");
    for broker in [1, 2] {
        let command = Command::UnregisterBroker { broker_id: BrokerId(broker) };
        assert_eq!(cluster.scene.run(&command), Ok(Response::Done));
        assert_eq!(cluster.scene.run(&command), Err(Rejection::UnknownBroker(BrokerId(broker))));
    }
    assert_eq!(cluster.show(), "leader -1 isr  elr  last 1");
    let gone = BrokerEpoch(0);
    let command = Command::FenceBroker { broker_id: BrokerId(1), broker_epoch: gone };
    let stale = Rejection::StaleBrokerEpoch { broker_id: BrokerId(1), epoch: gone };
    assert_eq!(cluster.scene.run(&command), Err(stale));
}
