//! Brokers that start: their registration, and what it says of the incarnation before (KIP-631, KIP-858, KIP-966).

use std::collections::BTreeSet;

use super::command::Registration;
use super::directories::Directories;
use super::elr::{MIN_INSYNC_REPLICAS, Rules};
use super::partition_change::PartitionChange;
use super::response::{Rejection, Response};
use super::{Controller, Decision};
use crate::ids::{BrokerEpoch, BrokerId, Offset, TopicPartition};
use crate::metadata::records::{
    ConfigRecord, FeatureLevelRecord, METADATA_VERSION, METADATA_VERSION_FEATURE, PartitionChangeRecord,
    Record, RegisterBrokerRecord,
};
use crate::metadata::{BrokerImage, ConfigResource, PartitionImage};
use crate::museum::Switch;

impl Controller {
    /// Registers a new incarnation, whose epoch is the offset of its record (KIP-631). In the same batch the one
    /// before leaves the ISRs and leaderships it had.
    pub(super) fn register(
        &self,
        registration: &Registration,
        next_offset: Offset,
    ) -> Result<Decision, Rejection> {
        self.check_directories(registration)?;
        let existing = self.image.broker(registration.broker_id);
        if let Some(existing) = existing {
            // A node that is alone registers once in its life, at its start.
            let is_same = existing.incarnation_id == registration.incarnation_id;
            if is_same && self.settings.fence_new_brokers {
                return Ok(amended(registration, existing));
            }
            if self.must_wait_for_session(registration, existing) {
                return Err(Rejection::DuplicateBroker(registration.broker_id));
            }
        }
        let mut records = self.bootstrap();
        let epoch = BrokerEpoch(next_offset.0 + records.len() as i64);
        let is_fenced = self.settings.fence_new_brokers;
        records.push(record(registration, epoch, (is_fenced, false)).into());
        let mut directories = Directories::new(&self.image, Some(registration));
        for topic in self.image.topics() {
            let rules = self.rules(&topic.name);
            for (name, partition) in topic.named_partitions() {
                if !partition.replicas.contains(&registration.broker_id) {
                    continue;
                }
                let change = if is_fenced {
                    self.after_leaving(registration, (name, partition), rules, &mut directories)
                } else {
                    self.after_restart(registration.broker_id, (name, partition), rules)
                };
                records.extend(change.map(Record::from));
            }
        }
        Ok(Decision { records, is_atomic: is_fenced, response: Response::Registered(epoch) })
    }

