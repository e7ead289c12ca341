//! One replica of the metadata log at work: the raft machine, its files, and the messages between it and the others.
//!
//! What the machine wants is done strictly in its order, and what must be durable is waited for on the spot, as Kafka's
//! own raft thread does: so no message can overtake the vote that it depends on. A flush of the log goes on beside
//! everything else, since a leader must be heard while its disk works; a snapshot does not yet, whether it is written or
//! installed, and a large one on a slow disk may cost the leadership.

mod asked;
mod step;
#[cfg(test)]
mod tests;

use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::asked::Asked;
pub use self::asked::{Question, Reply};
pub use self::step::SITES;
use super::election_file::{self, ElectionFileError};
use super::metadata_log::{MetadataLog, MetadataLogError};
use crate::env::{Clock, Env};
use crate::epochs::{LogView, SnapshotId};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::recovery::Checkpointed;
use crate::log::{DiskError, Flush, LogError, ReadError};
use crate::raft::messages::{Request, Response};
use crate::raft::{ElectionState, Fatal, Machine, Moment, ReplicaKey, Settings, VoterHistory, Voters};
use crate::record::builder::BatchBuilder;

/// Why a replica stopped. The process cannot go on without it.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// Going on would lose what was committed.
    #[error("the metadata quorum: {0}")]
    Fatal(#[from] Fatal),
    /// The log or a snapshot failed.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// A disk call failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What is committed cannot be read.
    #[error("the metadata log cannot be read: {0}")]
    Read(#[from] ReadError),
    /// Nobody knows for whom this replica voted.
    #[error(transparent)]
    Election(#[from] ElectionFileError),
    /// The metadata log holds what this replica does not understand.
    #[error("a control record of the metadata log is malformed: {0}")]
    Control(#[from] crate::metadata::CodecError),
    /// A batch of the metadata log is damaged.
    #[error("a batch of the metadata log is damaged: {0}")]
    Batch(#[from] crate::record::batch::BatchError),
    /// The records of a batch are damaged.
    #[error("the records of a batch of the metadata log are damaged: {0}")]
    Records(#[from] crate::record::records::RecordError),
    /// Snapshots do not hold the voters yet: with the head of the log a change of them would be forgotten.
    #[error(
        "the voters have directories (KIP-853), which this node does not understand yet: name them in controller.quorum.voters"
    )]
    ChangingVoters,
}

/// A request on its way to another replica. Whoever carries it may lose it: the machine asks again.
#[derive(Debug)]
pub struct Outbound {
    /// To whom; negative for a bootstrap address ([`Settings::bootstrap_server`]).
    pub to: BrokerId,
    /// What is asked.
    pub request: Request,
}

/// Something that happens to a replica.
#[derive(Debug)]
pub enum Event {
    /// Another replica asks.
    Question(Question),
    /// Another replica has answered.
    Answer {
        /// Who.
        from: BrokerId,
        /// What.
        response: Response,
        /// The records or the piece of a snapshot that came with it.
        bytes: Bytes,
    },
    /// The controller of an epoch that this replica leads wants batches appended.
    Propose {
        /// The epoch.
        epoch: LeaderEpoch,
        /// The batches, in their order.
        batches: Vec<BatchBuilder>,
        /// Gets the offset behind the last record, or nothing when the epoch is over. They are committed when a
        /// [`Step::Committed`] reaches so far; until then they may be lost with the leadership.
        appended: oneshot::Sender<Option<Offset>>,
    },
    /// The state up to this offset, which is committed, as a snapshot; the log before it may go.
    Snapshot {
        /// The first offset that is not in it.
        end: Offset,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Another is to lead, since this replica is about to stop.
    Resign,
}

/// What those behind the replica learn, in this order: first the newest snapshot, if there is one, then everything that
/// was committed since.
#[derive(Debug)]
pub enum Step {
    /// These batches are committed; they follow on what was committed before. A majority has synced them, this replica
    /// perhaps not yet.
    Committed {
        /// The batches. Of the first one some records may have been told before.
        batches: Bytes,
        /// Everything below is committed.
        end: Offset,
    },
    /// A snapshot takes the place of everything before.
    Snapshot {
        /// Where it ends.
        id: SnapshotId,
        /// Its bytes.
        bytes: Bytes,
    },
    /// This replica leads an epoch, and everything that was committed in earlier ones has been told.
    BecameLeader(LeaderEpoch),
    /// It does not any more. Comes only after the step above.
    LostLeadership(LeaderEpoch),
}

/// Where a replica's messages go.
pub struct Wires {
    /// What happens to it.
    pub events: mpsc::Receiver<Event>,
    /// What it asks of others. What finds no room is lost.
    pub outbound: mpsc::Sender<Outbound>,
    /// What it tells those behind it.
    pub steps: mpsc::UnboundedSender<Step>,
}

type Flushing<D> = Pin<Box<dyn Future<Output = (Flush<D>, Result<(), DiskError>)> + Send>>;

/// So many events are taken before timers get their turn, however many more wait.
const EVENTS_BETWEEN_TIMERS: u32 = 64;

/// How far those behind the replica know of the epoch that it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leadership {
    /// It leads none.
    None,
    /// It was elected; its first record stands there.
    Elected(LeaderEpoch, Offset),
    /// They were told.
    Told(LeaderEpoch),
}

/// One replica.
pub struct Replica<E: Env> {
    env: E,
    machine: Machine,
    log: MetadataLog<E>,
    wires: Wires,
    asked: Asked,
    /// What came with the answer that the machine is looking at.
    arrived: Bytes,
    /// Up to where [`Step::Committed`] went.
    told: Offset,
    leadership: Leadership,
    events_since_timers: u32,
    flushing: Option<Flushing<E::Disk>>,
}

impl<E: Env> Replica<E> {
    /// A replica on a log that was opened. `voters` are those of the configuration, for as long as the log names none.
    ///
    /// # Errors
    /// See [`ReplicaError`].
    pub fn new(
        env: E,
        (settings, me): (Settings, ReplicaKey),
        log: MetadataLog<E>,
        voters: Voters,
        wires: Wires,
    ) -> Result<Self, ReplicaError> {
        let saved = election_file::read(env.disk(), log.path())?.unwrap_or_default();
        let mut history = VoterHistory::new(log.log_start(), voters);
        step::voters_of_log(&log, &mut history)?;
        if !history.latest().is_static() {
            return Err(ReplicaError::ChangingVoters);
        }
        let moment = Moment { now: env.clock().now(), random: env.random_u64(), log: &log };
        let flushed = log.flushed();
        let machine = Machine::new(settings, me, saved, history, flushed, &moment);
        let told = machine.high_watermark();
        let mut replica = Self {
            env,
            machine,
            log,
            wires,
            asked: Asked::default(),
            arrived: Bytes::new(),
            told,
            leadership: Leadership::None,
            events_since_timers: 0,
            flushing: None,
        };
        replica.tell_snapshot()?;
        Ok(replica)
    }

    /// Works until nobody can send it events any more, then closes the log; returns what its checkpoints may say.
    ///
    /// # Errors
    /// The first failure, after which nothing is tried again.
    pub async fn run(mut self) -> Result<Checkpointed, ReplicaError> {
        let result = self.work().await;
        if let Err(
            ReplicaError::Disk(error)
            | ReplicaError::Log(MetadataLogError::Disk(error) | MetadataLogError::Log(LogError::Disk(error))),
        ) = &result
        {
            self.log.fail(error);
        }
        result
    }

    async fn work(&mut self) -> Result<Checkpointed, ReplicaError> {
        loop {
            self.perform_outputs().await?;
            self.machine.check(&self.log);
            self.begin_flush();
            let has_more = self.tell_committed()?;
            let wake = [self.machine.next_deadline(), self.asked.next_deadline()].into_iter().flatten().min();
            let clock = self.env.clock().clone();
            tokio::select! {
                biased;
                (flush, synced) = finished(&mut self.flushing) => {
                    self.flushing = None;
                    synced?;
                    self.end_flush(flush);
                }
                event = self.wires.events.recv() => match event {
                    Some(event) => self.take(event).await?,
                    None => break,
                },
                () = sleep(&clock, wake) => self.pass_time(),
                () = std::future::ready(()), if has_more => self.env.checkpoint().await,
            }
        }
        self.finish_flush().await?;
        Ok(self.log.close(self.machine.high_watermark()).await?)
    }

    /// Has the machine do something at this moment.
    fn tell<T>(&mut self, what: impl FnOnce(&mut Machine, &Moment<'_>) -> T) -> T {
        let moment = Moment { now: self.env.clock().now(), random: self.env.random_u64(), log: &self.log };
        what(&mut self.machine, &moment)
    }

    fn pass_time(&mut self) {
        self.events_since_timers = 0;
        let now = self.env.clock().now();
        for (to, request) in self.asked.expired(now) {
            self.machine.expire_fetch(to, &request);
        }
        if self.machine.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.tell(Machine::handle_timeout);
        }
    }

    fn begin_flush(&mut self) {
        if self.flushing.is_none() && self.machine.flushed() < self.log.log_end() {
            let flush = self.log.begin_flush();
            self.flushing = Some(Box::pin(async move {
                let synced = flush.sync().await;
                (flush, synced)
            }));
        }
    }

    fn end_flush(&mut self, flush: Flush<E::Disk>) {
        if let Some(flushed) = self.log.end_flush(flush) {
            self.tell(|machine, moment| machine.handle_flushed(flushed, moment));
        }
    }

    /// Waits for a flush that is under way: two of one log would write each other's files.
    async fn finish_flush(&mut self) -> Result<(), ReplicaError> {
        if let Some(flushing) = self.flushing.take() {
            let (flush, synced) = flushing.await;
            synced?;
            self.end_flush(flush);
        }
        Ok(())
    }

    async fn take(&mut self, event: Event) -> Result<(), ReplicaError> {
        match event {
            Event::Question(question) => self.hear(question),
            Event::Answer { from, response, bytes } => {
                self.arrived = bytes;
                self.tell(|machine, moment| match &response {
                    Response::Vote(response) => machine.handle_vote_response(from, response, moment),
                    Response::Epoch(response) => machine.handle_epoch_response(response, moment),
                    Response::Fetch(response) => machine.handle_fetch_response(from, response, moment),
                    Response::FetchSnapshot(response) => {
                        machine.handle_fetch_snapshot_response(from, response, moment);
                    }
                });
            }
            Event::Propose { epoch, batches, appended } => {
                let end = self.propose(epoch, batches)?;
                // Whoever asked may be gone.
                let _ = appended.send(end);
            }
            Event::Snapshot { end, bytes } => self.keep_snapshot(end, &bytes).await?,
            Event::Resign => self.tell(Machine::resign),
        }
        self.events_since_timers += 1;
        if self.events_since_timers >= EVENTS_BETWEEN_TIMERS {
            self.pass_time();
        }
        Ok(())
    }

    fn hear(&mut self, question: Question) {
        let now = self.env.clock().now();
        let (to, request) = self.asked.admit(question, now);
        self.tell(|machine, moment| match &request {
            Request::Vote(request) => machine.handle_vote(to, request, moment),
            Request::BeginQuorumEpoch(request) => machine.handle_begin_quorum_epoch(to, request, moment),
            Request::EndQuorumEpoch(request) => machine.handle_end_quorum_epoch(to, request, moment),
            Request::Fetch(request) => machine.handle_fetch(to, request, moment),
            Request::FetchSnapshot(request) => machine.handle_fetch_snapshot(to, request, moment),
        });
    }

    fn propose(
        &mut self,
        epoch: LeaderEpoch,
        batches: Vec<BatchBuilder>,
    ) -> Result<Option<Offset>, ReplicaError> {
        if self.machine.leader_epoch() != Some(epoch) {
            return Ok(None);
        }
        for mut batch in batches {
            self.log.append(&mut batch, epoch)?;
        }
        self.tell(Machine::handle_appended);
        Ok(Some(self.log.log_end()))
    }

    /// A snapshot that comes too late, or of what was replaced meanwhile, is of no use any more; neither is one that ends
    /// inside a batch, for followers fetch whole ones.
    async fn keep_snapshot(&mut self, end: Offset, bytes: &[u8]) -> Result<(), ReplicaError> {
        self.finish_flush().await?;
        if !self.begins_batch(end)? {
            return Ok(());
        }
        let Ok(id) = self.tell(|machine, moment| machine.snapshot_id(end, moment)) else { return Ok(()) };
        self.log.write_snapshot(id, bytes).await?;
        self.log.trim_to(id).await?;
        self.tell(Machine::handle_log_start_moved);
        Ok(())
    }

    fn begins_batch(&self, offset: Offset) -> Result<bool, ReplicaError> {
        let (start, end) = (self.log.log_start(), self.log.log_end());
        if offset <= start || offset >= end {
            return Ok(offset == end);
        }
        Ok(self.log.read(offset, end, 1)?.first_offset == offset)
    }

    /// What was saved of elections is durable before anything that depends on it is sent.
    async fn save_election(&mut self, state: ElectionState) -> Result<(), ReplicaError> {
        election_file::write(self.env.disk(), self.log.path(), &state).await?;
        self.tell(|machine, moment| machine.handle_election_saved(&state, moment));
        Ok(())
    }
}

/// Waits for a flush that is under way, or for ever. Cancellation loses nothing: the flush stays where it is.
async fn finished<D: crate::env::Disk>(
    flushing: &mut Option<Flushing<D>>,
) -> (Flush<D>, Result<(), DiskError>) {
    match flushing {
        Some(flushing) => flushing.await,
        None => std::future::pending().await,
    }
}

async fn sleep<C: Clock>(clock: &C, until: Option<crate::time::Instant>) {
    match until {
        Some(until) => clock.sleep_until(until).await,
        None => std::future::pending().await,
    }
}
