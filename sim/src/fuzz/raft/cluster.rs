//! A few nodes, the bag of messages between them, and the checks that watch.

use jangbu_core::epochs::LogEnd;
use jangbu_core::ids::{BrokerId, LeaderEpoch, Offset};
use jangbu_core::museum::Switches;
use jangbu_core::raft::messages::{FetchResponse, FetchSnapshotResponse, Fetched, Response};
use jangbu_core::raft::{ElectionState, Output, ReplyTo, Settings, Voter, Voters};

use super::describe;
use super::disk::{CHUNK_BYTES, Image, Payload};
use super::network::{BATCH_ENTRIES, Body, Held, Network, Records};
use super::node::{Effect, Node, directory_id, replica_code};
use crate::fuzz::check::committed_prefix::{CommittedPrefix, Cut};
use crate::fuzz::check::election_safety::ElectionSafety;
use crate::fuzz::check::log_matching::LogMatching;
use crate::fuzz::check::one_vote::OneVote;
use crate::fuzz::check::{Violation, chain, snapshot_image};

/// How many nodes there are and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Nodes that vote at the beginning.
    pub voters: usize,
    /// Controllers that observe at the beginning.
    pub controllers: usize,
    /// Brokers, which always observe.
    pub brokers: usize,
    /// Whether the voters are fixed by the configuration, without directories.
    pub is_static: bool,
}

impl Shape {
    /// All nodes.
    pub fn nodes(&self) -> usize {
        self.voters + self.controllers + self.brokers
    }
}

/// Counters of what is rare, so that a run in which nothing happened is not taken for a good one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Leaders that began an epoch.
    pub elections: u64,
    /// Cuts that removed entries.
    pub truncations: u64,
    /// Crashes that lost entries.
    pub tails_lost: u64,
    /// Snapshots that replaced a log.
    pub snapshot_installs: u64,
    /// Records that changed the voters.
    pub voter_changes: u64,
    /// Machines that stopped rather than cut what is committed; only where disks lied.
    pub fatal_stops: u64,
}

impl Counts {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.elections += other.elections;
        self.truncations += other.truncations;
        self.tails_lost += other.tails_lost;
        self.snapshot_installs += other.snapshot_installs;
        self.voter_changes += other.voter_changes;
        self.fatal_stops += other.fatal_stops;
    }
}

/// The cluster.
pub struct Cluster {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// How many of them take part; the rest keep their buffers for larger episodes.
    pub count: usize,
    /// What they are.
    pub shape: Shape,
    /// The messages.
    pub network: Network,
    /// What is committed.
    pub committed: CommittedPrefix,
    /// The first broken invariant.
    pub violation: Option<Violation>,
    /// What was rare.
    pub counts: Counts,
    /// The most entries in a response of this episode.
    pub batch_entries: usize,
    /// How much was done, over all episodes.
    pub steps: u64,
    /// What happened, as lines of text, for scripts; costs too much for anything else.
    pub transcript: Option<String>,
    /// All sets of voters of this episode; entries name them by index.
    pub voter_sets: Vec<Voters>,
    /// The set that was last committed.
    pub committed_voters: u32,
    switches: Switches,
    elections: ElectionSafety,
    log_matching: LogMatching,
    votes: OneVote,
    /// How many directories there have been.
    pub(super) directories: u32,
    next_value: u32,
    seed: u64,
    /// The records of the response that arrived last, while its machine says what becomes of them.
    pub(super) arrived_records: Records,
    /// The snapshot of it.
    pub(super) arrived_image: Option<Image>,
}

