//! What a loss of power could not take: how far a log is on the disk itself, bytes and names.

use std::collections::BTreeMap;

use jangbu_core::ids::TopicPartition;

use super::batch;
use super::scan::{directory_of, segment_file};
use crate::world::{NodeId, World};

/// The whole batches of a log that are durable, one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// The base offset of the durable file in which the log starts.
    pub start: Option<i64>,
    /// One past the last record that follows from there on without a hole.
    pub end: i64,
}

/// Follows logs as they become durable; what was found durable once is not read again.
#[derive(Debug, Default)]
pub struct DurableReader {
    places: BTreeMap<(NodeId, TopicPartition), Place>,
    starts: BTreeMap<(NodeId, TopicPartition), i64>,
}

/// How far a log was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The file.
    base: i64,
    /// Bytes of it that were read.
    position: usize,
    /// One past the last record found.
    end: i64,
}

impl DurableReader {
    /// The log was opened again or cut: what was read may be there no more.
    pub fn forget(&mut self, node: NodeId, partition: TopicPartition) {
        self.places.remove(&(node, partition));
    }

    /// A log starts there: what lies before need not be durable, nor gone.
    pub fn start(&mut self, node: NodeId, partition: TopicPartition, log_start: i64) {
        self.starts.insert((node, partition), log_start);
    }

    /// How far a log is durable now.
    pub fn read(&mut self, world: &World, node: NodeId, partition: TopicPartition) -> Durable {
        let files = world.durable_log_files(node, &directory_of(partition));
        let bases: Vec<i64> = files
            .iter()
            .filter_map(|name| segment_file(name).filter(|(_, kind)| *kind == "log").map(|(base, _)| base))
            .collect();
        let start = self.starts.get(&(node, partition)).copied().unwrap_or(0);
        let Some(&first) = bases.iter().rev().find(|base| **base <= start).or(bases.first()) else {
            return Durable::default();
        };
        let known = self.places.get(&(node, partition)).copied();
        let known = known.filter(|place| place.base >= first && bases.contains(&place.base));
        let mut place = known.unwrap_or(Place { base: first, position: 0, end: first });
        loop {
            let bytes =
                world.durable_log_file(node, &directory_of(partition), &format!("{:020}.log", place.base));
            while let Some(rest) = bytes.get(place.position..).filter(|rest| !rest.is_empty()) {
                match batch::batch(rest) {
                    Ok(found) if found.base == place.end => {
                        place.position += found.size as usize;
                        place.end = found.end;
                    }
                    _ => break,
                }
            }
            match bases.contains(&place.end) && place.end != place.base {
                true => place = Place { base: place.end, position: 0, end: place.end },
                false => break,
            }
        }
        self.places.insert((node, partition), place);
        Durable { start: Some(first), end: place.end }
    }
}