    /// What the metadata holds before its first broker, as far as it is not there.
    fn bootstrap(&self) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        if !self.image.features().contains_key(METADATA_VERSION_FEATURE) {
            let name = METADATA_VERSION_FEATURE.to_owned();
            records.push(FeatureLevelRecord { name, level: METADATA_VERSION }.into());
        }
        if !self.image.cluster_defaults().contains_key(MIN_INSYNC_REPLICAS) {
            let ConfigResource { resource_type, name: resource_name } = ConfigResource::cluster_default();
            let value = Some(self.settings.first_min_insync_replicas.max(1).to_string());
            let name = MIN_INSYNC_REPLICAS.to_owned();
            records.push(ConfigRecord { resource_type, resource_name, name, value }.into());
        }
        records
    }

    /// Whether the process that is registered may be the one that lives. While its session lasts another one is refused,
    /// as Kafka does it: a registration may have been on its way for long, and whoever sent it be dead.
    ///
    /// Two need not wait. One that holds a directory of the other and began after it: the lock of the directory proves
    /// that the other is dead. And one that follows a process which wants to stop (KAFKA-19047), unless the lock proves
    /// that it is itself the dead one. A clock that was set back makes the later one wait, and may let a late
    /// registration of the earlier one in: then the later one registers again.
    fn must_wait_for_session(&self, registration: &Registration, existing: &BrokerImage) -> bool {
        if !self.sessions.is_live(existing.id) {
            return false;
        }
        let shares_directory = registration.log_dirs.iter().any(|id| existing.log_dirs.contains(id));
        let (next, present) = (registration.incarnation_id.time(), existing.incarnation_id.time());
        match next.zip(present) {
            Some((next, present)) if shares_directory => next <= present,
            _ => !existing.in_controlled_shutdown,
        }
    }

    /// A directory belongs to one broker (KIP-858).
    fn check_directories(&self, registration: &Registration) -> Result<(), Rejection> {
        let mut seen = BTreeSet::new();
        for id in &registration.log_dirs {
            if id.is_zero() || !seen.insert(id) {
                let text = format!("directory {id} is named twice, or no directory's id");
                return Err(Rejection::InvalidRegistration(text));
            }
        }
        let mut others = self.image.brokers().filter(|broker| broker.id != registration.broker_id);
        match others.find(|broker| broker.log_dirs.iter().any(|id| seen.contains(id))) {
            Some(other) => Err(Rejection::InvalidRegistration(format!(
                "broker {} has registered one of these directories: it was copied, or node.id was changed",
                other.id
            ))),
            None => Ok(()),
        }
    }

    /// What it means for a partition that a broker of a cluster starts anew. However quickly it came back, it leaves
    /// the ISR and the leadership: its log may be shorter than it was (KAFKA-18106). Unless the marker of a clean stop
    /// shows the epoch that ended, it is not eligible either (KIP-966).
    fn after_leaving(
        &self,
        registration: &Registration,
        (name, partition): (TopicPartition, &PartitionImage),
        rules: Rules,
        directories: &mut Directories,
    ) -> Option<PartitionChangeRecord> {
        if rules.switches.off(Switch::ReregistrationKeepsIsr) {
            return None;
        }
        let broker = registration.broker_id;
        let mut change = PartitionChange::new(name, partition, rules, self.candidates());
        change.candidates.without = Some(broker);
        change.leave_isr(broker);
        let directory = partition.directory(broker);
        // The replica begins anew in a directory that is there. Where only the log that is gone may be complete, it
        // waits for the directory to come back.
        let is_lost = !registration.log_dirs.is_empty()
            && !directory.is_zero()
            && !registration.log_dirs.contains(&directory);
        let begins_anew = is_lost && partition.last_known_elr != [broker] && partition.isr != [broker];
        if begins_anew {
            change.moved.push((broker, directories.take(broker)));
        }
        // The marker tells of the directories that are there, not of the one that went: an empty log is not eligible,
        // however cleanly the broker stopped. Where it waits, nothing but the log itself can be elected.
        change.unclean = (begins_anew || !self.stopped_cleanly(registration)).then_some(broker);
        change.build()
    }

    /// Whether the incarnation before stopped with everything flushed: its marker names the epoch that is registered.
    fn stopped_cleanly(&self, registration: &Registration) -> bool {
        let existing = self.image.broker(registration.broker_id);
        existing.is_some_and(|existing| registration.previous_broker_epoch == Some(existing.epoch))
    }

    /// What a restart of the only broker means for a partition. Those that it alone keeps in sync get a new leader
    /// epoch, for what it acknowledged before may not be what it holds now; clients must not take the two for the
    /// same leadership.
    fn after_restart(
        &self,
        broker: BrokerId,
        (name, partition): (TopicPartition, &PartitionImage),
        rules: Rules,
    ) -> Option<PartitionChangeRecord> {
        let mut change = PartitionChange::new(name, partition, rules, self.candidates());
        if partition.isr == [broker] {
            change.candidates.with = Some(broker);
            change.candidates.any_directory = true;
            change.begins_epoch = true;
        } else if partition.isr.contains(&broker) {
            change.candidates.without = Some(broker);
            change.leave_isr(broker);
        } else {
            return None;
        }
        change.build()
    }
}

/// The same process again, which has not heard the answer: its epoch and its standing stay.
fn amended(registration: &Registration, existing: &BrokerImage) -> Decision {
    let standing = (existing.fenced, existing.in_controlled_shutdown);
    let records = vec![record(registration, existing.epoch, standing).into()];
    Decision { records, is_atomic: true, response: Response::Registered(existing.epoch) }
}

fn record(
    registration: &Registration,
    broker_epoch: BrokerEpoch,
    (fenced, in_controlled_shutdown): (bool, bool),
) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker_id: registration.broker_id,
        incarnation_id: registration.incarnation_id,
        broker_epoch,
        endpoints: registration.endpoints.clone(),
        features: registration.features.clone(),
        rack: registration.rack.clone(),
        fenced,
        in_controlled_shutdown,
        log_dirs: registration.log_dirs.clone(),
    }
}
