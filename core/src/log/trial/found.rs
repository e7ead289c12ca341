//! From an input to the files of a log directory: a log that was written in earnest, or none; then what became of
//! its files.

use std::path::{Path, PathBuf};

use bytes::{BufMut, BytesMut};

use super::{DIRECTORY, NOW, PARTITION, now};
use crate::env::Disk;
use crate::env::memory::MemoryDisk;
use crate::ids::{BrokerEpoch, LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::log::checkpoint::Offsets;
use crate::log::dir::LogDir;
use crate::log::file_name::{self, Kind};
use crate::log::{FlushScope, Log, Settings, TimestampType, checkpoint, sites};
use crate::record::batch::{Batch, BatchHeader, CRC_START, HEADER_LEN, LENGTH_PREFIX_LEN, crc32c};
use crate::time::Timestamp;

/// Bytes that one input may turn into files.
const FILE_BYTES_MAX: usize = 3 << 19;
const FILES_MAX: usize = 64;
const CHANGES_MAX: usize = 64;

/// Bytes that are eaten one by one. Behind the end there are zeros.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub(super) fn byte(&mut self) -> u8 {
        match self.bytes.split_first() {
            Some((&first, rest)) => {
                self.bytes = rest;
                first
            }
            None => 0,
        }
    }

    /// One time in `of`, by the next byte.
    pub(super) fn chance(&mut self, of: u8) -> bool {
        self.byte() % of == 1
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(u16::from_le_bytes(self.array())) % bound.max(1)
    }

    fn slice(&mut self, len: usize) -> &'a [u8] {
        let (slice, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        slice
    }

    /// A small number, one at which something overflows, or any.
    fn number(&mut self) -> i64 {
        match self.byte() {
            small @ 0..=199 => i64::from(small),
            200 => i64::from_le_bytes(self.array()),
            edge => {
                let base = [-1, 1 << 31, 1 << 32, 1 << 33, i64::MIN, i64::MAX][usize::from(edge) % 6];
                i64::wrapping_sub(base, i64::from(edge - 200) / 6)
            }
        }
    }

    pub(super) fn offset(&mut self) -> Offset {
        Offset(self.number() & i64::MAX)
    }
}

/// What is found at a start.
pub(super) struct Found {
    pub(super) settings: Settings,
    appends: Vec<Append>,
    closed: bool,
    changes: Vec<Change>,
}

/// One thing that the log's earlier life did.
#[derive(Clone)]
struct Append {
    batch: Batch,
    roll: bool,
    epoch: i32,
    flush: bool,
}

/// One thing that became of the files. Files are given by a number, which is taken modulo how many there are.
enum Change {
    Put { path: PathBuf, bytes: Vec<u8> },
    Remove { file: usize },
    Resize { file: usize, len: usize, fill: u8 },
    Set { file: usize, at: usize, bytes: Vec<u8> },
    Copy { file: usize, path: PathBuf },
    Batches { file: usize, count: usize, first: Batch },
    Checksums { file: usize },
}

impl Found {
    pub(super) fn take(input: &mut Input<'_>) -> Self {
        let settings = Settings {
            segment_bytes: [300, 1000, 4096, 1 << 30][input.below(4)],
            index_interval_bytes: [0, 200, 4096, u32::MAX][input.below(4)],
            timestamp_type: match input.chance(8) {
                true => TimestampType::LogAppendTime,
                false => TimestampType::CreateTime,
            },
            retention_bytes: if input.chance(2) { 500 } else { -1 },
            ..Settings::default()
        };
        let appends = (0..input.byte() % 33).map(|_| Append::take(input)).collect();
        let closed = input.chance(2);
        let mut changes = Vec::new();
        let count = usize::from(input.byte()) % (CHANGES_MAX + 1);
        let mut room = FILE_BYTES_MAX;
        while changes.len() < count && !input.bytes.is_empty() {
            changes.push(Change::take(input, &mut room));
        }
        Self { settings, appends, closed, changes }
    }

