//! What happened, as checkers may see it.
//!
//! Machines and the log return facts; the shell passes them to `Env::observe` inside the critical section in which
//! they became true. Production ignores them; the simulator's checks and the fuzzers' checks are fed by them.
//! A fact is a statement about the system, never a question to it.

use bytes::Bytes;

use crate::ids::{LeaderEpoch, Offset, TopicPartition};

/// One thing that happened on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Batches entered the log: one or more whole v2 batches, as they are on disk.
    Appended {
        /// Where.
        partition: TopicPartition,
        /// Offset of the first record.
        base_offset: Offset,
        /// One past the last record.
        log_end: Offset,
        /// The epoch they were written in.
        leader_epoch: LeaderEpoch,
        /// The bytes on disk.
        batches: Bytes,
    },
    /// The log was cut from its end.
    Truncated {
        /// Where.
        partition: TopicPartition,
        /// The new log end.
        log_end: Offset,
    },
    /// The log was cut from its start, by retention or DeleteRecords.
    LogStartMoved {
        /// Where.
        partition: TopicPartition,
        /// The new first readable offset.
        log_start: Offset,
        /// The high watermark at that moment, which the start must not pass.
        high_watermark: Offset,
    },
    /// Everything below this offset is on the disk itself.
    Flushed {
        /// Where.
        partition: TopicPartition,
        /// One past the last durable record.
        flushed: Offset,
    },
    /// The high watermark moved.
    HighWatermark {
        /// Where.
        partition: TopicPartition,
        /// One past the last committed record.
        high_watermark: Offset,
    },
    /// A log was opened at a start, or begins empty, because it is new or because what there was of it went with the
    /// power.
    Recovered {
        /// Where.
        partition: TopicPartition,
        /// Whether the last stop left its marker, so that the log was trusted and not scanned.
        clean: bool,
        /// The first readable offset.
        log_start: Offset,
        /// One past the last record that survived.
        log_end: Offset,
    },
    /// This node became leader of a partition.
    BecameLeader {
        /// Where.
        partition: TopicPartition,
        /// In which epoch.
        leader_epoch: LeaderEpoch,
        /// Where the epoch begins.
        start: Offset,
    },
    /// A produce request was answered with success.
    Acked {
        /// Where.
        partition: TopicPartition,
        /// The offset given to its first record.
        base_offset: Offset,
        /// One past its last record.
        end: Offset,
        /// What the producer asked for: -1 (all), 0 or 1.
        acks: i16,
    },
    /// Records were handed to a reader.
    Fetched {
        /// Where.
        partition: TopicPartition,
        /// From which offset on.
        from: Offset,
        /// The bound that held for this reader, exclusive.
        bound: Offset,
    },
    /// A log directory was taken offline after an I/O error.
    DirectoryOffline,
}
