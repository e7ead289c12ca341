//! The bytes of one file: what processes see, and what would be left if the power went now.
//!
//! Appends are the hot path and must cost no copy of the file. So there is one image, the page cache's, and an
//! ordered list of the changes that are not durable with what each of them replaced: nothing, for an append. Taking
//! the changes back in reverse order yields the durable image. Only when the two have parted for good, after a sync
//! that failed, is the durable image kept beside the other.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use super::power::{Keep, Lost, PowerLoss};
use crate::rng::Rng;

/// What the kernel forgets as a whole.
const PAGE_BYTES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    pending: VecDeque<Change>,
    changes_made: u64,
    durable: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Change {
    number: u64,
    what: What,
    /// What a write wrote. Known only while the durable image is kept: until then the bytes stand in the file.
    written: Vec<u8>,
}

#[derive(Debug)]
enum What {
    Write { position: usize, len: usize, len_before: usize, replaced: Vec<u8> },
    SetLen { len: usize, len_before: usize, cut: Vec<u8> },
}

impl Content {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes that a loss of power might take.
    pub(super) fn changes_pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes the first `limit` bytes of the buffers.
    pub(super) fn write(&mut self, buffers: &[IoSlice<'_>], position: usize, limit: usize) {
        let len = buffers.iter().map(|buffer| buffer.len()).sum::<usize>().min(limit);
        if len == 0 {
            return;
        }
        let len_before = self.bytes.len();
        let replaced = self.bytes.get(position..len_before.min(position + len)).unwrap_or_default().to_vec();
        if position > len_before {
            self.bytes.resize(position, 0);
        }
        let (mut at, mut left) = (position, len);
        for buffer in buffers {
            let part = &buffer[..buffer.len().min(left)];
            overlay(&mut self.bytes, at, part);
            at += part.len();
            left -= part.len();
        }
        let written = self.keep_written(position, len);
        self.push(What::Write { position, len, len_before, replaced }, written);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let len_before = self.bytes.len();
        let cut = self.bytes.get(len..).unwrap_or_default().to_vec();
        self.bytes.resize(len, 0);
        self.push(What::SetLen { len, len_before, cut }, Vec::new());
    }

    fn keep_written(&self, position: usize, len: usize) -> Vec<u8> {
        if self.durable.is_some() { self.bytes[position..position + len].to_vec() } else { Vec::new() }
    }

    fn push(&mut self, what: What, written: Vec<u8>) {
        self.pending.push_back(Change { number: self.changes_made, what, written });
        self.changes_made += 1;
    }

    /// Which changes a sync that starts now covers.
    pub(super) fn mark(&self) -> u64 {
        self.changes_made
    }

    /// The changes before the mark have reached the disk.
    pub(super) fn make_durable(&mut self, mark: u64) {
        while let Some(change) = self.pending.front()
            && change.number < mark
        {
            if let (Some(durable), Some(change)) = (&mut self.durable, self.pending.front()) {
                change.redo(durable, usize::MAX);
            }
            self.pending.pop_front();
        }
        if self.durable.as_ref().is_some_and(|durable| self.pending.is_empty() && *durable == self.bytes) {
            self.durable = None;
        }
    }

    /// A sync of the changes before the mark has failed: their pages count as clean and never reach the disk, though processes
    /// go on seeing them as long as the power stays.
    pub(super) fn lose_pages(&mut self, mark: u64) {
        self.part();
        self.pending.retain(|change| change.number >= mark);
    }

    /// What is left if the power goes now and nothing that was not synced survives.
    pub(super) fn durable_image(&self) -> Vec<u8> {
        self.durable.clone().unwrap_or_else(|| {
            let mut image = self.bytes.clone();
            self.pending.iter().rev().for_each(|change| change.undo(&mut image));
            image
        })
    }

    /// Starts to keep the durable image beside the other.
    fn part(&mut self) {
        if self.durable.is_some() {
            return;
        }
        let mut image = self.bytes.clone();
        for change in self.pending.iter_mut().rev() {
            change.keep_written(&image);
            change.undo(&mut image);
        }
        self.durable = Some(image);
    }

    /// The process is gone that had a sync fail. The kernel may forget any page of it, and reads from the medium what
    /// it held before. Returns how many pages were forgotten.
    pub(super) fn evict(&mut self, rng: &mut Rng) -> u64 {
        let Some(mut medium) = self.durable.clone() else { return 0 };
        self.pending.iter().for_each(|change| change.redo(&mut medium, usize::MAX));
        // The length is the inode's, which stays.
        medium.resize(self.bytes.len(), 0);
        let is_dirty = |page: &Range<usize>| {
            self.pending.iter().any(|change| match change.what {
                What::Write { position, len, .. } => position < page.end && page.start < position + len,
                What::SetLen { .. } => false,
            })
        };
        let mut forgotten = 0;
        for start in (0..self.bytes.len()).step_by(PAGE_BYTES) {
            let page = start..self.bytes.len().min(start + PAGE_BYTES);
            if self.bytes[page.clone()] != medium[page.clone()] && !is_dirty(&page) && rng.chance(0.5) {
                self.bytes[page.clone()].copy_from_slice(&medium[page]);
                forgotten += 1;
            }
        }
        forgotten
    }

    /// Whether a loss of power can take anything.
    pub(super) fn may_lose(&self) -> bool {
        self.durable.is_some() || !self.pending.is_empty()
    }

    /// The power goes. `stale` is what blocks may hold that the file got and nobody has written. Returns how many
    /// changes were lost, whole or in part.
    pub(super) fn lose_power(
        &mut self,
        loss: PowerLoss,
        stale: &[u8],
        sector_bytes: usize,
        rng: &mut Rng,
    ) -> u64 {
        if !self.may_lose() {
            return 0;
        }
        self.part();
        let mut image = self.durable.take().unwrap_or_default();
        let changes = std::mem::take(&mut self.pending);
        let lost = match loss.keep.settle(rng) {
            Keep::Prefix => redo_prefix(&mut image, &changes, rng),
            Keep::Sectors => {
                let old =
                    (loss.lost == Lost::Garbage).then(|| Garbage::new(stale, image.len(), sector_bytes, rng));
                redo_sectors(&mut image, &changes, old, sector_bytes, rng)
            }
            Keep::Length => {
                image.resize(self.bytes.len().max(image.len()), 0);
                changes.len() as u64
            }
            Keep::Nothing | Keep::Any => changes.len() as u64,
        };
        self.bytes = image;
        lost
    }

    /// Turns one bit over, on the disk and in the page cache.
    pub(super) fn flip(&mut self, position: usize, bit: u8) -> bool {
        let mask = 1 << (bit & 7);
        if let Some(byte) = self.durable.as_mut().and_then(|durable| durable.get_mut(position)) {
            *byte ^= mask;
        }
        self.bytes.get_mut(position).map(|byte| *byte ^= mask).is_some()
    }

    /// Cuts the file on the disk and in the page cache, without anyone having asked.
    pub(super) fn chop(&mut self, len: usize) {
        self.set_len(len.min(self.bytes.len()));
        self.make_durable(self.mark());
    }
}

impl Change {
    /// Keeps what a write had written, out of an image in which nothing later stands.
    fn keep_written(&mut self, image: &[u8]) {
        if let What::Write { position, len, .. } = self.what {
            self.written = image[position..position + len].to_vec();
        }
    }

