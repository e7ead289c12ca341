//! Connections: frames in, responses out in the order of their requests, within bounds of memory and time.
//!
//! [`Server`] listens and starts one task per connection; `connection` holds the rules of a connection,
//! [`dispatch`] finds the handler of a request (`api`, one file per key), [`memory`] is the budget of requests and
//! [`response`] what waits to be sent.

mod complaints;
mod connection;
pub mod dispatch;
mod incoming;
pub mod line;
pub mod memory;
pub mod response;
#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that finds an error where it expects none has failed
pub(crate) mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::api::Services;
use crate::config::Config;
use crate::env::{Clock, Env, Lane, Listener, Net, Task};
use crate::sync::{Arc, Mutex};
use crate::time::Instant;
use complaints::Complaints;
use connection::Connection;
use memory::Budget;

/// What of the configuration concerns connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `socket.request.max.bytes`: a larger frame closes the connection.
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`: what requests may hold in sum; `None` for no limit.
    pub queued_request_bytes_max: Option<u64>,
    /// `connections.max.idle.ms`; `None` for never.
    pub idle_max: Option<Duration>,
    /// `max.connections`: who comes beyond it waits to be accepted, as in Kafka.
    pub connections_max: usize,
}

impl Default for Settings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            request_bytes_max: 100 << 20,
            queued_request_bytes_max: None,
            idle_max: Some(Duration::from_secs(600)),
            connections_max: i32::MAX as usize,
        }
    }
}

/// What requests may hold in sum when the configuration leaves it to the broker.
const QUEUED_REQUEST_BYTES: u64 = 512 << 20;

impl Settings {
    /// What the configuration says.
    pub fn of(config: &Config) -> Self {
        Self {
            request_bytes_max: config.request_bytes_max,
            queued_request_bytes_max: Some(config.queued_request_bytes_max.unwrap_or(QUEUED_REQUEST_BYTES)),
            idle_max: config.connections_max_idle,
            connections_max: config.connections_max,
        }
    }
}

/// What the connections of a server share.
struct Shared<E: Env> {
    services: Arc<Services<E>>,
    settings: Settings,
    budget: Budget,
    complaints: Complaints,
    /// Set when the server stops: connections answer what they have begun, and begin nothing more.
    closing: AtomicBool,
}

/// A listening server. Dropping it closes all its connections.
pub struct Server<E: Env> {
    shared: Arc<Shared<E>>,
    port: u16,
    accepting: Task,
    connections: Arc<Mutex<Vec<Open>>>,
}

/// A connection that was accepted.
struct Open {
    task: Task,
    /// Whether it has taken a request and not yet sent the response.
    busy: Arc<AtomicBool>,
}

impl<E: Env> Server<E> {
    /// Serves whoever connects to `listener`, those included who have connected already, until it is stopped or
    /// dropped.
    pub fn serve(
        services: Arc<Services<E>>,
        settings: Settings,
        listener: <E::Net as Net>::Listener,
    ) -> Self {
        let env = services.env.clone();
        let port = listener.local_port();
        let budget = Budget::new(settings.queued_request_bytes_max);
        let shared = Arc::new(Shared {
            services,
            settings,
            budget,
            complaints: Complaints::default(),
            closing: AtomicBool::new(false),
        });
        let connections = Arc::new(Mutex::new(Vec::new()));
        let accepting =
            env.spawn(Lane::Data, "accept", accept(Arc::clone(&shared), listener, Arc::clone(&connections)));
        Self { shared, port, accepting, connections }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops listening, gives the connections until `grace` to answer what they have begun, and closes them.
    pub async fn stop(self, grace: Duration) {
        let clock = self.shared.services.env.clock().clone();
        let deadline = clock.now() + grace;
        self.shared.closing.store(true, Ordering::Release);
        drop(self.accepting);
        let is_busy = |open: &Open| !open.task.is_finished() && open.busy.load(Ordering::Acquire);
        while self.connections.lock().expect("no panic under this lock").iter().any(is_busy) {
            let now = clock.now();
            if now >= deadline {
                break;
            }
            clock.sleep_until(deadline.min(now + Duration::from_millis(5))).await;
        }
        self.connections.lock().expect("no panic under this lock").clear();
    }
}

async fn accept<E: Env>(
    shared: Arc<Shared<E>>,
    mut listener: <E::Net as Net>::Listener,
    connections: Arc<Mutex<Vec<Open>>>,
) {
    let env = shared.services.env.clone();
    let mut sweep_at = 64;
    let places = Arc::new(Semaphore::new(shared.settings.connections_max.min(Semaphore::MAX_PERMITS)));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Such as no descriptor left: wait for connections to end instead of spinning.
                let now: Instant = env.clock().now();
                shared.complaints.warn(now, format_args!("accepting a connection failed: {error}"));
                env.clock().sleep_until(now + Duration::from_millis(100)).await;
                continue;
            }
        };
        let busy = Arc::new(AtomicBool::new(false));
        let connection = Connection::new(Arc::clone(&shared), stream, peer, Arc::clone(&busy));
        let serving = async move {
            connection.run().await;
            drop(place);
        };
        let task = env.spawn(Lane::Data, "connection", serving);
        let mut open = connections.lock().expect("no panic under this lock");
        open.push(Open { task, busy });
        if open.len() >= sweep_at {
            open.retain(|connection| !connection.task.is_finished());
            sweep_at = (open.len() * 2).max(64);
        }
    }
}
