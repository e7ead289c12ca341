//! What one directory of a fuzzed node holds.

use jangbu_core::epochs::{Epochs, LogView, MetadataLogView, SnapshotId};
use jangbu_core::ids::{LeaderEpoch, Offset};
use jangbu_core::raft::ElectionState;

use crate::fuzz::check::chain;

/// Every snapshot has this size, so that it takes three requests to fetch one.
pub const SNAPSHOT_BYTES: u64 = 25;
/// The bytes in one response.
pub const CHUNK_BYTES: u64 = 10;

/// A record of a fuzzed log, as a number: its kind in the upper two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A controller's record.
    Data(u32),
    /// The first record of an epoch.
    LeaderChange,
    /// A VotersRecord; the set's index in the cluster's list.
    Voters(u32),
}

impl Payload {
    /// As a number.
    pub fn encode(self) -> u32 {
        match self {
            Self::Data(value) => value & 0x3fff_ffff,
            Self::LeaderChange => 1 << 30,
            Self::Voters(index) => (2 << 30) | index,
        }
    }

    /// From a number.
    pub fn decode(number: u32) -> Self {
        match number >> 30 {
            0 => Self::Data(number),
            1 => Self::LeaderChange,
            _ => Self::Voters(number & 0x3fff_ffff),
        }
    }
}

/// One entry of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// In which epoch it was written.
    pub epoch: i32,
    /// What it is, see [`Payload`].
    pub payload: u32,
    /// The chain hash of the log up to and with it.
    pub hash: u64,
}

/// A snapshot: its name, the hash that stands for its contents, and the voters in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub id: SnapshotId,
    /// Its contents.
    pub hash: u64,
    /// The index of its set of voters.
    pub voters: u32,
}

/// A log, its snapshot and the election state of one directory.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// The offset of the first entry.
    pub start: i64,
    /// The chain hash before it.
    pub start_hash: u64,
    /// The epoch before it.
    pub start_epoch: i32,
    /// The entries, flushed or not.
    pub entries: Vec<Entry>,
    /// Their epochs.
    pub epochs: Epochs,
    /// The latest snapshot.
    pub snapshot: Option<Image>,
    /// Entries before this offset survive a power cut.
    pub flushed: i64,
    /// The durable election state.
    pub election: ElectionState,
}

impl Disk {
    /// An empty directory.
    pub fn clear(&mut self) {
        self.start = 0;
        self.start_hash = 0;
        self.start_epoch = 0;
        self.entries.clear();
        self.epochs = Default::default();
        self.snapshot = None;
        self.flushed = 0;
        self.election = ElectionState::default();
    }

    /// One past the last entry.
    #[inline]
    pub fn end(&self) -> i64 {
        self.start + self.entries.len() as i64
    }

    /// The chain hash of the log before `offset`, if it is here.
    #[inline]
    pub fn hash_at(&self, offset: i64) -> Option<u64> {
        match offset - self.start {
            0 => Some(self.start_hash),
            index if index > 0 => self.entries.get(index as usize - 1).map(|entry| entry.hash),
            _ => None,
        }
    }

    /// The entry at `offset`.
    pub fn entry(&self, offset: i64) -> Option<&Entry> {
        self.entries.get(usize::try_from(offset - self.start).ok()?)
    }

    /// Appends an entry and returns its offset and chain hash.
    #[inline]
    pub fn append(&mut self, epoch: i32, payload: u32) -> (i64, u64) {
        let offset = self.end();
        let before = self.entries.last().map_or(self.start_hash, |entry| entry.hash);
        let hash = chain(before, epoch, payload);
        self.epochs.assign(LeaderEpoch(epoch), Offset(offset));
        self.entries.push(Entry { epoch, payload, hash });
        (offset, hash)
    }

    /// Cuts the log's end.
    pub fn truncate(&mut self, to: i64) {
        self.entries.truncate((to - self.start).max(0) as usize);
        self.epochs.truncate_from_end(Offset(to));
        self.flushed = self.flushed.min(to);
    }

    /// Removes what the snapshot holds.
    pub fn trim(&mut self, to: i64) {
        let Some(index) = usize::try_from(to - self.start).ok().filter(|index| *index <= self.entries.len())
        else {
            return;
        };
        if index == 0 {
            return;
        }
        let last = self.entries[index - 1];
        self.entries.drain(..index);
        self.start = to;
        self.start_hash = last.hash;
        self.start_epoch = last.epoch;
        self.epochs.truncate_from_start(Offset(to));
        self.flushed = self.flushed.max(to);
    }

    /// Puts a snapshot in the place of the log.
    pub fn install(&mut self, image: Image) {
        self.start = image.id.end.0;
        self.start_hash = image.hash;
        self.start_epoch = image.id.epoch.0;
        self.entries.clear();
        self.epochs = Default::default();
        self.flushed = self.start;
        self.snapshot = Some(image);
    }
}

impl LogView for Disk {
    fn log_start(&self) -> Offset {
        Offset(self.start)
    }
    fn log_end(&self) -> Offset {
        Offset(self.end())
    }
    fn epochs(&self) -> &Epochs {
        &self.epochs
    }
}

impl MetadataLogView for Disk {
    fn epoch_before_start(&self) -> LeaderEpoch {
        LeaderEpoch(self.start_epoch)
    }
    fn latest_snapshot(&self) -> Option<SnapshotId> {
        self.snapshot.map(|image| image.id)
    }
    fn snapshot_size(&self, id: SnapshotId) -> Option<u64> {
        self.snapshot.filter(|image| image.id == id).map(|_| SNAPSHOT_BYTES)
    }
}
