//! What consumers may read, and from whom (KIP-392).

use super::leader::Remote;
use super::{Replica, Role};
use crate::epochs::LogView;
use crate::ids::{BrokerId, Offset};
use crate::museum::Switch;

/// `isolation.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// To the high watermark.
    ReadUncommitted,
    /// To the last stable offset.
    ReadCommitted,
}

/// A consumer that asks for a replica near it.
#[derive(Clone, Copy, Debug)]
pub struct ReaderFetch<'a> {
    /// `client.rack`.
    pub rack: &'a str,
    /// From where it reads.
    pub fetch_offset: Offset,
}

impl Replica {
    /// Up to where a consumer may read, exclusive, on any replica. To be asked once per request: two reads of a moving
    /// bound are two bounds (KAFKA-9835, KAFKA-9838). `first_open_transaction` is the first offset of the oldest open
    /// transaction.
    pub fn read_bound(
        &self,
        isolation: Isolation,
        first_open_transaction: Option<Offset>,
        log: &dyn LogView,
    ) -> Offset {
        if self.settings.switches.off(Switch::ReadToLogEnd) {
            return log.log_end();
        }
        match (isolation, first_open_transaction) {
            (Isolation::ReadCommitted, Some(start)) => self.high_watermark.min(start),
            (Isolation::ReadCommitted, None) | (Isolation::ReadUncommitted, _) => self.high_watermark,
        }
    }

    /// The end of the log as clients are told it (ListOffsets latest): `None`, OFFSET_NOT_AVAILABLE, while a new
    /// leader's high watermark has not reached the start of its epoch, for it may be older than one that was told
    /// (KIP-207).
    pub fn latest_offset(&self) -> Option<Offset> {
        match &self.role {
            Role::Leader(leader) if self.high_watermark >= leader.epoch_start => Some(self.high_watermark),
            _ => None,
        }
    }

    /// The replica that a consumer had better read from: one in its own rack that is in sync and has the offset; the
    /// leader before others, then the most caught up. `None` is the leader. `rack` tells each broker's rack.
    pub fn preferred_read_replica(
        &self,
        reader: &ReaderFetch<'_>,
        rack: &dyn Fn(BrokerId) -> Option<String>,
        log: &dyn LogView,
    ) -> Option<BrokerId> {
        let Role::Leader(leader) = &self.role else { return None };
        let is_near = |id: BrokerId| rack(id).as_deref() == Some(reader.rack);
        if is_near(self.id) {
            return None;
        }
        let may_serve = |remote: &&Remote| {
            leader.isr.committed().contains(&remote.id)
                && remote.log_end >= reader.fetch_offset
                && log.log_start() <= reader.fetch_offset
                && is_near(remote.id)
        };
        let best =
            leader.remotes.iter().filter(may_serve).max_by_key(|remote| (remote.log_end, -remote.id.0));
        best.map(|remote| remote.id)
    }
}
