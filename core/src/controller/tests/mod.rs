use super::*;
use crate::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionIndex, ProducerId, TopicId, Uuid};
use crate::metadata::ConfigResource;
use crate::metadata::records::ResourceType;

/// A node that is alone.
fn settings() -> Settings {
    Settings {
        num_partitions: 3,
        default_replication_factor: 1,
        delete_topics: true,
        check_config: |key, value| match (key, value) {
            ("retention.ms" | "cleanup.policy", value) if value != "bad" => Ok(()),
            (key, value) => Err(format!("{key}={value} is refused")),
        },
        list_default: |key| (key == "cleanup.policy").then_some("delete"),
        default_min_insync_replicas: 1,
        unclean_leader_election: false,
        fence_new_brokers: false,
        session_timeout: SESSION_TIMEOUT,
        switches: Switches::default(),
    }
}

/// A controller with a log of its own.
struct Scene {
    controller: Controller,
    next_offset: Offset,
    draws: u64,
}

impl Scene {
    fn new(settings: Settings, brokers: &[i32]) -> Self {
        let image = MetadataImage::empty("c".to_owned(), BrokerId(1));
        let mut scene =
            Self { controller: Controller::new(settings, image), next_offset: Offset(0), draws: 0 };
        for broker in brokers {
            scene.register(*broker);
        }
        scene
    }

