//! Keeps metadata fresh: one task per client, which sleeps until someone asks or what is known grows old.

use std::sync::Arc;

use super::connection::{Connection, RequestError};
use super::{Link, Peer, Purpose, Shared};
use crate::env::{Clock, Env};
use crate::time::Instant;
use crate::wire::codec::StrBytes;
use crate::wire::messages::MetadataRequest;
use crate::wire::messages::metadata_request::MetadataRequestTopic;

pub(super) async fn run<E: Env>(shared: Arc<Shared<E>>) {
    let clock = shared.env.clock().clone();
    let mut failures = 0;
    loop {
        let stale_at = clock.now() + shared.settings.metadata_age_max;
        tokio::select! {
            biased;
            () = shared.wanted.notified() => {}
            () = clock.sleep_until(stale_at) => {
                let mut state = shared.lock();
                state.wanted = state.interesting.clone();
            }
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
    let connection = any_connection(shared, deadline).await?;
    let asked = std::mem::take(&mut shared.lock().wanted);
    let mut request = MetadataRequest::default();
    request.allow_auto_topic_creation = false;
    request.topics = Some(asked.iter().map(|name| topic(name)).collect());
    match connection.call(&request, deadline).await {
        Ok(response) => {
            let mut state = shared.lock();
            state.metadata.update(&response);
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

/// A connection to the controller if it is known and there, else to any broker, else to a bootstrap address.
pub(super) async fn any_connection<E: Env>(
    shared: &Arc<Shared<E>>,
    deadline: Instant,
) -> Result<Arc<Connection>, RequestError> {
    loop {
        for peer in candidates(shared) {
            if let Some(connection) = try_connection(shared, peer, deadline).await {
                return Ok(connection);
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

/// The order in which brokers are tried: the controller, then all from a random one on.
fn candidates<E: Env>(shared: &Shared<E>) -> Vec<Peer> {
    let bits = shared.env.random_u64();
    let state = shared.lock();
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
    controller.into_iter().chain(known).chain(bootstrap).collect()
}

/// The connection to a peer, waiting while it opens; `None` when it fails or failed a moment ago.
async fn try_connection<E: Env>(
    shared: &Arc<Shared<E>>,
    peer: Peer,
    deadline: Instant,
) -> Option<Arc<Connection>> {
    let clock = shared.env.clock();
    loop {
        let mut changed = std::pin::pin!(shared.changed.notified());
        changed.as_mut().enable();
        let now = clock.now();
        let link = shared.link(&mut shared.lock(), Purpose::General, peer, now);
        match link {
            Link::Ready(connection, _) => return Some(connection),
            Link::Backoff(_) | Link::Unknown => return None,
            Link::Opening if now >= deadline => return None,
            Link::Opening => tokio::select! {
                biased;
                () = changed => {}
                () = clock.sleep_until(deadline) => {}
            },
        }
    }
}
