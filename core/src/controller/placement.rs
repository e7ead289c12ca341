//! Where replicas go.

use std::collections::BTreeMap;

use super::command::Rejection;
use crate::ids::{BrokerId, Uuid};
use crate::metadata::MetadataImage;

/// The brokers that may take replicas, and how full their directories are. Lives for one command.
#[derive(Debug)]
pub(super) struct Placement {
    active: Vec<BrokerId>,
    registered: Vec<BrokerId>,
    /// Partitions in each working directory of each broker.
    directories: BTreeMap<BrokerId, Vec<(u64, Uuid)>>,
    start: usize,
}

impl Placement {
    /// `bits` decide with which broker the first partition begins.
    pub(super) fn new(image: &MetadataImage, bits: u64) -> Self {
        let active: Vec<BrokerId> =
            image.brokers().filter(|broker| broker.is_active()).map(|broker| broker.id).collect();
        let registered = image.brokers().map(|broker| broker.id).collect();
        let mut directories: BTreeMap<BrokerId, Vec<(u64, Uuid)>> = image
            .brokers()
            .map(|broker| (broker.id, broker.log_dirs.iter().map(|id| (0, *id)).collect()))
            .collect();
        if directories.values().any(|of_broker| of_broker.len() > 1) {
            count_partitions(image, &mut directories);
        }
        let start = (bits % active.len().max(1) as u64) as usize;
        Self { active, registered, directories, start }
    }

    pub(super) fn is_active(&self, broker: BrokerId) -> bool {
        self.active.contains(&broker)
    }

    /// The replicas of partition `index`: brokers in turn, so that leaders and followers spread evenly.
    pub(super) fn place(&self, index: i32, replication_factor: i16) -> Result<Vec<BrokerId>, Rejection> {
        let wanted = replication_factor as usize;
        if wanted > self.active.len() {
            return Err(Rejection::InvalidReplicationFactor(format!(
                "unable to replicate the partition {replication_factor} time(s): only {} broker(s) are active",
                self.active.len()
            )));
        }
        let first = self.start + index as usize;
        Ok((0..wanted).map(|step| self.active[(first + step) % self.active.len()]).collect())
    }

    /// Whether replicas chosen by hand can be.
    pub(super) fn check(&self, replicas: &[BrokerId], replication_factor: usize) -> Result<(), Rejection> {
        let refuse = |reason: String| Err(Rejection::InvalidReplicaAssignment(reason));
        if replicas.is_empty() {
            return refuse("a partition needs at least one replica".to_owned());
        }
        if replicas.len() != replication_factor {
            return refuse(format!(
                "a partition has {} replicas, others {replication_factor}",
                replicas.len()
            ));
        }
        for (index, broker) in replicas.iter().enumerate() {
            if replicas[..index].contains(broker) {
                return refuse(format!("broker {broker} stands twice in an assignment"));
            }
            if !self.registered.contains(broker) {
                return refuse(format!("broker {broker} is not registered"));
            }
        }
        if !replicas.iter().any(|broker| self.is_active(*broker)) {
            return refuse("all brokers of an assignment are fenced or stopping".to_owned());
        }
        Ok(())
    }

    /// The directory of a broker's next replica: the one with the fewest; zero when the broker named none.
    pub(super) fn directory(&mut self, broker: BrokerId) -> Uuid {
        let of_broker = self.directories.get_mut(&broker);
        let Some((count, id)) = of_broker.and_then(|dirs| dirs.iter_mut().min_by_key(|(count, _)| *count))
        else {
            return Uuid::ZERO;
        };
        *count += 1;
        *id
    }
}

fn count_partitions(image: &MetadataImage, directories: &mut BTreeMap<BrokerId, Vec<(u64, Uuid)>>) {
    for partition in image.topics().flat_map(|topic| &topic.partitions) {
        for (broker, directory) in partition.replicas.iter().zip(&partition.directories) {
            let of_broker = directories.get_mut(broker);
            if let Some((count, _)) =
                of_broker.and_then(|dirs| dirs.iter_mut().find(|(_, id)| id == directory))
            {
                *count += 1;
            }
        }
    }
}
