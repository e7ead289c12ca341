//! Who may vote. A voter is an id together with the id of its directory, so that a node which lost its disk, and
//! with it its votes, is another voter than before (KIP-853).

use std::fmt;
use std::sync::Arc;

use crate::ids::{BrokerId, Offset, Uuid};

/// One replica: a node and the directory that holds its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaKey {
    /// The node.
    pub id: BrokerId,
    /// Its directory; zero where it is not known, as in a static set of voters.
    pub directory: Uuid,
}

impl ReplicaKey {
    /// Whether `asked` is the replica that is named here. A name without a directory fits any of the node
    /// (`controller.quorum.voters`); but who leaves its own directory out is no voter that has one (KIP-853).
    pub fn matches(self, asked: Self) -> bool {
        self.id == asked.id && (self.directory.is_zero() || self.directory == asked.directory)
    }
}

impl fmt::Display for ReplicaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.directory)
    }
}

/// Where a voter listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name.
    pub listener: String,
    /// A name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// One voter, as a VotersRecord describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Which replica.
    pub key: ReplicaKey,
    /// How the others reach it.
    pub endpoints: Vec<Endpoint>,
}

/// A set of voters, ordered by id, each id once. Clones are cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voters(Arc<[Voter]>);

impl Voters {
    /// A set of voters; of two with one id the first counts.
    pub fn new(mut voters: Vec<Voter>) -> Self {
        voters.sort_by_key(|voter| voter.key.id);
        voters.dedup_by_key(|voter| voter.key.id);
        Self(voters.into())
    }

    /// A static set: nodes whose directories are not known (`controller.quorum.voters`).
    pub fn of_ids(ids: &[BrokerId]) -> Self {
        let voter = |&id| Voter { key: ReplicaKey { id, directory: Uuid::ZERO }, endpoints: Vec::new() };
        Self::new(ids.iter().map(voter).collect())
    }

    /// The voters, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> + '_ {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the voters' directories are unknown, so that the set cannot be changed by records.
    pub fn is_static(&self) -> bool {
        self.0.iter().any(|voter| voter.key.directory.is_zero())
    }

    /// How many make a majority.
    pub fn majority(&self) -> usize {
        self.0.len() / 2 + 1
    }

    /// The voter of this id, whatever its directory.
    pub fn get(&self, id: BrokerId) -> Option<&Voter> {
        self.0.iter().find(|voter| voter.key.id == id)
    }

    /// Whether this very replica votes.
    pub fn contains(&self, key: ReplicaKey) -> bool {
        self.0.iter().any(|voter| voter.key.matches(key))
    }

    /// The set with one more voter, unless its id votes already.
    pub fn with(&self, voter: Voter) -> Option<Self> {
        let id = voter.key.id;
        let all = self.0.iter().cloned().chain([voter]).collect();
        self.get(id).is_none().then(|| Self::new(all))
    }

    /// The set without this voter, if it is one and not the last.
    pub fn without(&self, key: ReplicaKey) -> Option<Self> {
        let rest: Vec<Voter> = self.0.iter().filter(|voter| !voter.key.matches(key)).cloned().collect();
        (rest.len() < self.len() && !rest.is_empty()).then(|| Self::new(rest))
    }

    /// The set with this voter's new endpoints, if it is one.
    pub fn updated(&self, new: &Voter) -> Option<Self> {
        let replace = |voter: &Voter| if voter.key.matches(new.key) { new.clone() } else { voter.clone() };
        self.contains(new.key).then(|| Self(self.0.iter().map(replace).collect()))
    }
}

/// The sets of voters in a log: the latest counts, committed or not, and a cut of the log brings back the one before
/// (KIP-853).
#[derive(Clone, Debug)]
pub struct VoterHistory {
    /// Rising offsets; the first stands for a snapshot or the configuration.
    entries: Vec<(Offset, Voters)>,
}

impl VoterHistory {
    /// A history that begins with the voters of the configuration, or of a snapshot that ends at `end`.
    pub fn new(end: Offset, voters: Voters) -> Self {
        Self { entries: vec![(Offset(end.0 - 1), voters)] }
    }

    /// The set that counts.
    pub fn latest(&self) -> &Voters {
        &self.entries[self.entries.len() - 1].1
    }

    /// The offset of its record; before the log's start for one that comes from a snapshot or the configuration.
    pub fn latest_offset(&self) -> Offset {
        self.entries[self.entries.len() - 1].0
    }

    /// The set as of the records before `end`, for a snapshot that ends there.
    pub fn at(&self, end: Offset) -> &Voters {
        let later = self.entries.partition_point(|(offset, _)| *offset < end);
        &self.entries[later.saturating_sub(1)].1
    }

    /// A VotersRecord was appended.
    pub fn append(&mut self, offset: Offset, voters: Voters) {
        self.truncate(offset);
        self.entries.push((offset, voters));
    }

    /// The log was cut at `end`. Returns whether another set counts now.
    pub fn truncate(&mut self, end: Offset) -> bool {
        let keep = self.entries.partition_point(|(offset, _)| *offset < end).max(1);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// The log's head up to `start` was removed, or replaced by a snapshot.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let before = self.entries.partition_point(|(offset, _)| *offset < start);
        self.entries.drain(..before.saturating_sub(1));
    }

    /// A snapshot that ends at `end` replaced the log.
    pub fn reset(&mut self, end: Offset, voters: Voters) {
        self.entries.clear();
        self.entries.push((Offset(end.0 - 1), voters));
    }
}
