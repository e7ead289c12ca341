//! One connection to a broker: requests are pipelined, responses come in the same order, and silence has a deadline.
//!
//! A single task per connection reads, writes and watches the deadlines. Who submits a request brings a function
//! that is called with its response inside that task, so that nothing is spawned or woken per request.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, oneshot};

use crate::env::{Clock, Env, Lane, Net, Stream, StreamReader, StreamWriter, Task};
use crate::error::ErrorCode;
use crate::sync::Mutex;
use crate::time::Instant;
use crate::wire::api::api_versions::{ApiVersionsRequest, Offered};
use crate::wire::codec::{DecodeError, StrBytes};
use crate::wire::frame::FrameReader;
use crate::wire::messages::{KafkaRequest, RequestResponsePair};
use crate::wire::{ApiKey, request, response};

/// The largest response accepted.
const RESPONSE_BYTES_MAX: usize = 100 << 20;

/// Why a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Disconnect {
    /// It could not be made.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// Where to.
        address: Arc<str>,
        /// Why not.
        cause: Arc<io::Error>,
    },
    /// The network failed.
    #[error("the connection failed: {0}")]
    Io(Arc<io::Error>),
    /// The broker closed it.
    #[error("the broker closed the connection")]
    Closed,
    /// A response did not come in time; what the broker did is not known.
    #[error("no response came within the request timeout")]
    TimedOut,
    /// The broker does not speak the protocol.
    #[error("the broker answered with something else: {0}")]
    Protocol(Arc<str>),
}

impl From<io::Error> for Disconnect {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// A request without a usable response.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// It was never sent, so that it had no effect.
    #[error("the request was not sent: {0}")]
    NotSent(Disconnect),
    /// It may have had its effect.
    #[error("the request's outcome is unknown: {0}")]
    Unknown(Disconnect),
    /// The broker does not offer this request in any version that this client speaks; it was not sent.
    #[error("the broker does not support {}", .0.name())]
    Unsupported(ApiKey),
    /// The message has no form in the common version; it was not sent.
    #[error("the request cannot be expressed in version {version}: {cause}")]
    Inexpressible {
        /// The common version.
        version: i16,
        /// What the codec says.
        cause: Arc<str>,
    },
    /// The response makes no sense.
    #[error("the response cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// No broker was reached before the deadline; the request was not sent.
    #[error("no broker was reached in time")]
    NoBroker,
}

impl RequestError {
    /// Whether the request certainly had no effect.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Self::Unknown(_) | Self::Decode(_))
    }
}

/// Called once with the response's frame.
pub(super) type Completion = Box<dyn FnOnce(Result<Bytes, RequestError>) + Send>;

struct Pending {
    number: u64,
    correlation_id: i32,
    deadline: Instant,
    complete: Completion,
}

enum Phase {
    Connecting,
    Ready(Arc<Offered>),
    Closed(Disconnect),
}

struct State {
    phase: Phase,
    /// Frames not yet handed to the network.
    outgoing: BytesMut,
    /// Requests without a response, in the order they were submitted.
    pending: VecDeque<Pending>,
    submitted: u64,
    /// The last request whose bytes were handed to the network, in whole or in part.
    handed_over: u64,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to send.
    work: Notify,
    /// The client's: some connection became ready or closed.
    changed: Arc<Notify>,
    client_id: Arc<str>,
}

/// A handle to a connection, which ends when this is dropped.
pub(super) struct Connection {
    shared: Arc<Shared>,
    _task: Task,
}

