//! The keys of a topic, with Kafka's defaults.
//!
//! What this broker cannot do yet is refused, not accepted and forgotten: `cleanup.policy=compact` without a cleaner
//! and a `compression.type` without recompression would promise what nobody keeps.

use super::key::{Bounds, Key, Kind};

/// Milliseconds in an hour and in a minute, for the broker keys that count in those.
const HOUR: i64 = 60 * 60 * 1000;
const MINUTE: i64 = 60 * 1000;

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    bounds: Bounds,
    broker_keys: &'static [(&'static str, i64)],
    doc: &'static str,
) -> Key {
    Key { name, kind, default: Some(default), bounds, doc, broker_keys }
}

/// Every key of a topic that is honoured, in the order of their names.
pub const TOPIC_KEYS: &[Key] = &[
    key(
        "cleanup.policy",
        Kind::List,
        "delete",
        Bounds::OneOf(&["delete"]),
        &[("log.cleanup.policy", 1)],
        "What happens to old segments: they are deleted. Compaction is not there yet, and so `compact` is refused.",
    ),
    key(
        "compression.type",
        Kind::String,
        "producer",
        Bounds::OneOf(&["producer"]),
        &[("compression.type", 1)],
        "Batches are stored as the producer compressed them. Recompression is not there yet, and so other values are refused.",
    ),
    key(
        "file.delete.delay.ms",
        Kind::Long,
        "60000",
        Bounds::AtLeast(0),
        &[("log.segment.delete.delay.ms", 1)],
        "How long a removed file stays on the disk. A reader keeps a removed file open by itself here, so nothing waits for it.",
    ),
    key(
        "flush.messages",
        Kind::Long,
        "9223372036854775807",
        Bounds::AtLeast(1),
        &[("log.flush.interval.messages", 1)],
        "After how many messages the log is synced. 1 means that no record counts before it is on the disk itself.",
    ),
    key(
        "flush.ms",
        Kind::Long,
        "9223372036854775807",
        Bounds::AtLeast(0),
        &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
        "After how many milliseconds the log is synced in the background.",
    ),
    key(
        "index.interval.bytes",
        Kind::Int,
        "4096",
        Bounds::AtLeast(0),
        &[("log.index.interval.bytes", 1)],
        "How many bytes of log lie between two entries of its offset index.",
    ),
    key(
        "max.message.bytes",
        Kind::Int,
        "1048588",
        Bounds::AtLeast(0),
        &[("message.max.bytes", 1)],
        "The largest record batch that is taken, in bytes after compression.",
    ),
    key(
        "message.timestamp.after.max.ms",
        Kind::Long,
        "3600000",
        Bounds::AtLeast(0),
        &[("log.message.timestamp.after.max.ms", 1)],
        "How far a record's timestamp may lie in the future of the broker's clock (KIP-937).",
    ),
    key(
        "message.timestamp.before.max.ms",
        Kind::Long,
        "9223372036854775807",
        Bounds::AtLeast(0),
        &[("log.message.timestamp.before.max.ms", 1)],
        "How far a record's timestamp may lie in the past of the broker's clock (KIP-937).",
    ),
    key(
        "message.timestamp.type",
        Kind::String,
        "CreateTime",
        Bounds::OneOf(&["CreateTime", "LogAppendTime"]),
        &[("log.message.timestamp.type", 1)],
        "Whose clock stamps a record: the producer's, or the broker's when it appends.",
    ),
    key(
        "min.insync.replicas",
        Kind::Int,
        "1",
        Bounds::AtLeast(1),
        &[("min.insync.replicas", 1)],
        "How many replicas must be in sync for acks=all to be taken. There is one until there are followers, so more refuse it.",
    ),
    key(
        "preallocate",
        Kind::Boolean,
        "false",
        Bounds::Any,
        &[("log.preallocate", 1)],
        "Whether the disk reserves a new segment's space at once.",
    ),
    key(
        "retention.bytes",
        Kind::Long,
        "-1",
        Bounds::AtLeast(-1),
        &[("log.retention.bytes", 1)],
        "How many bytes of a partition are kept before old segments go; -1 for any.",
    ),
    key(
        "retention.ms",
        Kind::Long,
        "604800000",
        Bounds::AtLeast(-1),
        &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE), ("log.retention.hours", HOUR)],
        "How old a segment's newest record may grow before the segment goes; -1 for any age.",
    ),
    key(
        "segment.bytes",
        Kind::Int,
        "1073741824",
        Bounds::AtLeast(14),
        &[("log.segment.bytes", 1)],
        "How large a segment's file may grow before a new segment begins.",
    ),
    key(
        "segment.index.bytes",
        Kind::Int,
        "10485760",
        Bounds::AtLeast(4),
        &[("log.index.size.max.bytes", 1)],
        "How large a segment's index may grow before a new segment begins.",
    ),
    key(
        "segment.jitter.ms",
        Kind::Long,
        "0",
        Bounds::Only("0"),
        &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)],
        "By how much at random a segment may begin earlier than `segment.ms` says. Jitter is not there yet, and so it is 0.",
    ),
    key(
        "segment.ms",
        Kind::Long,
        "604800000",
        Bounds::AtLeast(1),
        &[("log.roll.ms", 1), ("log.roll.hours", HOUR)],
        "How old a segment may grow before a new one begins, even when it is not full.",
    ),
    key(
        "unclean.leader.election.enable",
        Kind::Boolean,
        "false",
        Bounds::Only("false"),
        &[("unclean.leader.election.enable", 1)],
        "Whether a replica outside the in-sync set may lead as a last resort, which loses acknowledged records. It never does yet.",
    ),
];

/// The key of that name.
pub fn topic_key(name: &str) -> Option<&'static Key> {
    TOPIC_KEYS.iter().find(|key| key.name == name)
}

/// Kafka's other keys of a topic. They are known, but this broker has nothing to do with them, and says so.
pub(super) const UNSUPPORTED_TOPIC_KEYS: &[&str] = &[
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "delete.retention.ms",
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "local.retention.bytes",
    "local.retention.ms",
    "max.compaction.lag.ms",
    "message.downconversion.enable",
    "message.format.version",
    "message.timestamp.difference.max.ms",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
    "remote.storage.enable",
];
