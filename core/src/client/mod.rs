//! The one client: metadata, routing, retries, idempotent produce, fetch and administration.
//!
//! The simulator's workloads, the command line and the user interface all use it. A [`Client`] is cheap to clone and
//! keeps one connection per broker and purpose; [`producer::Producer`] and [`fetcher::Fetcher`] work on top of it.

pub mod admin;
mod backoff;
mod connection;
pub mod fetcher;
pub mod metadata;
pub mod producer;
mod refresh;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::env::{Clock, Env, Lane, Task};
use crate::error::ErrorCode;
use crate::ids::{BrokerId, LeaderEpoch, TopicId};
use crate::sync::{Mutex, MutexGuard};
use crate::time::Instant;
use crate::wire::api::api_versions::Offered;
use crate::wire::api::{CurrentLeader, NodeEndpoint};
use crate::wire::messages::{MetadataResponse, RequestResponsePair};

pub use backoff::Backoff;
use connection::{Connection, ConnectionSettings};
pub use connection::{Disconnect, RequestError};
use metadata::Metadata;
use refresh::AnyConnection;

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `bootstrap.servers`: where to ask first, each `host:port`.
    pub bootstrap: Vec<String>,
    /// `client.id`, which brokers log.
    pub client_id: String,
    /// `request.timeout.ms`: how long a request may stay without a response before its connection is given up.
    pub request_timeout: Duration,
    /// `socket.connection.setup.timeout.ms`
    pub connect_timeout: Duration,
    /// `retry.backoff.ms` and `retry.backoff.max.ms`
    pub retry_backoff: Backoff,
    /// `reconnect.backoff.ms` and `reconnect.backoff.max.ms`
    pub reconnect_backoff: Backoff,
    /// `metadata.max.age.ms`
    pub metadata_age_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let millis = Duration::from_millis;
        Self {
            bootstrap: vec!["localhost:9092".into()],
            client_id: "jangbu".into(),
            request_timeout: millis(30_000),
            connect_timeout: millis(10_000),
            retry_backoff: Backoff { min: millis(100), max: millis(1_000) },
            reconnect_backoff: Backoff { min: millis(50), max: millis(1_000) },
            metadata_age_max: millis(300_000),
        }
    }
}

/// Responses on a connection are ordered, so that a long poll, or a produce whose replicas are stuck, would hold up
/// what comes behind it: first of all the metadata which says that the leader is elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Metadata,
    Admin,
    Produce,
    Fetch,
}

/// Whom to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Broker(BrokerId),
    /// By its index in the settings.
    Bootstrap(usize),
}

#[derive(Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    failures: u32,
    not_before: Instant,
}

struct State {
    metadata: Metadata,
    slots: BTreeMap<(Purpose, Peer), Slot>,
    /// Topics that someone waits to hear of.
    wanted: BTreeSet<Arc<str>>,
    /// Topics that someone asked for, and when they were last answered (or first asked for): they are asked for again
    /// when what is known grows old.
    interesting: BTreeMap<Arc<str>, Instant>,
    /// Peers that did not answer in time, which are asked after all others until the given time.
    avoided: BTreeMap<Peer, Instant>,
}

impl State {
    /// Takes in metadata. A topic that is not there is forgotten: who still wants it asks again.
    fn take_in(&mut self, response: &MetadataResponse, now: Instant) {
        self.metadata.update(response);
        for name in response.topics.iter().filter_map(|topic| topic.name.as_deref()) {
            use ErrorCode::{UnknownTopicId, UnknownTopicOrPartition};
            let error = self.metadata.errors.get(name);
            if matches!(error, Some(UnknownTopicOrPartition | UnknownTopicId)) {
                self.interesting.remove(name);
            } else if let Some(answered) = self.interesting.get_mut(name) {
                *answered = now;
            }
        }
    }

    fn want_stale(&mut self, now: Instant, age_max: Duration) {
        let is_stale = |(_, answered): &(_, &Instant)| now >= **answered + age_max;
        self.wanted.extend(self.interesting.iter().filter(is_stale).map(|(name, _)| name.clone()));
    }
}

