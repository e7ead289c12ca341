//! Which partitions this broker hosts.

use std::collections::BTreeMap;

use crate::env::Env;
use crate::ids::TopicPartition;
use crate::sync::{Arc, RwLock};

use super::directory::StorageError;
use super::partition::Partition;

/// Why there is no partition to work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// This broker does not host it. Whether it exists at all is the metadata's to say.
    #[error("this broker does not host the partition")]
    NotHosted,
    /// It is hosted here, but its log could not be opened.
    #[error(transparent)]
    Offline(#[from] StorageError),
}

enum Hosted<E: Env> {
    Online(Arc<Partition<E>>),
    Offline(StorageError),
}

/// The hosted partitions, by topic id and number.
pub struct Table<E: Env> {
    partitions: RwLock<BTreeMap<TopicPartition, Hosted<E>>>,
}

impl<E: Env> Default for Table<E> {
    fn default() -> Self {
        Self { partitions: RwLock::new(BTreeMap::new()) }
    }
}

const POISONED: &str = "a panic inside a critical section ends the node";

impl<E: Env> Table<E> {
    /// The partition.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn get(&self, id: TopicPartition) -> Result<Arc<Partition<E>>, TableError> {
        match self.partitions.read().expect(POISONED).get(&id) {
            Some(Hosted::Online(partition)) => Ok(Arc::clone(partition)),
            Some(Hosted::Offline(error)) => Err(TableError::Offline(error.clone())),
            None => Err(TableError::NotHosted),
        }
    }

    /// Hosts a partition from now on. Returns the one it replaces.
    pub fn insert(&self, partition: Arc<Partition<E>>) -> Option<Arc<Partition<E>>> {
        let replaced =
            self.partitions.write().expect(POISONED).insert(partition.id(), Hosted::Online(partition));
        online(replaced)
    }

    /// Notes that a partition is here but cannot be used.
    pub fn insert_offline(&self, id: TopicPartition, error: StorageError) {
        self.partitions.write().expect(POISONED).insert(id, Hosted::Offline(error));
    }

    /// Hosts a partition no more. Who still holds it finds it without a role once [`Partition::resign`] was called.
    pub fn remove(&self, id: TopicPartition) -> Option<Arc<Partition<E>>> {
        online(self.partitions.write().expect(POISONED).remove(&id))
    }

    /// The partitions that can be used, in order.
    pub fn all(&self) -> Vec<Arc<Partition<E>>> {
        let partitions = self.partitions.read().expect(POISONED);
        partitions
            .values()
            .filter_map(|hosted| match hosted {
                Hosted::Online(partition) => Some(Arc::clone(partition)),
                Hosted::Offline(_) => None,
            })
            .collect()
    }

    /// Every partition here, usable or not, in order.
    pub fn ids(&self) -> Vec<TopicPartition> {
        self.partitions.read().expect(POISONED).keys().copied().collect()
    }
}

fn online<E: Env>(hosted: Option<Hosted<E>>) -> Option<Arc<Partition<E>>> {
    match hosted {
        Some(Hosted::Online(partition)) => Some(partition),
        Some(Hosted::Offline(_)) | None => None,
    }
}
