//! A node that is alone.

use super::*;

#[test]
fn a_restart_raises_the_epoch_of_every_partition_of_which_it_has_the_only_copy() {
    let mut scene = single();
    let first = scene.register(1);
    scene.create(topic("t")).expect("t is new");
    let second = scene.register(1);
    assert!(second > first, "each incarnation has its own epoch");
    assert_eq!(scene.controller.image().broker(BrokerId(1)).expect("registered").epoch, second);
    for partition in &scene.controller.image().topic("t").expect("t").partitions {
        assert_eq!((partition.leader, partition.leader_epoch), (BrokerId(1), LeaderEpoch(1)));
    }
}

#[test]
fn a_restart_hands_partitions_with_other_replicas_in_sync_to_those() {
    let mut scene = Scene::new(settings(), &[1, 2]);
    let assignments = vec![(PartitionIndex(0), vec![BrokerId(1), BrokerId(2)])];
    scene.create(NewTopic { assignments, ..topic("t") }).expect("t is new");
    scene.register(1);
    let partition = &scene.controller.image().topic("t").expect("t").partitions[0];
    assert_eq!((partition.leader, partition.isr.as_slice()), (BrokerId(2), [BrokerId(2)].as_slice()));
    assert_eq!(partition.leader_epoch, LeaderEpoch(1));
}

#[test]
fn blocks_of_producer_ids_follow_each_other_without_a_gap_or_an_overlap() {
    let mut scene = single();
    let epoch = scene.register(1);
    let mut block = |epoch| {
        let command = Command::AllocateProducerIds { broker_id: BrokerId(1), broker_epoch: epoch };
        scene.run(&command).map(|response| match response {
            Response::ProducerIds(block) => block,
            other => panic!("not a block: {other:?}"),
        })
    };
    assert_eq!(block(epoch), Ok(ProducerIdBlock { first: ProducerId(0), count: 1000 }));
    assert_eq!(block(epoch), Ok(ProducerIdBlock { first: ProducerId(1000), count: 1000 }));
    let stale = BrokerEpoch(epoch.0 - 1);
    assert_eq!(block(stale), Err(Rejection::StaleBrokerEpoch { broker_id: BrokerId(1), epoch: stale }));
}

#[test]
fn partitions_go_to_the_directory_with_the_fewest() {
    let mut scene = single();
    let dirs: Vec<Uuid> = (1..=3).map(|number| Uuid([number; 16])).collect();
    let registration = Registration {
        broker_id: BrokerId(1),
        incarnation_id: Uuid([9; 16]),
        previous_broker_epoch: None,
        endpoints: Vec::new(),
        features: Vec::new(),
        rack: None,
        log_dirs: dirs.clone(),
    };
    scene.run(&Command::RegisterBroker(registration)).expect("registered");
    for name in ["a", "b", "c"] {
        scene.create(NewTopic { partitions: 2, ..topic(name) }).expect("a new topic");
    }
    let image = scene.controller.image();
    for dir in dirs {
        let here = image
            .topics()
            .flat_map(|topic| &topic.partitions)
            .filter(|partition| partition.directories == [dir]);
        assert_eq!(here.count(), 2);
    }
}
