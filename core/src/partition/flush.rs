//! One partition's part in flushing: when it asks for a flush, and what a flush that succeeded proves.

use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::log::{DiskError, Flush, FlushScope};
use crate::time::Instant;

use super::partition::{Core, Partition};

/// Sealed segments that may wait for the next round of the background: each keeps a file open.
const UNSYNCED_SEGMENTS_MAX: usize = 16;

/// What a partition knows of its flushes.
#[derive(Debug, Default)]
pub(super) struct FlushState {
    /// What was asked for since the last flush began: then it stands in the flusher's queue, or is about to.
    wanted: Option<FlushScope>,
    /// Whether a flush is under way: there is never a second one, which would write the same checkpoint.
    under_way: bool,
    /// What was asked for meanwhile.
    wanted_again: Option<FlushScope>,
    /// Of the bytes appended, those that are flushed.
    pub(super) flushed_bytes: u64,
    /// When the background flusher first saw records that were not flushed.
    unflushed_since: Option<Instant>,
}

impl<D: Disk> Core<D> {
    /// Whether the partition must enter the flusher's queue at once, because its topic asks for it. What waits only
    /// so that the recovery point can pass it, a sealed segment or a name, is flushed from time to time: many
    /// segments share a round then, and one that retention takes meanwhile costs no sync at all. But no more than so
    /// many wait.
    pub(super) fn wants_flush(&mut self) -> bool {
        if self.asked_by_topic() {
            return self.ask_for_flush(FlushScope::Everything);
        }
        self.log.unsynced_segments() >= UNSYNCED_SEGMENTS_MAX && self.ask_for_flush(FlushScope::Sealed)
    }

    /// Notes that a flush is wanted; whether the partition must enter the flusher's queue for it.
    pub(super) fn ask_for_flush(&mut self, scope: FlushScope) -> bool {
        let before = self.flush.wanted;
        self.flush.wanted = before.max(Some(scope));
        before.is_none()
    }

    /// Whether records wait for longer than `flush.ms`.
    fn has_old_records(&mut self, now: Instant) -> bool {
        let Some(interval) = self.settings.flush_interval else { return false };
        if self.log.unflushed_records() == 0 {
            self.flush.unflushed_since = None;
            return false;
        }
        let since = *self.flush.unflushed_since.get_or_insert(now);
        now.saturating_since(since) >= interval
    }

    fn asked_by_topic(&self) -> bool {
        let unflushed = self.log.unflushed_records();
        unflushed > 0 && unflushed as u64 >= self.settings.flush_messages
    }
}

impl<E: Env> Partition<E> {
    /// Flushes at least `scope`, and whatever was asked for. The wait happens outside the lock; appends go on
    /// meanwhile and are the next flush's. A failure takes the directory offline: a sync is never tried again.
    pub async fn flush(&self, env: &E, scope: FlushScope) {
        env.checkpoint().await;
        let Some(begun) = self.begin_flush(scope) else { return };
        let mut under_way = UnderWay { partition: self, has_ended: false };
        let outcome = begun.flush.sync().await;
        env.checkpoint().await;
        under_way.has_ended = true;
        self.end_flush(env, begun, outcome);
        if self.flush_is_over() {
            self.directory().want_flush(self.id());
        }
    }

    /// The flush that is due and that no append asked for: records wait for longer than `flush.ms`, or sealed
    /// segments, names and epochs wait. Asked from time to time by the background flusher.
    pub(super) fn flush_due(&self, now: Instant) -> Option<FlushScope> {
        let mut core = self.enter_background()?;
        let is_old = core.has_old_records(now) || core.asked_by_topic();
        let scope = is_old.then_some(FlushScope::Everything);
        scope.or_else(|| core.log.wants_flush().then_some(FlushScope::Sealed))
    }

    /// Whether another flush was asked for meanwhile.
    fn flush_is_over(&self) -> bool {
        let mut core = self.enter_unchecked();
        core.flush.under_way = false;
        let again = core.flush.wanted_again.take();
        core.flush.wanted = core.flush.wanted.max(again);
        again.is_some()
    }

    fn begin_flush(&self, scope: FlushScope) -> Option<Begun<E::Disk>> {
        let mut core = self.enter_background()?;
        let wanted = Some(scope).max(core.flush.wanted);
        if std::mem::replace(&mut core.flush.under_way, true) {
            core.flush.wanted_again = core.flush.wanted_again.max(wanted);
            return None;
        }
        // From here on an append asks for the next flush.
        core.flush.wanted = None;
        let scope = wanted.unwrap_or(scope);
        let is_whole = scope == FlushScope::Everything;
        if is_whole {
            core.flush.unflushed_since = None;
        }
        let appended_bytes = if is_whole { core.appended_bytes } else { core.flush.flushed_bytes };
        Some(Begun { flush: core.log.begin_flush(scope), appended_bytes })
    }

    fn end_flush(&self, env: &E, begun: Begun<E::Disk>, outcome: Result<(), DiskError>) {
        let Begun { flush, appended_bytes } = begun;
        let Some(mut core) = self.enter_background() else { return };
        if let Err(error) = outcome {
            self.fail(env, core, &error);
            return;
        }
        // A log that was cut meanwhile knows by the generation that this flush proves nothing.
        if core.log.end_flush(flush).is_some() {
            core.flush.flushed_bytes = core.flush.flushed_bytes.max(appended_bytes);
            env.observe(&Fact::Flushed { partition: self.id(), flushed: core.log.flushed() });
        }
        self.publish(env, &mut core);
        drop(core);
        self.directory().parked().progressed(&**self.progress());
    }
}

/// A flush, and how many of the bytes appended are flushed when it succeeds.
struct Begun<D: Disk> {
    flush: Flush<D>,
    appended_bytes: u64,
}

/// A flush that is under way, until it ends or is dropped. A dropped one counts as under way for ever: its syncs go on
/// unseen, and another flush of the same files could succeed although these failed.
struct UnderWay<'a, E: Env> {
    partition: &'a Partition<E>,
    has_ended: bool,
}

impl<E: Env> Drop for UnderWay<'_, E> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.partition.directory().abandon_sync();
        }
    }
}