/// What a connection needs to know.
#[derive(Clone)]
pub(super) struct ConnectionSettings {
    pub(super) client_id: Arc<str>,
    pub(super) request_timeout: Duration,
    pub(super) connect_timeout: Duration,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open<E: Env>(
        env: &E,
        address: Arc<str>,
        settings: &ConnectionSettings,
        changed: Arc<Notify>,
    ) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                phase: Phase::Connecting,
                outgoing: BytesMut::new(),
                pending: VecDeque::new(),
                submitted: 0,
                handed_over: 0,
            }),
            work: Notify::new(),
            changed,
            client_id: settings.client_id.clone(),
        });
        let run = run(env.clone(), address, settings.clone(), shared.clone());
        Self { shared, _task: env.spawn(Lane::Data, "client.connection", run) }
    }

    /// What the broker offers, once that is known; `Err` when the connection has ended.
    pub(super) fn ready(&self) -> Result<Option<Arc<Offered>>, Disconnect> {
        match &self.shared.lock().phase {
            Phase::Connecting => Ok(None),
            Phase::Ready(offered) => Ok(Some(offered.clone())),
            Phase::Closed(cause) => Err(cause.clone()),
        }
    }

    /// Appends a request to what will be sent next. `complete` is called in the connection's task, and never when
    /// this fails; `None` is for requests that have no response (Produce with acks=0).
    ///
    /// # Errors
    /// When the connection has ended; nothing was sent.
    pub(super) fn submit(
        &self,
        key: ApiKey,
        version: i16,
        deadline: Instant,
        complete: Option<Completion>,
        body: impl FnOnce(&mut BytesMut),
    ) -> Result<(), Disconnect> {
        let mut state = self.shared.lock();
        if let Phase::Closed(cause) = &state.phase {
            return Err(cause.clone());
        }
        state.submitted += 1;
        let number = state.submitted;
        let correlation_id = (number & i32::MAX as u64) as i32;
        let frame =
            request::begin(key, version, correlation_id, Some(&self.shared.client_id), &mut state.outgoing);
        body(&mut state.outgoing);
        frame.end(&mut state.outgoing).expect("no request of this client takes gigabytes");
        if let Some(complete) = complete {
            state.pending.push_back(Pending { number, correlation_id, deadline, complete });
        }
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// The highest version of a request that both sides speak.
    pub(super) fn version<M: KafkaRequest>(&self) -> Result<i16, RequestError> {
        let key = api_key::<M>();
        let offered = self.ready().map_err(RequestError::NotSent)?.ok_or(RequestError::NoBroker)?;
        offered.highest_common(key).ok_or(RequestError::Unsupported(key))
    }

    /// Sends a request of the generated kind in the highest common version, and waits for its response.
    ///
    /// # Errors
    /// See [`RequestError`]; it says whether the request may have had an effect.
    pub(super) async fn call<M: RequestResponsePair>(
        &self,
        message: &M,
        deadline: Instant,
    ) -> Result<M::Response, RequestError> {
        let key = api_key::<M>();
        let version = self.version::<M>()?;
        let mut body = BytesMut::new();
        message
            .encode_into(&mut body, crate::wire::codec::ApiVersion::new(version))
            .map_err(|cause| RequestError::Inexpressible { version, cause: cause.to_string().into() })?;
        let (sender, receiver) = oneshot::channel();
        let complete: Completion = Box::new(move |result| drop(sender.send(result)));
        self.submit(key, version, deadline, Some(complete), |outgoing| outgoing.extend_from_slice(&body))
            .map_err(RequestError::NotSent)?;
        let frame = receiver.await.unwrap_or(Err(RequestError::Unknown(Disconnect::Closed)))?;
        let body = response::body(&frame, key.response_header_is_flexible(version))?;
        Ok(response::decode(&body, version)?)
    }
}

/// The key of a generated request.
pub(super) fn api_key<M: KafkaRequest>() -> ApiKey {
    ApiKey::from_code(M::API_KEY.value()).expect("the client sends requests of the table only")
}

impl Shared {
    fn lock(&self) -> crate::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody saw a panic inside the lock and lived")
    }

    fn become_ready(&self, offered: Offered) {
        self.lock().phase = Phase::Ready(Arc::new(offered));
        self.changed.notify_waiters();
    }

    /// Ends everything that waits. The functions are called without the lock, for they may submit elsewhere.
    fn close(&self, cause: Disconnect) {
        let (pending, handed_over) = {
            let mut state = self.lock();
            state.phase = Phase::Closed(cause.clone());
            state.outgoing = BytesMut::new();
            (std::mem::take(&mut state.pending), state.handed_over)
        };
        for request in pending {
            let sent = request.number <= handed_over;
            let error = if sent {
                RequestError::Unknown(cause.clone())
            } else {
                RequestError::NotSent(cause.clone())
            };
            (request.complete)(Err(error));
        }
        self.changed.notify_waiters();
    }

    fn take_outgoing(&self) -> Option<Bytes> {
        let mut state = self.lock();
        state.handed_over = state.submitted;
        (!state.outgoing.is_empty()).then(|| state.outgoing.split().freeze())
    }

    fn take_pending(&self) -> Option<Pending> {
        self.lock().pending.pop_front()
    }

    fn earliest_deadline(&self) -> Option<Instant> {
        self.lock().pending.iter().map(|request| request.deadline).min()
    }
}

async fn run<E: Env>(env: E, address: Arc<str>, settings: ConnectionSettings, shared: Arc<Shared>) {
    let end = serve(&env, address, &settings, &shared).await;
    tracing::debug!(cause = %end, "a connection ended");
    shared.close(end);
}

