//! The one writer of the metadata: decides, appends, syncs, publishes, answers.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Outcome, Publication, Settings, Shared, Submission, snapshots};
use crate::controller::{Command, Controller, Rejection, Response};
use crate::env::{Clock, Env};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::dir::LogDir;
use crate::log::recovery::Checkpointed;
use crate::log::{AppendError, DiskError, FlushScope, Log, LogError};
use crate::metadata::control::ControlRecord;
use crate::metadata::snapshot::{self, SnapshotId};
use crate::metadata::{ImageError, MetadataDelta};
use crate::record::batch::Batch;
use crate::record::builder::BatchBuilder;
use crate::record::compression::Codec;
use crate::sync::Arc;

/// Commands that share one sync.
const COMMANDS_PER_SYNC: usize = 64;
/// The largest batch of the metadata log, as in Kafka.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Bytes of a batch or record beside the records' values, at most.
const OVERHEAD_BYTES: usize = 64;

/// Why the quorum stopped. The node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// A write or sync failed. What is on the disk is unknown.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log took no append.
    #[error("the metadata log took no append: {0}")]
    Append(#[from] AppendError),
    /// The log could not be trimmed or closed.
    #[error("the metadata log failed: {0}")]
    Log(#[from] LogError),
    /// The controller decided what its own state cannot hold: a bug.
    #[error("the controller's own decision does not fit its state: {0}")]
    Decision(#[from] ImageError),
}

/// An answer that waits for a sync.
struct Answer {
    answer: oneshot::Sender<Outcome>,
    response: Response,
}

/// What one round does: the records of several commands behind one sync.
#[derive(Default)]
struct Round {
    /// The values of the records, in batches that are written whole or not at all.
    batches: Vec<Vec<Bytes>>,
    record_count: i64,
    delta: MetadataDelta,
    answers: Vec<Answer>,
}

/// The one writer of the metadata log.
pub struct Driver<E: Env> {
    env: E,
    log_dir: Arc<LogDir<E::Disk>>,
    log: Log<E::Disk>,
    controller: Controller,
    epoch: LeaderEpoch,
    has_begun_epoch: bool,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Submission>,
    publications: mpsc::UnboundedSender<Publication>,
    settings: Settings,
    bytes_since_snapshot: u64,
}

impl<E: Env> Driver<E> {
    pub(super) fn new(
        env: E,
        (log_dir, log): (Arc<LogDir<E::Disk>>, Log<E::Disk>),
        (controller, epoch): (Controller, LeaderEpoch),
        (shared, commands, publications): (
            Arc<Shared>,
            mpsc::Receiver<Submission>,
            mpsc::UnboundedSender<Publication>,
        ),
        (settings, bytes_since_snapshot): (Settings, u64),
    ) -> Self {
        Self {
            env,
            log_dir,
            log,
            controller,
            epoch,
            has_begun_epoch: false,
            shared,
            commands,
            publications,
            settings,
            bytes_since_snapshot,
        }
    }

    /// Works until [`Quorum::stop`](super::Quorum::stop), then closes the log; returns what its checkpoints may say.
    ///
    /// # Errors
    /// The first failure of the metadata directory, after which nothing is tried again.
    pub async fn run(mut self) -> Result<Checkpointed, QuorumError> {
        let result = self.work().await;
        self.turn_away();
        if let Err(
            QuorumError::Disk(error)
            | QuorumError::Append(AppendError::Disk(error))
            | QuorumError::Log(LogError::Disk(error)),
        ) = &result
        {
            self.log_dir.fail(error);
        }
        result
    }

    async fn work(&mut self) -> Result<Checkpointed, QuorumError> {
        while let Some(first) = self.next().await {
            let mut round = Round::default();
            self.take(first, &mut round)?;
            while round.answers.len() < COMMANDS_PER_SYNC
                && let Ok(submission) = self.commands.try_recv()
            {
                self.take(submission, &mut round)?;
            }
            self.commit(round).await?;
            if self.bytes_since_snapshot >= self.settings.bytes_between_snapshots {
                self.write_snapshot().await?;
            }
        }
        self.turn_away();
        self.log.close()?;
        self.flush().await?;
        let recovery_point = self.log.recovery_point();
        let log_start = self.log.log_start();
        Ok(Checkpointed { recovery_point, log_start, high_watermark: recovery_point })
    }

    /// Takes no command any more, and tells those whose command was never taken up that it has no effect.
    fn turn_away(&mut self) {
        self.commands.close();
        while let Ok(submission) = self.commands.try_recv() {
            // Whoever asked may be gone.
            let _ = submission.answer.send(Err(Rejection::NotController));
        }
    }

    async fn next(&mut self) -> Option<Submission> {
        tokio::select! {
            biased;
            () = self.shared.stop.notified() => None,
            submission = self.commands.recv() => submission,
        }
    }

    /// Where the next record will stand, behind those of the round.
    fn next_offset(&self, round: &Round) -> Offset {
        let leader_change = i64::from(!self.has_begun_epoch);
        Offset(self.log.log_end().0 + leader_change + round.record_count)
    }

    /// Decides a command, and applies its records to the controller's state. They are not committed yet, but the
    /// next command must see them; should the write fail, the node ends and its state with it.
    fn take(&mut self, submission: Submission, round: &mut Round) -> Result<(), QuorumError> {
        let Submission { command, answer } = submission;
        match self.decide(&command, round) {
            Ok((records, batches, response)) => {
                for record in &records {
                    let change = self.controller.apply(record)?;
                    round.delta.note(change);
                }
                round.record_count += records.len() as i64;
                round.batches.extend(batches);
                round.answers.push(Answer { answer, response });
            }
            Err(rejection) => {
                // Whoever asked may be gone.
                let _ = answer.send(Err(rejection));
            }
        }
        Ok(())
    }

    #[allow(clippy::type_complexity)] // a decision, taken apart
    fn decide(
        &self,
        command: &Command,
        round: &Round,
    ) -> Result<(Vec<crate::metadata::records::Record>, Vec<Vec<Bytes>>, Response), Rejection> {
        let next_offset = self.next_offset(round);
        let decision = self.controller.decide(command, next_offset, &mut || self.env.random_u64())?;
        let values: Vec<Bytes> = decision.records.iter().map(|record| record.encode()).collect();
        let segment_bytes = self.settings.log.segment_bytes as usize;
        if let Some(value) = values.iter().find(|value| value.len() + 2 * OVERHEAD_BYTES > segment_bytes) {
            // Refused here: an append that is refused would be the end of the node.
            let text =
                format!("a change of {} bytes is larger than a segment of the metadata log", value.len());
            return Err(Rejection::PolicyViolation(text));
        }
        let batches = pack(values, self.batch_bytes_max());
        if decision.is_atomic && batches.len() > 1 {
            let text =
                "the request would change more than one batch of metadata can hold: split it".to_owned();
            return Err(Rejection::PolicyViolation(text));
        }
        Ok((decision.records, batches, decision.response))
    }

    fn batch_bytes_max(&self) -> usize {
        BATCH_BYTES_MAX.min(self.settings.log.segment_bytes as usize)
    }

    /// Makes a round durable, shows it, and lets the answers go once the data lane has followed.
    async fn commit(&mut self, round: Round) -> Result<(), QuorumError> {
        let mut followers = Vec::with_capacity(round.answers.len());
        if round.record_count > 0 {
            self.append(round.batches)?;
            self.flush().await?;
            self.controller.advance(Offset(self.log.log_end().0 - 1), self.epoch);
            self.shared.publish(Arc::new(self.controller.image().clone()));
        }
        for Answer { answer, response } in round.answers {
            let (follower, followed) = oneshot::channel();
            followers.push(follower);
            let _ = answer.send(Ok((response, followed)));
        }
        let publication =
            Publication { image: Arc::new(self.controller.image().clone()), delta: round.delta, followers };
        // When nobody follows any more, the node is stopping, and dropping the publication says so to those who wait.
        let _ = self.publications.send(publication);
        Ok(())
    }

    fn append(&mut self, batches: Vec<Vec<Bytes>>) -> Result<(), QuorumError> {
        let now = self.env.clock().wall();
        if !self.has_begun_epoch {
            // KIP-595: a leader's first record says that it leads.
            let record = ControlRecord::sole_leader(self.settings.node_id);
            self.append_batch(&mut record.batch(now))?;
            self.has_begun_epoch = true;
        }
        for values in batches {
            let mut builder = BatchBuilder::new(Codec::None);
            for value in values {
                builder.append(now, None, Some(&value), &[]);
            }
            self.append_batch(&mut builder)?;
        }
        Ok(())
    }

    fn append_batch(&mut self, builder: &mut BatchBuilder) -> Result<(), QuorumError> {
        let mut bytes = builder.build();
        let batch = Batch::split_from(&mut bytes).expect("the builder makes whole batches");
        let appended = self.log.append(&batch, self.epoch, self.env.clock().wall())?;
        self.bytes_since_snapshot += batch.bytes().len() as u64;
        if !self.has_begun_epoch {
            // With its first record: an epoch whose first record could not be written never was.
            self.env.observe(&Fact::BecameLeader {
                partition: TopicPartition::METADATA,
                leader_epoch: self.epoch,
                start: appended.base_offset,
            });
        }
        if self.env.observes() {
            self.env.observe(&Fact::Appended {
                partition: TopicPartition::METADATA,
                base_offset: appended.base_offset,
                log_end: appended.log_end,
                leader_epoch: self.epoch,
                batches: appended.on_disk(&batch),
            });
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), QuorumError> {
        Ok(flush(&self.env, &mut self.log).await?)
    }

    /// Writes a snapshot (KIP-630), and lets go of the log before it.
    async fn write_snapshot(&mut self) -> Result<(), QuorumError> {
        let now = self.env.clock().wall();
        let image = self.controller.image();
        let id = SnapshotId::of(image);
        let bytes = snapshot::encode(image, now);
        let path = self.log.path().to_owned();
        snapshots::write(self.env.disk(), &path, id, &bytes).await?;
        self.env.reached("quorum.snapshot_written");
        self.bytes_since_snapshot = 0;
        // The new segment's name must be durable before the old ones go: a log without any segment is a lost log.
        self.log.roll(now)?;
        self.flush().await?;
        if self.log.advance_log_start(id.end) {
            let (log_start, high_watermark) = (id.end, self.log.log_end());
            let partition = TopicPartition::METADATA;
            self.env.observe(&Fact::LogStartMoved { partition, log_start, high_watermark });
        }
        self.log.delete_old_segments(now, self.log.log_end())?;
        if let Some(removal) = self.log.take_removal() {
            self.env.run("quorum.remove_segments", removal).await?;
        }
        Ok(())
    }
}

/// The metadata log is synced before anybody learns of what is in it, whatever the policy for data is.
pub(super) async fn flush<E: Env>(env: &E, log: &mut Log<E::Disk>) -> Result<(), DiskError> {
    let flush = log.begin_flush(FlushScope::Everything);
    flush.sync().await?;
    if let Some(flushed) = log.end_flush(flush) {
        env.observe(&Fact::Flushed { partition: TopicPartition::METADATA, flushed });
    }
    Ok(())
}

/// Spreads values over batches of at most so many bytes; a value that is larger alone gets one of its own.
fn pack(values: Vec<Bytes>, bytes_max: usize) -> Vec<Vec<Bytes>> {
    let mut batches: Vec<Vec<Bytes>> = Vec::new();
    let mut size_bytes = usize::MAX;
    for value in values {
        let with_overhead = value.len() + OVERHEAD_BYTES;
        match batches.last_mut() {
            Some(batch) if size_bytes + with_overhead <= bytes_max => {
                size_bytes += with_overhead;
                batch.push(value);
            }
            _ => {
                size_bytes = OVERHEAD_BYTES + with_overhead;
                batches.push(vec![value]);
            }
        }
    }
    batches
}
