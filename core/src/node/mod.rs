//! A node: its parts put together, started and stopped in order.
//!
//! [`Node::start`] goes from the disk up: directories are locked and their clean marker is removed, the metadata is
//! loaded, the logs are recovered, the port is taken, the new incarnation registers (which raises every leader
//! epoch), and only then is anybody served. [`Node::run`] serves until it is told to stop, and stops in the opposite
//! order: the clean marker comes last, when everything else is on the disk.

mod announcement;
mod directories;
mod start;
mod start_error;
#[cfg(test)]
mod tests;
mod worker;

use std::pin::pin;
use std::time::Duration;

use tokio::sync::oneshot;

pub use start_error::StartError;

use crate::config::Config;
use crate::env::Env;
use crate::ids::{BrokerEpoch, TopicPartition};
use crate::log::recovery::Checkpointed;
use crate::partition::{Directory, Flusher};
use crate::quorum::{Quorum, QuorumError};
use crate::server::Server;
use crate::sync::Arc;
use worker::Worker;

/// How long connections may take to answer what they have begun when the node stops.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Why a node cannot go on. Its process ends with an exit code other than 0.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The metadata directory failed: without its log the node knows nothing.
    #[error("the metadata directory failed: {0}; look after the disk, then start again")]
    MetadataDirectory(String),
    /// The last log directory failed.
    #[error("the last log directory failed: {0}; look after the disk, then start again")]
    LastLogDirectory(String),
}

/// A log directory at work.
struct Working<E: Env> {
    directory: Arc<Directory<E::Disk>>,
    flusher: Arc<Flusher<E>>,
    /// Whether it takes partitions, and not the metadata log alone.
    takes_partitions: bool,
}

/// A node that serves.
pub struct Node<E: Env> {
    server: Server<E>,
    quorum: Quorum,
    directories: Vec<Working<E>>,
    /// The directory with the metadata log, one of `directories`.
    metadata: Arc<Directory<E::Disk>>,
    broker_epoch: BrokerEpoch,
    workers: Vec<Worker>,
    /// What may be within a sync, and is therefore never ended at an await.
    flushers: Vec<Worker>,
    quorum_worker: Worker,
    quorum_ended: oneshot::Receiver<Result<Checkpointed, QuorumError>>,
}

impl<E: Env> Node<E> {
    /// Starts a node; when it returns, clients are served.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(env: E, config: Config) -> Result<Self, StartError> {
        start::start(env, Arc::new(config)).await
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The connections, for tests of their limits.
    #[cfg(test)]
    pub(crate) fn server(&self) -> &Server<E> {
        &self.server
    }

    /// A handle to the metadata.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Serves until `shutdown` is ready, then stops cleanly.
    ///
    /// # Errors
    /// What the node cannot survive. Nothing is closed cleanly then: the next start recovers.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Fatal> {
        let shutdown = pin!(shutdown);
        tokio::select! {
            biased;
            ended = &mut self.quorum_ended => return Err(quorum_failure(ended)),
            error = self.metadata.failed() => return Err(Fatal::MetadataDirectory(error.cause)),
            cause = all_failed(&self.directories) => return Err(Fatal::LastLogDirectory(cause)),
            () = shutdown => {}
        }
        self.stop().await
    }

    async fn stop(self) -> Result<(), Fatal> {
        self.server.stop(STOP_GRACE).await;
        self.quorum.stop();
        match self.quorum_ended.await {
            Ok(Ok(checkpointed)) => self.metadata.note(TopicPartition::METADATA, checkpointed),
            ended => return Err(quorum_failure(ended)),
        }
        self.quorum_worker.end().await;
        for worker in self.workers {
            worker.end().await;
        }
        self.directories.iter().for_each(|working| working.flusher.stop());
        for flusher in self.flushers {
            flusher.ended().await;
        }
        let mut clean = Vec::new();
        for working in &self.directories {
            match working.flusher.finish().await {
                Ok(()) => clean.push(working),
                Err(error) => tracing::error!(%error, "a log directory was not closed cleanly"),
            }
        }
        for working in clean {
            if let Err(error) = working.directory.log_dir().mark_clean(self.broker_epoch).await {
                tracing::error!(%error, "a log directory could not be marked clean");
            }
        }
        match self.metadata.check() {
            Ok(()) => Ok(()),
            Err(error) => Err(Fatal::MetadataDirectory(error.cause)),
        }
    }
}

fn quorum_failure(ended: Result<Result<Checkpointed, QuorumError>, oneshot::error::RecvError>) -> Fatal {
    Fatal::MetadataDirectory(match ended {
        Ok(Err(error)) => error.to_string(),
        Ok(Ok(_)) | Err(_) => "the metadata quorum ended unasked".to_owned(),
    })
}

/// Returns when every directory for partitions has failed.
async fn all_failed<E: Env>(directories: &[Working<E>]) -> String {
    let mut cause = String::new();
    for working in directories.iter().filter(|working| working.takes_partitions) {
        cause = working.directory.failed().await.cause;
    }
    cause
}
