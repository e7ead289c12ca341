//! The keys of a broker, with Kafka's defaults except where the comment says otherwise, and what becomes of the rest.

use super::key::{Bounds, Key, Kind};

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    bounds: Bounds,
    doc: &'static str,
) -> Key {
    Key { name, kind, default: Some(default), bounds, doc, broker_keys: &[] }
}

/// A key whose default is null: unless it is given, a weaker key decides.
const fn unset(name: &'static str, kind: Kind, bounds: Bounds, doc: &'static str) -> Key {
    Key { name, kind, default: None, bounds, doc, broker_keys: &[] }
}

/// Every key of a broker that is honoured, in the order of their names.
pub const BROKER_KEYS: &[Key] = &[
    unset(
        "advertised.listeners",
        Kind::List,
        Bounds::NotEmpty,
        "The address that clients are told to use; `listeners` unless given, with localhost for an empty host.",
    ),
    key(
        "auto.create.topics.enable",
        Kind::Boolean,
        "true",
        Bounds::Any,
        "Whether a metadata request for an unknown topic creates it, when the request allows it.",
    ),
    unset("broker.rack", Kind::String, Bounds::NotEmpty, "The rack this broker stands in."),
    key(
        "compression.type",
        Kind::String,
        "producer",
        Bounds::OneOf(&["producer"]),
        "The default of a topic's compression.type.",
    ),
    key(
        "connections.max.idle.ms",
        Kind::Long,
        "600000",
        Bounds::AtLeast(-1),
        "After how long without a request a connection is closed; negative for never.",
    ),
    key(
        "controller.listener.names",
        Kind::List,
        "CONTROLLER",
        Bounds::Any,
        "Which of the listeners belong to the metadata quorum. A quorum of one speaks to nobody, so they are not opened.",
    ),
    unset(
        "controller.quorum.bootstrap.servers",
        Kind::List,
        Bounds::Any,
        "Accepted for a quorum of one, which has nobody to look for.",
    ),
    unset(
        "controller.quorum.voters",
        Kind::List,
        Bounds::NotEmpty,
        "The voters of the metadata quorum, as id@host:port. More than one is not supported yet.",
    ),
    key(
        "default.replication.factor",
        Kind::Int,
        "1",
        Bounds::Between(1, 32767),
        "The replication factor of a topic that is created without one.",
    ),
    key("delete.topic.enable", Kind::Boolean, "true", Bounds::Any, "Whether topics may be deleted."),
    key(
        "fetch.max.bytes",
        Kind::Int,
        "57671680",
        // Kafka: up to 2 GiB, which leaves no room for the rest of the frame.
        Bounds::Between(1024, 1 << 30),
        "The most bytes one fetch is answered with, whatever it asks for.",
    ),
    unset(
        "inter.broker.listener.name",
        Kind::String,
        Bounds::NotEmpty,
        "Which listener brokers use among themselves; the only one.",
    ),
    unset(
        "internal.metadata.log.segment.bytes",
        Kind::Int,
        Bounds::AtLeast(1024),
        "As metadata.log.segment.bytes, but smaller, for tests only.",
    ),
    key(
        "listener.security.protocol.map",
        Kind::List,
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
        Bounds::Any,
        "Which protocol each listener speaks, as NAME:PROTOCOL. Clients are served with PLAINTEXT only; a listener of \
         another protocol is refused.",
    ),
    key(
        "listeners",
        Kind::List,
        "PLAINTEXT://:9092",
        Bounds::NotEmpty,
        "The address to listen on, as NAME://host:port; an empty host stands for all interfaces, port 0 for any free \
         one. One address for clients.",
    ),
    key(
        "log.cleanup.policy",
        Kind::List,
        "delete",
        Bounds::OneOf(&["delete"]),
        "The default of a topic's cleanup.policy.",
    ),
    // Kafka: /tmp/kafka-logs, which a reboot may clear.
    key(
        "log.dir",
        Kind::String,
        "data",
        Bounds::NotEmpty,
        "The directory of the logs, unless log.dirs is given.",
    ),
    unset("log.dirs", Kind::List, Bounds::NotEmpty, "The directories of the logs; log.dir unless given."),
    key(
        "log.flush.interval.messages",
        Kind::Long,
        "9223372036854775807",
        Bounds::AtLeast(1),
        "The default of a topic's flush.messages.",
    ),
    unset(
        "log.flush.interval.ms",
        Kind::Long,
        Bounds::AtLeast(0),
        "The default of a topic's flush.ms; log.flush.scheduler.interval.ms unless given.",
    ),
    key(
        "log.flush.offset.checkpoint.interval.ms",
        Kind::Int,
        "60000",
        Bounds::AtLeast(1),
        "How often the recovery points are written down, which bounds recovery after a crash.",
    ),
    key(
        "log.flush.scheduler.interval.ms",
        Kind::Long,
        "9223372036854775807",
        Bounds::AtLeast(1),
        "The default of a topic's flush.ms when log.flush.interval.ms is not given.",
    ),
    key(
        "log.flush.start.offset.checkpoint.interval.ms",
        Kind::Int,
        "60000",
        Bounds::AtLeast(1),
        "How often the start offsets of the logs are written down, so that deleted records stay deleted.",
    ),
    key(
        "log.index.interval.bytes",
        Kind::Int,
        "4096",
        Bounds::AtLeast(0),
        "The default of a topic's index.interval.bytes.",
    ),
    key(
        "log.index.size.max.bytes",
        Kind::Int,
        "10485760",
        Bounds::AtLeast(4),
        "The default of a topic's segment.index.bytes.",
    ),
    key(
        "log.message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Bounds::AtLeast(0),
        "The default of a topic's message.timestamp.after.max.ms.",
    ),
    key(
        "log.message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Bounds::AtLeast(0),
        "The default of a topic's message.timestamp.before.max.ms.",
    ),
    key(
        "log.message.timestamp.type",
        Kind::String,
        "CreateTime",
        Bounds::OneOf(&["CreateTime", "LogAppendTime"]),
        "The default of a topic's message.timestamp.type.",
    ),
    key("log.preallocate", Kind::Boolean, "false", Bounds::Any, "The default of a topic's preallocate."),
    key(
        "log.retention.bytes",
        Kind::Long,
        "-1",
        Bounds::AtLeast(-1),
        "The default of a topic's retention.bytes.",
    ),
    key(
        "log.retention.check.interval.ms",
        Kind::Long,
        "300000",
        Bounds::AtLeast(1),
        "How often segments are looked over for those that may go.",
    ),
    key(
        "log.retention.hours",
        Kind::Int,
        "168",
        Bounds::Any,
        "The default of a topic's retention.ms, in hours, when the two below are not given.",
    ),
    unset(
        "log.retention.minutes",
        Kind::Int,
        Bounds::Any,
        "The default of a topic's retention.ms, in minutes, when log.retention.ms is not given.",
    ),
    unset("log.retention.ms", Kind::Long, Bounds::AtLeast(-1), "The default of a topic's retention.ms."),
    key(
        "log.roll.hours",
        Kind::Int,
        "168",
        Bounds::AtLeast(1),
        "The default of a topic's segment.ms, in hours, when log.roll.ms is not given.",
    ),
    key(
        "log.roll.jitter.hours",
        Kind::Int,
        "0",
        Bounds::Only("0"),
        "The default of a topic's segment.jitter.ms, in hours, when log.roll.jitter.ms is not given.",
    ),
    unset("log.roll.jitter.ms", Kind::Long, Bounds::Only("0"), "The default of a topic's segment.jitter.ms."),
    unset("log.roll.ms", Kind::Long, Bounds::AtLeast(1), "The default of a topic's segment.ms."),
    key(
        "log.segment.bytes",
        Kind::Int,
        "1073741824",
        Bounds::AtLeast(14),
        "The default of a topic's segment.bytes.",
    ),
    key(
        "log.segment.delete.delay.ms",
        Kind::Long,
        "60000",
        Bounds::AtLeast(0),
        "The default of a topic's file.delete.delay.ms.",
    ),
    key(
        "max.connections",
        Kind::Int,
        "2147483647",
        Bounds::AtLeast(0),
        "How many connections are served at once; more wait to be accepted. Never more than half the files that the \
         system lets this process open, for the rest are the logs'.",
    ),
    key(
        "max.incremental.fetch.session.cache.slots",
        Kind::Int,
        "1000",
        Bounds::AtLeast(0),
        "How many incremental fetch sessions are remembered (KIP-227).",
    ),
    key(
        "max.request.partition.size.limit",
        Kind::Int,
        "2000",
        Bounds::AtLeast(1),
        "The most partitions in one answer to DescribeTopicPartitions (KIP-966).",
    ),
    key(
        "message.max.bytes",
        Kind::Int,
        "1048588",
        Bounds::AtLeast(0),
        "The default of a topic's max.message.bytes.",
    ),
    unset(
        "metadata.log.dir",
        Kind::String,
        Bounds::NotEmpty,
        "The directory of the metadata log; the first of log.dirs unless given.",
    ),
    key(
        "metadata.log.max.record.bytes.between.snapshots",
        Kind::Long,
        "20971520",
        Bounds::AtLeast(1),
        "After how many bytes of new metadata records a snapshot is written (KIP-630).",
    ),
    key(
        "metadata.log.segment.bytes",
        Kind::Int,
        "1073741824",
        // As Kafka's: a change of metadata that is larger than a segment could not be written.
        Bounds::AtLeast(8 << 20),
        "The segment.bytes of the metadata log.",
    ),
    key(
        "min.insync.replicas",
        Kind::Int,
        "1",
        Bounds::AtLeast(1),
        "What the cluster's default of min.insync.replicas begins with. The metadata holds it from the first start on; \
         alter it there (kafka-configs --entity-type brokers --entity-default).",
    ),
    // Kafka: none, it must be given.
    key(
        "node.id",
        Kind::Int,
        "1",
        Bounds::AtLeast(0),
        "The number that names this node for as long as the cluster lives.",
    ),
    key(
        "num.partitions",
        Kind::Int,
        "1",
        Bounds::AtLeast(1),
        "The number of partitions of a topic that is created without one.",
    ),
    // Kafka: none, it must be given.
    key(
        "process.roles",
        Kind::List,
        "broker,controller",
        Bounds::OneOf(&["broker", "controller"]),
        "What this node is. Both, until there are clusters.",
    ),
    key(
        "producer.id.expiration.ms",
        Kind::Int,
        "86400000",
        Bounds::AtLeast(1),
        "After how long without a batch an idempotent producer is forgotten; looked at as often as retention is.",
    ),
    key(
        "queued.max.request.bytes",
        Kind::Long,
        "-1",
        Bounds::AtLeast(-1),
        "The bytes of requests held at once by all connections; -1 for 512 MiB, where Kafka has no bound.",
    ),
    key(
        "replica.high.watermark.checkpoint.interval.ms",
        Kind::Long,
        "5000",
        Bounds::AtLeast(1),
        "How often the high watermarks are written down.",
    ),
    key(
        "socket.request.max.bytes",
        Kind::Int,
        "104857600",
        // Kafka: up to 2 GiB, a batch of which no answer could hold.
        Bounds::Between(1, 1 << 30),
        "The largest request that is read, in bytes. One that is not a Produce may have 8 MiB in any case.",
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        Bounds::Only("false"),
        "The default of a topic's unclean.leader.election.enable.",
    ),
];