    fn decide(&mut self, command: &Command) -> Result<Decision, Rejection> {
        let draws = &mut self.draws;
        self.controller.decide(command, self.next_offset, &mut || {
            *draws += 1;
            draws.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
    }

    fn run(&mut self, command: &Command) -> Result<Response, Rejection> {
        let decision = self.decide(command)?;
        for record in &decision.records {
            // What goes through the log must come out of it the same.
            assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(record));
            self.controller.apply(record).expect("a decision fits the state it was made on");
            self.controller.advance(self.next_offset, LeaderEpoch(0));
            self.next_offset = self.next_offset.next();
        }
        self.controller.check_all();
        Ok(decision.response)
    }

    fn new_incarnation(&mut self) -> Uuid {
        self.draws += 1;
        Uuid(u128::from(self.draws).to_be_bytes())
    }

    fn register(&mut self, broker: i32) -> BrokerEpoch {
        let registration = Registration {
            broker_id: BrokerId(broker),
            incarnation_id: self.new_incarnation(),
            previous_broker_epoch: None,
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            log_dirs: vec![Uuid([broker as u8 + 100; 16])],
        };
        match self.run(&Command::RegisterBroker(registration)) {
            Ok(Response::Registered(epoch)) => epoch,
            other => panic!("not registered: {other:?}"),
        }
    }

    fn create_all(&mut self, topics: Vec<NewTopic>) -> Vec<Result<CreatedTopic, Rejection>> {
        match self.run(&Command::CreateTopics { topics, validate_only: false }) {
            Ok(Response::TopicsCreated(results)) => results,
            other => panic!("not an answer to CreateTopics: {other:?}"),
        }
    }

    fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, Rejection> {
        self.create_all(vec![topic]).remove(0)
    }

    fn alter(&mut self, name: &str, edit: ConfigEdit) -> Result<(), Rejection> {
        let resources = vec![ConfigChange { resource: ConfigResource::topic(name), edit }];
        match self.run(&Command::AlterConfigs { resources, validate_only: false }) {
            Ok(Response::ConfigsAltered(mut results)) => results.remove(0),
            other => panic!("not an answer to AlterConfigs: {other:?}"),
        }
    }

    fn overrides(&self, name: &str) -> Vec<(&str, &str)> {
        let overrides = self.controller.image().topic_overrides(name);
        overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

fn single() -> Scene {
    Scene::new(settings(), &[1])
}

fn topic(name: &str) -> NewTopic {
    NewTopic::with_defaults(name)
}

fn pair(key: &str, value: &str) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_owned()))
}

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
fn topics_are_deleted_by_name_or_id_with_their_configuration() {
    let mut scene = single();
    let created =
        scene.create(NewTopic { configs: vec![pair("retention.ms", "1")], ..topic("t") }).expect("t");
    let unknown = TopicId::METADATA_TOPIC;
    let topics = vec![
        TopicReference::Id(created.id),
        TopicReference::Name("t".to_owned()),
        TopicReference::Id(unknown),
        TopicReference::Name("u".to_owned()),
    ];
    let Ok(Response::TopicsDeleted(results)) = scene.run(&Command::DeleteTopics { topics }) else {
        panic!("an answer to DeleteTopics")
    };
    assert_eq!(results[0], Ok(DeletedTopic { name: "t".to_owned(), id: created.id }));
    assert!(matches!(results[1], Err(Rejection::InvalidRequest(_))));
    assert_eq!(results[2], Err(Rejection::UnknownTopicId(unknown)));
    assert_eq!(results[3], Err(Rejection::UnknownTopic("u".to_owned())));
    assert_eq!(scene.overrides("t"), []);
    let again = scene.create(topic("t")).expect("the name is free");
    assert_ne!(again.id, created.id, "a topic that is created again is another one");
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

#[test]
fn configurations_are_replaced_or_changed_key_by_key() {
    let mut scene = single();
    scene.create(topic("t")).expect("t is new");
    let replace = |pairs: &[(&str, &str)]| {
        ConfigEdit::Replace(pairs.iter().map(|(key, value)| pair(key, value)).collect())
    };
    scene.alter("t", replace(&[("retention.ms", "1"), ("cleanup.policy", "x")])).expect("good keys");
    scene.alter("t", replace(&[("retention.ms", "2")])).expect("good keys");
    assert_eq!(scene.overrides("t"), [("retention.ms", "2")]);
    let edit = |key: &str, operation| ConfigEdit::Incremental(vec![(key.to_owned(), operation)]);
    let some = |value: &str| Some(value.to_owned());
    scene.alter("t", edit("cleanup.policy", ConfigOperation::Append(some("a,b")))).expect("a list");
    assert_eq!(scene.overrides("t"), [("cleanup.policy", "delete,a,b"), ("retention.ms", "2")]);
    scene.alter("t", edit("cleanup.policy", ConfigOperation::Subtract(some("delete")))).expect("a list");
    scene.alter("t", edit("retention.ms", ConfigOperation::Delete)).expect("a key");
    assert_eq!(scene.overrides("t"), [("cleanup.policy", "a,b")]);

    let refused = [
        edit("retention.ms", ConfigOperation::Append(some("1"))),
        edit("retention.ms", ConfigOperation::Set(some("bad"))),
        edit("nonsense", ConfigOperation::Set(some("1"))),
        replace(&[("nonsense", "1")]),
    ];
    for edit in refused {
        assert!(matches!(scene.alter("t", edit.clone()), Err(Rejection::InvalidConfig(_))), "{edit:?}");
    }
    assert!(matches!(
        scene.alter("t", edit("retention.ms", ConfigOperation::Set(None))),
        Err(Rejection::InvalidRequest(_))
    ));
    assert!(matches!(scene.alter("u", replace(&[])), Err(Rejection::UnknownTopic(_))));
    assert_eq!(scene.overrides("t"), [("cleanup.policy", "a,b")], "refusals change nothing");
}

#[test]
fn a_brokers_configuration_is_not_altered() {
    let mut scene = single();
    let resource = ConfigResource { resource_type: ResourceType::Broker, name: "1".to_owned() };
    let resources = vec![ConfigChange { resource, edit: ConfigEdit::Replace(Vec::new()) }];
    let result = scene.run(&Command::AlterConfigs { resources, validate_only: false });
    let Ok(Response::ConfigsAltered(results)) = result else { panic!("an answer to AlterConfigs") };
    assert!(matches!(results[0], Err(Rejection::InvalidRequest(_))));
}

#[test]
fn a_new_topic_with_a_bad_configuration_is_not_created() {
    let mut scene = single();
    for configs in [
        vec![pair("nonsense", "1")],
        vec![("retention.ms".to_owned(), None)],
        vec![pair("retention.ms", "1"); 2],
    ] {
        let result = scene.create(NewTopic { configs, ..topic("t") });
        assert!(matches!(result, Err(Rejection::InvalidConfig(_))), "{result:?}");
    }
    assert_eq!(scene.controller.image().topic_count(), 0);
}

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
