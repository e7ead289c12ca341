//! What a partition's behaviour hangs on, from its topic's configuration.

use std::time::Duration;

use crate::config::TopicConfig;
use crate::log;
use crate::museum::Switches;

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
        }
    }

    /// Whether records count only once they are flushed.
    pub fn flush_first(&self) -> bool {
        self.flush_messages <= 1
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
        }
    }
}
