//! The simulated network: connections with latency, bandwidth and back-pressure, links that can be cut one way.
//!
//! Inside a connection bytes keep their order; between connections anything may overtake. Loss shows as delay, as
//! it does above TCP. A cut stalls bytes and ends of streams; healing sends them again. A process that dies has its
//! kernel close its connections; a machine without power is silent.

mod connection;
mod direction;
mod fault;
mod frames;
mod listener;
mod stream;

pub use frames::Hold;
pub use listener::SimListener;
pub use stream::{SimReader, SimStream, SimWriter};

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_core::env::Net;
use serde::{Deserialize, Serialize};

use super::control::{Exit, NodeId};
use super::disk::{SimFile, crashed};
use super::node::{Crash, Incarnation, Node};
use super::{World, lock};
use crate::rng::Rng;
use connection::Connection;
use frames::Message;
use listener::Backlog;

/// One direction between two machines.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkSettings {
    /// The least delay, in nanoseconds.
    pub delay_ns: u64,
    /// How much longer it may take, in nanoseconds; short delays are more likely than long ones.
    pub jitter_ns: u64,
    /// Bytes per second, for each connection apart.
    pub bytes_per_second: u64,
    /// How many bytes a writer may be ahead of its reader.
    pub window_bytes: usize,
    /// How often, of 256 times, what is written at once arrives in two pieces.
    pub splits_of_256: u8,
    /// How much later than the healing of a cut the first retransmission may come, in nanoseconds.
    pub retransmission_ns_max: u64,
}

impl Default for LinkSettings {
    /// A local network.
    fn default() -> Self {
        Self {
            delay_ns: 80_000,
            jitter_ns: 400_000,
            bytes_per_second: 1_000_000_000,
            window_bytes: 256 * 1024,
            splits_of_256: 16,
            retransmission_ns_max: 200_000_000,
        }
    }
}

impl LinkSettings {
    fn delay_ns(&self, draws: &mut Rng) -> u64 {
        let unit = draws.unit();
        self.delay_ns + (self.jitter_ns as f64 * unit * unit) as u64
    }

    fn transmission_ns(&self, len: usize) -> u64 {
        (len as u64).saturating_mul(1_000_000_000) / self.bytes_per_second.max(1)
    }

    /// How many of the bytes travel as one piece.
    fn piece_len(&self, len: usize, draws: &mut Rng) -> usize {
        let bits = draws.next_u64();
        if len > 1 && (bits & 255) < u64::from(self.splits_of_256) {
            1 + ((bits >> 8) % (len as u64 - 1)) as usize
        } else {
            len
        }
    }
}

/// What is chosen once for the network of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct NetSettings {
    /// Every link that was not set apart.
    pub link: LinkSettings,
    /// How many connections wait to be accepted before others are not let in.
    pub backlog_max: usize,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self { link: LinkSettings::default(), backlog_max: 128 }
    }
}

pub(crate) struct Network {
    settings: NetSettings,
    state: Mutex<NetworkState>,
    /// Whether any hold is in force; spares every write a look.
    holding: AtomicBool,
    /// Chance for the network: delays, splits, retransmissions.
    draws: Mutex<Rng>,
}

#[derive(Default)]
struct NetworkState {
    links: BTreeMap<(NodeId, NodeId), Link>,
    listeners: BTreeMap<(NodeId, u16), Arc<Backlog>>,
    connections: BTreeMap<u64, Arc<Connection>>,
    connections_made: u64,
    holds: BTreeMap<u64, Hold>,
    holds_made: u64,
}

#[derive(Clone, Copy, Default)]
struct Link {
    cut: bool,
    settings: Option<LinkSettings>,
}

impl Network {
    pub(super) fn new(seed: u64, settings: NetSettings) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            holding: AtomicBool::new(false),
            draws: Mutex::new(Rng::stream(seed, "network")),
        }
    }

    pub(super) fn draws_digest(&self) -> u64 {
        lock(&self.draws).digest()
    }

    fn link(&self, from: NodeId, to: NodeId) -> (LinkSettings, bool) {
        let link = lock(&self.state).links.get(&(from, to)).copied().unwrap_or_default();
        (link.settings.unwrap_or(self.settings.link), link.cut)
    }

    /// For how long a message is held up.
    fn hold_ns(&self, from: NodeId, to: NodeId, message: Message) -> Option<u64> {
        if !self.holding.load(Ordering::Relaxed) {
            return None;
        }
        let state = lock(&self.state);
        state.holds.values().filter(|hold| hold.holds(from, to, message)).map(|hold| hold.delay_ns).max()
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        lock(&self.state).connections.values().cloned().collect()
    }

    /// Connections of a node, with the side on which it is. A connection to itself comes twice.
    fn connections_of(&self, node: NodeId) -> Vec<(Arc<Connection>, usize)> {
        let sides = |connection: Arc<Connection>| {
            (0..2)
                .filter(|side| connection.nodes[*side] == node)
                .map(|side| (connection.clone(), side))
                .collect::<Vec<_>>()
        };
        self.connections().into_iter().flat_map(sides).collect()
    }

    pub(super) fn close(&self) {
        let state = std::mem::take(&mut *lock(&self.state));
        drop(state);
    }
}

