//! Who waits for what: requests that cannot be answered yet, and the progress that answers them.
//!
//! A produce waits until a mark of each of its partitions (the high watermark, or what is flushed) has reached an
//! offset; a fetch waits until its partitions together have gained enough readable bytes (KIP-41's `fetch.min.bytes`
//! and `fetch.max.wait.ms`). Whoever wakes looks again by itself: the machine says when, never with which outcome.
//!
//! Progress on a partition costs what it completes: offsets are ordered by partition, mark and offset.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{Offset, TopicPartition};
use crate::time::Instant;

/// Names one waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Which of a partition's marks must reach an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Everything below is on every in-sync replica.
    HighWatermark,
    /// Everything below is on this node's disk itself.
    Flushed,
}

/// How far a partition has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// One past the last committed record.
    pub high_watermark: Offset,
    /// One past the last record that is on this node's disk itself.
    pub flushed: Offset,
    /// Bytes that became readable since the partition was opened; only differences mean something.
    pub readable_bytes: u64,
}

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Every one of these marks must reach its offset.
    Offsets(Vec<(TopicPartition, Mark, Offset)>),
    /// The partitions together must gain this many bytes.
    Bytes {
        /// Each partition with [`Reached::readable_bytes`] as the request last saw it.
        seen: Vec<(TopicPartition, u64)>,
        /// Bytes that are missing, at least 1.
        missing: u64,
    },
}

/// Why a request is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// What it waited for is there.
    Satisfied,
    /// A partition it waits for changed its role, was cut or went away: look again.
    Changed,
    /// Its deadline has passed.
    Expired,
}

#[derive(Debug)]
struct Waiting {
    deadline: Instant,
    condition: Condition,
    /// Offsets that are not reached yet, or bytes that are missing.
    open: u64,
}

/// The machine. Whatever it is told may wake requests: drain [`Purgatory::poll_output`] after each call.
#[derive(Debug, Default)]
pub struct Purgatory {
    next_ticket: u64,
    waiting: BTreeMap<Ticket, Waiting>,
    offsets: BTreeSet<(TopicPartition, Mark, Offset, Ticket)>,
    bytes: BTreeMap<(TopicPartition, Ticket), u64>,
    deadlines: BTreeSet<(Instant, Ticket)>,
    output: VecDeque<(Ticket, Wakeup)>,
}

const FIRST: Ticket = Ticket(0);
const LAST: Ticket = Ticket(u64::MAX);

