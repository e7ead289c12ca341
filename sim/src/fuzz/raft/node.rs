//! One fuzzed node: a machine, its directory, its clock, and what waits for its disk.

use std::collections::VecDeque;

use jangbu_core::epochs::SnapshotId;
use jangbu_core::ids::{BrokerId, Offset, Uuid};
use jangbu_core::raft::messages::FetchRequest;
use jangbu_core::raft::{
    ElectionState, Machine, Moment, ReplicaKey, ReplyTo, Settings, VoterHistory, Voters,
};
use jangbu_core::time::Instant;

use super::disk::{Disk, Image, Payload};
use super::network::Held;
use crate::rng::mix;

/// Something that must happen in its turn: a wait for the disk, or a message behind one.
#[derive(Debug)]
pub enum Effect {
    /// Make the election state durable.
    Save(ElectionState),
    /// Make a snapshot durable and put it in the place of the log.
    Install(SnapshotId),
    /// Send this.
    Message(Held),
}

/// A node.
#[derive(Debug)]
pub struct Node {
    /// The machine under test.
    pub machine: Machine,
    /// What survives a crash, and the page cache.
    pub disk: Disk,
    /// Its clock.
    pub now: Instant,
    /// Counts directories over the whole cluster; a lost disk gives a new one.
    pub directory: u32,
    /// Counts the starts of this node.
    pub incarnation: u32,
    /// What waits for the disk.
    pub effects: VecDeque<Effect>,
    /// Fetches that wait for something new, and since when.
    pub parked: Vec<(ReplyTo, FetchRequest, Instant)>,
    /// The snapshot of which pieces have arrived.
    pub partial: Option<Image>,
    /// How many entries the state machine has applied.
    pub applied: i64,
    /// The chain hash of what it has applied.
    pub applied_hash: u64,
    /// The high watermark that this incarnation last called committed.
    pub told_high_watermark: i64,
    /// Whether the machine stopped for good.
    pub has_failed: bool,
    settings: Settings,
    seed: u64,
    draws: u64,
}

/// The name of a directory by its number.
pub fn directory_id(number: u32) -> Uuid {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Uuid(bytes)
}

/// The number of a directory by its name; 0 for an unknown one.
pub fn directory_number(id: Uuid) -> u32 {
    u32::from_be_bytes([id.0[12], id.0[13], id.0[14], id.0[15]])
}

/// A replica as one number.
pub fn replica_code(key: ReplicaKey) -> u64 {
    u64::from(key.id.0 as u32) << 32 | u64::from(directory_number(key.directory)) | 1 << 63
}

impl Node {
    /// A node with an empty directory.
    pub fn new(id: usize, directory: u32, settings: Settings, voters: &[Voters], seed: u64) -> Self {
        let disk = Disk::default();
        let moment = Moment { now: Instant(0), random: 0, log: &disk };
        let key = ReplicaKey { id: BrokerId(id as i32), directory: directory_id(directory) };
        let history = VoterHistory::new(Offset::ZERO, voters[0].clone());
        let machine = Machine::new(settings, key, ElectionState::default(), history, Offset::ZERO, &moment);
        let mut node = Self {
            machine,
            disk,
            now: Instant(0),
            directory,
            incarnation: 1,
            effects: VecDeque::new(),
            parked: Vec::new(),
            partial: None,
            applied: 0,
            applied_hash: 0,
            told_high_watermark: 0,
            has_failed: false,
            settings,
            seed,
            draws: 0,
        };
        node.reset(directory, settings, voters, seed);
        node
    }

    /// Begins another episode; buffers stay.
    pub fn reset(&mut self, directory: u32, settings: Settings, voters: &[Voters], seed: u64) {
        let id = self.machine.me().id.0 as u64;
        self.disk.clear();
        self.now = Instant(0);
        self.directory = directory;
        self.settings = settings;
        self.seed = mix(seed ^ id);
        self.draws = 0;
        self.incarnation = 0;
        self.restart(voters);
    }

    /// Has the machine do something.
    #[inline]
    pub fn tell<R>(&mut self, what: impl FnOnce(&mut Machine, &Moment<'_>) -> R) -> R {
        self.draws += 1;
        let random = mix(self.seed.wrapping_add(self.draws));
        let moment = Moment { now: self.now, random, log: &self.disk };
        what(&mut self.machine, &moment)
    }

    /// Whether all of its log is on the disk, and its machine knows.
    #[inline]
    pub fn is_flushed(&self) -> bool {
        let end = self.disk.end();
        self.disk.flushed >= end && self.machine.flushed().0 >= end
    }

    /// The process starts, with what its directory holds.
    pub fn restart(&mut self, voters: &[Voters]) {
        self.effects.clear();
        self.parked.clear();
        self.partial = None;
        self.incarnation += 1;
        self.has_failed = false;
        let mut base = (0, 0);
        if let Some(image) = self.disk.snapshot {
            let last = self.disk.entries.last().map_or(self.disk.start_epoch, |entry| entry.epoch);
            if image.id.end.0 > self.disk.end() || image.id.epoch.0 > last {
                // The log's tail was lost and the snapshot was not: it alone is left.
                self.disk.install(image);
            }
            base = (image.id.end.0, image.voters);
        }
        (self.applied, self.applied_hash) =
            self.disk.snapshot.map_or((0, 0), |image| (image.id.end.0, image.hash));
        self.told_high_watermark = self.applied;
        let mut history = VoterHistory::new(Offset(base.0), voters[base.1 as usize].clone());
        for offset in base.0.max(self.disk.start)..self.disk.end() {
            let payload = self.disk.entry(offset).map(|entry| Payload::decode(entry.payload));
            if let Some(Payload::Voters(index)) = payload {
                history.append(Offset(offset), voters[index as usize].clone());
            }
        }
        self.draws += 1;
        let random = mix(self.seed.wrapping_add(self.draws));
        let key = ReplicaKey { id: self.machine.me().id, directory: directory_id(self.directory) };
        let moment = Moment { now: self.now, random, log: &self.disk };
        let flushed = Offset(self.disk.flushed);
        self.machine = Machine::new(self.settings, key, self.disk.election, history, flushed, &moment);
    }
}
