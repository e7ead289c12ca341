//! Brokers that serve, stop and go: heartbeats, fencing, controlled shutdown (KIP-631, KIP-841).

use super::offline_directories::has_none_left;
use super::partition_change::PartitionChange;
use super::response::{Rejection, Response};
use super::{Controller, Decision};
use crate::ids::{BrokerEpoch, BrokerId, Offset, TopicPartition, Uuid};
use crate::metadata::records::{
    BrokerRegistrationChangeRecord, PartitionChangeRecord, Record, UnregisterBrokerRecord,
};
use crate::metadata::{BrokerImage, PartitionImage};
use crate::museum::Switch;

/// What a heartbeat says beside whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes<'a> {
    pub(super) metadata_offset: Offset,
    pub(super) wants_fence: bool,
    pub(super) wants_shutdown: bool,
    pub(super) offline_log_dirs: &'a [Uuid],
}

/// Where a broker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It may neither lead nor be in sync.
    Fenced,
    Serving,
    /// It hands its leaderships over.
    ShuttingDown,
    /// Fenced, and free to stop.
    MayStop,
}

impl Controller {
    pub(super) fn heartbeat(
        &self,
        broker_id: BrokerId,
        broker_epoch: BrokerEpoch,
        wishes: Wishes<'_>,
    ) -> Result<Decision, Rejection> {
        let broker = self.find_incarnation(broker_id, broker_epoch)?;
        if let Some((records, is_fenced)) = self.after_directory_failure(broker, wishes.offline_log_dirs) {
            // What the broker wishes is judged on what that leaves: when it is heard the next time.
            let is_caught_up = is_caught_up(broker, wishes);
            let response = Response::Heartbeat { is_caught_up, is_fenced, should_shut_down: false };
            return Ok(Decision { records, is_atomic: true, response });
        }
        let wants_fence = wishes.wants_fence || has_none_left(broker, wishes.offline_log_dirs);
        let wishes = Wishes { wants_fence, ..wishes };
        let next = self.next_standing(broker, wishes);
        let records = match next {
            Standing::Fenced | Standing::MayStop if !broker.fenced => self.fence(broker),
            Standing::Serving if broker.fenced => self.unfence(broker),
            Standing::ShuttingDown if !broker.in_controlled_shutdown => self.begin_shutdown(broker),
            _ => Vec::new(),
        };
        let response = Response::Heartbeat {
            is_caught_up: is_caught_up(broker, wishes),
            is_fenced: matches!(next, Standing::Fenced | Standing::MayStop),
            should_shut_down: next == Standing::MayStop,
        };
        Ok(Decision { records, is_atomic: true, response })
    }

    fn next_standing(&self, broker: &BrokerImage, wishes: Wishes<'_>) -> Standing {
        if broker.fenced {
            if wishes.wants_shutdown {
                return Standing::MayStop;
            }
            // One that was fenced while it shut down has nothing more to serve.
            let serves = !wishes.wants_fence && !broker.in_controlled_shutdown;
            return if serves && is_caught_up(broker, wishes) { Standing::Serving } else { Standing::Fenced };
        }
        if broker.in_controlled_shutdown {
            return if self.has_handed_over(broker.id) { Standing::MayStop } else { Standing::ShuttingDown };
        }
        match (wishes.wants_fence, wishes.wants_shutdown) {
            (true, true) => Standing::MayStop,
            (true, false) => Standing::Fenced,
            (false, true) if self.leads(broker.id) => Standing::ShuttingDown,
            (false, true) => Standing::MayStop,
            (false, false) => Standing::Serving,
        }
    }

    /// Whether a broker that shuts down leads nothing, and all who serve know it: nobody fetches from it any more.
    fn has_handed_over(&self, broker: BrokerId) -> bool {
        let active = self.image.brokers().filter(|other| other.is_active()).map(|other| other.id);
        !self.leads(broker) && self.sessions.know_shutdown_of(broker, active)
    }

    fn leads(&self, broker: BrokerId) -> bool {
        self.image.topics().any(|topic| topic.partitions.iter().any(|partition| partition.leader == broker))
    }

