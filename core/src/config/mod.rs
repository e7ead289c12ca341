//! Kafka's configuration, as far as a single node honours it.
//!
//! One table per scope ([`BROKER_KEYS`], [`TOPIC_KEYS`]) feeds parsing, defaults, DescribeConfigs and documentation.
//! An unknown key is an error with a suggestion; a key of Kafka's that this broker has nothing to do with is taken
//! and named in [`Config::ignored`]; one that would promise what is not kept is refused.

mod broker_keys;
mod describe;
mod key;
mod listener;
mod suggestion;
#[cfg(test)]
mod tests;
mod topic;
mod topic_keys;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::log::TimestampType;
pub use broker_keys::{BROKER_KEYS, broker_key};
pub use describe::{ConfigEntry, ConfigSource, Synonym};
pub use key::{Bounds, Key, Kind, ValueError};
pub use listener::Listener;
pub use topic::{TopicConfig, check_topic_config, check_topic_configs};
pub use topic_keys::{TOPIC_KEYS, topic_key};

use crate::controller;
use crate::ids::BrokerId;
use crate::museum::Switches;
use broker_keys::{
    IGNORED_BROKER_KEYS, IGNORED_BROKER_PREFIXES, REFUSED_BROKER_KEYS, REFUSED_BROKER_PREFIXES,
};
use key::{elements, parse_boolean};

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No key of Kafka's has this name.
    #[error("unknown key `{key}`{}", .suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownKey {
        /// The name given.
        key: String,
        /// The nearest name there is.
        suggestion: Option<&'static str>,
    },
    /// A key of topics where a broker's belongs.
    #[error(
        "`{key}` is a key of topics; the broker's key that sets it for all topics without their own is `{broker_key}`"
    )]
    TopicKey {
        /// The name given.
        key: String,
        /// The broker's key in the same unit.
        broker_key: &'static str,
    },
    /// A key of Kafka's whose promise this broker does not keep.
    #[error(
        "`{0}` is Kafka's, but this version does not support what it promises; remove it to start without"
    )]
    Unsupported(String),
    /// A key given twice.
    #[error("`{0}` is given twice; keep one of the two")]
    Twice(String),
    /// A value that the key does not take.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// The configuration of one node: the broker's keys parsed, and the defaults of its topics.
#[derive(Clone, Debug)]
pub struct Config {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The listener for clients.
    pub listener: Listener,
    /// What clients are told; port 0 stands for the port really listened on.
    pub advertised: Listener,
    /// `log.dirs` or `log.dir`; never empty, and no name twice.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`, or the first of `log_dirs`.
    pub metadata_log_dir: PathBuf,
    /// Whether the metadata quorum has no voter but this node.
    pub is_sole_voter: bool,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `num.partitions`.
    pub num_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`; `None` for the server's own choice.
    pub queued_request_bytes_max: Option<u64>,
    /// `connections.max.idle.ms`; `None` for never.
    pub connections_max_idle: Option<Duration>,
    /// `max.connections`.
    pub connections_max: usize,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub fetch_sessions_max: usize,
    /// `max.request.partition.size.limit`.
    pub described_partitions_max: usize,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub checkpoint_interval: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`.
    pub start_checkpoint_interval: Duration,
    /// `producer.id.expiration.ms`.
    pub producer_expiration: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval: Duration,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub metadata_bytes_between_snapshots: u64,
    /// `metadata.log.segment.bytes`.
    pub metadata_segment_bytes: u32,
    /// A topic without overrides.
    pub topic_defaults: TopicConfig,
    /// Kafka's keys that were given and have no effect, in the order of their names.
    pub ignored: Vec<String>,
    /// The id of the cluster when this node begins it; one is drawn unless it is given. No key of a file's.
    pub cluster_id: Option<String>,
    /// Guards that the simulator has switched off; nothing in production.
    pub switches: Switches,
    given: BTreeMap<&'static str, String>,
}

impl Default for Config {
    /// A node without configuration: Kafka's defaults, data in `./data`, port 9092.
    fn default() -> Self {
        Self::parse([]).expect("the defaults are within their bounds")
    }
}

impl Config {
    /// Parses Kafka's keys and their values; what is not given has its default.
    ///
    /// # Errors
    /// The first key that is unknown, given twice, unsupported, or has a value that it does not take.
    pub fn parse(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut given = BTreeMap::new();
        let mut ignored = Vec::new();
        for (name, value) in pairs {
            match broker_key(&name) {
                Some(key) => {
                    key.check(&value)?;
                    if given.insert(key.name, value.trim().to_owned()).is_some() {
                        return Err(ConfigError::Twice(name));
                    }
                }
                None if is_listed(&name, REFUSED_BROKER_KEYS, REFUSED_BROKER_PREFIXES) => {
                    return Err(ConfigError::Unsupported(name));
                }
                None if is_listed(&name, IGNORED_BROKER_KEYS, IGNORED_BROKER_PREFIXES) => ignored.push(name),
                None => return Err(unknown(name)),
            }
        }
        ignored.sort();
        Self::resolve(given, ignored)
    }

