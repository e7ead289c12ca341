//! What a partition's segment files hold, read from the simulated disk itself.

use bytes::Bytes;
use jangbu_core::ids::TopicPartition;
use jangbu_core::record::batch::{Batch, BatchHeader};

use super::Written;
use crate::world::{NodeId, World};

/// The batches of a partition's files, and the first thing that is wrong with them.
#[derive(Debug, Default)]
pub struct Scan {
    /// The batches, in the order of the files.
    pub batches: Vec<Written>,
    /// What could not be read as the log goes on, with its place.
    pub damage: Option<String>,
    /// The base offset of the first file.
    pub first_file: Option<i64>,
    /// Each segment by itself.
    pub segments: Vec<SegmentScan>,
    /// Index files whose segment is not there.
    pub orphans: Vec<String>,
    /// The lines of `leader-epoch-checkpoint`: epoch and start offset; `None` without such a file.
    pub epoch_file: Option<Result<Vec<(i32, i64)>, String>>,
}

/// One segment's files.
#[derive(Debug, Default)]
pub struct SegmentScan {
    /// Its base offset.
    pub base: i64,
    /// Its batches, as far as they can be read.
    pub batches: Vec<Placed>,
    /// The bytes of its `.index`.
    pub offset_index: Option<Vec<u8>>,
    /// The bytes of its `.timeindex`.
    pub time_index: Option<Vec<u8>>,
}

/// Where a batch is, and what indexes say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its first byte in the segment's file.
    pub position: u64,
    /// The offset of its last record.
    pub last: i64,
    /// Its largest timestamp.
    pub max_timestamp: i64,
}

impl Scan {
    /// One past the last record.
    pub fn end(&self) -> Option<i64> {
        self.batches.last().map(|batch| batch.end).or(self.first_file)
    }
}

/// Reads a partition's files as processes see them.
pub fn scan(world: &World, node: NodeId, partition: TopicPartition) -> Scan {
    let directory = match partition {
        TopicPartition::METADATA => "__cluster_metadata-0".to_owned(),
        _ => partition.to_string(),
    };
    let mut scan = Scan::default();
    let mut indexes = Vec::new();
    for (path, _) in world.files(node) {
        let inside =
            path.parent().and_then(|parent| parent.file_name()).is_some_and(|name| *name == *directory);
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| inside) else { continue };
        let Some(bytes) = world.read_file(node, &path) else { continue };
        if name == "leader-epoch-checkpoint" {
            scan.epoch_file = Some(epoch_lines(&bytes));
        } else if let Some((base, kind)) = segment_file(name) {
            match kind {
                // Files come in the order of their names, which is the order of their offsets.
                "log" => segment(&mut scan, base, bytes.into()),
                _ => indexes.push((base, kind == "index", bytes)),
            }
        }
    }
    for (base, is_offset_index, bytes) in indexes {
        match scan.segments.iter_mut().find(|segment| segment.base == base) {
            Some(segment) if is_offset_index => segment.offset_index = Some(bytes),
            Some(segment) => segment.time_index = Some(bytes),
            None => scan.orphans.push(format!("{base:020}")),
        }
    }
    scan
}

/// Base offset and kind of a file that belongs to a segment.
fn segment_file(name: &str) -> Option<(i64, &str)> {
    let (base, kind) = name.split_once('.')?;
    ["log", "index", "timeindex"].contains(&kind).then_some((base.parse().ok()?, kind))
}

fn segment(scan: &mut Scan, base: i64, mut bytes: Bytes) {
    scan.first_file.get_or_insert(base);
    scan.segments.push(SegmentScan { base, ..SegmentScan::default() });
    let size = bytes.len();
    while !bytes.is_empty() && scan.damage.is_none() {
        let position = size - bytes.len();
        let place = || format!("in segment {base:020}.log at byte {position} of {size}");
        match Batch::split_from(&mut bytes) {
            Ok(batch) => {
                let Some(written) = Written::from_header(batch.header()) else {
                    scan.damage = Some(format!("a batch with impossible offsets {}", place()));
                    return;
                };
                if scan.batches.last().is_some_and(|last| last.end > written.base) || written.base < base {
                    scan.damage =
                        Some(format!("a batch at offset {} behind its place {}", written.base, place()));
                    return;
                }
                scan.batches.push(written);
                if let Some(segment) = scan.segments.last_mut() {
                    let max_timestamp = batch.header().max_timestamp.0;
                    segment.batches.push(Placed {
                        position: position as u64,
                        last: written.end - 1,
                        max_timestamp,
                    });
                }
            }
            Err(error) => scan.damage = Some(format!("no batch {}: {error}", place())),
        }
    }
}

fn epoch_lines(bytes: &[u8]) -> Result<Vec<(i32, i64)>, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let (version, count) = (lines.next(), lines.next().and_then(|line| line.trim().parse::<usize>().ok()));
    let entries: Option<Vec<(i32, i64)>> = lines
        .map(|line| {
            let (epoch, start) = line.split_once(' ')?;
            Some((epoch.parse().ok()?, start.trim().parse().ok()?))
        })
        .collect();
    match (version, count, entries) {
        (Some("0"), Some(count), Some(entries)) if entries.len() == count => Ok(entries),
        _ => Err(format!("unreadable: {text:?}")),
    }
}

/// Every batch of a run of bytes, for facts that carry several.
pub(super) fn headers(batches: &Bytes) -> Vec<BatchHeader> {
    let mut headers = Vec::new();
    let mut at = 0;
    while let Some(Ok(header)) = batches.get(at..).filter(|rest| !rest.is_empty()).map(BatchHeader::parse) {
        at += header.size_bytes();
        headers.push(header);
    }
    headers
}
