//! What a partition's behaviour hangs on, from its topic's configuration.

use std::time::Duration;

use crate::log;

/// Whose clock the timestamps of a topic are from (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's: batches are stamped, and their checksum computed again.
    LogAppendTime,
}

/// A partition's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The log's.
    pub log: log::Settings,
    /// `max.message.bytes`: of one batch, as it arrives.
    pub message_bytes_max: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `flush.messages`: 1 means that records count, for the high watermark and for every acknowledgement, once
    /// they are flushed; a larger number asks for a flush in the background and promises nothing.
    pub flush_messages: u64,
    /// `flush.ms`: a flush in the background, at the latest this long after an append.
    pub flush_interval: Option<Duration>,
}

impl Settings {
    /// Whether records count only once they are flushed.
    pub fn flush_first(&self) -> bool {
        self.flush_messages <= 1
    }
}
