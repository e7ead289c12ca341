//! A log of numbers instead of bytes, with a chain hash, so that two prefixes are compared by one comparison.

use jangbu_core::epochs::{Epochs, LogView};
use jangbu_core::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use jangbu_core::museum::Switches;
use jangbu_core::record::batch::BatchHeader;
use jangbu_core::replica::producers::Producers;
use jangbu_core::replica::{idempotence, may_keep_epochs, recovered_epochs};
use jangbu_core::time::Timestamp;

/// A batch of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The epoch it was written in.
    pub epoch: i32,
    /// What the client wrote: no two batches of clients have the same value.
    pub value: u32,
    /// The producer id, or -1.
    pub producer: i32,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The sequence.
    pub sequence: i32,
}

impl Entry {
    fn hash_after(&self, before: u64) -> u64 {
        let here = u64::from(self.value) << 32 | u64::from(self.epoch as u32);
        let mixed = (before ^ here).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    /// As the producers' fold sees it.
    pub fn header(&self, offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(offset),
            batch_length: 49,
            leader_epoch: LeaderEpoch(self.epoch),
            crc: 0,
            attributes: 0,
            last_offset_delta: 0,
            base_timestamp: Timestamp(0),
            max_timestamp: Timestamp(0),
            producer_id: ProducerId(i64::from(self.producer)),
            producer_epoch: ProducerEpoch(self.producer_epoch),
            base_sequence: self.sequence,
            record_count: 1,
        }
    }
}

/// The log of one replica: what is in its page cache, and how much of that is on its disk.
#[derive(Clone, Debug)]
pub struct FuzzLog {
    switches: Switches,
    /// The offset of the first entry that is kept, at or below `start`.
    base: i64,
    start: i64,
    entries: Vec<Entry>,
    /// The hash of everything below each entry, and of everything.
    hashes: Vec<u64>,
    epochs: Epochs,
    /// The fold of the producers.
    pub producers: Producers,
    /// One past the last entry on the disk.
    pub flushed: i64,
}

impl LogView for FuzzLog {
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

impl FuzzLog {
    /// An empty log.
    pub fn new(switches: Switches) -> Self {
        Self {
            switches,
            base: 0,
            start: 0,
            entries: Vec::new(),
            hashes: vec![0],
            epochs: Epochs::default(),
            producers: Producers::default(),
            flushed: 0,
        }
    }

    /// One past the last entry.
    pub fn end(&self) -> i64 {
        self.base + self.entries.len() as i64
    }

    /// The first readable offset.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The hash of everything below `offset`, if that is known here.
    pub fn hash_at(&self, offset: i64) -> Option<u64> {
        self.hashes.get(usize::try_from(offset - self.base).ok()?).copied()
    }

    /// An entry.
    pub fn entry(&self, offset: i64) -> Option<&Entry> {
        self.entries.get(usize::try_from(offset - self.base).ok()?)
    }

    /// Entries from an offset on, at most `count`.
    pub fn read(&self, from: i64, count: usize) -> &[Entry] {
        let Ok(first) = usize::try_from(from - self.base) else { return &[] };
        let entries = self.entries.get(first..).unwrap_or_default();
        &entries[..count.min(entries.len())]
    }

    /// Whether both end at one offset, with the same entries as far down as both go.
    pub fn holds_the_same_as(&self, other: &Self) -> bool {
        let first = self.start.max(other.start);
        self.end() == other.end()
            && (first..self.end()).all(|offset| self.entry(offset) == other.entry(offset))
    }

    /// The epoch cache, for the machine's own entry at an election.
    pub fn assign_epoch(&mut self, epoch: LeaderEpoch, start: Offset) {
        self.epochs.assign(epoch, start);
    }

    /// Appends.
    pub fn append(&mut self, entry: Entry, is_leader: bool) {
        let end = self.end();
        self.epochs.assign(LeaderEpoch(entry.epoch), Offset(end));
        let hash = entry.hash_after(self.hashes[self.entries.len()]);
        self.entries.push(entry);
        self.hashes.push(hash);
        if entry.producer >= 0 {
            idempotence::note_append(&mut self.producers, &entry.header(end), is_leader, self.switches);
        }
    }

    /// Cuts the end; below its start the log is emptied, and `hash` is that of what its leader has below the cut.
    pub fn truncate_as_leader(&mut self, to: i64, hash: u64) {
        if to < self.start {
            return self.start_over(to, hash);
        }
        self.truncate(to);
    }

    /// Cuts the end, at the start or above.
    pub fn truncate(&mut self, to: i64) {
        if !may_keep_epochs(Offset(to), self.log_end(), self.switches) {
            self.epochs.truncate_from_end(Offset(to));
        }
        if to >= self.end() {
            return;
        }
        self.cut(to);
        self.fold_producers();
    }

    fn cut(&mut self, to: i64) {
        let kept = usize::try_from(to - self.base).unwrap_or(0);
        self.entries.truncate(kept);
        self.hashes.truncate(kept + 1);
        self.flushed = self.flushed.min(to);
    }

    fn fold_producers(&mut self) {
        self.producers = Producers::default();
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.producer >= 0 {
                self.producers.apply(&entry.header(self.base + index as i64));
            }
        }
    }

    /// Empties the log, which begins at `start` now; `hash` is that of what every complete log has below it.
    pub fn start_over(&mut self, start: i64, hash: u64) {
        *self = Self { base: start, start, hashes: vec![hash], flushed: start, ..Self::new(self.switches) };
    }

    /// Retention, or a leader's log start. What lies below is gone; its hash is that of the committed log, whatever
    /// this replica had there.
    pub fn move_start(&mut self, start: i64, hash: u64) {
        if start <= self.start || start > self.end() {
            return;
        }
        let gone = (start - self.base) as usize;
        self.entries.drain(..gone);
        self.hashes.clear();
        self.hashes.push(hash);
        for entry in &self.entries {
            let before = self.hashes[self.hashes.len() - 1];
            self.hashes.push(entry.hash_after(before));
        }
        (self.base, self.start) = (start, start);
        self.flushed = self.flushed.max(start);
        self.epochs.truncate_from_start(Offset(start));
    }

    /// The process died: the page cache is kept up to `keep`, and never less than what is on the disk.
    pub fn lose_tail(&mut self, keep: i64) {
        let to = keep.max(self.flushed).min(self.end());
        self.cut(to);
    }

    /// The log is opened again: what memory held is read back. That it can be read does not mean that it is on the disk:
    /// the page cache outlives the process.
    pub fn recover(&mut self) {
        let base = self.base;
        let batches = self.entries.iter().enumerate();
        let batches = batches.map(|(index, entry)| (LeaderEpoch(entry.epoch), Offset(base + index as i64)));
        self.epochs = recovered_epochs(batches, self.switches);
        self.fold_producers();
    }

    /// What the epoch cache must be: one entry where each epoch begins.
    pub fn folded_epochs(&self) -> Epochs {
        let base = self.base;
        let batches = self.entries.iter().enumerate();
        let batches = batches.map(|(index, entry)| (LeaderEpoch(entry.epoch), Offset(base + index as i64)));
        recovered_epochs(batches, Switches::default())
    }

    /// What the producers' fold must be.
    pub fn folded_producers(&self) -> Producers {
        let mut copy = self.clone();
        copy.fold_producers();
        copy.producers
    }
}
