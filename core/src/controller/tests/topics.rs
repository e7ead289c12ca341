//! Topics: created, deleted, grown.

use super::*;

#[test]
fn a_topic_gets_the_defaults_an_id_and_its_partitions() {
    let mut scene = single();
    let created = scene.create(topic("t")).expect("t is new");
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    let image = scene.controller.image();
    let topic = image.topic("t").expect("it was applied");
    assert_eq!(topic.id, created.id);
    for partition in &topic.partitions {
        assert_eq!((partition.leader, partition.leader_epoch), (BrokerId(1), LeaderEpoch(0)));
        assert_eq!(
            (partition.isr.as_slice(), partition.directories.as_slice()),
            ([BrokerId(1)].as_slice(), [Uuid([101; 16])].as_slice())
        );
    }
}

#[test]
fn names_follow_kafkas_rules() {
    let mut scene = single();
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "ä", "a/b", &long] {
        assert!(matches!(scene.create(topic(name)), Err(Rejection::InvalidTopicName(_))), "{name:?}");
    }
    assert!(scene.create(topic(&long[..249])).is_ok());
    assert!(scene.create(topic("a.b")).is_ok());
    assert_eq!(scene.create(topic("a.b")), Err(Rejection::TopicExists("a.b".to_owned())));
    let collides = Rejection::TopicCollides { name: "a_b".to_owned(), other: "a.b".to_owned() };
    assert_eq!(scene.create(topic("a_b")), Err(collides));
    let removed = Command::DeleteTopics { topics: vec![TopicReference::Name("a.b".to_owned())] };
    scene.run(&removed).expect("a.b is there");
    assert!(scene.create(topic("a_b")).is_ok(), "the collision is gone with the topic");
}

#[test]
fn topics_of_one_request_are_judged_one_by_one_and_against_each_other() {
    let mut scene = single();
    let results = scene.create_all(vec![
        topic("good"),
        topic("twice"),
        topic("bad!"),
        topic("twice"),
        topic("x.y"),
        topic("x_y"),
    ]);
    let is_ok: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(is_ok, [true, false, false, false, true, false]);
    assert!(matches!(results[1], Err(Rejection::InvalidRequest(_))));
    assert_eq!(scene.controller.image().topic_count(), 2);
}

#[test]
fn counts_that_cannot_be_are_refused() {
    let mut scene = single();
    let with = |partitions, replication_factor| NewTopic { partitions, replication_factor, ..topic("t") };
    for partitions in [0, -2, i32::MIN] {
        assert!(matches!(scene.create(with(partitions, 1)), Err(Rejection::InvalidPartitions(_))));
    }
    for factor in [0, -2, 2, i16::MAX] {
        assert!(
            matches!(scene.create(with(1, factor)), Err(Rejection::InvalidReplicationFactor(_))),
            "{factor}"
        );
    }
    assert!(
        matches!(scene.create(with(i32::MAX, 1)), Err(Rejection::PolicyViolation(_))),
        "and nothing is allocated"
    );
    let many = (0..20).map(|index| NewTopic { partitions: 1000, ..topic(&format!("t{index}")) }).collect();
    let all = scene.run(&Command::CreateTopics { topics: many, validate_only: false });
    assert!(matches!(all, Err(Rejection::PolicyViolation(_))), "together they are too many");
}

#[test]
fn a_request_for_too_many_partitions_is_refused_before_they_are_built() {
    let mut scene = single();
    let many = |count: usize| {
        (0..count).map(|index| NewTopic { partitions: 9_999, ..topic(&format!("t{index}")) }).collect()
    };
    for validate_only in [true, false] {
        let command = Command::CreateTopics { topics: many(200), validate_only };
        let mut refused = Ok(Response::TopicsCreated(Vec::new()));
        let cost = allocation_counter::measure(|| refused = scene.run(&command));
        assert!(matches!(refused, Err(Rejection::PolicyViolation(_))), "{refused:?}");
        assert!(cost.bytes_max < 8 << 20, "what one topic costs, not what 200 do: {}", cost.bytes_max);
    }
    for index in 0..200 {
        scene.create(NewTopic { partitions: 1, ..topic(&format!("t{index}")) }).expect("a small topic");
    }
    let more =
        (0..200).map(|index| NewPartitions { name: format!("t{index}"), count: 9_999, assignments: None });
    let command = Command::CreatePartitions { topics: more.collect(), validate_only: true };
    let mut refused = Ok(Response::TopicsCreated(Vec::new()));
    let cost = allocation_counter::measure(|| refused = scene.run(&command));
    assert!(matches!(refused, Err(Rejection::PolicyViolation(_))), "{refused:?}");
    assert!(cost.bytes_max < 8 << 20, "what one topic costs, not what 200 do: {}", cost.bytes_max);
}

