//! Log directories that fail while their broker runs (KIP-858).

use super::Controller;
use super::brokers::unchanged;
use crate::ids::Uuid;
use crate::metadata::records::{BrokerRegistrationChangeRecord, Record};
use crate::metadata::{BrokerImage, PartitionImage};

impl Controller {
    /// What follows when a broker tells of directories that failed: the records, and whether the broker is fenced then.
    /// `None` when it told of nothing new; it repeats itself in every heartbeat.
    ///
    /// A replica in such a directory leaves the ISR and the leadership, and is not eligible: what was on its way to the
    /// disk when that failed may be lost, and a clean stop of the rest of the broker proves nothing about it. Whoever
    /// leads begins a new epoch, so that no fetch from before, and no proposal that rests on one, brings the replica
    /// back into the ISR: only the broker's next incarnation can (KIP-903 tells incarnations apart, not directories).
    pub(super) fn after_directory_failure(
        &self,
        broker: &BrokerImage,
        offline: &[Uuid],
    ) -> Option<(Vec<Record>, bool)> {
        let is_offline = |id: &Uuid| offline.contains(id);
        if !broker.log_dirs.iter().any(is_offline) {
            return None;
        }
        let online: Vec<Uuid> = broker.log_dirs.iter().copied().filter(|id| !is_offline(id)).collect();
        // A registration without directories stands for a broker that has all there are, so the last one stays in it,
        // and the broker is fenced for as long as it says that there is none.
        let is_last = online.is_empty();
        let mut records = self.changes(|change| {
            change.candidates.without = Some(broker.id);
            change.leave_isr(broker.id);
            change.unclean = Some(broker.id);
            change.begins_epoch = !is_last;
            let PartitionImage { isr, elr, replicas, .. } = change.current;
            let directory = change.current.directory(broker.id);
            // Whoever is fenced joins no ISR, but may be eligible.
            let counts = isr.contains(&broker.id) || elr.contains(&broker.id);
            if is_last { counts } else { replicas.contains(&broker.id) && is_offline(&directory) }
        });
        if !is_last {
            records
                .push(BrokerRegistrationChangeRecord { log_dirs: Some(online), ..unchanged(broker) }.into());
        } else if !broker.fenced {
            records.push(BrokerRegistrationChangeRecord { fenced: Some(true), ..unchanged(broker) }.into());
        } else if records.is_empty() {
            return None;
        }
        Some((records, broker.fenced || is_last))
    }
}

/// Whether a broker has told that none of its directories works.
pub(super) fn has_none_left(broker: &BrokerImage, offline: &[Uuid]) -> bool {
    !broker.log_dirs.is_empty() && broker.log_dirs.iter().all(|id| offline.contains(id))
}
