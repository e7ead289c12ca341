//! Keeps metadata fresh: one task per client, which sleeps until someone asks or what is known grows old.

use std::sync::Arc;

use super::connection::{Connection, Disconnect, RequestError};
use super::{Link, Peer, Purpose, Shared};
use crate::env::{Clock, Env};
use crate::time::Instant;
use crate::wire::codec::StrBytes;
use crate::wire::messages::metadata_request::MetadataRequestTopic;
use crate::wire::messages::{KafkaRequest, MetadataRequest, RequestResponsePair};

pub(super) async fn run<E: Env>(shared: Arc<Shared<E>>) {
    let clock = shared.env.clock().clone();
    let age_max = shared.settings.metadata_age_max;
    let mut failures = 0;
    loop {
        let oldest = shared.lock().interesting.values().min().copied();
        let stale_at = oldest.unwrap_or_else(|| clock.now()) + age_max;
        tokio::select! {
            biased;
            () = shared.wanted.notified() => {}
            () = clock.sleep_until(stale_at) => shared.lock().want_stale(clock.now(), age_max),
        }
        while !shared.lock().wanted.is_empty() {
            match refresh(&shared).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    tracing::debug!(%error, "metadata could not be had");
                    failures += 1;
                }
            }
            // Answers, too, are spaced out: who asks again at once would get the same one.
            let wait = shared.settings.retry_backoff.after(failures, shared.env.random_u64());
            clock.sleep_until(clock.now() + wait).await;
        }
    }
}

async fn refresh<E: Env>(shared: &Arc<Shared<E>>) -> Result<(), RequestError> {
    let deadline = shared.env.clock().now() + shared.settings.request_timeout;
    let asker = any_connection(shared, Purpose::Metadata, deadline).await?;
    let asked = std::mem::take(&mut shared.lock().wanted);
    let mut request = MetadataRequest::default();
    request.allow_auto_topic_creation = false;
    request.topics = Some(asked.iter().map(|name| topic(name)).collect());
    match asker.call(shared, &request, deadline).await {
        Ok(response) => {
            let now = shared.env.clock().now();
            let mut state = shared.lock();
            for name in asked {
                // Also what the answer does not speak of: it is asked for again when it grows old.
                if let Some(answered) = state.interesting.get_mut(&name) {
                    *answered = now;
                }
            }
            state.take_in(&response, now);
            drop(state);
            shared.changed.notify_waiters();
            Ok(())
        }
        Err(error) => {
            shared.lock().wanted.extend(asked);
            Err(error)
        }
    }
}

/// Asks for one topic.
pub(super) fn topic(name: &str) -> MetadataRequestTopic {
    let mut topic = MetadataRequestTopic::default();
    topic.name = Some(StrBytes::from(name));
    topic
}

/// A connection to one of several peers, any of which could answer.
pub(super) struct AnyConnection {
    peer: Peer,
    connection: Arc<Connection>,
}

impl AnyConnection {
    /// The highest version of a request that both sides speak.
    pub(super) fn version<M: KafkaRequest>(&self) -> Result<i16, RequestError> {
        self.connection.version::<M>()
    }

    /// Asks. A peer that does not answer in time is asked after the others for a while.
    pub(super) async fn call<E: Env, M: RequestResponsePair>(
        &self,
        shared: &Shared<E>,
        message: &M,
        deadline: Instant,
    ) -> Result<M::Response, RequestError> {
        let answer = self.connection.call(message, deadline).await;
        match &answer {
            Err(RequestError::Unknown(Disconnect::TimedOut)) => shared.avoid(self.peer),
            Err(_) => {}
            Ok(_) => drop(shared.lock().avoided.remove(&self.peer)),
        }
        answer
    }
}

/// A connection to the controller if it is known and there, else to any broker, else to a bootstrap address.
pub(super) async fn any_connection<E: Env>(
    shared: &Arc<Shared<E>>,
    purpose: Purpose,
    deadline: Instant,
) -> Result<AnyConnection, RequestError> {
    loop {
        for peer in candidates(shared) {
            if let Some(connection) = try_connection(shared, purpose, peer, deadline).await {
                return Ok(AnyConnection { peer, connection });
            }
        }
        let now = shared.env.clock().now();
        if now >= deadline {
            return Err(RequestError::NoBroker);
        }
        let wait = shared.settings.reconnect_backoff.after(1, shared.env.random_u64());
        shared.env.clock().sleep_until((now + wait).min(deadline)).await;
    }
}

/// The order in which brokers are tried: the controller, then all from a random one on; last those that were silent.
fn candidates<E: Env>(shared: &Shared<E>) -> Vec<Peer> {
    let bits = shared.env.random_u64();
    let now = shared.env.clock().now();
    let mut state = shared.lock();
    state.avoided.retain(|_, until| *until > now);
    let mut known: Vec<Peer> = state.metadata.brokers.keys().copied().map(Peer::Broker).collect();
    let mut bootstrap: Vec<Peer> = (0..shared.settings.bootstrap.len()).map(Peer::Bootstrap).collect();
    for peers in [&mut known, &mut bootstrap] {
        if !peers.is_empty() {
            let first = (bits % peers.len() as u64) as usize;
            peers.rotate_left(first);
        }
    }
    let controller = state.metadata.controller.map(Peer::Broker).filter(|peer| known.contains(peer));
    known.retain(|peer| Some(*peer) != controller);
    let mut candidates: Vec<Peer> = controller.into_iter().chain(known).chain(bootstrap).collect();
    candidates.sort_by_key(|peer| state.avoided.contains_key(peer));
    candidates
}

/// The connection to a peer, waiting while it opens; `None` when it fails or failed a moment ago.
async fn try_connection<E: Env>(
    shared: &Arc<Shared<E>>,
    purpose: Purpose,
    peer: Peer,
    deadline: Instant,
) -> Option<Arc<Connection>> {
    let clock = shared.env.clock();
    let began = clock.now();
    loop {
        let mut changed = std::pin::pin!(shared.changed.notified());
        changed.as_mut().enable();
        let now = clock.now();
        let link = shared.link(&mut shared.lock(), purpose, peer, now);
        match link {
            Link::Ready(connection, _) => return Some(connection),
            Link::Unknown => return None,
            Link::Backoff(_) | Link::Opening
                if now >= deadline.min(began + shared.settings.connect_timeout) =>
            {
                // Not even a refusal: it would cost as much patience the next time.
                shared.avoid(peer);
                return None;
            }
            Link::Backoff(_) => return None,
            Link::Opening => tokio::select! {
                biased;
                () = changed => {}
                () = clock.sleep_until(deadline) => {}
            },
        }
    }
}
