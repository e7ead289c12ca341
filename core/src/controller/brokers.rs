//! Brokers: their registration, and the producer ids they are given.

use super::command::{ProducerIdBlock, Registration, Rejection, Response};
use super::{Controller, Decision, PRODUCER_IDS_PER_BLOCK};
use crate::ids::{BrokerEpoch, BrokerId, Offset, ProducerId, TopicPartition};
use crate::metadata::PartitionImage;
use crate::metadata::records::{
    FeatureLevelRecord, METADATA_VERSION, METADATA_VERSION_FEATURE, PartitionChangeRecord, ProducerIdsRecord,
    Record, RegisterBrokerRecord,
};

impl Controller {
    /// Registers a new incarnation. The lock of its directory proves that the one before is dead, so nothing waits
    /// for a session to end. Every partition that it alone keeps in sync gets a new leader epoch, for what it
    /// acknowledged before may not be what it holds now; clients must not take the two for the same leadership.
    pub(super) fn register(&self, registration: &Registration, next_offset: Offset) -> Decision {
        let mut records: Vec<Record> = Vec::new();
        if !self.image.features().contains_key(METADATA_VERSION_FEATURE) {
            let name = METADATA_VERSION_FEATURE.to_owned();
            records.push(FeatureLevelRecord { name, level: METADATA_VERSION }.into());
        }
        let epoch = BrokerEpoch(next_offset.0 + records.len() as i64);
        records.push(
            RegisterBrokerRecord {
                broker_id: registration.broker_id,
                incarnation_id: registration.incarnation_id,
                broker_epoch: epoch,
                endpoints: registration.endpoints.clone(),
                features: registration.features.clone(),
                rack: registration.rack.clone(),
                // The only broker holds the metadata itself: it has nothing to catch up with.
                fenced: false,
                in_controlled_shutdown: false,
                log_dirs: registration.log_dirs.clone(),
            }
            .into(),
        );
        for topic in self.image.topics() {
            for (name, partition) in topic.named_partitions() {
                let change = self.after_restart(name, partition, registration.broker_id);
                records.extend(change.map(Record::from));
            }
        }
        Decision { records, is_atomic: false, response: Response::Registered(epoch) }
    }

    /// What a restart of a broker means for one partition.
    fn after_restart(
        &self,
        name: TopicPartition,
        partition: &PartitionImage,
        broker: BrokerId,
    ) -> Option<PartitionChangeRecord> {
        if !partition.isr.contains(&broker) {
            return None;
        }
        let mut change = PartitionChangeRecord::new(name.topic_id, name.partition);
        let others: Vec<BrokerId> = partition.isr.iter().copied().filter(|other| *other != broker).collect();
        if others.is_empty() {
            change.leader = Some(broker);
            return Some(change);
        }
        if partition.leader == broker {
            let is_active = |id: &BrokerId| self.image.broker(*id).is_some_and(|broker| broker.is_active());
            change.leader = Some(others.iter().copied().find(is_active).unwrap_or(BrokerId::NONE));
        }
        change.isr = Some(others);
        Some(change)
    }

    /// A block of producer ids that nobody ever had: recorded before its first id is used (KIP-730).
    pub(super) fn allocate_producer_ids(
        &self,
        broker_id: BrokerId,
        broker_epoch: BrokerEpoch,
    ) -> Result<Decision, Rejection> {
        let broker = self.image.broker(broker_id).filter(|broker| broker.epoch == broker_epoch);
        if broker.is_none() {
            return Err(Rejection::StaleBrokerEpoch { broker_id, epoch: broker_epoch });
        }
        let first = self.image.next_producer_id();
        let Some(next) = first.0.checked_add(PRODUCER_IDS_PER_BLOCK.into()) else {
            return Err(Rejection::InvalidRequest(
                "all producer ids there are have been given away".to_owned(),
            ));
        };
        let record = ProducerIdsRecord { broker_id, broker_epoch, next_producer_id: ProducerId(next) };
        let block = ProducerIdBlock { first, count: PRODUCER_IDS_PER_BLOCK };
        Ok(Decision { records: vec![record.into()], is_atomic: true, response: Response::ProducerIds(block) })
    }
}