    /// Takes the change back.
    fn undo(&self, image: &mut Vec<u8>) {
        match &self.what {
            What::Write { position, len_before, replaced, .. } => {
                image.truncate(*len_before);
                overlay(image, *position, replaced);
            }
            What::SetLen { len_before, cut, len } => {
                image.truncate((*len).min(*len_before));
                image.extend_from_slice(cut);
            }
        }
    }

    /// Does the change again, a write only up to `limit` bytes.
    fn redo(&self, image: &mut Vec<u8>, limit: usize) {
        match &self.what {
            What::Write { position, .. } => {
                let part = &self.written[..self.written.len().min(limit)];
                lengthen(image, *position, part.len());
                overlay(image, *position, part);
            }
            What::SetLen { len, .. } => image.resize(*len, 0),
        }
    }
}

/// The first changes survive; the one behind them is torn.
fn redo_prefix(image: &mut Vec<u8>, changes: &VecDeque<Change>, rng: &mut Rng) -> u64 {
    let kept = rng.below(changes.len() as u64 + 1) as usize;
    for change in changes.iter().take(kept) {
        change.redo(image, usize::MAX);
    }
    if let Some(torn) = changes.get(kept)
        && !torn.written.is_empty()
    {
        torn.redo(image, rng.below(torn.written.len() as u64) as usize);
    }
    (changes.len() - kept) as u64
}

/// Any sectors survive. A sector behind the durable end that does not is a hole, or holds what stood there before.
fn redo_sectors(
    image: &mut Vec<u8>,
    changes: &VecDeque<Change>,
    garbage: Option<Garbage<'_>>,
    sector_bytes: usize,
    rng: &mut Rng,
) -> u64 {
    let durable_len = image.len();
    let mut losses = 0;
    for change in changes {
        let What::Write { position, .. } = change.what else {
            if rng.chance(0.5) {
                change.redo(image, usize::MAX)
            } else {
                losses += 1
            }
            continue;
        };
        let mut at = 0;
        let mut whole = true;
        while at < change.written.len() {
            let start = position + at;
            let end = change.written.len().min(at + sector_bytes - start % sector_bytes);
            let part = &change.written[at..end];
            if rng.chance(0.5) {
                lengthen(image, start, part.len());
                overlay(image, start, part);
            } else {
                whole = false;
                if start >= durable_len
                    && let Some(garbage) = &garbage
                    && rng.chance(0.5)
                {
                    let rubbish = garbage.at(start, part.len(), rng);
                    lengthen(image, start, rubbish.len());
                    overlay(image, start, &rubbish);
                }
            }
            at = end;
        }
        losses += u64::from(!whole);
    }
    losses
}

/// What stands in blocks that were given to a file and not written. Old blocks keep their place within a sector; random
/// bytes are no batch, but those of an older file may be.
struct Garbage<'a> {
    stale: Option<&'a [u8]>,
    /// Where in the old file the block at position 0 of the new one would have stood.
    shift: isize,
}

