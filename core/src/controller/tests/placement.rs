//! Where new replicas go.

use std::collections::BTreeSet;

use super::cluster::cluster_settings;
use super::*;

/// Brokers 1, 2, ... in these racks; those below zero are fenced.
fn racks(racks: &[(&str, bool)]) -> Scene {
    let mut scene = Scene::new(cluster_settings(1), &[]);
    for (broker, (rack, serves)) in (1..).zip(racks) {
        let registration = Registration {
            broker_id: BrokerId(broker),
            incarnation_id: scene.new_incarnation(),
            previous_broker_epoch: None,
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: (!rack.is_empty()).then(|| (*rack).to_owned()),
            log_dirs: Vec::new(),
        };
        let Ok(Response::Registered(broker_epoch)) = scene.run(&Command::RegisterBroker(registration)) else {
            panic!("not registered")
        };
        let command = Command::Heartbeat {
            broker_id: BrokerId(broker),
            broker_epoch,
            metadata_offset: scene.next_offset,
            wants_fence: !serves,
            wants_shutdown: false,
            offline_log_dirs: Vec::new(),
        };
        scene.run(&command).expect("the broker is registered");
    }
    scene
}

fn place(scene: &mut Scene, partitions: i32, replication_factor: i16) -> Vec<Vec<i32>> {
    scene.create(NewTopic { partitions, replication_factor, ..topic("t") }).expect("t is new");
    let topic = scene.controller.image().topic("t").expect("t is there").clone();
    let numbers = |replicas: &[BrokerId]| replicas.iter().map(|id| id.0).collect();
    topic.partitions.iter().map(|partition| numbers(&partition.replicas)).collect()
}

#[test]
fn replicas_of_a_partition_lie_in_different_racks() {
    let names = ["a", "a", "a", "b", "b", "b", "c", "c", "c"];
    let mut scene = racks(&names.map(|rack| (rack, true)));
    let placed = place(&mut scene, 27, 3);
    for replicas in &placed {
        let of: BTreeSet<&str> = replicas.iter().map(|id| names[*id as usize - 1]).collect();
        assert_eq!(of.len(), 3, "{replicas:?}");
    }
    for broker in 1..=9 {
        let held = placed.iter().filter(|replicas| replicas.contains(&broker)).count();
        assert_eq!(held, 9, "broker {broker} of {placed:?}");
    }
}

#[test]
fn racks_are_used_again_when_there_are_more_replicas_than_racks() {
    let mut scene = racks(&[("a", true), ("a", true), ("b", true)]);
    for replicas in place(&mut scene, 12, 3) {
        assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), 3, "{replicas:?}");
    }
}

#[test]
fn fenced_brokers_take_replicas_last_and_never_lead() {
    let mut scene = racks(&[("", true), ("", false), ("", true)]);
    for replicas in place(&mut scene, 6, 2) {
        assert!(!replicas.contains(&2), "{replicas:?}");
    }
    let mut scene = racks(&[("a", true), ("b", false), ("a", true)]);
    for replicas in place(&mut scene, 6, 3) {
        assert!(replicas[0] != 2 && replicas.contains(&2), "{replicas:?}");
    }
    let partition = &scene.controller.image().topic("t").expect("t is there").partitions[0];
    assert!(!partition.isr.contains(&BrokerId(2)), "nor are they in sync");
}

#[test]
fn nothing_is_placed_where_nobody_serves_or_too_few_are() {
    for (brokers, factor) in [(vec![("", false); 2], 1), (vec![("", true); 2], 3)] {
        let mut scene = racks(&brokers);
        let refused = scene.create(NewTopic { partitions: 1, replication_factor: factor, ..topic("t") });
        assert!(matches!(refused, Err(Rejection::InvalidReplicationFactor(_))), "{refused:?}");
    }
}

#[test]
fn the_same_brokers_do_not_meet_in_every_partition() {
    let mut scene = racks(&[("", true); 6]);
    let sets: BTreeSet<BTreeSet<i32>> =
        place(&mut scene, 60, 3).into_iter().map(|replicas| replicas.into_iter().collect()).collect();
    assert!(sets.len() > 12, "of 20 possible ones only {}", sets.len());
}
