//! The metadata quorum: the log that decides what the cluster is.
//!
//! This is a quorum of one. A command is decided on the newest state ([`Driver`]), its records are appended to the
//! metadata log, and nobody learns of them before they are synced, whatever the policy for data is; then the new
//! image is published, and the answer is given when the data lane has followed, so that a topic is usable once
//! CreateTopics has been answered.

mod driver;
pub mod election_file;
mod load;
pub mod metadata_log;
pub mod replica;
pub mod rpc;
mod snapshots;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;

use tokio::sync::{Notify, mpsc, oneshot};

pub use driver::{Driver, QuorumError};
pub use load::{LoadError, Loaded, SITES, Settings, load};

use crate::controller::{Command, ProducerIdBlock, Rejection, Response};
use crate::ids::{BrokerId, ProducerId};
use crate::metadata::{MetadataDelta, MetadataImage};
use crate::sync::{Arc, Mutex, RwLock};

/// Commands that wait for the driver; whoever comes then waits to get in.
const COMMANDS_WAITING_MAX: usize = 64;

/// A step of the metadata, for whoever follows it; the steps arrive in order.
#[derive(Debug)]
pub struct Publication {
    /// The metadata after the step.
    pub image: Arc<MetadataImage>,
    /// What the step changed.
    pub delta: MetadataDelta,
    followers: Vec<oneshot::Sender<()>>,
}

impl Publication {
    /// Says that the data lane has followed, so that the answers may be given.
    pub fn followed(self) {
        for follower in self.followers {
            // Whoever asked may be gone.
            let _ = follower.send(());
        }
    }
}

/// A handle to the metadata quorum; clones share it.
#[derive(Clone)]
pub struct Quorum {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Submission>,
}

impl fmt::Debug for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Quorum at offset {}", self.image().offset)
    }
}

/// What the handles and the driver share.
struct Shared {
    node_id: BrokerId,
    image: RwLock<Arc<MetadataImage>>,
    /// Blocks of producer ids that were recorded and are not used up.
    producer_ids: Mutex<VecDeque<ProducerIdBlock>>,
    stop: Notify,
}

impl Shared {
    fn publish(&self, image: Arc<MetadataImage>) {
        *self.image.write().expect("nobody panics while holding the image") = image;
    }
}

/// What a submission comes to: the answer, and when it may be given.
type Outcome = Result<(Response, oneshot::Receiver<()>), Rejection>;

/// A command on its way to the driver.
struct Submission {
    command: Command,
    answer: oneshot::Sender<Outcome>,
}

impl Quorum {
    fn new(node_id: BrokerId, image: MetadataImage) -> (Self, mpsc::Receiver<Submission>) {
        let (commands, receiver) = mpsc::channel(COMMANDS_WAITING_MAX);
        let shared = Shared {
            node_id,
            image: RwLock::new(Arc::new(image)),
            producer_ids: Mutex::new(VecDeque::new()),
            stop: Notify::new(),
        };
        (Self { shared: Arc::new(shared), commands }, receiver)
    }

    /// The newest committed metadata.
    pub fn image(&self) -> Arc<MetadataImage> {
        Arc::clone(&self.shared.image.read().expect("nobody panics while holding the image"))
    }

    /// Has the controller decide a command, and returns when its outcome is durable and this node has followed it.
    /// When the future is dropped, the command may still take effect.
    ///
    /// # Errors
    /// A command refused as a whole; commands with several items answer each item in the [`Response`].
    /// [`Rejection::OutcomeUnknown`] when the driver ended after it had taken the command up.
    pub async fn submit(&self, command: Command) -> Result<Response, Rejection> {
        let (answer, answered) = oneshot::channel();
        let submission = Submission { command, answer };
        self.commands.send(submission).await.map_err(|_| Rejection::NotController)?;
        // From here on the records may be in the log, committed or not: who gets no answer knows nothing.
        let (response, followed) = answered.await.map_err(|_| Rejection::OutcomeUnknown)??;
        followed.await.map_err(|_| Rejection::OutcomeUnknown)?;
        Ok(response)
    }

    /// A producer id that nobody else ever gets (KIP-98). Ids come from blocks that were recorded durably before
    /// their first id is used (KIP-730); what is left of a block at a stop is never used.
    ///
    /// # Errors
    /// When no new block can be had.
    pub async fn next_producer_id(&self) -> Result<ProducerId, Rejection> {
        loop {
            if let Some(id) = self.take_producer_id() {
                return Ok(id);
            }
            let broker_id = self.shared.node_id;
            let broker_epoch = self.image().broker(broker_id).ok_or(Rejection::NotController)?.epoch;
            let command = Command::AllocateProducerIds { broker_id, broker_epoch };
            if let Response::ProducerIds(block) = self.submit(command).await? {
                self.producer_ids().push_back(block);
            }
        }
    }

    fn take_producer_id(&self) -> Option<ProducerId> {
        let mut blocks = self.producer_ids();
        let block = blocks.front_mut()?;
        let id = block.first;
        block.first = ProducerId(id.0 + 1);
        block.count -= 1;
        if block.count == 0 {
            blocks.pop_front();
        }
        Some(id)
    }

    fn producer_ids(&self) -> crate::sync::MutexGuard<'_, VecDeque<ProducerIdBlock>> {
        self.shared.producer_ids.lock().expect("nobody panics while holding the producer ids")
    }

    /// Asks the driver to end. Commands that it has not taken up are answered with [`Rejection::NotController`].
    pub fn stop(&self) {
        self.shared.stop.notify_one();
    }
}
