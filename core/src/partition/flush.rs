//! One partition's part in flushing: when it asks for a flush, and what a flush that succeeded proves.

use crate::env::{Disk, Env};
use crate::epochs::LogView;
use crate::fact::Fact;
use crate::ids::Offset;
use crate::time::Instant;

use super::partition::{Core, Partition};

/// What a partition knows of its flushes.
#[derive(Debug, Default)]
pub(super) struct FlushState {
    /// Whether it stands in the flusher's queue.
    wanted: bool,
    /// Of the bytes appended, those that are flushed.
    pub(super) flushed_bytes: u64,
    /// When the background flusher first saw records that were not flushed.
    unflushed_since: Option<Instant>,
}

impl<D: Disk> Core<D> {
    /// Whether the partition must enter the flusher's queue: once, until the next flush begins.
    pub(super) fn wants_flush(&mut self) -> bool {
        let unflushed = self.log.log_end().0 - self.log.flushed().0;
        let due = unflushed > 0 && unflushed as u64 >= self.settings.flush_messages;
        due && !std::mem::replace(&mut self.flush.wanted, true)
    }
}

impl<E: Env> Partition<E> {
    /// Flushes what has been appended so far. The wait happens outside the lock; appends go on meanwhile and are
    /// the next flush's. A failure takes the directory offline: a sync is never tried again.
    pub async fn flush(&self, env: &E) {
        let Ok((flush, appended_bytes)) = self.begin_flush() else { return };
        let outcome = flush.sync().await;
        env.checkpoint().await;
        let mut core = locked_after_flush(self);
        if let Err(error) = outcome {
            self.fail(env, &mut core, "flush", &error);
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
