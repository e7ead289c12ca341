//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use super::*;
use crate::wire::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, DescribeConfigsResponse, IncrementalAlterConfigsRequest,
    alter_configs_request, describe_configs_request, incremental_alter_configs_request,
};

const TOPIC: i8 = 2;

pub(super) fn describe(resource_type: i8, name: &str, include_synonyms: bool) -> DescribeConfigsRequest {
    let resource = message!(describe_configs_request::DescribeConfigsResource {
        resource_type: resource_type,
        resource_name: name.into(),
        configuration_keys: None,
    });
    message!(DescribeConfigsRequest { resources: vec![resource], include_synonyms: include_synonyms })
}

pub(super) fn replace(topic: &str, configs: &[(&str, &str)]) -> AlterConfigsRequest {
    let config = |(name, value): &(&str, &str)| {
        message!(alter_configs_request::AlterableConfig {
            name: (*name).into(),
            value: Some((*value).into())
        })
    };
    let resource = message!(alter_configs_request::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.into(),
        configs: configs.iter().map(config).collect(),
    });
    message!(AlterConfigsRequest { resources: vec![resource] })
}

pub(super) fn change(topic: &str, configs: &[(&str, i8, &str)]) -> IncrementalAlterConfigsRequest {
    let config = |(name, operation, value): &(&str, i8, &str)| {
        message!(incremental_alter_configs_request::AlterableConfig {
            name: (*name).into(),
            config_operation: *operation,
            value: Some((*value).into()),
        })
    };
    let resource = message!(incremental_alter_configs_request::AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.into(),
        configs: configs.iter().map(config).collect(),
    });
    message!(IncrementalAlterConfigsRequest { resources: vec![resource] })
}

fn value(response: &DescribeConfigsResponse, key: &str) -> (String, i8) {
    let configs = &response.results[0].configs;
    let config = configs.iter().find(|config| config.name.as_str() == key).expect("every key is told");
    (config.value.as_ref().expect("it has a value").to_string(), config.config_source)
}

#[test]
fn a_value_is_told_with_its_type_its_source_and_what_else_could_decide_it() {
    with_broker(&[("log.retention.hours", "1")], async |scene| {
        scene.create("t", 1, &[("flush.messages", "1")]).await;
        let mut request = describe(TOPIC, "t", true);
        request.include_documentation = true;
        let response = scene.call(&request, 4).await;
        assert_eq!(value(&response, "flush.messages"), ("1".into(), 1));
        assert_eq!(value(&response, "retention.ms"), ("3600000".into(), 4));
        let flush =
            response.results[0].configs.iter().find(|config| config.name.as_str() == "flush.messages");
        let flush = flush.expect("it is told");
        assert_eq!((flush.config_type, flush.read_only), (5, false));
        assert!(flush.documentation.is_some());
        assert_eq!(flush.synonyms.iter().map(|synonym| synonym.source).collect::<Vec<_>>(), [1, 5]);
    });
}

#[test]
fn only_the_keys_that_are_asked_for_are_told() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut request = describe(TOPIC, "t", false);
        request.resources[0].configuration_keys = Some(vec!["retention.ms".into(), "no.such".into()]);
        let response = scene.call(&request, 4).await;
        assert_eq!(response.results[0].configs.len(), 1);
        assert!(response.results[0].configs[0].synonyms.is_empty());
    });
}

/// Item 29: resource types.
#[test]
fn unknown_resources_are_refused_each_for_itself() {
    with_broker(&[], async |scene| {
        for (resource_type, name, error) in [
            (TOPIC, "unknown", ErrorCode::UnknownTopicOrPartition),
            (4, "99", ErrorCode::InvalidRequest),
            (4, "", ErrorCode::None),
            (8, "1", ErrorCode::InvalidRequest),
            (-1, "x", ErrorCode::InvalidRequest),
        ] {
            let response = scene.call(&describe(resource_type, name, false), 4).await;
            assert_eq!(response.results[0].error_code, code(error), "{resource_type} {name}");
        }
        let mut request = change("t", &[]);
        request.resources[0].resource_type = 4;
        let response = scene.call(&request, 1).await;
        assert_eq!(response.responses[0].error_code, code(ErrorCode::InvalidRequest));
    });
}

/// KIP-966: the number that leaders and controllers reckon with is the cluster's, not that of a file.
#[test]
fn the_clusters_min_insync_replicas_begins_with_the_file_and_is_altered_for_all_brokers() {
    with_broker(&[("min.insync.replicas", "2")], async |scene| {
        scene.create("t", 1, &[]).await;
        let response = scene.call(&describe(4, "", false), 4).await;
        assert_eq!(value(&response, "min.insync.replicas"), ("2".into(), 3));
        let mut request = change("", &[("min.insync.replicas", 0, "1")]);
        request.resources[0].resource_type = 4;
        let response = scene.call(&request, 1).await;
        assert_eq!(response.responses[0].error_code, code(ErrorCode::None));
        for (resource_type, name) in [(TOPIC, "t"), (4, "1"), (4, "")] {
            let response = scene.call(&describe(resource_type, name, false), 4).await;
            assert_eq!(value(&response, "min.insync.replicas"), ("1".into(), 3), "{resource_type} {name}");
        }
    });
}