#[test]
fn assignments_by_hand_are_checked() {
    let mut scene = Scene::new(settings(), &[1, 2, 3]);
    let by_hand = |assignments: &[(i32, &[i32])]| NewTopic {
        assignments: assignments
            .iter()
            .map(|(index, brokers)| {
                (PartitionIndex(*index), brokers.iter().map(|id| BrokerId(*id)).collect())
            })
            .collect(),
        ..topic("t")
    };
    let refused: [&[(i32, &[i32])]; 6] = [
        &[(1, &[1])],
        &[(0, &[1]), (0, &[2])],
        &[(0, &[1]), (1, &[1, 2])],
        &[(0, &[1, 1])],
        &[(0, &[4])],
        &[(0, &[])],
    ];
    for assignments in refused {
        let result = scene.create(by_hand(assignments));
        assert!(matches!(result, Err(Rejection::InvalidReplicaAssignment(_))), "{assignments:?}: {result:?}");
    }
    let contradictory = NewTopic { partitions: 1, ..by_hand(&[(0, &[1])]) };
    assert!(matches!(scene.create(contradictory), Err(Rejection::InvalidRequest(_))));
    scene.create(by_hand(&[(1, &[3, 1]), (0, &[2, 3])])).expect("a good assignment");
    let image = scene.controller.image();
    let leaders: Vec<BrokerId> =
        image.topic("t").expect("t").partitions.iter().map(|partition| partition.leader).collect();
    assert_eq!(leaders, [BrokerId(2), BrokerId(3)]);
}

#[test]
fn replicas_and_leaders_spread_over_the_brokers() {
    let mut scene = Scene::new(settings(), &[1, 2, 3]);
    scene.create(NewTopic { partitions: 9, replication_factor: 2, ..topic("t") }).expect("three brokers");
    for broker in [1, 2, 3] {
        let partitions = &scene.controller.image().topic("t").expect("t").partitions;
        let led = partitions.iter().filter(|partition| partition.leader == BrokerId(broker)).count();
        let held =
            partitions.iter().filter(|partition| partition.replicas.contains(&BrokerId(broker))).count();
        assert_eq!((led, held), (3, 6), "broker {broker}");
    }
}

#[test]
fn a_judgement_alone_changes_nothing() {
    let mut scene = single();
    let command = Command::CreateTopics { topics: vec![topic("t"), topic("!")], validate_only: true };
    let decision = scene.decide(&command).expect("judged one by one");
    assert_eq!(decision.records, []);
    let Response::TopicsCreated(results) = decision.response else { panic!("an answer to CreateTopics") };
    assert!(results[0].is_ok() && results[1].is_err());
}

#[test]
fn topics_may_be_protected_from_deletion() {
    let mut scene = Scene::new(Settings { delete_topics: false, ..settings() }, &[1]);
    scene.create(topic("t")).expect("t is new");
    let topics = vec![TopicReference::Name("t".to_owned())];
    let Ok(Response::TopicsDeleted(results)) = scene.run(&Command::DeleteTopics { topics }) else {
        panic!("an answer to DeleteTopics")
    };
    assert_eq!(results, [Err(Rejection::TopicDeletionDisabled)]);
}

#[test]
fn partitions_are_added_but_never_taken_away() {
    let mut scene = single();
    scene.create(topic("t")).expect("t is new");
    let mut grow = |name: &str, count, assignments: Option<Vec<Vec<BrokerId>>>| {
        let topics = vec![NewPartitions { name: name.to_owned(), count, assignments }];
        match scene.run(&Command::CreatePartitions { topics, validate_only: false }) {
            Ok(Response::PartitionsCreated(mut results)) => results.remove(0),
            other => panic!("not an answer to CreatePartitions: {other:?}"),
        }
    };
    assert!(matches!(grow("t", 3, None), Err(Rejection::InvalidPartitions(_))));
    assert!(matches!(grow("t", -1, None), Err(Rejection::InvalidPartitions(_))));
    assert!(matches!(grow("u", 5, None), Err(Rejection::UnknownTopic(_))));
    assert!(matches!(grow("t", i32::MAX, None), Err(Rejection::PolicyViolation(_))));
    let one = vec![vec![BrokerId(1)]];
    assert!(matches!(grow("t", 5, Some(one.clone())), Err(Rejection::InvalidReplicaAssignment(_))));
    assert_eq!(grow("t", 5, None), Ok(()));
    assert_eq!(grow("t", 6, Some(one)), Ok(()));
    assert_eq!(scene.controller.image().topic("t").expect("t").partitions.len(), 6);
}