    fn resolve(given: BTreeMap<&'static str, String>, ignored: Vec<String>) -> Result<Self, ConfigError> {
        let values = Values(&given);
        let (listener, advertised) = values.listeners()?;
        let log_dirs = values.log_dirs()?;
        values.check_roles()?;
        Ok(Self {
            node_id: BrokerId(values.int("node.id")),
            rack: given.get("broker.rack").cloned(),
            listener,
            advertised,
            metadata_log_dir: given
                .get("metadata.log.dir")
                .map_or_else(|| log_dirs[0].clone(), PathBuf::from),
            log_dirs,
            is_sole_voter: values.is_sole_voter()?,
            auto_create_topics: values.boolean("auto.create.topics.enable"),
            delete_topics: values.boolean("delete.topic.enable"),
            num_partitions: values.int("num.partitions"),
            default_replication_factor: values.int("default.replication.factor") as i16,
            request_bytes_max: values.int("socket.request.max.bytes") as usize,
            queued_request_bytes_max: u64::try_from(values.long("queued.max.request.bytes")).ok(),
            connections_max_idle: u64::try_from(values.long("connections.max.idle.ms"))
                .ok()
                .map(Duration::from_millis),
            connections_max: values.int("max.connections") as usize,
            fetch_bytes_max: values.int("fetch.max.bytes") as usize,
            fetch_sessions_max: values.int("max.incremental.fetch.session.cache.slots") as usize,
            described_partitions_max: values.int("max.request.partition.size.limit") as usize,
            retention_check_interval: values.duration_ms("log.retention.check.interval.ms"),
            checkpoint_interval: values.duration_ms("log.flush.offset.checkpoint.interval.ms"),
            start_checkpoint_interval: values.duration_ms("log.flush.start.offset.checkpoint.interval.ms"),
            producer_expiration: values.duration_ms("producer.id.expiration.ms"),
            high_watermark_checkpoint_interval: values
                .duration_ms("replica.high.watermark.checkpoint.interval.ms"),
            metadata_bytes_between_snapshots: values.long("metadata.log.max.record.bytes.between.snapshots")
                as u64,
            metadata_segment_bytes: match values.text("internal.metadata.log.segment.bytes") {
                Some(_) => values.int("internal.metadata.log.segment.bytes") as u32,
                None => values.int("metadata.log.segment.bytes") as u32,
            },
            topic_defaults: TopicConfig::resolve(&BTreeMap::new(), &BTreeMap::new(), &given),
            ignored,
            cluster_id: None,
            switches: Switches::default(),
            given,
        })
    }

    /// What the controller needs to know.
    pub fn controller_settings(&self) -> controller::Settings {
        controller::Settings {
            num_partitions: self.num_partitions,
            default_replication_factor: self.default_replication_factor,
            delete_topics: self.delete_topics,
            check_config: |key, value| check_topic_config(key, value).map_err(|error| error.to_string()),
            list_default: |key| {
                topic_key(key).filter(|key| key.kind == Kind::List).and_then(|key| key.default)
            },
            first_min_insync_replicas: self.topic_defaults.min_insync_replicas,
            unclean_leader_election: false,
            // The only node holds the metadata itself: it has nothing to catch up with.
            fence_new_brokers: !self.is_sole_voter,
            session_timeout: controller::SESSION_TIMEOUT,
            switches: self.switches,
        }
    }

    /// What holds for a topic with these overrides where the cluster has these defaults. What is unknown or out of
    /// bounds, which a later version may have written, is passed over.
    pub fn topic(
        &self,
        overrides: &BTreeMap<String, String>,
        cluster: &BTreeMap<String, String>,
    ) -> TopicConfig {
        if overrides.is_empty() && cluster.is_empty() {
            return self.topic_defaults.clone();
        }
        TopicConfig::resolve(overrides, cluster, &self.given)
    }

    /// The keys that were given here and count no more, for the cluster has other defaults: key, what was given, what
    /// holds.
    pub fn overruled<'a>(
        &'a self,
        cluster: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = (&'static str, &'a str, &'a str)> {
        let given = self.given.iter().map(|(key, value)| (*key, value.as_str()));
        given.filter_map(|(key, value)| {
            let holds = cluster.get(key).filter(|holds| holds.as_str() != value)?;
            Some((key, value, holds.as_str()))
        })
    }
}

/// What somebody may have meant by a name that is no broker's key.
fn unknown(name: String) -> ConfigError {
    if let Some((broker_key, _)) = topic_key(&name).and_then(|key| key.broker_keys.first()) {
        return ConfigError::TopicKey { key: name, broker_key };
    }
    let suggestion = suggestion::nearest(&name, BROKER_KEYS.iter().map(|key| key.name));
    ConfigError::UnknownKey { key: name, suggestion }
}