/// The key of that name.
pub fn broker_key(name: &str) -> Option<&'static Key> {
    BROKER_KEYS.iter().find(|key| key.name == name)
}

/// Kafka's keys that tune what this broker does not have, or has otherwise: without them nothing is promised that is
/// not kept, so a `server.properties` with them starts, and one line of warning names them.
pub(super) const IGNORED_BROKER_KEYS: &[&str] = &[
    "auto.include.jmx.reporter",
    "auto.leader.rebalance.enable",
    "background.threads",
    "broker.heartbeat.interval.ms",
    "broker.session.timeout.ms",
    "connection.failed.authentication.delay.ms",
    "controlled.shutdown.enable",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "controller.quorum.append.linger.ms",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.election.timeout.ms",
    "controller.quorum.fetch.timeout.ms",
    "controller.quorum.request.timeout.ms",
    "controller.quorum.retry.backoff.ms",
    "controller.socket.timeout.ms",
    "delete.records.purgatory.purge.interval.requests",
    "fetch.purgatory.purge.interval.requests",
    "initial.broker.registration.timeout.ms",
    "leader.imbalance.check.interval.seconds",
    "leader.imbalance.per.broker.percentage",
    "log.dir.failure.timeout.ms",
    "log.initial.task.delay.ms",
    "metadata.log.max.snapshot.interval.ms",
    "metadata.log.segment.ms",
    "metadata.max.idle.interval.ms",
    "metadata.max.retention.bytes",
    "metadata.max.retention.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.alter.log.dirs.threads",
    "num.replica.fetchers",
    "producer.id.expiration.check.interval.ms",
    "producer.purgatory.purge.interval.requests",
    "queued.max.requests",
    "replica.fetch.backoff.ms",
    "replica.fetch.max.bytes",
    "replica.fetch.min.bytes",
    "replica.fetch.response.max.bytes",
    "replica.fetch.wait.max.ms",
    "replica.lag.time.max.ms",
    "replica.socket.receive.buffer.bytes",
    "replica.socket.timeout.ms",
    "request.timeout.ms",
    "server.max.startup.time.ms",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.listen.backlog.size",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "unstable.api.versions.enable",
    "unstable.feature.versions.enable",
];

/// As [`IGNORED_BROKER_KEYS`], by the beginning of their names.
pub(super) const IGNORED_BROKER_PREFIXES: &[&str] =
    &["group.", "log.cleaner.", "offsets.", "share.coordinator.", "transaction.", "transactional."];

/// Kafka's keys that promise safety or a format which this broker does not give. To start without it, as if it had
/// been understood, would be worse than not to start.
pub(super) const REFUSED_BROKER_KEYS: &[&str] = &[
    "allow.everyone.if.no.acl.found",
    "alter.config.policy.class.name",
    "authorizer.class.name",
    "broker.id",
    "client.quota.callback.class",
    "create.topic.policy.class.name",
    "max.connections.per.ip",
    "max.connection.creation.rate",
    "message.downconversion.enable",
    "principal.builder.class",
    "replica.selector.class",
    "security.inter.broker.protocol",
    "super.users",
];

/// As [`REFUSED_BROKER_KEYS`], by the beginning of their names.
pub(super) const REFUSED_BROKER_PREFIXES: &[&str] = &[
    "delegation.token.",
    "listener.name.",
    "password.encoder.",
    "remote.log.",
    "sasl.",
    "ssl.",
    "zookeeper.",
];
