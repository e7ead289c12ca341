use super::*;

fn parse(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    parse(pairs).expect_err("the configuration must be refused").to_string()
}

fn overrides(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_tables_are_in_order_and_their_defaults_in_bounds() {
    for table in [BROKER_KEYS, TOPIC_KEYS] {
        assert!(table.is_sorted_by_key(|key| key.name));
        for key in table {
            assert_eq!(key.default.map_or(Ok(()), |default| key.check(default)), Ok(()), "{}", key.name);
        }
    }
}

#[test]
fn a_topics_default_is_what_the_broker_keys_default_to() {
    for key in TOPIC_KEYS {
        let of_broker = key.broker_keys.iter().find_map(|(name, factor)| {
            let broker_key = broker_key(name).unwrap_or_else(|| panic!("{name} is missing from the table"));
            broker_key.default.map(|default| topic::scaled(default, *factor))
        });
        assert_eq!(of_broker.as_deref(), key.default, "{}", key.name);
    }
}

#[test]
fn nothing_given_is_a_node_on_port_9092_with_its_data_below_the_working_directory() {
    let config = Config::default();
    assert_eq!(config.listener.bind_address(), "0.0.0.0:9092");
    assert_eq!((config.advertised.host.as_str(), config.advertised.port), ("localhost", 9092));
    assert_eq!(config.log_dirs, [PathBuf::from("data")]);
    assert_eq!(config.metadata_log_dir, PathBuf::from("data"));
    assert!(config.is_sole_voter && config.auto_create_topics);
    assert_eq!(config.topic_defaults.retention_ms, 7 * 24 * 60 * 60 * 1000);
}

#[test]
fn kafkas_own_server_properties_start_a_node() {
    let config = parse(&[
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", "1@localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        ),
        ("num.network.threads", "3"),
        ("num.io.threads", "8"),
        ("socket.send.buffer.bytes", "102400"),
        ("socket.request.max.bytes", "104857600"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("log.retention.hours", "168"),
    ])
    .expect("a stock server.properties must work");
    assert_eq!(config.listener.port, 9092);
    assert_eq!(config.ignored.len(), 5, "{:?}", config.ignored);
}

#[test]
fn unknown_unsupported_and_doubled_keys_are_refused_with_a_remedy() {
    assert_eq!(
        refusal(&[("num.partition", "3")]),
        "unknown key `num.partition`; did you mean `num.partitions`?"
    );
    assert_eq!(refusal(&[("qwertz", "3")]), "unknown key `qwertz`");
    assert!(refusal(&[("authorizer.class.name", "x")]).contains("does not support"));
    assert!(refusal(&[("sasl.enabled.mechanisms", "PLAIN")]).contains("does not support"));
    assert!(refusal(&[("num.partitions", "3"), ("num.partitions", "4")]).contains("twice"));
    assert_eq!(refusal(&[("num.partitions", "0")]), "num.partitions=0: it takes a number at least 1");
    let two = "PLAINTEXT://:1,PLAINTEXT://:2";
    assert!(refusal(&[("listeners", two)]).contains("one address"));
    assert!(
        refusal(&[("advertised.listeners", "PLAINTEXT://0.0.0.0:9092")]).contains("no client can connect")
    );
    assert!(refusal(&[("log.dirs", "a,b,a")]).contains("each once"));
    assert!(refusal(&[("process.roles", "controller")]).contains("both"));
    assert!(refusal(&[("controller.quorum.voters", "2@x:1")]).contains("not among"));
}

/// Served in the clear, they would be believed to be encrypted or behind a password.
#[test]
fn a_listener_that_is_to_speak_another_protocol_than_plaintext_is_refused_and_never_served_in_the_clear() {
    for protocol in ["SSL", "SASL_PLAINTEXT", "SASL_SSL"] {
        let text = refusal(&[("listeners", &format!("{protocol}://:9292"))]);
        assert!(
            text.contains(&format!("{protocol} is to speak {protocol}"))
                && text.contains("supports PLAINTEXT only"),
            "{text}"
        );
        let map = format!("PLAINTEXT:{protocol}");
        let text =
            refusal(&[("listeners", "PLAINTEXT://:9092"), ("listener.security.protocol.map", map.as_str())]);
        assert!(text.contains(&format!("PLAINTEXT is to speak {protocol}")), "{text}");
        let map = format!("internal : {}", protocol.to_ascii_lowercase());
        let text =
            refusal(&[("listeners", "INTERNAL://:9092"), ("listener.security.protocol.map", map.as_str())]);
        assert!(text.contains(&format!("INTERNAL is to speak {protocol}")), "{text}");
    }
}

#[test]
fn a_listener_may_have_any_name_that_the_map_says_is_plaintext() {
    let map = ("listener.security.protocol.map", "EXTERNAL:SSL,internal:plaintext");
    let config = parse(&[("listeners", "INTERNAL://:9092"), map]).expect("INTERNAL is PLAINTEXT");
    assert_eq!(config.listener.name, "INTERNAL");
    let text = refusal(&[("listeners", "INTERNAL://:9092")]);
    assert!(text.contains("add INTERNAL:PLAINTEXT"), "{text}");
    // As in Kafka: a map that is given replaces the default whole.
    let text = refusal(&[("listeners", "PLAINTEXT://:9092"), map]);
    assert!(text.contains("add PLAINTEXT:PLAINTEXT"), "{text}");
    let text = refusal(&[("listener.security.protocol.map", "INTERNAL")]);
    assert!(text.contains("`INTERNAL` is not NAME:PROTOCOL"), "{text}");
    let text = refusal(&[("inter.broker.listener.name", "SSL")]);
    assert!(text.contains("the only listener is PLAINTEXT"), "{text}");
}

#[test]
fn a_topics_key_in_the_brokers_file_is_answered_with_the_brokers_key_for_it() {
    assert_eq!(
        refusal(&[("flush.messages", "1")]),
        "`flush.messages` is a key of topics; the broker's key that sets it for all topics without their own is \
         `log.flush.interval.messages`"
    );
    for key in TOPIC_KEYS.iter().filter(|key| broker_key(key.name).is_none()) {
        let text = refusal(&[(key.name, key.default.unwrap_or_default())]);
        let (name, factor) = key.broker_keys[0];
        assert!(factor == 1 && text.contains(&format!("`{name}`")), "{text}");
        assert!(broker_key(name).is_some(), "{name}");
    }
}

#[test]
fn several_voters_are_seen() {
    let config = parse(&[("controller.quorum.voters", "1@a:9093,2@b:9093,3@c:9093")])
        .expect("the list is well formed");
    assert!(!config.is_sole_voter);
}

#[test]
fn the_stronger_broker_key_sets_a_topics_default_and_an_override_beats_both() {
    let none = BTreeMap::new();
    let config =
        parse(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")]).expect("both are known");
    assert_eq!(config.topic_defaults.retention_ms, 180_000);
    let config = parse(&[("log.retention.hours", "-1")]).expect("negative hours mean for ever");
    assert_eq!(config.topic_defaults.retention_ms, -1);
    assert_eq!(
        config.topic(&overrides(&[("retention.ms", "5"), ("flush.messages", "1")]), &none).retention_ms,
        5
    );
    let alien = overrides(&[("retention.ms", "soon"), ("of.a.later.version", "1")]);
    assert_eq!(config.topic(&alien, &none), config.topic_defaults, "what cannot be read is passed over");
}

#[test]
fn overrides_of_topics_are_checked() {
    assert_eq!(check_topic_config("retention.ms", "100"), Ok(()));
    let refused = |name, value| check_topic_config(name, value).expect_err("must be refused").to_string();
    assert!(refused("retention.ms", "x").contains("whole number"));
    assert!(refused("retension.ms", "1").contains("did you mean `retention.ms`?"));
    assert!(refused("cleanup.policy", "compact").contains("one of delete"));
    assert!(refused("compression.type", "zstd").contains("one of producer"));
    assert!(refused("remote.storage.enable", "true").contains("does not support"));
}

#[test]
fn a_description_names_where_a_value_comes_from() {
    let none = BTreeMap::new();
    let config = parse(&[("log.retention.hours", "2")]).expect("a known key");
    let find = |entries: Vec<ConfigEntry>, name: &str| {
        entries.into_iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name} is described"))
    };
    let entry = find(config.describe_topic(&overrides(&[("retention.ms", "9")]), &none), "retention.ms");
    assert_eq!((entry.value.as_deref(), entry.source), (Some("9"), ConfigSource::Topic));
    let names: Vec<_> = entry
        .synonyms
        .iter()
        .map(|synonym| (synonym.name, synonym.value.as_deref(), synonym.source))
        .collect();
    assert_eq!(
        names,
        [
            ("retention.ms", Some("9"), ConfigSource::Topic),
            ("log.retention.hours", Some("2"), ConfigSource::StaticBroker),
            ("log.retention.hours", Some("168"), ConfigSource::Default),
        ]
    );
    let entry = find(config.describe_topic(&none, &none), "retention.ms");
    assert_eq!((entry.value.as_deref(), entry.source), (Some("7200000"), ConfigSource::StaticBroker));
    let entry = find(config.describe_topic(&none, &none), "max.message.bytes");
    assert_eq!((entry.value.as_deref(), entry.source), (Some("1048588"), ConfigSource::Default));
    let entry = find(config.describe_broker(&none), "num.partitions");
    assert_eq!(
        (entry.value.as_deref(), entry.source, entry.read_only),
        (Some("1"), ConfigSource::Default, true)
    );
}

#[test]
fn what_the_cluster_says_of_min_insync_replicas_beats_the_brokers_file_and_a_topic_beats_both() {
    let config = parse(&[("min.insync.replicas", "3")]).expect("a known key");
    let (none, cluster) = (BTreeMap::new(), overrides(&[("min.insync.replicas", "2")]));
    assert_eq!(config.topic(&none, &none).min_insync_replicas, 3, "before the metadata holds it");
    assert_eq!(config.topic(&none, &cluster).min_insync_replicas, 2);
    assert_eq!(config.topic(&overrides(&[("min.insync.replicas", "1")]), &cluster).min_insync_replicas, 1);
    let entries = config.describe_topic(&none, &cluster);
    let entry = entries.iter().find(|entry| entry.name == "min.insync.replicas").expect("it is described");
    let synonyms: Vec<_> =
        entry.synonyms.iter().map(|synonym| (synonym.value.as_deref(), synonym.source)).collect();
    assert_eq!(
        synonyms,
        [
            (Some("2"), ConfigSource::DynamicDefaultBroker),
            (Some("3"), ConfigSource::StaticBroker),
            (Some("1"), ConfigSource::Default),
        ]
    );
    let told: Vec<_> = Config::describe_cluster(&cluster).into_iter().map(|entry| entry.name).collect();
    assert_eq!(told, ["min.insync.replicas"]);
    let overruled: Vec<_> = config.overruled(&cluster).collect();
    assert_eq!(overruled, [("min.insync.replicas", "3", "2")], "which the log tells at a start");
}

#[test]
fn what_would_promise_what_nobody_keeps_is_refused() {
    let refused = |name, value| check_topic_config(name, value).expect_err("must be refused").to_string();
    assert!(refused("segment.jitter.ms", "1").contains("0 only"));
    assert!(refused("unclean.leader.election.enable", "true").contains("false only"));
    assert_eq!(check_topic_config("unclean.leader.election.enable", "false"), Ok(()));
    assert!(refusal(&[("unclean.leader.election.enable", "true")]).contains("false only"));
    assert!(refusal(&[("log.roll.jitter.ms", "5")]).contains("0 only"));
    assert!(refusal(&[("log.roll.jitter.hours", "5")]).contains("0 only"));
}

/// An answer's length must fit in 31 bits, and a change of metadata in a segment.
#[test]
fn sizes_that_would_end_a_node_are_refused() {
    assert!(refusal(&[("fetch.max.bytes", "2147483647")]).contains("to 1073741824"));
    assert!(refusal(&[("socket.request.max.bytes", "2147483647")]).contains("to 1073741824"));
    assert!(refusal(&[("metadata.log.segment.bytes", "16384")]).contains("at least 8388608"));
}
