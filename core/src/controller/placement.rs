//! Where replicas go: over racks first, then over the brokers of each, as Kafka stripes them.

use std::collections::{BTreeMap, BTreeSet};

use super::directories::Directories;
use super::response::Rejection;
use crate::ids::{BrokerId, Uuid};
use crate::metadata::MetadataImage;

/// The brokers that may take replicas, and how full their directories are. Lives for one command.
#[derive(Debug)]
pub(super) struct Placement {
    registered: BTreeSet<BrokerId>,
    active: BTreeSet<BrokerId>,
    /// How many brokers may take replicas: all that do not shut down, fenced ones last.
    usable: usize,
    racks: Vec<Rack>,
    /// The rack that the next partition begins with.
    first_rack: usize,
    /// How many partitions were placed.
    round: usize,
    bits: u64,
    directories: Directories,
}

#[derive(Debug, Default)]
struct Rack {
    serving: Ring,
    fenced: Ring,
}

/// Brokers that take replicas in turn. Each partition begins with another one.
#[derive(Debug, Default)]
struct Ring {
    brokers: Vec<BrokerId>,
    offset: usize,
    /// How many it has given in `round`.
    given: usize,
    round: usize,
}

impl Ring {
    fn next(&mut self, round: usize) -> Option<BrokerId> {
        if self.round != round {
            (self.round, self.given, self.offset) = (round, 0, self.offset.wrapping_add(1));
        }
        if self.given == self.brokers.len() {
            return None;
        }
        self.given += 1;
        Some(self.brokers[self.offset.wrapping_add(self.given - 1) % self.brokers.len()])
    }
}

impl Placement {
    /// `bits` decide with which rack and broker the first partition begins.
    pub(super) fn new(image: &MetadataImage, bits: u64) -> Self {
        let active: BTreeSet<BrokerId> =
            image.brokers().filter(|broker| broker.is_active()).map(|broker| broker.id).collect();
        let mut by_rack: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        for broker in image.brokers().filter(|broker| !broker.in_controlled_shutdown) {
            let rack = by_rack.entry(broker.rack.as_deref()).or_default();
            let ring = if broker.fenced { &mut rack.fenced } else { &mut rack.serving };
            ring.brokers.push(broker.id);
        }
        let mut racks: Vec<Rack> = by_rack.into_values().collect();
        for ring in racks.iter_mut().flat_map(|rack| [&mut rack.serving, &mut rack.fenced]) {
            ring.offset = (bits % ring.brokers.len().max(1) as u64) as usize;
        }
        Self {
            registered: image.brokers().map(|broker| broker.id).collect(),
            usable: racks.iter().map(|rack| rack.serving.brokers.len() + rack.fenced.brokers.len()).sum(),
            active,
            first_rack: (bits.rotate_left(32) % racks.len().max(1) as u64) as usize,
            racks,
            round: 0,
            bits,
            directories: Directories::new(image, None),
        }
    }

    pub(super) fn is_active(&self, broker: BrokerId) -> bool {
        self.active.contains(&broker)
    }

    /// The replicas of the next partition: a leader that serves, then one broker of each rack in turn.
    pub(super) fn place(&mut self, replication_factor: usize) -> Result<Vec<BrokerId>, Rejection> {
        if replication_factor > self.usable || self.active.is_empty() {
            return Err(Rejection::InvalidReplicationFactor(format!(
                "unable to replicate the partition {replication_factor} time(s): there are {} broker(s), of which {} \
                 serve",
                self.usable,
                self.active.len()
            )));
        }
        if self.round > 0 && self.active.len() > 1 && self.round.is_multiple_of(self.active.len()) {
            self.shuffle();
        }
        self.round += 1;
        let count = self.racks.len();
        let start = self.first_rack % count;
        self.first_rack = start + 1;
        let (leader, leader_rack) = (0..count)
            .map(|step| (start + step) % count)
            .find_map(|rack| Some((self.racks[rack].serving.next(self.round)?, rack)))
            .expect("some broker serves, as was checked");
        let mut replicas = vec![leader];
        let mut has_passed_leader = false;
        for step in 0.. {
            if replicas.len() == replication_factor {
                break;
            }
            let rack = (start + step) % count;
            if rack == leader_rack && !has_passed_leader {
                // This rack has had its turn.
                has_passed_leader = true;
                continue;
            }
            let rack = &mut self.racks[rack];
            let next = rack.serving.next(self.round).or_else(|| rack.fenced.next(self.round));
            replicas.extend(next);
        }
        Ok(replicas)
    }

    /// Another order of racks and brokers, lest the same brokers meet in every partition.
    fn shuffle(&mut self) {
        let mut bits = self.bits;
        for ring in self.racks.iter_mut().flat_map(|rack| [&mut rack.serving, &mut rack.fenced]) {
            mix(&mut ring.brokers, &mut bits);
        }
        mix(&mut self.racks, &mut bits);
        self.bits = bits;
    }

    /// Whether replicas chosen by hand can be.
    pub(super) fn check(&self, replicas: &[BrokerId], replication_factor: usize) -> Result<(), Rejection> {
        self.check_targets(replicas)?;
        let refuse = |reason: String| Err(Rejection::InvalidReplicaAssignment(reason));
        if replicas.len() != replication_factor {
            return refuse(format!(
                "a partition has {} replicas, others {replication_factor}",
                replicas.len()
            ));
        }
        if !replicas.iter().any(|broker| self.is_active(*broker)) {
            return refuse("all brokers of an assignment are fenced or stopping".to_owned());
        }
        Ok(())
    }

    /// Whether replicas can go to these brokers some day.
    pub(super) fn check_targets(&self, replicas: &[BrokerId]) -> Result<(), Rejection> {
        let refuse = |reason: String| Err(Rejection::InvalidReplicaAssignment(reason));
        if replicas.is_empty() {
            return refuse("a partition needs at least one replica".to_owned());
        }
        for (index, broker) in replicas.iter().enumerate() {
            if replicas[..index].contains(broker) {
                return refuse(format!("broker {broker} stands twice in an assignment"));
            }
            if !self.registered.contains(broker) {
                return refuse(format!("broker {broker} is not registered"));
            }
        }
        Ok(())
    }

    /// The directory of a broker's next replica: the one with the fewest; zero when the broker named none.
    pub(super) fn directory(&mut self, broker: BrokerId) -> Uuid {
        self.directories.take(broker)
    }
}

/// Shuffles with bits that follow from bits: the controller has no chance of its own.
fn mix<T>(list: &mut [T], bits: &mut u64) {
    for last in (1..list.len()).rev() {
        // splitmix64
        *bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = *bits;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        list.swap(last, (drawn % (last as u64 + 1)) as usize);
    }
}