/// KIP-339: two who change different keys at once do not undo each other.
#[test]
fn single_operations_leave_the_other_overrides_alone() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[("retention.ms", "5"), ("flush.ms", "7")]).await;
        scene.call(&change("t", &[("retention.ms", 0, "6")]), 1).await;
        let response = scene.call(&describe(TOPIC, "t", false), 4).await;
        assert_eq!(
            (value(&response, "retention.ms").0, value(&response, "flush.ms").0),
            ("6".into(), "7".into())
        );
        scene.call(&change("t", &[("flush.ms", 1, "")]), 1).await;
        let response = scene.call(&describe(TOPIC, "t", false), 4).await;
        assert_eq!(value(&response, "flush.ms").1, 5);
        scene.call(&replace("t", &[("flush.ms", "9")]), 2).await;
        let response = scene.call(&describe(TOPIC, "t", false), 4).await;
        assert_eq!((value(&response, "retention.ms").1, value(&response, "flush.ms").0), (5, "9".into()));
    });
}

/// Item 29.
#[test]
fn operations_that_contradict_each_other_or_do_not_exist_are_refused() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        for (configs, error) in [
            (&[("retention.ms", 0, "1"), ("retention.ms", 0, "2")][..], ErrorCode::InvalidRequest),
            (&[("retention.ms", 9, "1")], ErrorCode::InvalidRequest),
            (&[("retention.ms", -1, "1")], ErrorCode::InvalidRequest),
            (&[("retention.ms", 2, "1")], ErrorCode::InvalidConfig),
            (&[("retention.ms", 0, "-7")], ErrorCode::InvalidConfig),
        ] {
            let response = scene.call(&change("t", configs), 1).await;
            assert_eq!(response.responses[0].error_code, code(error), "{configs:?}");
        }
        let mut twice = change("t", &[("retention.ms", 0, "1")]);
        twice.resources.push(twice.resources[0].clone());
        let response = scene.call(&twice, 1).await;
        assert!(response.responses.iter().all(|one| one.error_code == code(ErrorCode::InvalidRequest)));
    });
}

/// 270,000 times the broker would be gigabytes of answer to a megabyte of request.
#[test]
fn a_resource_that_is_named_again_and_again_is_described_once() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[]).await;
        let mut request = describe(4, "1", true);
        request.include_documentation = true;
        let mut of_topic = describe(TOPIC, "t", false).resources.remove(0);
        of_topic.configuration_keys = Some(vec!["retention.ms".into()]);
        request.resources.push(of_topic.clone());
        request.resources.resize(100_000, request.resources[0].clone());
        of_topic.configuration_keys = Some(vec!["flush.ms".into()]);
        request.resources.push(of_topic);
        let mut response = DescribeConfigsResponse::default();
        response.clone_from(&scene.call(&request, 4).await);
        let told: Vec<_> =
            response.results.iter().map(|result| (result.resource_type, result.configs.len())).collect();
        assert_eq!(told, [(4, crate::config::BROKER_KEYS.len()), (TOPIC, 2)]);
    });
}

#[test]
fn an_unlawful_topic_is_told_from_an_unknown_one() {
    with_broker(&[], async |scene| {
        let response = scene.call(&describe(TOPIC, "a b", false), 4).await;
        assert_eq!(response.results[0].error_code, code(ErrorCode::InvalidTopicException));
    });
}

/// A null that is passed over puts the key back to its default, and seven days of retention may delete what was to stay.
#[test]
fn a_null_value_is_refused_and_changes_nothing() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[("retention.ms", "-1")]).await;
        let mut request = replace("t", &[("max.message.bytes", "1000")]);
        let null =
            message!(alter_configs_request::AlterableConfig { name: "retention.ms".into(), value: None });
        request.resources[0].configs.push(null);
        let response = scene.call(&request, 2).await;
        assert_eq!(response.responses[0].error_code, code(ErrorCode::InvalidRequest));
        let response = scene.call(&describe(TOPIC, "t", false), 4).await;
        assert_eq!(value(&response, "retention.ms"), ("-1".into(), 1));
        assert_eq!(value(&response, "max.message.bytes").1, 5);
    });
}

#[test]
fn a_value_is_stored_without_the_blanks_around_it() {
    with_broker(&[], async |scene| {
        scene.create("t", 1, &[("retention.ms", " 5 ")]).await;
        let blanks = format!("{}7", " ".repeat(30_000));
        scene.call(&change("t", &[("flush.ms", 0, &blanks)]), 1).await;
        let response = scene.call(&describe(TOPIC, "t", false), 4).await;
        let values = (value(&response, "retention.ms").0, value(&response, "flush.ms").0);
        assert_eq!(values, ("5".into(), "7".into()));
    });
}

/// The first topic is created; an answer that cannot be encoded would close the connection instead of saying so.
#[test]
fn a_text_of_a_client_is_not_quoted_at_a_length_that_no_answer_can_have() {
    use crate::wire::messages::CreateTopicsRequest;
    with_broker(&[], async |scene| {
        let novel = "x".repeat(32_760);
        for (version, name) in [(2, "a"), (4, "b"), (7, "c")] {
            let bad = format!("bad-{name}");
            let topics = vec![
                creatable(name, 1, &[]),
                creatable(&bad, 1, &[("retention.ms", &novel)]),
                creatable(&novel, 1, &[]),
            ];
            let response = scene.call(&message!(CreateTopicsRequest { topics: topics }), version).await;
            let codes: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
            let (config, topic) = (code(ErrorCode::InvalidConfig), code(ErrorCode::InvalidTopicException));
            assert_eq!(codes, [0, config, topic]);
        }
        let response = scene.call(&change(&novel, &[("retention.ms", 0, "1")]), 0).await;
        assert_eq!(response.responses[0].error_code, code(ErrorCode::UnknownTopicOrPartition));
        let response = scene.call(&describe(TOPIC, &novel, false), 1).await;
        assert_eq!(response.results[0].error_code, code(ErrorCode::InvalidTopicException));
    });
}
