//! Opens the logs that a log directory holds, at a start.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::env::{Clock, Env};
use crate::fact::Fact;
use crate::ids::{TopicId, TopicPartition};
use crate::log::dir::Checkpoints;
use crate::log::{LogError, Recovered, Recovery};
use crate::metadata::MetadataImage;
use crate::sync::Arc;

use super::applier::{Applier, topic_of};
use super::directory::{Directory, StorageError};
use super::partition::Partition;

/// What a start found in a log directory.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The partitions that have a directory in it.
    pub partitions: Vec<TopicPartition>,
    /// Directories of deleted partitions whose files are not all removed.
    pub deleted: Vec<PathBuf>,
    /// What the checkpoints say.
    pub checkpoints: Checkpoints,
    /// Whether the last stop left its marker.
    pub clean: bool,
}

/// The metadata that a start loaded.
pub struct LoadedMetadata {
    /// What there is.
    pub image: Arc<MetadataImage>,
    /// Topics of which a record says that they were deleted.
    pub removed_topics: BTreeSet<TopicId>,
}

impl<E: Env> Applier<E> {
    /// Recovers the logs of a directory which the metadata puts here. Of the others those are removed whose topics were
    /// deleted, by a record behind the newest snapshot: the node stopped before it had followed. What the metadata does
    /// not know at all is set aside and left alone. No partition has a role yet.
    pub async fn load(
        &mut self,
        metadata: &LoadedMetadata,
        directory: &Arc<Directory<E::Disk>>,
        found: Found,
    ) {
        let image = &*metadata.image;
        self.note_missing(image, directory, &found);
        for path in found.deleted {
            let removal = directory.log_dir().removal(path);
            self.remove_files(removal);
        }
        for id in found.partitions.into_iter().filter(|id| *id != TopicPartition::METADATA) {
            if !self.is_hosted(image, id) {
                match metadata.removed_topics.contains(&id.topic_id) {
                    true => self.delete_log(directory, id),
                    false => self.set_stray_log_aside(directory, id),
                }
                continue;
            }
            if self.table.get(id).is_ok() {
                // Somebody copied a directory. Which copy is the right one is not for us to decide, so none goes.
                let path = directory.log_dir().partition_path(id);
                tracing::error!(path = %path.display(), "this partition is in another log directory too; this copy is not used");
                continue;
            }
            if let Err(error) = self.recover(image, directory, id, (&found.checkpoints, found.clean)).await {
                self.host_offline(id, error);
            }
        }
    }

    /// Notes what the checkpoints say of logs that ought to be here and are not, for when they are created again, and so
    /// that the checkpoints go on saying it.
    fn note_missing(&self, image: &MetadataImage, directory: &Directory<E::Disk>, found: &Found) {
        for id in found.checkpoints.partitions() {
            if !found.partitions.contains(&id) && self.is_hosted(image, id) && self.table.get(id).is_err() {
                directory.note(id, found.checkpoints.of(id));
            }
        }
    }

    fn set_stray_log_aside(&self, directory: &Directory<E::Disk>, id: TopicPartition) {
        self.env.reached("partition.stray_set_aside");
        match directory.log_dir().set_stray_log_aside(id) {
            Ok(path) => tracing::error!(partition = %id, path = %path.display(),
                "the metadata does not know this log or does not put it here: if the metadata is an old copy, stop, \
                 restore the newest one and take the ending off the name; else the log can be removed by hand"),
            Err(error) => {
                directory.fail(&self.env, &error);
            }
        }
    }

    async fn recover(
        &self,
        image: &MetadataImage,
        directory: &Arc<Directory<E::Disk>>,
        id: TopicPartition,
        (checkpoints, clean): (&Checkpoints, bool),
    ) -> Result<(), StorageError> {
        directory.check()?;
        let Some(topic) = topic_of(image, id.topic_id) else { return Ok(()) };
        let settings = self.settings(image, topic);
        let log_dir = directory.log_dir();
        let checkpointed = checkpoints.of(id);
        // Until the log is open, the checkpoints go on saying what they said.
        directory.note(id, checkpointed);
        let (disk, path) = (log_dir.disk().clone(), log_dir.partition_path(id));
        let now = self.env.clock().wall();
        let recovery = Recovery::new(disk, path, settings.log, checkpointed, clean, now);
        let recovered = self.env.run("recover-log", recovery).await.map_err(|error| match error {
            LogError::Disk(error) => directory.fail(&self.env, &error),
            error @ (LogError::Read(_) | LogError::Failed) => StorageError { cause: error.to_string() },
        })?;
        recovered.settle().await.map_err(|error| directory.fail(&self.env, &error))?;
        let Recovered { log, clean, cut_bytes, lost, .. } = recovered;
        let lowered = log_dir.lower_recovery_point(id, log.recovery_point()).await;
        lowered.map_err(|error| directory.fail(&self.env, &error))?;
        if cut_bytes > 0 {
            tracing::info!(partition = %id, cut_bytes, "the end of a log was torn and is cut off");
        }
        if let Some(lost) = lost {
            // The only replica there is: nothing can bring back what is missing, and nobody else may lead.
            self.env.reached("partition.committed_records_lost");
            tracing::error!(partition = %id, log_end = %lost.log_end, expected = %lost.expected,
                "the disk lost records that had been flushed or committed");
        }
        self.env.observe(&Fact::Recovered {
            partition: id,
            clean,
            log_start: log.log_start(),
            log_end: log.log_end(),
        });
        let partition = Partition::new(id, log, checkpointed.high_watermark, settings, Arc::clone(directory));
        self.table.insert(Arc::new(partition));
        Ok(())
    }
}
