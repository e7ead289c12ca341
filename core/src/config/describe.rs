//! What DescribeConfigs tells about a key: its value, where that comes from, and what else could have decided it.

use std::collections::BTreeMap;

use super::Config;
use super::broker_keys::{BROKER_KEYS, broker_key};
use super::key::{Key, Kind};
use super::topic::scaled;
use super::topic_keys::TOPIC_KEYS;

/// Where a value comes from, with the numbers of KIP-226.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    /// An override of the topic.
    Topic = 1,
    /// What holds for all brokers, in the metadata.
    DynamicDefaultBroker = 3,
    /// The broker's configuration file or command line.
    StaticBroker = 4,
    /// The table's default.
    Default = 5,
}

impl ConfigSource {
    /// The number on the wire.
    pub const fn code(self) -> i8 {
        self as i8
    }
}

/// One setting that decides, or would decide if stronger ones were gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The key, which may be another one than the key described.
    pub name: &'static str,
    /// Its value.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// One key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// The key.
    pub name: &'static str,
    /// The value that holds.
    pub value: Option<String>,
    /// Whether it cannot be altered through the protocol.
    pub read_only: bool,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// All settings that count, the one that decides first.
    pub synonyms: Vec<Synonym>,
    /// The type.
    pub kind: Kind,
    /// What it means.
    pub doc: &'static str,
}

impl Config {
    /// Every key of a topic with these overrides where the cluster has these defaults, in the order of their names.
    pub fn describe_topic(
        &self,
        overrides: &BTreeMap<String, String>,
        cluster: &BTreeMap<String, String>,
    ) -> Vec<ConfigEntry> {
        let describe = |key: &'static Key| self.describe_topic_key(key, overrides.get(key.name), cluster);
        TOPIC_KEYS.iter().map(describe).collect()
    }

    fn describe_topic_key(
        &self,
        key: &'static Key,
        override_value: Option<&String>,
        cluster: &BTreeMap<String, String>,
    ) -> ConfigEntry {
        let own = override_value.map(|value| Synonym {
            name: key.name,
            value: Some(value.clone()),
            source: ConfigSource::Topic,
        });
        let of_broker = key.broker_keys.iter().flat_map(|(name, _)| broker_key(name));
        let of_broker = of_broker.flat_map(|key| self.synonyms(key, cluster));
        let synonyms: Vec<Synonym> = own.into_iter().chain(of_broker).collect();
        let decides = synonyms.first();
        let source = decides.map_or(ConfigSource::Default, |synonym| synonym.source);
        let value = match decides {
            Some(synonym) => {
                let factor = key
                    .broker_keys
                    .iter()
                    .find(|(name, _)| *name == synonym.name)
                    .map_or(1, |(_, factor)| *factor);
                let factor = if synonym.source == ConfigSource::Topic { 1 } else { factor };
                synonym.value.as_deref().map(|value| scaled(value, factor))
            }
            None => key.default.map(str::to_owned),
        };
        ConfigEntry {
            name: key.name,
            value,
            read_only: false,
            source,
            synonyms,
            kind: key.kind,
            doc: key.doc,
        }
    }

    /// The cluster's defaults, in the order of their names.
    pub fn describe_cluster(cluster: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
        let keys = BROKER_KEYS.iter().filter_map(|key| Some((key, of_cluster(key, cluster)?)));
        let entry = |(key, synonym): (&'static Key, Synonym)| ConfigEntry {
            name: key.name,
            value: synonym.value.clone(),
            read_only: false,
            source: synonym.source,
            synonyms: vec![synonym],
            kind: key.kind,
            doc: key.doc,
        };
        keys.map(entry).collect()
    }

    /// Every key of the broker where the cluster has these defaults, in the order of their names.
    pub fn describe_broker(&self, cluster: &BTreeMap<String, String>) -> Vec<ConfigEntry> {
        BROKER_KEYS
            .iter()
            .map(|key| {
                let synonyms: Vec<Synonym> = self.synonyms(key, cluster).collect();
                let decides = synonyms.first();
                ConfigEntry {
                    name: key.name,
                    value: decides.and_then(|synonym| synonym.value.clone()),
                    read_only: true,
                    source: decides.map_or(ConfigSource::Default, |synonym| synonym.source),
                    synonyms,
                    kind: key.kind,
                    doc: key.doc,
                }
            })
            .collect()
    }

    /// What the cluster says of a broker's key, then what was given, then its default.
    fn synonyms(
        &self,
        key: &'static Key,
        cluster: &BTreeMap<String, String>,
    ) -> impl Iterator<Item = Synonym> + use<> {
        let given = self.given.get(key.name).map(|value| (value.clone(), ConfigSource::StaticBroker));
        let default = key.default.map(|value| (value.to_owned(), ConfigSource::Default));
        let own = given.into_iter().chain(default).map(|(value, source)| Synonym {
            name: key.name,
            value: Some(value),
            source,
        });
        of_cluster(key, cluster).into_iter().chain(own)
    }
}

fn of_cluster(key: &Key, cluster: &BTreeMap<String, String>) -> Option<Synonym> {
    let value = Some(cluster.get(key.name)?.clone());
    Some(Synonym { name: key.name, value, source: ConfigSource::DynamicDefaultBroker })
}