    /// The disk with these files, all of them durable.
    pub(super) fn build(&self) -> MemoryDisk {
        let disk = MemoryDisk::new(0);
        let opened = now(LogDir::open(disk.clone(), DIRECTORY.into(), Default::default()));
        let dir = opened.expect("an empty disk").dir;
        if self.appends.is_empty() {
            let path = dir.partition_path(PARTITION);
            disk.create_dir(sites::DIR_CREATE, &path).expect("an empty disk");
        } else {
            self.write(&dir);
        }
        drop(dir);
        for change in &self.changes {
            change.make(&disk);
        }
        disk.restart_process()
    }

    fn write(&self, dir: &LogDir<MemoryDisk>) {
        let mut log = dir.create_log(PARTITION, self.settings, Offset::ZERO, NOW).expect("an empty disk");
        let mut epoch = 0;
        for append in &self.appends {
            epoch += append.epoch;
            if append.roll {
                log.roll(NOW).expect("the disk works");
            }
            // One that does not fit is left out.
            let _ = log.append(&append.batch, LeaderEpoch(epoch), NOW);
            if append.flush {
                flush(&mut log, dir);
            }
        }
        if self.closed {
            log.close().expect("the disk works");
            flush(&mut log, dir);
            now(dir.mark_clean(BrokerEpoch(1))).expect("the disk works");
        }
    }
}

fn flush(log: &mut Log<MemoryDisk>, dir: &LogDir<MemoryDisk>) {
    let flush = log.begin_flush(FlushScope::Everything);
    now(flush.sync()).expect("the disk works");
    log.end_flush(flush);
    let offsets = Offsets::from([(PARTITION, log.recovery_point())]);
    now(dir.write_recovery_points(&offsets)).expect("the disk works");
}

impl Append {
    fn take(input: &mut Input<'_>) -> Self {
        let flags = input.byte();
        let batch = match flags & 0x80 != 0 {
            true => batch_of(input, 512),
            false => plain_batch(input),
        };
        Self { batch, roll: flags & 7 == 1, epoch: i32::from(flags & 0x18 == 8), flush: flags & 0x60 == 0x20 }
    }
}

fn plain_batch(input: &mut Input<'_>) -> Batch {
    let [payload, timestamp, producer, sequence] = input.array();
    let count = i32::from(sequence >> 6) + 1;
    let header = BatchHeader {
        base_timestamp: Timestamp(timestamp.into()),
        max_timestamp: Timestamp(timestamp.into()),
        producer_id: ProducerId(i64::from(producer % 4) - 1),
        producer_epoch: ProducerEpoch(i16::from(producer >> 4)),
        base_sequence: i32::from(sequence & 0x3f),
        record_count: count,
        last_offset_delta: count - 1,
        ..BLANK
    };
    encode(header, payload.into())
}

const BLANK: BatchHeader = BatchHeader {
    base_offset: Offset::ZERO,
    batch_length: 0,
    leader_epoch: LeaderEpoch(0),
    crc: 0,
    attributes: 0,
    last_offset_delta: 0,
    base_timestamp: Timestamp(0),
    max_timestamp: Timestamp(0),
    producer_id: ProducerId::NONE,
    producer_epoch: ProducerEpoch(0),
    base_sequence: 0,
    record_count: 1,
};

/// A batch with any header at all, and a checksum that is right.
pub(super) fn batch_of(input: &mut Input<'_>, payload_len_max: usize) -> Batch {
    let header = BatchHeader {
        base_offset: Offset(input.number()),
        leader_epoch: LeaderEpoch(input.number() as i32),
        attributes: input.byte().into(),
        last_offset_delta: input.number() as i32,
        base_timestamp: Timestamp(input.number()),
        max_timestamp: Timestamp(input.number()),
        producer_id: ProducerId(input.number()),
        producer_epoch: ProducerEpoch(input.number() as i16),
        base_sequence: input.number() as i32,
        record_count: input.number() as i32,
        ..BLANK
    };
    encode(header, input.below(payload_len_max))
}

