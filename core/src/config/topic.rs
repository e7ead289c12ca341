//! What holds for one topic: its overrides over the cluster's defaults over the broker's over Kafka's.

use std::collections::BTreeMap;

use super::key::{ValueError, parse_boolean};
use super::suggestion;
use super::topic_keys::{TOPIC_KEYS, UNSUPPORTED_TOPIC_KEYS, topic_key};
use crate::log::{self, TimestampType};
use crate::museum::Switches;

/// The keys of a topic, resolved. Fields are named like the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the table says what each key means
pub struct TopicConfig {
    pub flush_messages: i64,
    pub flush_ms: i64,
    pub index_interval_bytes: u32,
    pub message_bytes_max: u32,
    pub message_timestamp_after_max_ms: i64,
    pub message_timestamp_before_max_ms: i64,
    pub message_timestamp_type: TimestampType,
    pub min_insync_replicas: i32,
    pub preallocate: bool,
    /// -1 for any.
    pub retention_bytes: i64,
    /// -1 for any age.
    pub retention_ms: i64,
    pub segment_bytes: u32,
    pub segment_index_bytes: u32,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
}

impl TopicConfig {
    /// What it means for a log.
    pub fn log_settings(&self, switches: Switches) -> log::Settings {
        log::Settings {
            segment_bytes: self.segment_bytes,
            segment_ms: self.segment_ms,
            index_interval_bytes: self.index_interval_bytes,
            index_bytes_max: self.segment_index_bytes,
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            preallocate: self.preallocate,
            timestamp_type: self.message_timestamp_type,
            switches,
        }
    }

    pub(super) fn resolve(
        overrides: &BTreeMap<String, String>,
        cluster: &BTreeMap<String, String>,
        broker: &BTreeMap<&'static str, String>,
    ) -> Self {
        let text = |name: &str| effective(name, overrides, cluster, broker);
        let long =
            |name: &str| text(name).parse::<i64>().expect("a checked number, or a default that is one");
        let unsigned = |name: &str| u32::try_from(long(name)).expect("bounds keep it between 0 and 2^31");
        Self {
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            index_interval_bytes: unsigned("index.interval.bytes"),
            message_bytes_max: unsigned("max.message.bytes"),
            message_timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            message_timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            message_timestamp_type: match text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_insync_replicas: i32::try_from(long("min.insync.replicas")).expect("a checked 32-bit number"),
            preallocate: parse_boolean(&text("preallocate")).expect("a checked boolean"),
            retention_bytes: long("retention.bytes"),
            retention_ms: long("retention.ms"),
            segment_bytes: unsigned("segment.bytes"),
            segment_index_bytes: unsigned("segment.index.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            segment_ms: long("segment.ms"),
        }
    }
}

/// The value that holds for a key: an override that is valid, else what the cluster says, else what the broker says,
/// else Kafka's default.
fn effective(
    name: &str,
    overrides: &BTreeMap<String, String>,
    cluster: &BTreeMap<String, String>,
    broker: &BTreeMap<&'static str, String>,
) -> String {
    let key = topic_key(name).expect("the callers name keys of the table");
    if let Some(value) = overrides.get(name).filter(|value| key.check(value).is_ok()) {
        return value.trim().to_owned();
    }
    for (broker_key, factor) in key.broker_keys {
        let of_cluster = cluster
            .get(*broker_key)
            .map(|value| scaled(value, *factor))
            .filter(|value| key.check(value).is_ok());
        if let Some(value) = of_cluster {
            return value;
        }
        if let Some(value) = broker.get(broker_key) {
            return scaled(value, *factor);
        }
    }
    key.default.expect("every key of a topic has a default").to_owned()
}

/// A broker key's value in the unit of the topic's key; what is negative means "no bound" and stays -1.
pub(super) fn scaled(value: &str, factor: i64) -> String {
    match value.parse::<i64>() {
        Ok(number) if factor != 1 && number < 0 => "-1".to_owned(),
        Ok(number) if factor != 1 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    }
}

/// Checks one override of a topic, as CreateTopics and AlterConfigs bring it.
///
/// # Errors
/// An unknown or unsupported key, or a value out of bounds; says what would be right.
pub fn check_topic_config(name: &str, value: &str) -> Result<(), ValueError> {
    if let Some(key) = topic_key(name) {
        return key.check(value);
    }
    let reason = if UNSUPPORTED_TOPIC_KEYS.contains(&name) {
        "this version does not support this key of Kafka's".to_owned()
    } else {
        match suggestion::nearest(name, TOPIC_KEYS.iter().map(|key| key.name)) {
            Some(near) => format!("there is no such key of a topic; did you mean `{near}`?"),
            None => "there is no such key of a topic".to_owned(),
        }
    };
    Err(ValueError { key: name.to_owned(), value: value.to_owned(), reason })
}

/// Checks all overrides of a topic together.
///
/// # Errors
/// The first that [`check_topic_config`] refuses.
pub fn check_topic_configs(overrides: &BTreeMap<String, String>) -> Result<(), ValueError> {
    overrides.iter().try_for_each(|(name, value)| check_topic_config(name, value))
}
