//! Opens the logs that a log directory holds, at a start.

use std::path::PathBuf;

use crate::env::{Clock, Env};
use crate::fact::Fact;
use crate::ids::TopicPartition;
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

impl<E: Env> Applier<E> {
    /// Recovers the logs of a directory which the metadata puts here, and removes the others: their topics were
    /// deleted while this node was down, or it stopped half-way through. No partition has a role yet.
    pub async fn load(&mut self, image: &MetadataImage, directory: &Arc<Directory<E::Disk>>, found: Found) {
        for path in found.deleted {
            let removal = directory.log_dir().removal(path);
            self.remove_files(removal);
        }
        for id in found.partitions.into_iter().filter(|id| *id != TopicPartition::METADATA) {
            if !self.is_hosted(image, id) {
                self.env.reached("partition.stray_removed");
                tracing::info!(partition = %id, "removing a log that the metadata does not know");
                self.delete_log(directory, id);
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
            LogError::Read(error) => StorageError { cause: error.to_string() },
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