fn encode(header: BatchHeader, payload_len: usize) -> Batch {
    let mut bytes = BytesMut::with_capacity(HEADER_LEN + payload_len);
    bytes.put_i64(header.base_offset.0);
    bytes.put_i32((HEADER_LEN - LENGTH_PREFIX_LEN + payload_len) as i32);
    bytes.put_i32(header.leader_epoch.0);
    bytes.put_i8(2);
    bytes.put_u32(0);
    bytes.put_i16(header.attributes);
    bytes.put_i32(header.last_offset_delta);
    bytes.put_i64(header.base_timestamp.0);
    bytes.put_i64(header.max_timestamp.0);
    bytes.put_i64(header.producer_id.0);
    bytes.put_i16(header.producer_epoch.0);
    bytes.put_i32(header.base_sequence);
    bytes.put_i32(header.record_count);
    bytes.put_bytes(0x77, payload_len);
    let crc = crc32c(&bytes[CRC_START..]);
    bytes[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
    Batch::split_from(&mut bytes.freeze()).expect("it was made so")
}

/// A file of the partition, or one of the directory's own.
fn path_of(input: &mut Input<'_>) -> PathBuf {
    let partition = Path::new(DIRECTORY).join(PARTITION.to_string());
    let of_offset = |kind: Kind, input: &mut Input<'_>| kind.path(&partition, input.offset());
    match input.byte() % 16 {
        0..=3 => of_offset(Kind::Log, input),
        4 | 5 => of_offset(Kind::OffsetIndex, input),
        6 | 7 => of_offset(Kind::TimeIndex, input),
        8 | 9 => of_offset(Kind::Snapshot, input),
        10 => partition.join(file_name::EPOCHS),
        11 => partition.join("partition.metadata"),
        12 => file_name::temporary_of(&of_offset(Kind::Log, input)),
        13 => Path::new(DIRECTORY).join("recovery-point-offset-checkpoint"),
        14 => Path::new(DIRECTORY).join("log-start-offset-checkpoint"),
        _ => Path::new(DIRECTORY).join(".kafka_cleanshutdown"),
    }
}

impl Change {
    fn take(input: &mut Input<'_>, room: &mut usize) -> Self {
        let mut take = |wanted: usize| {
            let len = wanted.min(*room);
            *room -= len;
            len
        };
        let file = |input: &mut Input<'_>| usize::from(input.byte());
        match input.byte() % 12 {
            0 | 1 => {
                let path = path_of(input);
                let len = take(input.below(2048));
                Self::Put { path, bytes: input.slice(len).to_vec() }
            }
            2 => {
                let names = [
                    "recovery-point-offset-checkpoint",
                    "log-start-offset-checkpoint",
                    "replication-offset-checkpoint",
                ];
                let path = Path::new(DIRECTORY).join(names[input.below(3)]);
                let offsets = Offsets::from([(PARTITION, input.offset())]);
                Self::Put { path, bytes: checkpoint::encode_offsets(&offsets) }
            }
            3 => Self::Remove { file: file(input) },
            4 => Self::Resize { file: file(input), len: take(input.below(4096)), fill: input.byte() },
            5 | 6 => {
                let (file, at, len) = (file(input), input.below(4096), usize::from(input.byte() % 16));
                Self::Set { file, at, bytes: input.slice(len).to_vec() }
            }
            7 => Self::Copy { file: file(input), path: path_of(input) },
            8 | 9 => Self::Checksums { file: file(input) },
            many => {
                let file = file(input);
                let first = batch_of(input, if many == 10 { 256 } else { 4096 });
                let first = match input.chance(64) {
                    true => encode(*first.header(), take(first.bytes().len() * 512)),
                    false => first,
                };
                let wanted = if input.chance(64) { input.below(8192) } else { input.below(4) } + 1;
                let len = take(first.bytes().len() * wanted);
                Self::Batches { file, count: len / first.bytes().len(), first }
            }
        }
    }

    fn make(&self, disk: &MemoryDisk) {
        let (path, bytes) = match self {
            Self::Put { path, bytes } => return put(disk, path, bytes),
            Self::Remove { file } | Self::Resize { file, .. } | Self::Set { file, .. } => {
                file_of(disk, *file, None)
            }
            Self::Copy { file, .. } | Self::Checksums { file } => file_of(disk, *file, None),
            Self::Batches { file, .. } => file_of(disk, *file, Some(".log")),
        }
        .unwrap_or_else(|| (Kind::Log.path(&partition_path(), Offset::ZERO), Vec::new()));
        let mut bytes = bytes;
        match self {
            Self::Put { .. } => unreachable!("it was put"),
            Self::Remove { .. } => {
                // The first change may come to a directory without files.
                let _ = disk.remove_file(sites::RECOVERY_REMOVE, &path);
                return;
            }
            Self::Resize { len, fill, .. } => bytes.resize(*len, *fill),
            Self::Set { at, bytes: new, .. } => {
                let at = at % bytes.len().max(1);
                bytes.iter_mut().skip(at).zip(new).for_each(|(old, new)| *old = *new);
            }
            Self::Copy { path: to, .. } => return put(disk, to, &bytes),
            Self::Checksums { .. } => mend_checksums(&path, &mut bytes),
            Self::Batches { count, first, .. } => append_batches(&mut bytes, *count, first),
        }
        put(disk, &path, &bytes);
    }
}

fn partition_path() -> PathBuf {
    Path::new(DIRECTORY).join(PARTITION.to_string())
}

fn put(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    if disk.file_count() < FILES_MAX || disk.bytes(path).is_ok() {
        disk.put(path, bytes);
    }
}

/// One of the partition's files, by its number among those whose names end so.
fn file_of(disk: &MemoryDisk, number: usize, ending: Option<&str>) -> Option<(PathBuf, Vec<u8>)> {
    let path = partition_path();
    let entries = disk.list(sites::RECOVERY_LIST, &path).expect("it was created");
    let names: Vec<String> = entries
        .into_iter()
        .filter(|entry| !entry.is_dir && ending.is_none_or(|ending| entry.name.ends_with(ending)))
        .map(|entry| entry.name)
        .collect();
    let path = path.join(names.get(number % names.len().max(1))?);
    let bytes = disk.bytes(&path).expect("it was listed");
    Some((path, bytes))
}

/// Makes right what a change of the bytes made wrong, so that what lies behind the checksum is reached.
fn mend_checksums(path: &Path, bytes: &mut [u8]) {
    if path.extension().is_some_and(|extension| extension == "snapshot") {
        if bytes.len() > 6 {
            let crc = crc32c(&bytes[6..]);
            bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        }
        return;
    }
    let mut rest = bytes;
    while let Ok(header) = BatchHeader::parse(rest) {
        if header.size_bytes() > rest.len() {
            return;
        }
        let (batch, behind) = std::mem::take(&mut rest).split_at_mut(header.size_bytes());
        let crc = crc32c(&batch[CRC_START..]);
        batch[CRC_START - 4..CRC_START].copy_from_slice(&crc.to_be_bytes());
        rest = behind;
    }
}

/// Batches like the first one, each behind the other in offset.
fn append_batches(bytes: &mut Vec<u8>, count: usize, first: &Batch) {
    let span = i64::from(first.header().last_offset_delta).saturating_add(1);
    for number in 0..count as i64 {
        let base_offset = first.header().base_offset.0.wrapping_add(span.wrapping_mul(number));
        let start = bytes.len();
        bytes.extend_from_slice(first.bytes());
        bytes[start..start + 8].copy_from_slice(&base_offset.to_be_bytes());
    }
}