struct Shared<E: Env> {
    env: E,
    settings: Settings,
    connection_settings: ConnectionSettings,
    state: Mutex<State>,
    /// A connection became ready or closed, or metadata came.
    changed: Arc<Notify>,
    /// Somebody wants metadata.
    wanted: Notify,
}

/// A client of a cluster.
pub struct Client<E: Env> {
    shared: Arc<Shared<E>>,
    _refresher: Arc<Task>,
}

impl<E: Env> Clone for Client<E> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), _refresher: self._refresher.clone() }
    }
}

/// A connection that can be used now, or why there is none.
enum Link {
    Ready(Arc<Connection>, Arc<Offered>),
    Opening,
    /// The last one failed; the next is made no earlier than this.
    Backoff(Instant),
    /// No broker of this id is known.
    Unknown,
}

/// A partition's leader, connected.
struct Leader {
    broker: BrokerId,
    topic_id: TopicId,
    epoch: LeaderEpoch,
    connection: Arc<Connection>,
    offered: Arc<Offered>,
}

/// The way to a partition's leader.
enum Route {
    Ready(Leader),
    /// Wait for [`Client::changed`], at most until the given time.
    Wait(Option<Instant>),
}

impl<E: Env> Client<E> {
    /// A client that connects when it is first used.
    pub fn new(env: E, settings: Settings) -> Self {
        let connection_settings = ConnectionSettings {
            client_id: settings.client_id.as_str().into(),
            request_timeout: settings.request_timeout,
            connect_timeout: settings.connect_timeout,
        };
        let state = State {
            metadata: Metadata::default(),
            slots: BTreeMap::new(),
            wanted: BTreeSet::new(),
            interesting: BTreeMap::new(),
            avoided: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            env: env.clone(),
            settings,
            connection_settings,
            state: Mutex::new(state),
            changed: Arc::new(Notify::new()),
            wanted: Notify::new(),
        });
        let refresher = env.spawn(Lane::Data, "client.metadata", refresh::run(shared.clone()));
        Self { shared, _refresher: Arc::new(refresher) }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// A copy of what is known of the cluster.
    pub fn known_metadata(&self) -> Metadata {
        self.shared.lock().metadata.clone()
    }

    fn env(&self) -> &E {
        &self.shared.env
    }

    fn now(&self) -> Instant {
        self.shared.env.clock().now()
    }

    /// Fires when a connection became ready or closed, or metadata came.
    fn changed(&self) -> &Notify {
        &self.shared.changed
    }

    /// Asks for news of a topic, in the background.
    fn want_metadata(&self, topic: &str) {
        self.shared.want(&mut self.shared.lock(), topic);
    }

    /// Takes in a hint at a partition's leader, or asks for metadata when it says nothing new.
    fn leader_moved(
        &self,
        topic: &str,
        partition: i32,
        hint: Option<CurrentLeader>,
        endpoints: &[NodeEndpoint],
    ) {
        let mut state = self.shared.lock();
        let taken = hint.is_some_and(|hint| state.metadata.hint(topic, partition, hint, endpoints));
        if !taken {
            self.shared.want(&mut state, topic);
        }
    }

    /// The way to a partition's leader; begins to connect or asks for metadata when it is not open.
    fn route(&self, purpose: Purpose, topic: &str, partition: i32, now: Instant) -> Route {
        let mut state = self.shared.lock();
        let known = state.metadata.leadership(topic, partition);
        let Some((topic_id, leadership)) = known else {
            self.shared.want(&mut state, topic);
            return Route::Wait(None);
        };
        let Some(broker) = leadership.leader else {
            self.shared.want(&mut state, topic);
            return Route::Wait(None);
        };
        match self.shared.link(&mut state, purpose, Peer::Broker(broker), now) {
            Link::Ready(connection, offered) => {
                let epoch = leadership.leader_epoch;
                Route::Ready(Leader { broker, topic_id, epoch, connection, offered })
            }
            Link::Opening => Route::Wait(None),
            Link::Backoff(until) => {
                // The broker is not there; the leader may be elsewhere by now.
                self.shared.want(&mut state, topic);
                Route::Wait(Some(until))
            }
            Link::Unknown => {
                self.shared.want(&mut state, topic);
                Route::Wait(None)
            }
        }
    }