impl<'a> Garbage<'a> {
    fn new(stale: &'a [u8], durable_len: usize, sector_bytes: usize, rng: &mut Rng) -> Self {
        let stale = Some(stale).filter(|stale| !stale.is_empty() && rng.chance(0.5));
        let same_place = rng.chance(0.5);
        let sector = rng.below((stale.map_or(0, <[u8]>::len) / sector_bytes + 1) as u64) as usize;
        let begin = durable_len / sector_bytes;
        let shift = if same_place { 0 } else { (sector as isize - begin as isize) * sector_bytes as isize };
        Self { stale, shift }
    }

    fn at(&self, position: usize, len: usize, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = vec![0; len];
        match (self.stale, position.checked_add_signed(self.shift)) {
            (Some(stale), Some(start)) if start < stale.len() => {
                let len = len.min(stale.len() - start);
                bytes[..len].copy_from_slice(&stale[start..start + len]);
            }
            _ => rng.fill(&mut bytes),
        }
        bytes
    }
}

/// Makes the image reach `position` when something is to be written there.
fn lengthen(image: &mut Vec<u8>, position: usize, len: usize) {
    if len > 0 && image.len() < position {
        image.resize(position, 0);
    }
}

/// Writes over what is there and beyond the end; the image reaches `position` unless `part` is empty.
fn overlay(image: &mut Vec<u8>, position: usize, part: &[u8]) {
    if part.is_empty() {
        return;
    }
    let over = part.len().min(image.len().saturating_sub(position));
    image[position..position + over].copy_from_slice(&part[..over]);
    image.extend_from_slice(&part[over..]);
}

#[cfg(test)]
mod tests;
