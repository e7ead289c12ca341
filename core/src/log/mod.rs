//! A partition's log on disk: Kafka's segment files, sparse indexes, checkpoints, and what brings them back after a
//! crash.
//!
//! An append is one write to the page cache and returns at once; durability is a watermark of its own, which
//! [`Log::begin_flush`], [`Flush::sync`] and [`Log::end_flush`] move. Readers hold a [`View`] and never wait for the
//! appender. After a failed write a log takes no more: its directory goes offline ([`dir::LogDir::fail`]).
//!
//! The order that a loss of power demands: a segment's bytes before its indexes, its name before any promise that
//! depends on it, a checkpoint under a temporary name before its own.

mod append;
pub mod checkpoint;
mod contents;
pub mod dir;
mod error;
mod file;
mod file_name;
mod flush;
mod index;
#[allow(clippy::module_inception)] // `log::Log` lives where one looks for it
mod log;
pub mod meta_properties;
pub mod recovery;
mod retention;
mod roll;
mod scan;
mod segment;
pub mod sites;
#[cfg(any(test, feature = "contract"))]
pub mod trial;
mod truncate;
mod view;

pub use append::Appended;
pub use contents::TimestampOffset;
pub use error::{AppendError, DiskError, LogError, ReadError};
pub use flush::{Flush, FlushScope};
pub use log::Log;
pub use recovery::{Recovered, Recovery};
pub use retention::{Retained, SegmentRemoval};
pub use view::{Slice, View};

use crate::museum::{Switch, Switches};

/// Whose clock a record's timestamp is from: `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at the append: the batch's header is rewritten and gets a new CRC.
    LogAppendTime,
}

/// What a log needs to know of the topic's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `segment.bytes`: a segment is rolled before a batch that would make it larger.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled when its first batch is this old.
    pub segment_ms: i64,
    /// `index.interval.bytes`: batches between two index entries.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: a segment is rolled when an index has no room left in so many bytes.
    pub index_bytes_max: u32,
    /// `retention.ms`, or -1 for no limit.
    pub retention_ms: i64,
    /// `retention.bytes`, or -1 for no limit.
    pub retention_bytes: i64,
    /// `preallocate`: reserve space ahead of the appends.
    pub preallocate: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// Guards that the simulator took away.
    pub switches: Switches,
}

impl Default for Settings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            index_interval_bytes: 4096,
            index_bytes_max: 10 << 20,
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            retention_bytes: -1,
            preallocate: false,
            timestamp_type: TimestampType::CreateTime,
            switches: Default::default(),
        }
    }
}

/// The guards of the log that history shows to be needed, one predicate each.
impl Settings {
    /// C2: the recovery point is what a finished flush justifies, never the log's end (KAFKA-10101).
    fn recovery_point_waits_for_flush(&self) -> bool {
        !self.switches.off(Switch::RecoveryPointEager)
    }

    /// C4: after a failed write or sync nothing goes on, for the state of the pages is unknown (KAFKA-10778).
    fn stops_at_io_error(&self) -> bool {
        !self.switches.off(Switch::IgnoreIoError)
    }

    /// C5: the log's end moves with the write of the batch, whatever becomes of the index (KAFKA-7866).
    fn log_end_moves_before_index(&self) -> bool {
        !self.switches.off(Switch::LogEndAfterIndex)
    }

    /// C6: after an unclean stop indexes are made again from the batches.
    fn rebuilds_indexes(&self) -> bool {
        !self.switches.off(Switch::TrustIndex)
    }

    /// C7: recovery checks the CRC of what may be torn.
    fn checks_crc_in_recovery(&self) -> bool {
        !self.switches.off(Switch::NoCrcRecovery)
    }

    /// C12: accepted bytes are in the page cache, where the death of the process does not reach them.
    fn writes_through_to_page_cache(&self) -> bool {
        !self.switches.off(Switch::UserBuffer)
    }
}

#[cfg(test)]
mod tests;
