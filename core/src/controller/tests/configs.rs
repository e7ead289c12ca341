//! Configurations of topics.

use super::*;

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
