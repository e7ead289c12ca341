//! One partition's part in flushing: when it asks for a flush, and what a flush that succeeded proves.

use crate::env::{Disk, Env};
use crate::fact::Fact;
use crate::log::{DiskError, Flush};
use crate::time::Instant;

use super::partition::{Core, Partition};

/// What a partition knows of its flushes.
#[derive(Debug, Default)]
pub(super) struct FlushState {
    /// Whether it stands in the flusher's queue.
    wanted: bool,
    /// Whether a flush is under way: there is never a second one, which would write the same checkpoint.
    under_way: bool,
    /// Whether another one was asked for meanwhile.
    wanted_again: bool,
    /// Of the bytes appended, those that are flushed.
    pub(super) flushed_bytes: u64,
    /// When the background flusher first saw records that were not flushed.
    unflushed_since: Option<Instant>,
}

impl<D: Disk> Core<D> {
    /// Whether the partition must enter the flusher's queue, once until the next flush begins: because its topic
    /// asks for it, or because a sealed segment, a name or an epoch waits (the recovery point cannot pass those).
    pub(super) fn wants_flush(&mut self) -> bool {
        let due = self.asked_by_topic() || self.log.wants_flush();
        due && !std::mem::replace(&mut self.flush.wanted, true)
    }

    fn asked_by_topic(&self) -> bool {
        let unflushed = self.log.unflushed_records();
        unflushed > 0 && unflushed as u64 >= self.settings.flush_messages
    }
}

impl<E: Env> Partition<E> {
    /// Flushes what has been appended so far. The wait happens outside the lock; appends go on meanwhile and are
    /// the next flush's. A failure takes the directory offline: a sync is never tried again.
    pub async fn flush(&self, env: &E) {
        env.checkpoint().await;
        let Some((flush, appended_bytes)) = self.begin_flush() else { return };
        let under_way = UnderWay(self);
        let outcome = flush.sync().await;
        env.checkpoint().await;
        self.end_flush(env, flush, appended_bytes, outcome);
        drop(under_way);
    }

    /// Whether a flush is due that no append asked for: records wait for longer than `flush.ms`, or names and epochs
    /// changed without an append. Asked from time to time by the background flusher.
    pub(super) fn is_flush_due(&self, now: Instant) -> bool {
        let Some(mut core) = self.enter_background() else { return false };
        if core.wants_flush() {
            return true;
        }
        let Some(interval) = core.settings.flush_interval else { return false };
        if core.log.unflushed_records() == 0 {
            core.flush.unflushed_since = None;
            return false;
        }
        let since = *core.flush.unflushed_since.get_or_insert(now);
        now.saturating_since(since) >= interval
    }

    /// Whether another flush was asked for meanwhile.
    fn flush_is_over(&self) -> bool {
        let mut core = self.enter_even_after_panic();
        core.flush.under_way = false;
        let again = std::mem::take(&mut core.flush.wanted_again);
        core.flush.wanted |= again;
        again
    }

    fn begin_flush(&self) -> Option<(Flush<E::Disk>, u64)> {
        let mut core = self.enter_background()?;
        if std::mem::replace(&mut core.flush.under_way, true) {
            core.flush.wanted_again = true;
            return None;
        }
        // From here on an append asks for the next flush.
        core.flush.wanted = false;
        core.flush.unflushed_since = None;
        let appended_bytes = core.appended_bytes;
        Some((core.log.begin_flush(), appended_bytes))
    }

    fn end_flush(&self, env: &E, flush: Flush<E::Disk>, appended_bytes: u64, outcome: Result<(), DiskError>) {
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

/// A flush that is under way, until it ends or is dropped.
struct UnderWay<'a, E: Env>(&'a Partition<E>);

impl<E: Env> Drop for UnderWay<'_, E> {
    fn drop(&mut self) {
        if self.0.flush_is_over() {
            self.0.directory().want_flush(self.0.id());
        }
    }
}