fn is_listed(name: &str, names: &[&str], prefixes: &[&str]) -> bool {
    names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The values that were given, each already checked against its key.
struct Values<'a>(&'a BTreeMap<&'static str, String>);

impl Values<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        let default = broker_key(name).and_then(|key| key.default);
        self.0.get(name).map(String::as_str).or(default)
    }

    fn long(&self, name: &str) -> i64 {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .expect("a checked number, or a default that is one")
    }

    fn int(&self, name: &str) -> i32 {
        i32::try_from(self.long(name)).expect("keys of type int are checked to be 32 bits")
    }

    fn boolean(&self, name: &str) -> bool {
        self.text(name).and_then(parse_boolean).expect("a checked boolean, or a default that is one")
    }

    fn duration_ms(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.long(name)).unwrap_or(0))
    }

    fn refuse<T>(&self, name: &str, reason: String) -> Result<T, ConfigError> {
        let value = self.text(name).unwrap_or_default().to_owned();
        Err(ValueError { key: name.to_owned(), value, reason }.into())
    }

    fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).map(|text| elements(text).collect()).unwrap_or_default()
    }

    /// The one listener for clients and what it advertises. Controller listeners are taken and not opened.
    fn listeners(&self) -> Result<(Listener, Listener), ConfigError> {
        let of_controllers = self.list("controller.listener.names");
        let protocols = self.protocols()?;
        let for_clients = |key: &str| -> Result<Option<Listener>, ConfigError> {
            let mut found = Vec::new();
            for text in self.list(key) {
                match Listener::parse(text) {
                    Ok(listener)
                        if of_controllers.iter().any(|name| name.eq_ignore_ascii_case(&listener.name)) => {}
                    Ok(listener) => match listener.check_protocol(&protocols) {
                        Ok(()) => found.push(listener),
                        Err(reason) => return self.refuse(key, reason),
                    },
                    Err(reason) => return self.refuse(key, reason),
                }
            }
            match found.len() {
                0 | 1 => Ok(found.pop()),
                _ => self.refuse(key, "this version listens for clients on one address only".to_owned()),
            }
        };
        let Some(listener) = for_clients("listeners")? else {
            return self.refuse("listeners", "there is no listener for clients".to_owned());
        };
        let mut advertised = match for_clients("advertised.listeners")? {
            Some(advertised) if advertised.name != listener.name => {
                return self
                    .refuse("advertised.listeners", format!("there is no listener {}", advertised.name));
            }
            Some(advertised) if advertised.is_wildcard() && !advertised.host.is_empty() => {
                return self
                    .refuse("advertised.listeners", format!("no client can connect to {}", advertised.host));
            }
            Some(advertised) => advertised,
            None => listener.clone(),
        };
        if advertised.is_wildcard() {
            advertised.host = "localhost".to_owned();
        }
        match self.text("inter.broker.listener.name") {
            Some(name) if !name.eq_ignore_ascii_case(&listener.name) => {
                self.refuse("inter.broker.listener.name", format!("the only listener is {}", listener.name))
            }
            _ => Ok((listener, advertised)),
        }
    }

    /// Which protocol each listener speaks, by names in capitals.
    fn protocols(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let key = "listener.security.protocol.map";
        let mut protocols = BTreeMap::new();
        for entry in self.list(key) {
            let parts = entry.split_once(':').map(|(name, protocol)| (name.trim(), protocol.trim()));
            match parts {
                Some((name, protocol)) if !name.is_empty() && !protocol.is_empty() => {
                    protocols.insert(name.to_ascii_uppercase(), protocol.to_ascii_uppercase());
                }
                _ => return self.refuse(key, format!("`{entry}` is not NAME:PROTOCOL")),
            }
        }
        Ok(protocols)
    }

    fn log_dirs(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let Some(dirs) = self.text("log.dirs") else {
            return Ok(vec![PathBuf::from(self.text("log.dir").expect("log.dir has a default"))]);
        };
        let dirs: Vec<PathBuf> = elements(dirs).map(PathBuf::from).collect();
        let is_twice = dirs.iter().enumerate().any(|(index, dir)| dirs[..index].contains(dir));
        if dirs.is_empty() || is_twice {
            return self.refuse("log.dirs", "it takes one or more directories, each once".to_owned());
        }
        Ok(dirs)
    }

    fn check_roles(&self) -> Result<(), ConfigError> {
        let roles = self.list("process.roles");
        if ["broker", "controller"].iter().all(|role| roles.contains(role)) {
            return Ok(());
        }
        self.refuse("process.roles", "a single node is both: broker,controller".to_owned())
    }

    /// Whether this node alone votes. Other voters are for the quorum that is to come.
    fn is_sole_voter(&self) -> Result<bool, ConfigError> {
        let mut ids = Vec::new();
        for voter in self.list("controller.quorum.voters") {
            match voter.split_once('@').and_then(|(id, _)| id.parse::<i32>().ok()) {
                Some(id) => ids.push(id),
                None => {
                    return self.refuse("controller.quorum.voters", format!("`{voter}` is not id@host:port"));
                }
            }
        }
        let node_id = self.int("node.id");
        if !ids.is_empty() && !ids.contains(&node_id) {
            return self
                .refuse("controller.quorum.voters", format!("node.id={node_id} is not among the voters"));
        }
        Ok(ids.len() <= 1)
    }
}
