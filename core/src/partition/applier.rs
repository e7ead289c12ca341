//! Makes the hosted partitions what the metadata says: the data lane's one follower of it.
//!
//! Deltas arrive batched, and what lay between two images is never seen: each step looks at the newer image only. A
//! disk that fails takes its partitions offline; it never stops the metadata.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::env::{Clock, Env, Lane, Task};
use crate::fact::Fact;
use crate::ids::{BrokerId, Offset, TopicId, TopicPartition, Uuid};
use crate::log::LogError;
use crate::log::dir::Removal;
use crate::metadata::records::ResourceType;
use crate::metadata::{ConfigResource, MetadataDelta, MetadataImage, PartitionImage, TopicImage};
use crate::sync::Arc;

use super::directory::{Directory, StorageError};
use super::partition::Partition;
use super::settings::Settings;
use super::table::{Table, TableError};

/// Follows the metadata with the partitions of one broker.
pub struct Applier<E: Env> {
    pub(super) env: E,
    pub(super) node_id: BrokerId,
    pub(super) config: Arc<Config>,
    pub(super) table: Arc<Table<E>>,
    /// The log directories that work, by their ids.
    pub(super) directories: BTreeMap<Uuid, Arc<Directory<E::Disk>>>,
    /// Removals of files that are under way. A stop leaves the rest to the next start.
    removals: Vec<Task>,
}

impl<E: Env> Applier<E> {
    /// A follower of the metadata for the broker `node_id`.
    pub fn new(
        env: E,
        config: Arc<Config>,
        table: Arc<Table<E>>,
        directories: BTreeMap<Uuid, Arc<Directory<E::Disk>>>,
    ) -> Self {
        let node_id = config.node_id;
        Self { env, node_id, config, table, directories, removals: Vec::new() }
    }

    /// Follows one step of the metadata.
    pub async fn apply(&mut self, image: &MetadataImage, delta: &MetadataDelta) {
        self.removals.retain(|removal| !removal.is_finished());
        for topic in delta.removed_topics.values() {
            self.delete_topic(topic).await;
        }
        for id in &delta.topics {
            if let Some(topic) = image.topic_by_id(*id) {
                self.update_topic(image, topic).await;
            }
        }
        if delta.configs.contains(&ConfigResource::cluster_default()) {
            for topic in image.topics().filter(|topic| !delta.topics.contains(&topic.id)) {
                self.update_settings(image, topic).await;
            }
        }
        for resource in &delta.configs {
            let topic = image.topic(&resource.name).filter(|_| resource.resource_type == ResourceType::Topic);
            if let Some(topic) = topic.filter(|topic| !delta.topics.contains(&topic.id)) {
                self.update_settings(image, topic).await;
            }
        }
    }

    async fn delete_topic(&mut self, topic: &TopicImage) {
        for (id, _) in topic.named_partitions() {
            self.env.checkpoint().await;
            let Some(partition) = self.table.remove(id) else { continue };
            partition.retire(&self.env);
            self.delete_log(partition.directory(), id);
        }
    }

    /// Takes a log's directory out of service, at once and whole, and removes its files one after the other.
    pub(super) fn delete_log(&mut self, directory: &Directory<E::Disk>, id: TopicPartition) {
        if directory.check().is_err() {
            return; // the next start finds a log that the metadata does not know
        }
        match directory.log_dir().delete_log(id) {
            Ok(removal) => self.remove_files(removal),
            Err(error) => {
                directory.fail(&self.env, &error);
            }
        }
    }

    /// Removes files off the lanes, while other things go on.
    pub(super) fn remove_files(&mut self, removal: Removal<E::Disk>) {
        let env = self.env.clone();
        let work = async move {
            if let Err(error) = env.run("remove-partition", removal).await {
                // Nothing relies on files that are to go; the next start tries again.
                tracing::warn!(%error, "files of a deleted partition could not be removed");
            }
        };
        self.removals.push(self.env.spawn(Lane::Data, "remove-partition", work));
    }

    async fn update_topic(&mut self, image: &MetadataImage, topic: &TopicImage) {
        let settings = self.settings(image, topic);
        for (id, registration) in topic.named_partitions() {
            if registration.replicas.contains(&self.node_id) {
                self.env.checkpoint().await;
                self.update_partition(id, registration, settings);
            }
        }
    }

