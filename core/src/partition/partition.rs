//! One hosted partition: a log, and what this broker is to it, behind one lock.
//!
//! No method waits while it holds the lock, and everything that is visible without it is published whole at the end
//! of each critical section, inside of which the facts are told too.

use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::ids::{LeaderEpoch, Offset, TopicPartition};
use crate::log::recovery::Checkpointed;
use crate::log::{DiskError, Log, LogError};
use crate::sync::{Arc, Mutex, MutexGuard};

use super::append::IN_SYNC_COUNT;
use super::directory::{Directory, StorageError};
use super::leadership::ElectionError;
use super::locked;
use super::progress::{Progress, Role, Snapshot};
use super::settings::Settings;

/// What the lock protects.
pub(super) struct Core<D: Disk> {
    pub(super) log: Log<D>,
    pub(super) settings: Settings,
    pub(super) role: Role,
    pub(super) epoch_start: Offset,
    pub(super) high_watermark: Offset,
    pub(super) changes: u64,
    /// Bytes appended since the partition was opened.
    pub(super) appended_bytes: u64,
    /// Of them, those below the high watermark.
    pub(super) readable_bytes: u64,
    pub(super) flush: super::flush::FlushState,
}

/// A partition.
pub struct Partition<E: Env> {
    id: TopicPartition,
    core: Mutex<Core<E::Disk>>,
    progress: Arc<Progress<E::Disk>>,
    directory: Arc<Directory<E::Disk>>,
}

impl<E: Env> Partition<E> {
    /// Hosts a log that was created or recovered. `high_watermark` is the checkpointed one, which a log may have grown
    /// past again that damage had cut below it: where records count only once they are flushed, no more than that is
    /// believed. The partition has no role yet.
    pub fn new(
        id: TopicPartition,
        log: Log<E::Disk>,
        high_watermark: Offset,
        settings: Settings,
        directory: Arc<Directory<E::Disk>>,
    ) -> Self {
        let counts = if settings.flush_first() { log.flushed() } else { log.log_end() };
        let high_watermark = high_watermark.clamp(log.log_start(), counts.max(log.log_start()));
        let core = Core {
            log,
            settings,
            role: Role::None,
            epoch_start: Offset::UNKNOWN,
            high_watermark,
            changes: 0,
            appended_bytes: 0,
            readable_bytes: 0,
            flush: Default::default(),
        };
        let progress = Arc::new(Progress::new(id, core.snapshot()));
        Self { id, core: Mutex::new(core), progress, directory }
    }

    /// Which one.
    pub fn id(&self) -> TopicPartition {
        self.id
    }

    /// What is published.
    pub fn progress(&self) -> &Arc<Progress<E::Disk>> {
        &self.progress
    }

    /// Its log directory.
    pub fn directory(&self) -> &Arc<Directory<E::Disk>> {
        &self.directory
    }

    /// Makes this broker the leader in `epoch`. Without other replicas the whole log is the quorum's: all of it is
    /// committed, or all that is flushed where records count only then.
    ///
    /// # Errors
    /// See [`ElectionError`]. The partition's role is what it was.
    pub fn become_leader(&self, env: &E, epoch: LeaderEpoch) -> Result<(), ElectionError> {
        let mut core = self.enter()?;
        let is_old = matches!(core.role, Role::Leader(current) if current >= epoch);
        if is_old || core.role == Role::Gone {
            return Ok(());
        }
        if let Some(latest) = core.log.latest_epoch().filter(|latest| latest.epoch > epoch) {
            return Err(ElectionError::EpochWentBack { offered: epoch, latest: latest.epoch });
        }
        // The start is recorded even when nothing is ever written in the epoch (KAFKA-7415).
        core.log.begin_epoch(epoch);
        core.role = Role::Leader(epoch);
        core.epoch_start = core.log.log_end();
        core.changes += 1;
        env.observe(&Fact::BecameLeader { partition: self.id, leader_epoch: epoch, start: core.epoch_start });
        let wants_flush = core.wants_flush();
        self.publish(env, &mut core);
        drop(core);
        if wants_flush {
            self.directory.want_flush(self.id);
        }
        self.directory.parked().changed(&*self.progress);
        Ok(())
    }

    /// Ends this broker's leadership: another one leads the partition, or none.
    pub fn resign(&self, env: &E) {
        self.leave_role(env, Role::None);
    }

    /// Ends the partition's life here, before its directory is removed: from now on it makes no disk call, and one
    /// that is under way may fail without harm.
    pub fn retire(&self, env: &E) {
        self.leave_role(env, Role::Gone);
        self.directory.forget(self.id);
    }

    /// Takes the partition offline with its directory: every later call fails.
    pub(super) fn go_offline(&self, env: &E) {
        self.leave_role(env, Role::Offline);
    }

    fn leave_role(&self, env: &E, role: Role) {
        let mut core = locked(&self.core);
        core.leave_role(role);
        self.publish(env, &mut core);
        drop(core);
        self.directory.parked().changed(&*self.progress);
    }