impl Purgatory {
    /// A request begins to wait. Progress made before this call is not known here: report it once more after it.
    pub fn handle_wait(&mut self, condition: Condition, deadline: Instant) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        let open = match &condition {
            Condition::Offsets(offsets) => {
                let new =
                    |&&(partition, mark, offset): &&_| self.offsets.insert((partition, mark, offset, ticket));
                offsets.iter().filter(new).count() as u64
            }
            Condition::Bytes { seen, missing } => {
                for &(partition, readable_bytes) in seen {
                    self.bytes.insert((partition, ticket), readable_bytes);
                }
                *missing
            }
        };
        self.waiting.insert(ticket, Waiting { deadline, condition, open });
        self.deadlines.insert((deadline, ticket));
        if open == 0 {
            self.wake(ticket, Wakeup::Satisfied);
        }
        ticket
    }

    /// A partition has come this far.
    pub fn handle_progress(&mut self, partition: TopicPartition, reached: Reached) {
        self.reach(partition, Mark::HighWatermark, reached.high_watermark);
        self.reach(partition, Mark::Flushed, reached.flushed);
        let mut full = Vec::new();
        for (&(_, ticket), seen) in self.bytes.range_mut((partition, FIRST)..=(partition, LAST)) {
            let gained = reached.readable_bytes.saturating_sub(*seen);
            *seen = reached.readable_bytes;
            let waiting = self.waiting.get_mut(&ticket).expect("each entry belongs to a waiting request");
            waiting.open = waiting.open.saturating_sub(gained);
            if waiting.open == 0 {
                full.push(ticket);
            }
        }
        for ticket in full {
            self.wake(ticket, Wakeup::Satisfied);
        }
    }

    /// A partition's role changed, it was cut, went offline or was deleted: nobody may go on waiting as if nothing
    /// had happened, and nobody may take it for success.
    pub fn handle_change(&mut self, partition: TopicPartition) {
        let from = (partition, Mark::HighWatermark, Offset(i64::MIN), FIRST);
        let to = (partition, Mark::Flushed, Offset(i64::MAX), LAST);
        let offsets = self.offsets.range(from..=to).map(|entry| entry.3);
        let bytes = self.bytes.range((partition, FIRST)..=(partition, LAST)).map(|(key, _)| key.1);
        let tickets: BTreeSet<Ticket> = offsets.chain(bytes).collect();
        for ticket in tickets {
            self.wake(ticket, Wakeup::Changed);
        }
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: Instant) {
        while let Some(&(deadline, ticket)) = self.deadlines.first() {
            if deadline > now {
                break;
            }
            self.wake(ticket, Wakeup::Expired);
        }
    }

    /// A request stopped waiting by itself: its connection closed.
    pub fn handle_leave(&mut self, ticket: Ticket) {
        if self.remove(ticket).is_none() {
            self.output.retain(|(woken, _)| *woken != ticket);
        }
    }

    /// The next request to wake, if any. It no longer waits.
    pub fn poll_output(&mut self) -> Option<(Ticket, Wakeup)> {
        self.output.pop_front()
    }

    /// When [`Purgatory::handle_time`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Asserts that the four indexes tell the same story. Costs as much as there is.
    pub fn check_all(&self) {
        assert_eq!(self.deadlines.len(), self.waiting.len(), "one deadline per waiting request");
        let mut offsets = 0;
        let mut bytes = 0;
        for (ticket, waiting) in &self.waiting {
            assert!(waiting.open > 0, "{ticket:?} has what it waits for");
            assert!(self.deadlines.contains(&(waiting.deadline, *ticket)), "{ticket:?} has its deadline");
            match &waiting.condition {
                Condition::Offsets(_) => offsets += waiting.open as usize,
                Condition::Bytes { seen, .. } => {
                    let partitions: BTreeSet<_> = seen.iter().map(|(partition, _)| *partition).collect();
                    bytes += partitions.len();
                }
            }
        }
        assert_eq!(self.offsets.len(), offsets, "each open offset is indexed");
        assert_eq!(self.bytes.len(), bytes, "each partition of a fetch is indexed");
    }

    fn reach(&mut self, partition: TopicPartition, mark: Mark, reached: Offset) {
        let from = (partition, mark, Offset(i64::MIN), FIRST);
        let to = (partition, mark, reached, LAST);
        while let Some(&entry) = self.offsets.range(from..=to).next() {
            self.offsets.remove(&entry);
            let ticket = entry.3;
            let waiting = self.waiting.get_mut(&ticket).expect("each entry belongs to a waiting request");
            waiting.open -= 1;
            if waiting.open == 0 {
                self.wake(ticket, Wakeup::Satisfied);
            }
        }
    }

    fn wake(&mut self, ticket: Ticket, wakeup: Wakeup) {
        if self.remove(ticket).is_some() {
            self.output.push_back((ticket, wakeup));
        }
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        self.deadlines.remove(&(waiting.deadline, ticket));
        match &waiting.condition {
            Condition::Offsets(offsets) => {
                for &(partition, mark, offset) in offsets {
                    self.offsets.remove(&(partition, mark, offset, ticket));
                }
            }
            Condition::Bytes { seen, .. } => {
                for &(partition, _) in seen {
                    self.bytes.remove(&(partition, ticket));
                }
            }
        }
        Some(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uuid;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new(Uuid([7; 16]), number)
    }

    fn reached(high_watermark: i64, flushed: i64, readable_bytes: u64) -> Reached {
        Reached { high_watermark: Offset(high_watermark), flushed: Offset(flushed), readable_bytes }
    }

    fn drain(purgatory: &mut Purgatory) -> Vec<(Ticket, Wakeup)> {
        purgatory.check_all();
        std::iter::from_fn(|| purgatory.poll_output()).collect()
    }

    fn produce(purgatory: &mut Purgatory, needs: &[(i32, Mark, i64)], deadline: u64) -> Ticket {
        let offsets =
            needs.iter().map(|&(number, mark, offset)| (partition(number), mark, Offset(offset))).collect();
        purgatory.handle_wait(Condition::Offsets(offsets), Instant(deadline))
    }

    fn fetch(purgatory: &mut Purgatory, seen: &[(i32, u64)], missing: u64, deadline: u64) -> Ticket {
        let seen = seen.iter().map(|&(number, bytes)| (partition(number), bytes)).collect();
        purgatory.handle_wait(Condition::Bytes { seen, missing }, Instant(deadline))
    }

    #[test]
    fn a_produce_waits_for_all_of_its_partitions() {
        let mut purgatory = Purgatory::default();
        let ticket =
            produce(&mut purgatory, &[(0, Mark::HighWatermark, 5), (1, Mark::HighWatermark, 9)], 100);
        purgatory.handle_progress(partition(0), reached(5, 0, 10));
        assert_eq!(drain(&mut purgatory), []);
        purgatory.handle_progress(partition(1), reached(8, 0, 10));
        assert_eq!(drain(&mut purgatory), []);
        purgatory.handle_progress(partition(1), reached(9, 0, 10));
        assert_eq!(drain(&mut purgatory), [(ticket, Wakeup::Satisfied)]);
        assert!(purgatory.is_empty());
    }

    #[test]
    fn a_mark_is_not_taken_for_another() {
        let mut purgatory = Purgatory::default();
        let ticket = produce(&mut purgatory, &[(0, Mark::Flushed, 5)], 100);
        purgatory.handle_progress(partition(0), reached(50, 4, 10));
        assert_eq!(drain(&mut purgatory), []);
        purgatory.handle_progress(partition(0), reached(50, 5, 10));
        assert_eq!(drain(&mut purgatory), [(ticket, Wakeup::Satisfied)]);
    }

    #[test]
    fn progress_wakes_in_the_order_of_offsets_and_only_those_it_reaches() {
        let mut purgatory = Purgatory::default();
        let third = produce(&mut purgatory, &[(0, Mark::HighWatermark, 30)], 100);
        let first = produce(&mut purgatory, &[(0, Mark::HighWatermark, 10)], 100);
        let second = produce(&mut purgatory, &[(0, Mark::HighWatermark, 20)], 100);
        purgatory.handle_progress(partition(0), reached(29, 0, 0));
        assert_eq!(drain(&mut purgatory), [(first, Wakeup::Satisfied), (second, Wakeup::Satisfied)]);
        purgatory.handle_progress(partition(0), reached(30, 0, 0));
        assert_eq!(drain(&mut purgatory), [(third, Wakeup::Satisfied)]);
    }

    #[test]
    fn the_same_need_twice_is_one_need() {
        let mut purgatory = Purgatory::default();
        let ticket =
            produce(&mut purgatory, &[(0, Mark::HighWatermark, 5), (0, Mark::HighWatermark, 5)], 100);
        purgatory.handle_progress(partition(0), reached(5, 0, 0));
        assert_eq!(drain(&mut purgatory), [(ticket, Wakeup::Satisfied)]);
    }

    #[test]
    fn a_fetch_adds_up_what_its_partitions_gain() {
        let mut purgatory = Purgatory::default();
        let ticket = fetch(&mut purgatory, &[(0, 1_000), (1, 0)], 100, 100);
        purgatory.handle_progress(partition(0), reached(1, 0, 1_060));
        purgatory.handle_progress(partition(0), reached(1, 0, 1_060));
        assert_eq!(drain(&mut purgatory), []);
        purgatory.handle_progress(partition(1), reached(1, 0, 40));
        assert_eq!(drain(&mut purgatory), [(ticket, Wakeup::Satisfied)]);
    }

    #[test]
    fn a_change_wakes_everyone_on_that_partition_and_nobody_else() {
        let mut purgatory = Purgatory::default();
        let produce_0 =
            produce(&mut purgatory, &[(0, Mark::HighWatermark, 5), (1, Mark::HighWatermark, 5)], 100);
        let produce_1 = produce(&mut purgatory, &[(1, Mark::Flushed, 5)], 100);
        let fetch_0 = fetch(&mut purgatory, &[(0, 0), (2, 0)], 1, 100);
        purgatory.handle_change(partition(0));
        assert_eq!(drain(&mut purgatory), [(produce_0, Wakeup::Changed), (fetch_0, Wakeup::Changed)]);
        purgatory.handle_change(partition(1));
        assert_eq!(drain(&mut purgatory), [(produce_1, Wakeup::Changed)]);
    }

    #[test]
    fn deadlines_pass_in_their_order() {
        let mut purgatory = Purgatory::default();
        let late = fetch(&mut purgatory, &[(0, 0)], 1, 200);
        let soon = produce(&mut purgatory, &[(0, Mark::HighWatermark, 5)], 100);
        assert_eq!(purgatory.next_deadline(), Some(Instant(100)));
        purgatory.handle_time(Instant(99));
        assert_eq!(drain(&mut purgatory), []);
        purgatory.handle_time(Instant(100));
        assert_eq!(drain(&mut purgatory), [(soon, Wakeup::Expired)]);
        assert_eq!(purgatory.next_deadline(), Some(Instant(200)));
        purgatory.handle_time(Instant(u64::MAX));
        assert_eq!(drain(&mut purgatory), [(late, Wakeup::Expired)]);
        assert_eq!(purgatory.next_deadline(), None);
    }

    #[test]
    fn who_leaves_is_not_woken_even_when_its_wakeup_was_already_due() {
        let mut purgatory = Purgatory::default();
        let ticket = produce(&mut purgatory, &[(0, Mark::HighWatermark, 5)], 100);
        let other = fetch(&mut purgatory, &[(0, 0)], 1, 100);
        purgatory.handle_progress(partition(0), reached(5, 0, 1));
        purgatory.handle_leave(ticket);
        assert_eq!(drain(&mut purgatory), [(other, Wakeup::Satisfied)]);
        let third = fetch(&mut purgatory, &[(0, 0)], 1, 100);
        purgatory.handle_leave(third);
        purgatory.handle_time(Instant(u64::MAX));
        assert_eq!(drain(&mut purgatory), []);
    }

    #[test]
    fn who_waits_for_nothing_does_not_wait() {
        let mut purgatory = Purgatory::default();
        let ticket = produce(&mut purgatory, &[], 100);
        assert_eq!(drain(&mut purgatory), [(ticket, Wakeup::Satisfied)]);
    }
}