    fn update_partition(&self, id: TopicPartition, registration: &PartitionImage, settings: Settings) {
        let partition = match self.table.get(id) {
            Ok(partition) => {
                partition.update_settings(&self.env, settings);
                partition
            }
            Err(TableError::NotHosted) => match self.create(id, registration, settings) {
                Ok(partition) => {
                    self.table.insert(Arc::clone(&partition));
                    partition
                }
                Err(error) => return self.host_offline(id, error),
            },
            Err(TableError::Offline(_)) => return,
        };
        if registration.leader != self.node_id {
            partition.resign(&self.env);
        } else if let Err(error) = partition.become_leader(&self.env, registration.leader_epoch) {
            tracing::error!(partition = %id, %error, "leadership was not taken");
        }
    }

    fn create(
        &self,
        id: TopicPartition,
        registration: &PartitionImage,
        settings: Settings,
    ) -> Result<Arc<Partition<E>>, StorageError> {
        let directory = self.directory_of(registration)?;
        directory.check()?;
        let now = self.env.clock().wall();
        let start = self.start_of_new_log(directory, id);
        match directory.log_dir().create_log(id, settings.log, start, now) {
            Ok(log) => {
                let (log_start, log_end) = (log.log_start(), log.log_end());
                self.env.observe(&Fact::Recovered { partition: id, clean: false, log_start, log_end });
                Ok(Arc::new(Partition::new(id, log, start, settings, Arc::clone(directory))))
            }
            Err(LogError::Disk(error)) => Err(directory.fail(&self.env, &error)),
            Err(error @ (LogError::Read(_) | LogError::Failed)) => {
                Err(StorageError { cause: error.to_string() })
            }
        }
    }

    /// Where a log that is not there begins: at 0, unless the checkpoints know it. Then its directory was lost, and no
    /// offset may be given twice.
    fn start_of_new_log(&self, directory: &Directory<E::Disk>, id: TopicPartition) -> Offset {
        let Some(known) = directory.noted().get(&id).copied() else { return Offset::ZERO };
        let start = known.log_start.max(known.high_watermark).max(known.recovery_point);
        if start > Offset::ZERO {
            self.env.reached("partition.committed_records_lost");
            tracing::error!(partition = %id, %start,
                "the directory of this partition is gone with all its records: the log begins anew where it had ended");
        }
        start
    }

    /// The directory that the controller chose; where it chose none, the first that works.
    fn directory_of(&self, registration: &PartitionImage) -> Result<&Arc<Directory<E::Disk>>, StorageError> {
        let index = registration.replicas.iter().position(|broker| *broker == self.node_id);
        let chosen =
            index.and_then(|index| registration.directories.get(index)).copied().unwrap_or(Uuid::ZERO);
        if chosen.is_zero() {
            let works = self.directories.values().find(|directory| directory.check().is_ok());
            return works.ok_or_else(|| StorageError { cause: "no log directory works".to_owned() });
        }
        let missing =
            || StorageError { cause: format!("the log directory {chosen} is missing or has failed") };
        self.directories.get(&chosen).ok_or_else(missing)
    }

    pub(super) fn host_offline(&self, id: TopicPartition, error: StorageError) {
        tracing::error!(partition = %id, %error, "a partition is offline");
        self.table.insert_offline(id, error);
    }

    async fn update_settings(&self, image: &MetadataImage, topic: &TopicImage) {
        let settings = self.settings(image, topic);
        for (id, _) in topic.named_partitions() {
            if let Ok(partition) = self.table.get(id) {
                self.env.checkpoint().await;
                partition.update_settings(&self.env, settings);
            }
        }
    }

    pub(super) fn settings(&self, image: &MetadataImage, topic: &TopicImage) -> Settings {
        let topic = self.config.topic(image.topic_overrides(&topic.name), image.cluster_defaults());
        Settings::of_topic(&topic, self.config.switches)
    }

    /// Whether the metadata knows the partition and puts a replica of it here.
    pub(super) fn is_hosted(&self, image: &MetadataImage, id: TopicPartition) -> bool {
        image.partition(id).is_some_and(|registration| registration.replicas.contains(&self.node_id))
    }
}

/// The topic of a partition, if it is there.
pub(super) fn topic_of(image: &MetadataImage, id: TopicId) -> Option<&TopicImage> {
    image.topic_by_id(id).map(Arc::as_ref)
}