async fn serve<E: Env>(
    env: &E,
    address: Arc<str>,
    settings: &ConnectionSettings,
    shared: &Shared,
) -> Disconnect {
    let deadline = env.clock().now() + settings.connect_timeout;
    let connecting = async {
        let stream = env
            .net()
            .connect(&address)
            .await
            .map_err(|cause| Disconnect::Connect { address: address.clone(), cause: Arc::new(cause) })?;
        let (mut reader, mut writer) = stream.split();
        let mut incoming =
            Incoming { buffer: BytesMut::new(), frames: FrameReader::for_responses(RESPONSE_BYTES_MAX) };
        let offered = ask_versions(&mut reader, &mut writer, &mut incoming, &shared.client_id).await?;
        Ok((reader, writer, incoming, offered))
    };
    let connected = tokio::select! {
        biased;
        connected = connecting => connected,
        () = env.clock().sleep_until(deadline) => Err(Disconnect::TimedOut),
    };
    let (mut reader, mut writer, mut incoming, offered) = match connected {
        Ok(connected) => connected,
        Err(end) => return end,
    };
    shared.become_ready(offered);
    // Reading must go on while a write waits for the broker to read, or both sides could wait for each other.
    let end: Result<(), Disconnect> = tokio::select! {
        biased;
        end = read_responses(&mut reader, &mut incoming, shared) => end,
        end = write_requests(&mut writer, shared) => end,
        end = watch_deadlines(env, settings.request_timeout, shared) => end,
    };
    end.err().unwrap_or(Disconnect::Closed)
}

struct Incoming {
    buffer: BytesMut,
    frames: FrameReader,
}

impl Incoming {
    /// The next whole frame; waits for it.
    async fn frame(&mut self, reader: &mut impl StreamReader) -> Result<Bytes, Disconnect> {
        loop {
            match self.frames.feed(&mut self.buffer) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(Disconnect::Protocol(error.to_string().into())),
            }
            if reader.read(&mut self.buffer).await? == 0 {
                return Err(Disconnect::Closed);
            }
        }
    }
}

/// Asks in version 3, and in version 0 when the broker is older than that (KIP-511).
async fn ask_versions(
    reader: &mut impl StreamReader,
    writer: &mut impl StreamWriter,
    incoming: &mut Incoming,
    client_id: &str,
) -> Result<Offered, Disconnect> {
    let message = ApiVersionsRequest {
        client_software_name: StrBytes::from("jangbu"),
        client_software_version: StrBytes::from(env!("CARGO_PKG_VERSION")),
    };
    for version in [3, 0] {
        let mut buffer = BytesMut::new();
        let frame = request::begin(ApiKey::ApiVersions, version, 0, Some(client_id), &mut buffer);
        message.encode(version, &mut buffer);
        frame.end(&mut buffer).expect("the request takes no gigabytes");
        writer.write(buffer.freeze(), false).await?;
        let frame = incoming.frame(reader).await?;
        let answer = response::body(&frame, false).and_then(|body| Offered::decode(&body, version));
        match answer {
            Ok(offered) if offered.error_code == ErrorCode::None.code() => return Ok(offered),
            _ if version > 0 => {}
            Ok(offered) => return Err(Disconnect::Protocol(format!("error {}", offered.error_code).into())),
            Err(error) => return Err(Disconnect::Protocol(error.to_string().into())),
        }
    }
    unreachable!("version 0 returns")
}

async fn read_responses(
    reader: &mut impl StreamReader,
    incoming: &mut Incoming,
    shared: &Shared,
) -> Result<(), Disconnect> {
    loop {
        let frame = incoming.frame(reader).await?;
        let answered = response::correlation_id(&frame).ok();
        match shared.take_pending() {
            Some(request) if answered == Some(request.correlation_id) => (request.complete)(Ok(frame)),
            request => {
                let cause = Disconnect::Protocol("a response that answers nothing".into());
                if let Some(request) = request {
                    (request.complete)(Err(RequestError::Unknown(cause.clone())));
                }
                return Err(cause);
            }
        }
    }
}

async fn write_requests(writer: &mut impl StreamWriter, shared: &Shared) -> Result<(), Disconnect> {
    loop {
        match shared.take_outgoing() {
            Some(bytes) => writer.write(bytes, false).await?,
            None => shared.work.notified().await,
        }
    }
}

/// Looks at the deadlines when the earliest has come, and otherwise a few times per request timeout, because a
/// request submitted meanwhile may have an earlier one.
async fn watch_deadlines<E: Env>(
    env: &E,
    request_timeout: Duration,
    shared: &Shared,
) -> Result<(), Disconnect> {
    let glance = (request_timeout / 4).max(Duration::from_millis(100));
    loop {
        let now = env.clock().now();
        let earliest = shared.earliest_deadline();
        if earliest.is_some_and(|deadline| deadline <= now) {
            return Err(Disconnect::TimedOut);
        }
        let until = now + glance;
        env.clock().sleep_until(earliest.map_or(until, |deadline| deadline.min(until))).await;
    }
}
