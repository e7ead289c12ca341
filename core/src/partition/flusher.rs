//! One flusher per log directory: it syncs what partitions ask for, together, and does what is due from time to time.
//!
//! Group commit: whoever asks while a round of syncs is under way is served, with everybody else, by the next.
//! Checkpoints and retention run in a task of their own, so that they never hold up a producer.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use crate::env::{Clock, Env};
use crate::ids::Offset;
use crate::log::FlushScope;
use crate::log::checkpoint::Offsets;
use crate::log::recovery::Checkpointed;
use crate::sync::Arc;
use crate::time::Instant;

use super::directory::{Directory, StorageError};
use super::partition::Partition;
use super::table::Table;

/// Syncs that run at once: files share the file system's journal commits, and a blocking thread each.
const SYNCS_AT_ONCE: usize = 16;

/// How often the background work is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `log.flush.scheduler.interval.ms`: how often topics with `flush.ms` are looked at.
    pub flush_check_interval: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`: recovery points.
    pub recovery_point_interval: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`: log starts.
    pub log_start_interval: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`: high watermarks.
    pub high_watermark_interval: Duration,
    /// `log.retention.check.interval.ms`: retention.
    pub retention_interval: Duration,
    /// `producer.id.expiration.ms`: how long a silent producer is remembered. Asked as often as retention.
    pub producer_expiration: Duration,
}

impl Default for Settings {
    /// Kafka's own intervals, but for `flush.ms`, which Kafka leaves to be switched on.
    fn default() -> Self {
        Self {
            flush_check_interval: Duration::from_secs(1),
            recovery_point_interval: Duration::from_secs(60),
            log_start_interval: Duration::from_secs(60),
            high_watermark_interval: Duration::from_secs(5),
            retention_interval: Duration::from_secs(300),
            producer_expiration: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// Work that is done from time to time, in the order in which it is done when several are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duty {
    FlushOld,
    Retention,
    LogStarts,
    HighWatermarks,
    RecoveryPoints,
}

const DUTIES: [Duty; 5] =
    [Duty::FlushOld, Duty::Retention, Duty::LogStarts, Duty::HighWatermarks, Duty::RecoveryPoints];

/// The flusher of one log directory.
pub struct Flusher<E: Env> {
    env: E,
    directory: Arc<Directory<E::Disk>>,
    table: Arc<Table<E>>,
    settings: Settings,
}

impl<E: Env> Flusher<E> {
    /// Flushes those partitions of the table that live in the directory.
    pub fn new(env: E, directory: Arc<Directory<E::Disk>>, table: Arc<Table<E>>, settings: Settings) -> Self {
        Self { env, directory, table, settings }
    }

    /// Serves all who ask for a flush, until [`Flusher::stop`] or until the directory fails; then takes its partitions
    /// offline and ends.
    pub async fn run(self: Arc<Self>) {
        while let Some(wanted) = self.directory.flush_wanted().await {
            let partitions = wanted.into_iter().filter_map(|id| self.table.get(id).ok()).collect();
            self.flush_together(partitions, FlushScope::Names).await;
        }
        if self.directory.check().is_err() {
            for partition in self.partitions() {
                partition.go_offline(&self.env);
            }
        }
    }

    /// Asks both tasks to end, which they do when the syncs under way have ended.
    pub fn stop(&self) {
        self.directory.stop();
    }

    /// Does what is due from time to time, until [`Flusher::stop`] or until the directory fails.
    pub async fn run_background(self: Arc<Self>) {
        let start = self.env.clock().now();
        let mut due: Vec<(Instant, Duty)> =
            DUTIES.iter().map(|&duty| (start + self.interval(duty), duty)).collect();
        while self.directory.check().is_ok() && !self.directory.is_stopping() {
            let next = due.iter().map(|(at, _)| *at).min().expect("there are duties");
            tokio::select! {
                biased;
                _ = self.directory.failed() => return,
                () = self.directory.stopped() => return,
                requests = self.directory.checkpoint_wanted() => {
                    if self.do_duty(Duty::LogStarts).await.is_ok() {
                        // Who asked may have gone meanwhile.
                        requests.into_iter().for_each(|request| request.send(()).unwrap_or(()));
                    }
                }
                () = self.env.clock().sleep_until(next) => {}
            }
            for (at, duty) in &mut due {
                if *at <= self.env.clock().now() && !self.directory.is_stopping() {
                    // A failure ends the loop by the directory's state.
                    drop(self.do_duty(*duty).await);
                    *at = self.env.clock().now() + self.interval(*duty);
                }
            }
        }
    }

    /// Closes all logs, flushes everything and writes all checkpoints, so that the next start need not scan a log.
    /// The caller has stopped the requests and both tasks, and marks the directory clean afterwards.
    ///
    /// # Errors
    /// `StorageError` when the directory is offline, or goes offline now, or when nobody knows what is on the disk.
    pub async fn finish(&self) -> Result<(), StorageError> {
        for partition in self.partitions() {
            self.env.checkpoint().await;
            partition.close(&self.env)?;
        }
        self.flush_together(self.partitions(), FlushScope::Everything).await;
        for duty in [Duty::LogStarts, Duty::HighWatermarks, Duty::RecoveryPoints] {
            self.do_duty(duty).await?;
        }
        self.directory.check_syncs()
    }

    fn interval(&self, duty: Duty) -> Duration {
        match duty {
            Duty::FlushOld => self.settings.flush_check_interval,
            Duty::Retention => self.settings.retention_interval,
            Duty::LogStarts => self.settings.log_start_interval,
            Duty::HighWatermarks => self.settings.high_watermark_interval,
            Duty::RecoveryPoints => self.settings.recovery_point_interval,
        }
    }

    async fn do_duty(&self, duty: Duty) -> Result<(), StorageError> {
        self.directory.check()?;
        let log_dir = self.directory.log_dir();
        let written = match duty {
            Duty::FlushOld => {
                let now = self.env.clock().now();
                for scope in [FlushScope::Sealed, FlushScope::Everything] {
                    let mut due = self.partitions();
                    due.retain(|partition| partition.flush_due(now) == Some(scope));
                    self.flush_together(due, scope).await;
                }
                return self.directory.check();
            }
            Duty::Retention => {
                for partition in self.partitions() {
                    self.env.checkpoint().await;
                    let now = self.env.clock().wall();
                    if let Ok(Some(removal)) = partition.retain(&self.env, now) {
                        let removed = self.env.run("partition.remove_segments", removal).await;
                        if let Err(error) = removed {
                            partition.removal_failed(&self.env, &error);
                        }
                    }
                    self.env.checkpoint().await;
                    partition.expire_producers(now, self.settings.producer_expiration);
                }
                return self.directory.check();
            }
            Duty::LogStarts => log_dir.write_log_starts(&self.offsets(|of| of.log_start)).await,
            Duty::HighWatermarks => {
                log_dir.write_high_watermarks(&self.offsets(|of| of.high_watermark)).await
            }
            Duty::RecoveryPoints => {
                log_dir.write_recovery_points(&self.offsets(|of| of.recovery_point)).await
            }
        };
        written.map_err(|error| self.directory.fail(&self.env, &error))
    }

    /// What a checkpoint shall say of all logs in the directory.
    fn offsets(&self, choose: impl Fn(&Checkpointed) -> Offset) -> Offsets {
        let hosted = self.partitions();
        let noted = self.directory.noted();
        let noted = noted.iter().map(|(id, of)| (*id, choose(of)));
        noted
            .chain(hosted.iter().map(|partition| (partition.id(), choose(&partition.checkpointed()))))
            .collect()
    }

    fn partitions(&self) -> Vec<Arc<Partition<E>>> {
        let mut partitions = self.table.all();
        partitions.retain(|partition| Arc::ptr_eq(partition.directory(), &self.directory));
        partitions
    }

    async fn flush_together(&self, partitions: Vec<Arc<Partition<E>>>, scope: FlushScope) {
        for chunk in partitions.chunks(SYNCS_AT_ONCE) {
            together(chunk.iter().map(|partition| partition.flush(&self.env, scope)).collect()).await;
        }
    }
}

/// Polls a few futures until all have ended.
async fn together<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(|context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
