//! The high watermark: one past the last record that is committed.

use super::leader::{Leader, Remote};
use super::{Replica, Role, Settings};
use crate::epochs::LogView;
use crate::ids::Offset;
use crate::museum::Switch;
use crate::time::Instant;

/// Whether the high watermark may move at all: only while the confirmed ISR, not the maximal one, has
/// min.insync.replicas members (KAFKA-15583). The eligible leader replicas of KIP-966, of which a leader knows nothing,
/// stay complete by it.
fn may_advance(leader: &Leader, min_insync_replicas: usize, settings: &Settings) -> bool {
    leader.isr.committed().len() >= min_insync_replicas
        || settings.switches.off(Switch::HighWatermarkUnderMinIsr)
}

/// Whether the high watermark waits for a follower: it is in the maximal ISR, or is caught up and eligible, so that it
/// can join without being left behind by each append.
fn is_waited_for(
    leader: &Leader,
    remote: &Remote,
    settings: &Settings,
    log: &dyn LogView,
    now: Instant,
) -> bool {
    leader.isr.maximal_contains(remote.id, settings.switches)
        || (remote.has_fetched && remote.is_caught_up(settings, log.log_end(), now) && remote.is_eligible())
}

/// The smallest end among those that are waited for, the leader included. With `flush.messages=1` the ends are those on
/// the disks: a follower flushes before it fetches on.
fn high_watermark_candidate(
    leader: &Leader,
    own_end: Offset,
    settings: &Settings,
    log: &dyn LogView,
    now: Instant,
) -> Offset {
    let is_waited_for = |remote: &&Remote| is_waited_for(leader, remote, settings, log, now);
    let ends = leader.remotes.iter().filter(is_waited_for).map(|remote| remote.log_end);
    if settings.switches.off(Switch::HighWatermarkMax) {
        return ends.max().map_or(own_end, |end| end.min(own_end));
    }
    if settings.switches.off(Switch::HighWatermarkIgnoreOne) && leader.isr.maximal_len(settings.switches) > 2
    {
        let mut ends: Vec<Offset> = ends.collect();
        ends.sort_unstable();
        return ends.get(1).map_or(own_end, |end| own_end.min(*end));
    }
    ends.fold(own_end, Offset::min)
}

impl Replica {
    /// Moves the high watermark of a leader as far as it may. Called after each event that may move it: a fetch that
    /// changed a follower's end, an append, a flush, an accepted change of the ISR (KAFKA-13091), a change of the
    /// metadata, and an election. It never moves back within a leader epoch.
    pub(super) fn advance_high_watermark(&mut self, log: &dyn LogView, now: Instant) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        if !may_advance(leader, self.min_insync_replicas, &self.settings) {
            return false;
        }
        let own_end = if self.settings.flush_before_ack { self.flushed } else { log.log_end() };
        let candidate = high_watermark_candidate(leader, own_end, &self.settings, log, now);
        let moves = candidate > self.high_watermark;
        if moves {
            self.high_watermark = candidate;
        }
        moves
    }

    /// A follower's high watermark: the leader's, as far as its own log goes. To be called when the diverging tail is
    /// cut and the records are appended, never before (KAFKA-14704). May move back after an election.
    pub(super) fn take_high_watermark(&mut self, leaders: Offset, log: &dyn LogView) {
        self.high_watermark = leaders.min(log.log_end()).max(log.log_start());
    }
}