    /// A broker whose session is over.
    pub(super) fn fence_broker(
        &self,
        broker_id: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<Decision, Rejection> {
        let broker = self.find_incarnation(broker_id, epoch)?;
        let mut records = if broker.fenced { Vec::new() } else { self.fence(broker) };
        if self.settings.switches.off(Switch::BatchFence) {
            let others = self.sessions.all_expired().filter(|other| *other != broker_id);
            let others = others.filter_map(|other| self.image.broker(other)).filter(|other| !other.fenced);
            records.extend(others.flat_map(|other| self.fence(other)));
        }
        Ok(Decision { records, is_atomic: true, response: Response::Done })
    }

    /// A broker that will not come back as it was: whatever it held counts as lost.
    pub(super) fn unregister(&self, broker_id: BrokerId) -> Result<Decision, Rejection> {
        let broker = self.image.broker(broker_id).ok_or(Rejection::UnknownBroker(broker_id))?;
        let mut records = self.changes(|change| {
            change.candidates.without = Some(broker_id);
            change.leave_isr(broker_id);
            change.unclean = Some(broker_id);
            change.current.isr.contains(&broker_id) || change.current.elr.contains(&broker_id)
        });
        records.push(UnregisterBrokerRecord { broker_id, broker_epoch: broker.epoch }.into());
        Ok(Decision { records, is_atomic: true, response: Response::Done })
    }

    /// Out of all ISRs and leaderships, and fenced, in one batch.
    fn fence(&self, broker: &BrokerImage) -> Vec<Record> {
        let mut records = self.leave(broker.id);
        records.push(BrokerRegistrationChangeRecord { fenced: Some(true), ..unchanged(broker) }.into());
        records
    }

    /// Unfenced, and leader of what has none and may have this one.
    fn unfence(&self, broker: &BrokerImage) -> Vec<Record> {
        let mut records =
            vec![BrokerRegistrationChangeRecord { fenced: Some(false), ..unchanged(broker) }.into()];
        records.extend(self.changes(|change| {
            change.candidates.with = Some(broker.id);
            change.current.leader == BrokerId::NONE
        }));
        records
    }

    fn begin_shutdown(&self, broker: &BrokerImage) -> Vec<Record> {
        let mut records = self.leave(broker.id);
        records.push(
            BrokerRegistrationChangeRecord { begins_controlled_shutdown: true, ..unchanged(broker) }.into(),
        );
        records
    }

    fn leave(&self, broker: BrokerId) -> Vec<Record> {
        self.changes(|change| {
            change.candidates.without = Some(broker);
            change.leave_isr(broker);
            change.current.isr.contains(&broker) || change.current.leader == broker
        })
    }

    /// The same change of every partition that `edit` finds concerned.
    pub(super) fn changes(&self, edit: impl Fn(&mut PartitionChange<'_>) -> bool) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        for topic in self.image.topics() {
            let rules = self.rules(&topic.name);
            let change = |(name, partition): (TopicPartition, &PartitionImage)| {
                let mut change = PartitionChange::new(name, partition, rules, self.candidates());
                if edit(&mut change) { change.build() } else { None }
            };
            let changes: Vec<PartitionChangeRecord> = topic.named_partitions().filter_map(change).collect();
            records.extend(changes.into_iter().map(Record::from));
        }
        records
    }

    /// The present incarnation of a broker.
    pub(super) fn find_incarnation(
        &self,
        broker_id: BrokerId,
        epoch: BrokerEpoch,
    ) -> Result<&BrokerImage, Rejection> {
        let broker = self.image.broker(broker_id).filter(|broker| broker.epoch == epoch);
        broker.map(AsRef::as_ref).ok_or(Rejection::StaleBrokerEpoch { broker_id, epoch })
    }
}

/// Whether a broker has published its own registration, and with it all that it was assigned before (KIP-631).
fn is_caught_up(broker: &BrokerImage, wishes: Wishes<'_>) -> bool {
    wishes.metadata_offset.0 >= broker.epoch.0
}

pub(super) fn unchanged(broker: &BrokerImage) -> BrokerRegistrationChangeRecord {
    BrokerRegistrationChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        fenced: None,
        begins_controlled_shutdown: false,
        log_dirs: None,
    }
}
