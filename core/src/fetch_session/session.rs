use std::collections::BTreeMap;
use std::sync::Arc;

use super::{INITIAL_EPOCH, Request, next_epoch};
use crate::ids::{LeaderEpoch, Offset, TopicId};
use crate::time::Instant;

/// A topic as the client named it. Names are copies: a session must not keep a request's frame alive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchTopic {
    /// By id, version 13 and later (KIP-516).
    Id(TopicId),
    /// By name.
    Name(Arc<str>),
}

/// The longest name of a topic.
const NAME_BYTES_MAX: usize = 249;

impl FetchTopic {
    /// Whether a session may remember it: a longer name is no topic's.
    pub(super) fn is_memorable(&self) -> bool {
        match self {
            Self::Id(_) => true,
            Self::Name(name) => name.len() <= NAME_BYTES_MAX,
        }
    }
}

/// What a client wants of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The topic.
    pub topic: FetchTopic,
    /// The partition's number.
    pub partition: i32,
    /// The leader epoch the client knows, or -1 (KIP-320).
    pub current_leader_epoch: LeaderEpoch,
    /// From which offset on.
    pub fetch_offset: Offset,
    /// How many bytes at most.
    pub bytes_max: i32,
}

/// What the answer will say of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The high watermark, or -1.
    pub high_watermark: Offset,
    /// The log start, or -1.
    pub log_start: Offset,
    /// Whether there are records.
    pub has_records: bool,
    /// Whether there is an error, a diverging epoch or a preferred replica: always included, and the next
    /// answer without one too.
    pub is_exceptional: bool,
}

#[derive(Debug)]
struct Remembered {
    asked: FetchPartition,
    high_watermark: Offset,
    log_start: Offset,
    place: u64,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) epoch: i32,
    pub(super) by_topic_id: bool,
    pub(super) privileged: bool,
    pub(super) created: Instant,
    pub(super) last_used: Instant,
    /// The size under which the cache has listed this session.
    pub(super) listed_size: usize,
    partitions: BTreeMap<(FetchTopic, i32), Remembered>,
    /// The order of reading; who gave records moves to its end, so that nobody starves behind a full answer.
    order: BTreeMap<u64, (FetchTopic, i32)>,
    next_place: u64,
}

impl Session {
    pub(super) fn new<'a>(
        by_topic_id: bool,
        privileged: bool,
        now: Instant,
        answered: impl Iterator<Item = (&'a FetchPartition, &'a Answer)>,
    ) -> Self {
        let mut session = Self {
            epoch: next_epoch(INITIAL_EPOCH),
            by_topic_id,
            privileged,
            created: now,
            last_used: now,
            listed_size: 0,
            partitions: BTreeMap::new(),
            order: BTreeMap::new(),
            next_place: 0,
        };
        for (asked, answer) in answered {
            session.remember(asked.clone(), answer.high_watermark, answer.log_start);
        }
        session
    }

    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// The partitions in their order of reading.
    pub(super) fn partitions(&self) -> Vec<FetchPartition> {
        self.order
            .values()
            .filter_map(|key| self.partitions.get(key))
            .map(|known| known.asked.clone())
            .collect()
    }

    /// How many partitions of the request are new to the session.
    pub(super) fn added_by(&self, request: &Request) -> usize {
        let known =
            |asked: &&FetchPartition| self.partitions.contains_key(&(asked.topic.clone(), asked.partition));
        request.partitions.len() - request.partitions.iter().filter(known).count()
    }

    pub(super) fn update(&mut self, changed: Vec<FetchPartition>) {
        for asked in changed {
            match self.partitions.get_mut(&(asked.topic.clone(), asked.partition)) {
                Some(known) => known.asked = asked,
                // Unknown watermarks, so that the first answer holds the partition in any case.
                None => self.remember(asked, Offset::UNKNOWN, Offset::UNKNOWN),
            }
        }
    }

    pub(super) fn forget(&mut self, forgotten: &[(FetchTopic, i32)]) {
        for key in forgotten {
            if let Some(known) = self.partitions.remove(key) {
                self.order.remove(&known.place);
            }
        }
    }

    /// Whether an incremental answer includes the partition; remembers what the client will then know.
    pub(super) fn answer(&mut self, asked: &FetchPartition, answer: &Answer) -> bool {
        let key = (asked.topic.clone(), asked.partition);
        let Some(known) = self.partitions.get_mut(&key) else { return true };
        let changed = known.high_watermark != answer.high_watermark || known.log_start != answer.log_start;
        known.high_watermark = if answer.is_exceptional { Offset::UNKNOWN } else { answer.high_watermark };
        known.log_start = answer.log_start;
        if answer.has_records {
            self.order.remove(&known.place);
            known.place = self.next_place;
            self.order.insert(self.next_place, key);
            self.next_place += 1;
        }
        changed || answer.has_records || answer.is_exceptional
    }

    fn remember(&mut self, asked: FetchPartition, high_watermark: Offset, log_start: Offset) {
        let key = (asked.topic.clone(), asked.partition);
        let place = self.next_place;
        self.next_place += 1;
        self.order.insert(place, key.clone());
        if let Some(before) =
            self.partitions.insert(key, Remembered { asked, high_watermark, log_start, place })
        {
            self.order.remove(&before.place);
        }
    }
}
