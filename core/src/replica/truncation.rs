//! Where two logs part, and where a follower cuts its own (KIP-101, KIP-279, KIP-320).
//!
//! A log is cut where its leader's epochs say that it diverges, and for no other reason.

use super::Replica;
use super::fetch::ReplicaFetch;
use crate::epochs::{EpochEnd, Epochs, LogView};
use crate::ids::{LeaderEpoch, Offset};
use crate::museum::{Switch, Switches};

/// What a leader finds when it compares a follower's end with its own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Divergence {
    /// The follower's log is a prefix of this one.
    None,
    /// Not beyond that.
    At(EpochEnd),
    /// The epoch is newer than any that this log knows.
    Unknown,
    /// All that the follower has lies below this log's start, and in an epoch of which nothing is left here: whether it
    /// is what was committed there cannot be told, and need not be once the follower has dropped it.
    BelowStart,
}

/// A cut that a follower has to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The new log end.
    pub to: Offset,
    /// Whether it lies below the replica's own high watermark: never without an unclean election or the loss of a disk,
    /// so it is to be reported.
    pub is_below_high_watermark: bool,
}

impl Replica {
    pub(super) fn divergence(&self, fetch: &ReplicaFetch, log: &dyn LogView) -> Divergence {
        let switches = self.settings.switches;
        if fetch.last_fetched_epoch == LeaderEpoch::NONE {
            // An empty log has nothing to be compared and goes on at its end, wherever this one begins: its records were
            // removed, and sending it back for those of another history would make it lack what it was counted for.
            return match fetch.fetch_offset <= log.log_end() {
                true => Divergence::None,
                false => Divergence::At(EpochEnd { epoch: LeaderEpoch::NONE, end: log.log_end() }),
            };
        }
        if switches.off(Switch::LazyTruncation) && fetch.fetch_offset <= log.log_end() {
            return Divergence::None;
        }
        let epoch = fetch.last_fetched_epoch;
        if switches.off(Switch::EpochLookupExact)
            && !log.epochs().entries().iter().any(|entry| entry.epoch == epoch)
        {
            return Divergence::At(EpochEnd { epoch: LeaderEpoch::NONE, end: Offset::UNKNOWN });
        }
        match log.epochs().end_of(epoch, log.log_end()) {
            None => Divergence::Unknown,
            Some(end) if end.epoch < epoch || end.end < fetch.fetch_offset => Divergence::At(end),
            Some(_) if is_older_than_everything(epoch, log) => Divergence::BelowStart,
            Some(_) => Divergence::None,
        }
    }

    /// Where a follower cuts when its leader says that the logs part: at the end of that epoch in its own log or in the
    /// leader's, whichever is smaller. Another round may follow, until the leader finds no difference. After an unclean
    /// election (KIP-106) the leader's log may end below this one's start: it is emptied then and begins at the cut,
    /// for its own start is an offset that the leader does not have.
    pub(super) fn cut_for(&self, leaders: EpochEnd, log: &dyn LogView) -> Cut {
        let to = if leaders.end == Offset::UNKNOWN {
            self.high_watermark
        } else {
            let own = log.epochs().end_of(leaders.epoch, log.log_end());
            own.map_or(leaders.end, |own| own.end.min(leaders.end))
        };
        let to = to.clamp(Offset::ZERO, log.log_end());
        Cut { to, is_below_high_watermark: to < self.high_watermark }
    }
}

/// Whether no record of an epoch, nor of an older one, is left in a log.
fn is_older_than_everything(epoch: LeaderEpoch, log: &dyn LogView) -> bool {
    log.epochs().entries().first().is_some_and(|first| epoch < first.epoch)
}

/// Whether a cut at `to` may leave the epoch cache as it is: never, for an election without writes leaves an entry at the
/// log's end (KAFKA-10706).
pub fn may_keep_epochs(to: Offset, log_end: Offset, switches: Switches) -> bool {
    to >= log_end && switches.off(Switch::CacheKeepTail)
}

/// The epochs of a log that was read back, each with its first offset: all of them, epoch 0 too (KAFKA-10432).
pub fn recovered_epochs(batches: impl Iterator<Item = (LeaderEpoch, Offset)>, switches: Switches) -> Epochs {
    let mut epochs = Epochs::default();
    for (epoch, start) in batches {
        if epoch > LeaderEpoch(0) || !switches.off(Switch::CacheSkipEpochZero) {
            epochs.assign(epoch, start);
        }
    }
    epochs
}