    /// Follows a change of the topic's configuration.
    pub fn update_settings(&self, env: &E, settings: Settings) {
        let mut core = locked(&self.core);
        core.log.set_settings(settings.log);
        core.settings = settings;
        let wants_flush = core.wants_flush();
        let moved = self.publish(env, &mut core);
        drop(core);
        if wants_flush {
            self.directory.want_flush(self.id);
        }
        if moved {
            self.directory.parked().progressed(&*self.progress);
        }
    }

    /// Enters the critical section for work that nobody asked for, if there may still be any.
    pub(super) fn enter_background(&self) -> Option<MutexGuard<'_, Core<E::Disk>>> {
        self.enter().ok().filter(|core| !matches!(core.role, Role::Offline | Role::Gone))
    }

    /// Enters the critical section, whatever became of the directory.
    pub(super) fn enter_unchecked(&self) -> MutexGuard<'_, Core<E::Disk>> {
        locked(&self.core)
    }

    /// Enters the critical section, unless the directory has failed.
    pub(super) fn enter(&self) -> Result<MutexGuard<'_, Core<E::Disk>>, StorageError> {
        self.directory.check()?;
        Ok(locked(&self.core))
    }

    /// Notes a failed disk call: the whole directory goes offline, and this partition with it at once.
    pub(super) fn fail(
        &self,
        env: &E,
        mut core: MutexGuard<'_, Core<E::Disk>>,
        error: &DiskError,
    ) -> StorageError {
        let failure = self.directory.fail(env, error);
        if self.directory.check().is_ok() {
            // Only where the simulator took the guard away.
            return failure;
        }
        core.leave_role(Role::Offline);
        self.publish(env, &mut core);
        drop(core);
        self.directory.parked().changed(&*self.progress);
        failure
    }

    /// The same where the log had to read, too: a read that failed changed nothing, and fails this call alone.
    pub(super) fn fail_log(
        &self,
        env: &E,
        core: MutexGuard<'_, Core<E::Disk>>,
        error: LogError,
    ) -> StorageError {
        match error {
            LogError::Disk(error) => self.fail(env, core, &error),
            LogError::Read(error) => self.unreadable(&error),
            LogError::Failed => StorageError { cause: format!("{}: {error}", self.id) },
        }
    }

    /// Ends the log's life: everything in memory goes to the disk, to be flushed once more.
    ///
    /// # Errors
    /// `StorageError` when the directory is offline, or goes offline now.
    pub(super) fn close(&self, env: &E) -> Result<(), StorageError> {
        let mut core = self.enter()?;
        core.leave_role(Role::None);
        match core.log.close() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail_log(env, core, error)),
        }
    }

    /// What the directory's checkpoints shall say of this log.
    pub(super) fn checkpointed(&self) -> Checkpointed {
        let core = locked(&self.core);
        Checkpointed {
            recovery_point: core.log.recovery_point(),
            log_start: core.log.log_start(),
            high_watermark: core.high_watermark,
        }
    }

    /// Ends a critical section: moves the high watermark as far as it may, and publishes. Returns whether anyone
    /// could have waited for what moved.
    pub(super) fn publish(&self, env: &E, core: &mut Core<E::Disk>) -> bool {
        let before = (core.high_watermark, core.readable_bytes);
        core.advance_high_watermark();
        if core.high_watermark != before.0 {
            env.observe(&Fact::HighWatermark { partition: self.id, high_watermark: core.high_watermark });
        }
        self.progress.publish(core.snapshot());
        before != (core.high_watermark, core.readable_bytes)
    }
}

impl<D: Disk> Core<D> {
    /// What is gone stays gone.
    fn leave_role(&mut self, role: Role) {
        if self.role != Role::Gone {
            self.role = role;
        }
        self.changes += 1;
    }

    /// As the only in-sync replica a leader commits what counts: its log's end, or what it has flushed. The high
    /// watermark never goes back, also when `flush.messages` becomes 1.
    fn advance_high_watermark(&mut self) {
        if !matches!(self.role, Role::Leader(_)) {
            return;
        }
        let (counts, bytes) = match self.settings.flush_first() {
            true => (self.log.flushed(), self.flush.flushed_bytes),
            false => (self.log.log_end(), self.appended_bytes),
        };
        self.high_watermark = self.high_watermark.max(counts).max(self.log.log_start());
        self.readable_bytes = self.readable_bytes.max(bytes);
    }

    pub(super) fn snapshot(&self) -> Snapshot<D> {
        Snapshot {
            role: self.role,
            changes: self.changes,
            flush_first: self.settings.flush_first(),
            has_enough_in_sync: self.settings.has_enough_in_sync(IN_SYNC_COUNT),
            message_bytes_max: self.settings.message_bytes_max,
            log_start: self.log.log_start(),
            high_watermark: self.high_watermark,
            log_end: self.log.log_end(),
            flushed: self.log.flushed(),
            epoch_start: self.epoch_start,
            readable_bytes: self.readable_bytes,
            view: self.log.view(),
        }
    }
}