impl World {
    pub(super) fn network_node_up(&self, node: NodeId) {
        for (connection, side) in self.network.connections_of(node) {
            connection.answer_again(self, side);
        }
    }

    pub(super) fn network_node_down(&self, node: NodeId, power: bool) {
        for (connection, side) in self.network.connections_of(node) {
            connection.lose_end(self, side, power);
        }
        let mut state = lock(&self.network.state);
        let listeners = std::mem::take(&mut state.listeners);
        let (gone, kept) = listeners.into_iter().partition(|((owner, _), _)| *owner == node);
        state.listeners = kept;
        drop(state);
        drop::<BTreeMap<_, _>>(gone);
    }
}

/// The network, as one incarnation of a node sees it.
#[derive(Clone)]
pub struct SimNet {
    pub(super) world: Arc<World>,
    pub(super) node: Arc<Node>,
    pub(super) incarnation: Arc<Incarnation>,
}

/// How a try to connect ended.
enum Attempt {
    Made(SimStream),
    Refused,
    Unanswered,
}

impl SimNet {
    pub(crate) fn new(world: Arc<World>, node: Arc<Node>, incarnation: Arc<Incarnation>) -> Self {
        Self { world, node, incarnation }
    }

    fn alive(&self) -> io::Result<()> {
        if self.incarnation.is_over() { Err(crashed()) } else { Ok(()) }
    }

    fn resolve(&self, host: &str) -> io::Result<Arc<Node>> {
        if matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0") {
            return Ok(self.node.clone());
        }
        let node = self.world.all_nodes().into_iter().find(|node| node.name == host);
        node.ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("no host is named {host}")))
    }

    /// Travels a link once; `false` when it is cut, at the start or at the end.
    async fn travel(&self, from: NodeId, to: NodeId) -> bool {
        let (link, cut) = self.world.network.link(from, to);
        if cut {
            return false;
        }
        let delay_ns = link.delay_ns(&mut lock(&self.world.network.draws));
        self.world.sleep(Duration::from_nanos(delay_ns)).await;
        !self.world.network.link(from, to).1
    }

    async fn try_connect(&self, peer: &Arc<Node>, port: u16) -> Attempt {
        let (here, there) = (self.node.id, peer.id);
        if !self.travel(here, there).await {
            return Attempt::Unanswered;
        }
        if matches!(lock(&peer.state).exit, Some(Exit::Crashed(Crash::Power(_)))) {
            return Attempt::Unanswered;
        }
        let backlog = lock(&self.world.network.state).listeners.get(&(there, port)).cloned();
        let Some(backlog) = backlog else {
            return if self.travel(there, here).await { Attempt::Refused } else { Attempt::Unanswered };
        };
        let Some(owner) =
            peer.current().filter(|_| backlog.has_room(self.world.network.settings.backlog_max))
        else {
            return Attempt::Unanswered;
        };
        let connection = self.world.establish([here, there]);
        let (mine, theirs) = SimStream::pair(&self.world, &connection, [self.incarnation.clone(), owner]);
        backlog.offer(theirs, format!("{}:{}", self.node.name, 49152 + connection.id % 16384));
        // The answer comes again until it gets through; meanwhile the listener may already use the connection.
        while !self.travel(there, here).await {
            self.world.sleep(Duration::from_secs(1)).await;
        }
        Attempt::Made(mine)
    }
}

impl World {
    fn establish(&self, nodes: [NodeId; 2]) -> Arc<Connection> {
        let links = [self.network.link(nodes[0], nodes[1]), self.network.link(nodes[1], nodes[0])];
        let connection = {
            let mut state = lock(&self.network.state);
            state.connections_made += 1;
            let connection = Connection::new(state.connections_made, nodes, links, self.now());
            state.connections.insert(connection.id, connection.clone());
            connection
        };
        lock(&self.tally).connections += 1;
        connection
    }
}

fn parse(address: &str) -> io::Result<(&str, u16)> {
    let parsed = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parsed.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, format!("{address} is not host:port")))
}

impl Net for SimNet {
    type File = SimFile;
    type Listener = SimListener;
    type Stream = SimStream;

    async fn listen(&self, address: &str) -> io::Result<SimListener> {
        self.alive()?;
        SimListener::open(self, parse(address)?.1)
    }

    async fn connect(&self, address: &str) -> io::Result<SimStream> {
        self.alive()?;
        let (host, port) = parse(address)?;
        let peer = self.resolve(host)?;
        let mut retry = Duration::from_secs(1);
        // Linux gives up after about two minutes.
        while retry < Duration::from_secs(100) {
            match self.try_connect(&peer, port).await {
                Attempt::Made(stream) => return Ok(stream),
                Attempt::Refused => return Err(ErrorKind::ConnectionRefused.into()),
                Attempt::Unanswered => self.world.sleep(retry).await,
            }
            self.alive()?;
            retry *= 2;
        }
        Err(ErrorKind::TimedOut.into())
    }
}
