//! A node: its parts put together, started and stopped in order.

use std::marker::PhantomData;

use crate::config::Config;
use crate::env::Env;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Still to come.
    #[error("not yet")]
    NotYet,
}

/// Why a node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The metadata directory failed: without its log the node knows nothing.
    #[error("the metadata directory failed: {0}; the node cannot go on")]
    MetadataDirectory(String),
    /// The last directory for data failed.
    #[error("the last log directory failed; the node cannot go on")]
    LastLogDirectory,
    /// The listener failed.
    #[error("cannot accept connections: {0}")]
    Listener(std::io::Error),
}

/// A node that runs.
#[derive(Debug)]
pub struct Node<E: Env> {
    env: PhantomData<E>,
    port: u16,
}

impl<E: Env> Node<E> {
    /// Starts a node: locks its directories, recovers its logs, registers, and listens.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(env: E, config: Config) -> Result<Self, StartError> {
        let _ = (env, config);
        Err(StartError::NotYet)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Serves until `shutdown` is ready, then stops cleanly.
    ///
    /// # Errors
    /// What the node cannot survive.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Fatal> {
        let _ = self.env;
        shutdown.await;
        Ok(())
    }
}