    /// Waits for the way to a partition's leader.
    async fn routed(
        &self,
        purpose: Purpose,
        topic: &str,
        partition: i32,
        deadline: Instant,
    ) -> Result<Leader, RequestError> {
        loop {
            let mut changed = std::pin::pin!(self.changed().notified());
            changed.as_mut().enable();
            let now = self.now();
            let until = match self.route(purpose, topic, partition, now) {
                Route::Ready(leader) => return Ok(leader),
                Route::Wait(until) => until.map_or(deadline, |until| until.min(deadline)),
            };
            if now >= deadline {
                return Err(RequestError::NoBroker);
            }
            tokio::select! {
                biased;
                () = changed => {}
                () = self.env().clock().sleep_until(until) => {}
            }
        }
    }

    /// Waits for `wait`, or less when the deadline comes before.
    async fn pause(&self, failures: u32, deadline: Instant) {
        let wait = self.settings().retry_backoff.after(failures, self.env().random_u64());
        self.env().clock().sleep_until((self.now() + wait).min(deadline)).await;
    }

    /// A connection to the controller, or to any broker while none is known.
    async fn any_connection(&self, deadline: Instant) -> Result<AnyConnection, RequestError> {
        refresh::any_connection(&self.shared, Purpose::Admin, deadline).await
    }

    /// Asks the controller, or any broker while none is known.
    async fn call_any<M: RequestResponsePair>(
        &self,
        purpose: Purpose,
        message: &M,
        deadline: Instant,
    ) -> Result<M::Response, RequestError> {
        let connection = refresh::any_connection(&self.shared, purpose, deadline).await?;
        connection.call(&self.shared, message, deadline).await
    }

    /// Takes in metadata, and returns what is known then.
    fn take_in(&self, response: &MetadataResponse) -> Metadata {
        let now = self.now();
        let mut state = self.shared.lock();
        state.take_in(response, now);
        let metadata = state.metadata.clone();
        drop(state);
        self.shared.changed.notify_waiters();
        metadata
    }
}

impl<E: Env> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody saw a panic inside the lock and lived")
    }

    fn avoid(&self, peer: Peer) {
        let until = self.env.clock().now() + self.settings.request_timeout;
        self.lock().avoided.insert(peer, until);
    }

    fn want(&self, state: &mut State, topic: &str) {
        if !state.wanted.contains(topic) {
            let topic: Arc<str> = topic.into();
            state.interesting.entry(topic.clone()).or_insert_with(|| self.env.clock().now());
            state.wanted.insert(topic);
            self.wanted.notify_one();
        }
    }

    /// The connection to a peer, or begins to make one.
    fn link(&self, state: &mut State, purpose: Purpose, peer: Peer, now: Instant) -> Link {
        let address = match peer {
            Peer::Broker(broker) => state.metadata.brokers.get(&broker).cloned(),
            Peer::Bootstrap(index) => {
                self.settings.bootstrap.get(index).map(|address| address.as_str().into())
            }
        };
        let slot = state.slots.entry((purpose, peer)).or_default();
        if let Some(connection) = &slot.connection {
            match connection.ready() {
                Ok(Some(offered)) => {
                    slot.failures = 0;
                    return Link::Ready(connection.clone(), offered);
                }
                Ok(None) => return Link::Opening,
                Err(_) => {
                    slot.connection = None;
                    slot.failures += 1;
                    let wait = self.settings.reconnect_backoff.after(slot.failures, self.env.random_u64());
                    slot.not_before = now + wait;
                }
            }
        }
        let Some(address) = address else {
            return Link::Unknown;
        };
        if now < slot.not_before {
            return Link::Backoff(slot.not_before);
        }
        let connection =
            Connection::open(&self.env, address, &self.connection_settings, self.changed.clone());
        slot.connection = Some(Arc::new(connection));
        Link::Opening
    }
}

#[cfg(test)]
mod tests;