impl Cluster {
    /// A cluster of this shape with nothing in it.
    pub fn new(shape: Shape, seed: u64, switches: Switches) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            count: 0,
            shape,
            network: Network::default(),
            committed: CommittedPrefix::default(),
            violation: None,
            counts: Counts::default(),
            batch_entries: BATCH_ENTRIES,
            steps: 0,
            transcript: None,
            voter_sets: Vec::new(),
            committed_voters: 0,
            switches,
            elections: ElectionSafety::default(),
            log_matching: LogMatching::default(),
            votes: OneVote::default(),
            directories: 0,
            next_value: 0,
            seed,
            arrived_records: Records::default(),
            arrived_image: None,
        };
        cluster.reset(shape, seed);
        cluster
    }

    /// Begins another episode; counters and buffers stay.
    pub fn reset(&mut self, shape: Shape, seed: u64) {
        self.shape = shape;
        self.seed = seed;
        self.network.clear();
        self.committed.clear();
        self.elections.clear();
        self.log_matching.clear();
        self.votes.clear();
        self.violation = None;
        self.committed_voters = 0;
        self.next_value = 0;
        self.count = shape.nodes();
        self.directories = self.count as u32;
        self.voter_sets.clear();
        let voter = |id: usize| self.voter(id, id as u32 + 1);
        let voters = (0..shape.voters).map(voter).collect();
        self.voter_sets.push(Voters::new(voters));
        for id in 0..self.count {
            let settings = self.settings(id);
            let directory = id as u32 + 1;
            match self.nodes.get_mut(id) {
                Some(node) => node.reset(directory, settings, &self.voter_sets, seed),
                None => self.nodes.push(Node::new(id, directory, settings, &self.voter_sets, seed)),
            }
            self.drain(id);
        }
    }

    fn settings(&self, id: usize) -> Settings {
        Settings {
            bootstrap_servers: (self.shape.voters + self.shape.controllers) as u16,
            is_controller: id < self.shape.voters + self.shape.controllers,
            snapshot_chunk_bytes_max: CHUNK_BYTES,
            switches: self.switches,
            ..Settings::default()
        }
    }

    /// A node as a voter.
    pub fn voter(&self, id: usize, directory: u32) -> Voter {
        let directory = if self.shape.is_static { 0 } else { directory };
        let key =
            jangbu_core::raft::ReplicaKey { id: BrokerId(id as i32), directory: directory_id(directory) };
        Voter { key, endpoints: Vec::new() }
    }

    /// Writes a line into the transcript, if there is one.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push_str("  ");
            transcript.push_str(&line());
            transcript.push('\n');
        }
    }

    pub(super) fn judge(&mut self, result: Result<(), Violation>) {
        if let Err(violation) = result
            && self.violation.is_none()
        {
            self.note(|| format!("VIOLATION {}: {}", violation.check, violation.message));
            self.violation = Some(violation);
        }
    }

    /// Has a node's machine do something, and does what it answers.
    #[inline]
    pub fn tell(
        &mut self,
        id: usize,
        what: impl FnOnce(&mut jangbu_core::raft::Machine, &jangbu_core::raft::Moment<'_>),
    ) {
        self.nodes[id].tell(what);
        self.drain(id);
    }

    pub(super) fn drain(&mut self, id: usize) {
        while let Some(output) = self.nodes[id].machine.poll_output() {
            self.perform(id, output);
        }
        let node = &self.nodes[id];
        if !node.has_failed {
            node.machine.check(&node.disk);
        }
    }

    fn perform(&mut self, id: usize, output: Output) {
        if self.transcript.is_some()
            && let Some(text) = describe::output(&output)
        {
            self.note(|| format!("{id} {text}"));
        }
        match output {
            Output::SaveElection(state) => self.nodes[id].effects.push_back(Effect::Save(state)),
            Output::InstallSnapshot(snapshot) => self.nodes[id].effects.push_back(Effect::Install(snapshot)),
            Output::Send { to, request } => {
                // Bootstrap addresses are those of the controllers, in their order.
                let to = if to.0 < 0 { -2 - to.0 } else { to.0 };
                let incarnation = self.nodes[id].incarnation;
                let held = self.network.write(id as u8, to as u8, incarnation, Body::Request(request));
                self.queue(id, held);
            }
            Output::Reply { to, response } => {
                let held = self.reply(id, to, response);
                self.queue(id, held);
            }
            Output::Read { to, request_id, from, up_to, standing, high_watermark } => {
                let fetched = Fetched::Records(LogEnd::default());
                let response = FetchResponse { request_id, standing, high_watermark, fetched };
                let held = self.reply(id, to, Response::Fetch(response));
                self.read(id, &held, from.0, up_to.0);
                self.queue(id, held);
            }
            Output::Park { to, request } => {
                let node = &mut self.nodes[id];
                node.parked.retain(|(parked, _, _)| parked.0 & 0xff != to.0 & 0xff);
                node.parked.push((to, request, node.now));
            }
            Output::Unpark => self.unpark(id),
            Output::ReadSnapshot { to, request_id, standing, chunk } => {
                let response = FetchSnapshotResponse { request_id, standing, chunk: Ok(chunk) };
                if let Some(image) = self.nodes[id].disk.snapshot {
                    let held = self.reply(id, to, Response::FetchSnapshot(response));
                    self.network.message_mut(&held).image = Some(image);
                    self.queue(id, held);
                }
            }
            Output::WriteSnapshot { .. } => self.nodes[id].partial = self.arrived_image,
            Output::AppendLeaderChange(epoch) => self.append(id, epoch.0, Payload::LeaderChange),
            Output::AppendVoters(voters) => {
                self.counts.voter_changes += u64::from(voters != *self.nodes[id].machine.voters());
                let index = self.voter_sets.len() as u32;
                self.voter_sets.push(voters);
                let epoch = self.nodes[id].machine.election().epoch.0;
                self.append(id, epoch, Payload::Voters(index));
            }
            Output::AppendFetched(_) => self.append_fetched(id),
            Output::Truncate(to) => self.truncate(id, to.0),
            Output::HighWatermark(to) => self.commit(id, to.0),
            Output::BecameLeader(epoch) => self.elected(id, epoch.0),
            Output::LostLeadership(_) => {}
            Output::Fatal(fatal) => {
                self.nodes[id].has_failed = true;
                self.counts.fatal_stops += 1;
                self.forget_effects(id);
                if !self.committed.is_void() {
                    self.judge(Err(Violation::new("no_fatal", format!("node {id}: {fatal}"))));
                }
            }
        }
    }

    fn elected(&mut self, id: usize, epoch: i32) {
        self.counts.elections += 1;
        let node = &self.nodes[id];
        let hash = node.disk.hash_at(self.committed.len_before(epoch));
        let incarnation = node.incarnation;
        let result = self.elections.became_leader(epoch, id, incarnation);
        if !self.committed.is_void() {
            self.judge(result);
        }
        self.judge(self.committed.elected(id, epoch, hash));
    }

    fn reply(&mut self, id: usize, to: ReplyTo, response: Response) -> Held {
        self.network.write(id as u8, to.0 as u8, (to.0 >> 8) as u32, Body::Response(response))
    }

    /// Messages wait behind what must be durable first, and for nothing else.
    fn queue(&mut self, id: usize, held: Held) {
        if self.nodes[id].effects.is_empty() {
            self.send(id, held);
        } else {
            self.nodes[id].effects.push_back(Effect::Message(held));
        }
    }

    fn send(&mut self, id: usize, held: Held) {
        let message = self.network.message(&held);
        let to = message.to as usize;
        if let Body::Response(Response::Vote(vote)) = &message.body
            && !vote.pre_vote
            && vote.granted == Ok(true)
            && !self.committed.is_void()
            && let Some(voted) = self.nodes[id].machine.election().voted
        {
            let node = &self.nodes[id];
            // The vote that is sent may be of an epoch that has passed: only a vote in the current one is known.
            if node.machine.election().epoch == vote.standing.epoch {
                let epoch = vote.standing.epoch.0;
                let result = self.votes.given(node.directory, epoch, replica_code(voted));
                self.judge(result);
            }
        }
        if to < self.count && to != id { self.network.send(held) } else { self.network.release(held) }
    }

    /// What waited for a node's disk will not happen.
    pub(super) fn forget_effects(&mut self, id: usize) {
        for effect in self.nodes[id].effects.drain(..) {
            if let Effect::Message(held) = effect {
                self.network.release(held);
            }
        }
    }

    /// Up to a batch of entries, and where they end.
    fn read(&mut self, id: usize, held: &Held, from: i64, up_to: i64) {
        let disk = &self.nodes[id].disk;
        let first = (from - disk.start).max(0) as usize;
        let count = (up_to - from).clamp(0, self.batch_entries.min(BATCH_ENTRIES) as i64) as usize;
        let entries = disk.entries.get(first..).unwrap_or_default();
        let entries = &entries[..count.min(entries.len())];
        let message = self.network.message_mut(held);
        message.records.count = entries.len() as u8;
        message.records.entries[..entries.len()].copy_from_slice(entries);
        if let Body::Response(Response::Fetch(response)) = &mut message.body {
            let epoch = LeaderEpoch(entries.last().map_or(0, |entry| entry.epoch));
            let end = LogEnd { epoch, offset: Offset(from + entries.len() as i64) };
            response.fetched = Fetched::Records(end);
        }
    }

    fn unpark(&mut self, id: usize) {
        let mut parked = std::mem::take(&mut self.nodes[id].parked);
        for (to, request, _) in parked.drain(..) {
            self.nodes[id].tell(|machine, moment| machine.handle_fetch(to, &request, moment));
        }
        // What the machine parks again is handed out by `drain`, after this: the buffer can go back.
        self.nodes[id].parked = parked;
    }

    pub(super) fn append(&mut self, id: usize, epoch: i32, payload: Payload) {
        let (offset, hash) = self.nodes[id].disk.append(epoch, payload.encode());
        let result = self.log_matching.appended(id, offset, epoch, hash);
        if !self.committed.is_void() {
            self.judge(result);
        }
        if let Payload::Voters(index) = payload {
            let voters = self.voter_sets[index as usize].clone();
            self.nodes[id]
                .tell(|machine, moment| machine.handle_voters_appended(Offset(offset), voters, moment));
        }
    }

    fn truncate(&mut self, id: usize, to: i64) {
        let node = &mut self.nodes[id];
        let told = node.told_high_watermark;
        if let Some(next) = node.disk.hash_at(to + 1) {
            self.counts.truncations += 1;
            let epoch = node.machine.election().epoch.0;
            let result = self.committed.truncated(id, epoch, &Cut { to, next, high_watermark: told });
            self.judge(result);
        }
        self.nodes[id].disk.truncate(to);
    }

    fn commit(&mut self, id: usize, to: i64) {
        let node = &mut self.nodes[id];
        if to < node.told_high_watermark {
            let message = format!("node {id}'s high watermark fell to {to}");
            return self.judge(Err(Violation::new("high_watermark_monotone", message)));
        }
        node.told_high_watermark = to;
        let Some(hash) = node.disk.hash_at(to) else {
            let message = format!("node {id}'s high watermark {to} is beyond its log");
            return self.judge(Err(Violation::new("high_watermark_in_log", message)));
        };
        if self.committed.len() < to && !self.committed.is_void() {
            self.extend(id, to);
        }
        self.judge(self.committed.matches("committed_prefix", id, to, hash));
        self.apply(id, to);
    }

    /// This node is the first to call this committed: from now on it is what everybody must have.
    fn extend(&mut self, id: usize, to: i64) {
        let from = self.committed.len();
        let disk = &self.nodes[id].disk;
        if let Some(hash) = disk.hash_at(from) {
            let result = self.committed.matches("committed_prefix", id, from, hash);
            for offset in from..to {
                if let Some(entry) = disk.entry(offset) {
                    self.committed.push(entry.hash, entry.epoch);
                    if let Payload::Voters(index) = Payload::decode(entry.payload) {
                        self.committed_voters = index;
                    }
                }
            }
            self.committed.committed_by(self.nodes[id].machine.election().epoch.0);
            self.judge(result);
        }
    }

    fn apply(&mut self, id: usize, to: i64) {
        let node = &mut self.nodes[id];
        while node.applied < to {
            let Some(entry) = node.disk.entry(node.applied) else {
                let message = format!("node {id} cannot apply offset {}: its log lacks it", node.applied);
                return self.judge(Err(Violation::new("applied_prefix", message)));
            };
            node.applied_hash = chain(node.applied_hash, entry.epoch, entry.payload);
            node.applied += 1;
        }
        let (applied, hash) = (node.applied, node.applied_hash);
        self.judge(self.committed.matches("applied_prefix", id, applied, hash));
    }

    /// The first thing that waits for this node's disk is done, and what waited for it alone is sent.
    pub fn perform_effect(&mut self, id: usize) -> bool {
        let Some(effect) = self.nodes[id].effects.pop_front() else { return false };
        match effect {
            Effect::Save(state) => self.save(id, state),
            Effect::Install(snapshot) => {
                if let Some(image) = self.nodes[id].partial.take().filter(|image| image.id == snapshot) {
                    self.install(id, image);
                }
            }
            Effect::Message(held) => self.send(id, held),
        }
        while let Some(Effect::Message(_)) = self.nodes[id].effects.front() {
            if let Some(Effect::Message(held)) = self.nodes[id].effects.pop_front() {
                self.send(id, held);
            }
        }
        true
    }

    fn save(&mut self, id: usize, state: ElectionState) {
        let node = &mut self.nodes[id];
        node.disk.election = state;
        let vote = state.voted.map_or(0, replica_code);
        let result = self.votes.recorded(node.directory, state.epoch.0, vote);
        if !self.committed.is_void() {
            self.judge(result);
        }
        self.note(|| format!("{id} has saved epoch {}", state.epoch));
        self.tell(id, |machine, moment| machine.handle_election_saved(&state, moment));
    }

    fn install(&mut self, id: usize, image: Image) {
        self.counts.snapshot_installs += 1;
        let (end, epoch) = (image.id.end.0, image.id.epoch.0);
        self.judge(snapshot_image::check(&self.committed, id, end, epoch, image.hash));
        let node = &mut self.nodes[id];
        node.disk.install(image);
        node.applied = end;
        node.applied_hash = image.hash;
        let voters = self.voter_sets[image.voters as usize].clone();
        self.note(|| format!("{id} has installed snapshot {end}-{epoch}"));
        self.tell(id, |machine, moment| machine.handle_snapshot_installed(image.id, Some(voters), moment));
    }

    /// The log of this node gets to its disk.
    pub fn flush(&mut self, id: usize) -> bool {
        let node = &mut self.nodes[id];
        if node.is_flushed() {
            return false;
        }
        let end = node.disk.end();
        node.disk.flushed = end;
        self.tell(id, |machine, moment| machine.handle_flushed(Offset(end), moment));
        true
    }

    /// A node's clock moves on.
    pub fn advance(&mut self, id: usize, nanos: u64) {
        self.nodes[id].now.0 += nanos;
        self.tell(id, |machine, moment| machine.handle_timeout(moment));
    }

    /// A node's clock moves to its next deadline, and to the next parked fetch that has waited too long.
    pub fn tick(&mut self, id: usize) {
        let node = &mut self.nodes[id];
        if let Some(deadline) = node.machine.next_deadline() {
            node.now = node.now.max(deadline);
        }
        self.tell(id, |machine, moment| machine.handle_timeout(moment));
        self.expire(id, 0);
    }

    /// Fetches that were parked for this long are answered with no records.
    pub fn expire(&mut self, id: usize, after_nanos: u64) {
        let node = &mut self.nodes[id];
        if node.parked.is_empty() {
            return;
        }
        let now = node.now.0;
        let mut parked = std::mem::take(&mut node.parked);
        parked.retain(|(to, request, since)| {
            let is_due = now >= since.0 + after_nanos;
            if is_due {
                node.machine.expire_fetch(*to, request);
            }
            !is_due
        });
        node.parked = parked;
        self.drain(id);
    }

    /// The controller of this node writes a record, if it leads.
    pub fn propose(&mut self, id: usize) -> Option<i64> {
        let epoch = self.nodes[id].machine.leader_epoch()?;
        self.next_value += 1;
        self.append(id, epoch.0, Payload::Data(self.next_value));
        let offset = self.nodes[id].disk.end() - 1;
        self.tell(id, |machine, moment| machine.handle_appended(moment));
        Some(offset)
    }
}
