//! In which directory of a broker a new replica goes (KIP-858): the one with the fewest.

use std::collections::BTreeMap;

use super::command::Registration;
use crate::ids::{BrokerId, Uuid};
use crate::metadata::MetadataImage;

/// How many replicas each directory holds. Lives for one command.
#[derive(Debug)]
pub(super) struct Directories(BTreeMap<BrokerId, Vec<(u64, Uuid)>>);

impl Directories {
    /// The directories of all brokers; of one that registers, those that it names.
    pub(super) fn new(image: &MetadataImage, registering: Option<&Registration>) -> Self {
        let empty = |ids: &[Uuid]| ids.iter().map(|id| (0, *id)).collect();
        let mut directories: BTreeMap<BrokerId, Vec<(u64, Uuid)>> =
            image.brokers().map(|broker| (broker.id, empty(&broker.log_dirs))).collect();
        if let Some(registering) = registering {
            directories.insert(registering.broker_id, empty(&registering.log_dirs));
        }
        if directories.values().any(|of_broker| of_broker.len() > 1) {
            count_partitions(image, &mut directories);
        }
        Self(directories)
    }

    /// The directory of a broker's next replica; zero when the broker named none.
    pub(super) fn take(&mut self, broker: BrokerId) -> Uuid {
        let of_broker = self.0.get_mut(&broker);
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
