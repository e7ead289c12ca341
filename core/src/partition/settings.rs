//! What a partition's behaviour hangs on, from its topic's configuration.

use std::time::Duration;

use crate::config::TopicConfig;
use crate::log;
use crate::museum::Switches;
use crate::time::Timestamp;

/// A partition's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The log's.
    pub log: log::Settings,
    /// `max.message.bytes`: of one batch, as it arrives.
    pub message_bytes_max: usize,
    /// `flush.messages`: 1 means that records count, for the high watermark and for every acknowledgement, once
    /// they are flushed; a larger number asks for a flush in the background and promises nothing.
    pub flush_messages: u64,
    /// `flush.ms`: a flush in the background. It is looked for every second, and the time counts from when the records
    /// were first seen, so it comes at the latest two seconds later than this after an append.
    pub flush_interval: Option<Duration>,
    /// `min.insync.replicas`: how many replicas must be in sync for acks=all.
    pub in_sync_min: usize,
    /// Which timestamps producers may give.
    pub timestamp_bounds: TimestampBounds,
}

/// `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` (KIP-937).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampBounds {
    /// How far in the past of the broker's clock a timestamp may lie.
    pub before_max_ms: i64,
    /// How far in its future.
    pub after_max_ms: i64,
}

impl TimestampBounds {
    /// Whether a producer may give this timestamp at `now`. One that was left unset is taken.
    pub fn allow(&self, timestamp: Timestamp, now: Timestamp) -> bool {
        let first = now.0.saturating_sub(self.before_max_ms);
        let last = now.0.saturating_add(self.after_max_ms);
        timestamp == Timestamp::NONE || (first..=last).contains(&timestamp.0)
    }
}

impl Default for TimestampBounds {
    /// Kafka's defaults since KIP-1030: any time in the past, an hour in the future.
    fn default() -> Self {
        Self { before_max_ms: i64::MAX, after_max_ms: 60 * 60 * 1000 }
    }
}

impl Settings {
    /// What a topic's configuration means for its partitions.
    pub fn of_topic(topic: &TopicConfig, switches: Switches) -> Self {
        Self {
            log: topic.log_settings(switches),
            message_bytes_max: topic.message_bytes_max as usize,
            flush_messages: topic.flush_messages.max(1).unsigned_abs(),
            flush_interval: match topic.flush_ms {
                i64::MAX => None,
                flush_ms => Some(Duration::from_millis(flush_ms.unsigned_abs())),
            },
            in_sync_min: topic.min_insync_replicas.unsigned_abs() as usize,
            timestamp_bounds: TimestampBounds {
                before_max_ms: topic.message_timestamp_before_max_ms,
                after_max_ms: topic.message_timestamp_after_max_ms,
            },
        }
    }

    /// Whether records count only once they are flushed (P1, `flush.messages=1`); without it they count once they are
    /// in the page cache (P0), whenever the next flush is (P3, `flush.ms`).
    pub fn flush_first(&self) -> bool {
        self.flush_messages <= 1
    }

    /// The guard of `min.insync.replicas`: whether enough replicas are in sync for an acks=all to be taken, and for
    /// one that was taken to be acknowledged. The leader counts.
    pub fn has_enough_in_sync(&self, in_sync_count: usize) -> bool {
        in_sync_count >= self.in_sync_min
    }
}

impl Default for Settings {
    /// Kafka's defaults: the page cache is trusted.
    fn default() -> Self {
        Self {
            log: log::Settings::default(),
            message_bytes_max: 1024 * 1024 + 12,
            flush_messages: u64::MAX,
            flush_interval: None,
            in_sync_min: 1,
            timestamp_bounds: TimestampBounds::default(),
        }
    }
}
