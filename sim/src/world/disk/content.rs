//! The bytes of one file: what processes see, and what would be left if the power went now.
//!
//! Appends are the hot path and must cost no copy of the file. So there is one image, the page cache's, and an
//! ordered list of the changes that are not durable with what each of them replaced: nothing, for an append. Taking
//! the changes back in reverse order yields the durable image. Only when the two have parted for good, after a sync
//! that failed, is the durable image kept beside the other.

use std::collections::VecDeque;
use std::io::IoSlice;

use super::power::{Keep, Lost, PowerLoss};
use crate::rng::Rng;

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

    /// The power goes. Returns how many changes were lost, whole or in part.
    pub(super) fn lose_power(&mut self, loss: PowerLoss, sector_bytes: usize, rng: &mut Rng) -> u64 {
        if self.durable.is_none() && self.pending.is_empty() {
            return 0;
        }
        self.part();
        let mut image = self.durable.take().unwrap_or_default();
        let changes = std::mem::take(&mut self.pending);
        let lost = match loss.keep.settle(rng) {
            Keep::Prefix => redo_prefix(&mut image, &changes, rng),
            Keep::Sectors => redo_sectors(&mut image, &changes, loss.lost, sector_bytes, rng),
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
    lost: Lost,
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
                if start >= durable_len && lost == Lost::Garbage && rng.chance(0.5) {
                    let mut garbage = vec![0; part.len()];
                    rng.fill(&mut garbage);
                    lengthen(image, start, garbage.len());
                    overlay(image, start, &garbage);
                }
            }
            at = end;
        }
        losses += u64::from(!whole);
    }
    losses
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
