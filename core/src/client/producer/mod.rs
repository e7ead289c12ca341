//! A producer: batches in, offsets out, each batch appended at most once when the producer is idempotent.
//!
//! [`Producer::send`] does its work at once in the caller's context: it assigns the sequence and puts the request
//! into the connection's buffer. Responses are taken in inside the connection's task. The producer's own task wakes
//! only when something waits: for metadata, a connection, a producer id, the end of a backoff or a deadline.

mod driver;
mod pump;
mod queue;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Client;
use crate::env::{Env, Lane, Task};
use crate::error::ErrorCode;
use crate::ids::Offset;
use crate::record::batch::BatchHeader;
use pump::Shared;

/// How a producer produces.
#[derive(Clone, Copy, Debug)]
pub struct ProducerSettings {
    /// `acks`: -1 (all), 0 or 1.
    pub acks: i16,
    /// `enable.idempotence`: a batch that is sent again is recognised. Needs acks=-1. Without it one batch of a
    /// partition is in flight at a time, for one that is sent again would come behind later ones.
    pub idempotent: bool,
    /// `delivery.timeout.ms`: how long to try in all.
    pub delivery_timeout: Duration,
    /// `max.in.flight.requests.per.connection`: at most 5, which is what a broker remembers of a producer.
    pub max_in_flight: usize,
    /// `buffer.memory`: how many bytes may wait.
    pub buffer_bytes_max: usize,
    /// `max.request.size`: how many bytes of batches share a request.
    pub request_bytes_max: usize,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            acks: -1,
            idempotent: true,
            delivery_timeout: Duration::from_millis(120_000),
            max_in_flight: 5,
            buffer_bytes_max: 32 << 20,
            request_bytes_max: 1 << 20,
        }
    }
}

/// Why settings are refused: what they promise would not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No such level.
    #[error("acks must be -1 (all), 0 or 1")]
    Acks,
    /// A leader that changes loses what it alone had acknowledged, and with it the sequence.
    #[error("enable.idempotence needs acks=-1 (all)")]
    IdempotenceWithoutAcksAll,
    /// A broker remembers five batches of a producer.
    #[error("enable.idempotence allows 1 to 5 requests in flight (max.in.flight.requests.per.connection)")]
    IdempotenceInFlight,
    /// Nothing would ever be sent.
    #[error("max.in.flight.requests.per.connection must be at least 1")]
    InFlight,
}

impl ProducerSettings {
    fn check(&self) -> Result<(), SettingsError> {
        match self {
            Self { acks, .. } if !(-1..=1).contains(acks) => Err(SettingsError::Acks),
            Self { max_in_flight: 0, .. } => Err(SettingsError::InFlight),
            Self { idempotent: true, acks: 0 | 1, .. } => Err(SettingsError::IdempotenceWithoutAcksAll),
            Self { idempotent: true, max_in_flight: 6.., .. } => Err(SettingsError::IdempotenceInFlight),
            _ => Ok(()),
        }
    }
}

/// A batch is in the log as far as `acks` asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The offset of the batch's first record; -1 with acks=0, or when the broker knows only that it has the batch.
    pub base_offset: Offset,
}

/// Why a batch was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Certainly not appended, and never will be.
    #[error("the batch was not appended: {0}")]
    NotAppended(Unsent),
    /// May be in the log, or may still come to be.
    #[error("whether the batch was appended is unknown: {0}")]
    Unknown(Unsent),
}

impl SendError {
    /// Whether the batch certainly is not in the log.
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::NotAppended(_))
    }
}

/// What kept a batch from being delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The broker refused it.
    #[error("the broker answered {0}")]
    Refused(ErrorCode),
    /// The connection was lost.
    #[error("{0}")]
    Disconnected(Arc<str>),
    /// No leader was reached within the delivery timeout.
    #[error("the delivery timeout is over")]
    TimedOut,
    /// No producer id was given within the delivery timeout.
    #[error("the delivery timeout is over, and no producer id was given: {0}")]
    NoProducerId(Arc<str>),
    /// The bytes are not a batch.
    #[error("the bytes are not a batch with a record")]
    NotABatch,
    /// Too much waits already; wait for earlier batches.
    #[error("more bytes wait than buffer.memory allows")]
    BufferFull,
    /// The producer is gone.
    #[error("the producer was closed")]
    Closed,
}

/// A producer, whose batches are given up when it is dropped.
pub struct Producer<E: Env> {
    shared: Arc<Shared<E>>,
    _driver: Task,
}

/// A batch on its way. Dropping it does not stop the batch.
#[must_use = "the batch is on its way, but only this tells what became of it"]
pub struct Sending(Result<oneshot::Receiver<Result<Delivered, SendError>>, Option<SendError>>);

impl Future for Sending {
    type Output = Result<Delivered, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Ok(receiver) => Pin::new(receiver)
                .poll(context)
                .map(|result| result.unwrap_or(Err(SendError::Unknown(Unsent::Closed)))),
            Err(error) => Poll::Ready(Err(error.take().expect("a future is not polled after its end"))),
        }
    }
}

impl<E: Env> Producer<E> {
    /// A producer on top of a client.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn new(client: Client<E>, settings: ProducerSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let env = client.env().clone();
        let shared = Arc::new(Shared::new(client, settings));
        let driver = env.spawn(Lane::Data, "client.producer", driver::run(shared.clone()));
        Ok(Self { shared, _driver: driver })
    }

    /// Sends one batch, as [`BatchBuilder`](crate::record::builder::BatchBuilder) builds it; an idempotent producer
    /// writes its own id, epoch and sequence into it. Batches of one partition are appended in the order of the calls.
    pub fn send(&self, topic: &str, partition: i32, batch: Bytes) -> Sending {
        let record_count = match BatchHeader::parse(&batch) {
            Ok(header) if header.record_count > 0 && header.size_bytes() == batch.len() => {
                header.record_count
            }
            _ => return Sending(Err(Some(SendError::NotAppended(Unsent::NotABatch)))),
        };
        let (sender, receiver) = oneshot::channel();
        match self.shared.send(topic, partition, batch, record_count, sender) {
            Ok(()) => Sending(Ok(receiver)),
            Err(error) => Sending(Err(Some(error))),
        }
    }
}
