//! Fetch sessions (KIP-227): a consumer names its partitions once, later requests and answers hold only what changed.
//!
//! A request carries a session id and an epoch: (0, -1) wants no session, (0, 0) a new one, (id, n) goes on with a
//! session, (id, -1) ends it and (id, 0) replaces it. The answer to a full request holds every partition; an
//! incremental answer holds a partition only if it has records, an error, or a changed high watermark or log start.
//!
//! The cache is bounded twice: by sessions (`max.incremental.fetch.session.cache.slots`) and by the partitions they
//! remember in sum, because a client may name as many as a request holds; and a name that no topic can have is not
//! remembered, because it may be 32 KiB long. A request that finds no room is answered with session id 0, which every
//! client understands.

mod session;
#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that finds an error where it expects none has failed
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use session::Session;
pub use session::{Answer, FetchPartition, FetchTopic};

use crate::error::ErrorCode;
use crate::time::Instant;

/// The id that names no session.
pub const NO_SESSION: i32 = 0;
/// The epoch of a request that wants no session, or no longer.
pub const FINAL_EPOCH: i32 = -1;
/// The epoch of a request that wants a new session.
pub const INITIAL_EPOCH: i32 = 0;

/// Bounds of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `max.incremental.fetch.session.cache.slots`.
    pub sessions_max: usize,
    /// How long a session is safe from larger ones, and how long it may idle (`min.incremental.fetch.session.eviction.ms`).
    pub eviction: Duration,
    /// Partitions that all sessions together may remember.
    pub partitions_max: usize,
    /// Which of how many caches this is: the ids it gives leave the first when divided by the second.
    pub shard: (i32, i32),
}

impl Default for Settings {
    /// Kafka's defaults; a hundred partitions for each session in the mean.
    fn default() -> Self {
        Self {
            sessions_max: 1000,
            eviction: Duration::from_secs(120),
            partitions_max: 100_000,
            shard: (0, 1),
        }
    }
}

/// Why a request's session is refused. The client then sends a full request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Evicted, closed, or never there.
    #[error("no fetch session has this id: it was closed, evicted, or never opened here")]
    NotFound,
    /// A request was lost, repeated or overtaken.
    #[error("the session expects another epoch: requests came twice or out of order")]
    InvalidEpoch,
    /// Opened with topic ids and continued with names, or the other way round (KIP-516).
    #[error("a session cannot change between topic names and topic ids")]
    TopicIds,
}

impl SessionError {
    /// The top-level error code of the answer.
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::FetchSessionIdNotFound,
            Self::InvalidEpoch => ErrorCode::InvalidFetchSessionEpoch,
            Self::TopicIds => ErrorCode::FetchSessionTopicIdError,
        }
    }
}

/// What a fetch request says of its session and partitions.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The session, or 0.
    pub session_id: i32,
    /// The session's epoch, 0 or -1.
    pub epoch: i32,
    /// Whether topics are named by id (version 13 and later).
    pub by_topic_id: bool,
    /// A follower's session is evicted only in favour of another follower's.
    pub privileged: bool,
    /// All partitions of a full request; those that changed of an incremental one.
    pub partitions: Vec<FetchPartition>,
    /// Partitions that the session shall no longer hold.
    pub forgotten: Vec<(FetchTopic, i32)>,
}

/// How one request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// Without a session.
    Sessionless,
    /// In full, and with a new session if there is room.
    Full {
        /// Whether topics are named by id.
        by_topic_id: bool,
        /// Whether a follower asks.
        privileged: bool,
    },
    /// With what changed.
    Incremental {
        /// The session.
        session_id: i32,
        /// The epoch it expects in the next request.
        next_epoch: i32,
    },
}

/// How the answer is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The session id to answer with, 0 for none.
    pub session_id: i32,
    /// Which partitions of an incremental answer to include; `None` means all.
    pub include: Option<Vec<bool>>,
}

/// All fetch sessions of a broker.
#[derive(Debug)]
pub struct FetchSessions {
    settings: Settings,
    sessions: BTreeMap<i32, Session>,
    last_used: BTreeSet<(Instant, i32)>,
    /// (privileged, partitions, id): the smallest goes first.
    evictable_by_all: BTreeSet<(bool, usize, i32)>,
    evictable_by_privileged: BTreeSet<(bool, usize, i32)>,
    partitions: usize,
}

/// The epoch after `epoch`; it wraps to 1, since 0 asks for a new session.
fn next_epoch(epoch: i32) -> i32 {
    if epoch < 0 { FINAL_EPOCH } else { epoch.checked_add(1).unwrap_or(1) }
}

impl FetchSessions {
    /// An empty cache.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            sessions: BTreeMap::new(),
            last_used: BTreeSet::new(),
            evictable_by_all: BTreeSet::new(),
            evictable_by_privileged: BTreeSet::new(),
            partitions: 0,
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many partitions they remember in sum.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    /// Decides what a request is about: the context, and the partitions to read in their order.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn begin(
        &mut self,
        request: Request,
        now: Instant,
    ) -> Result<(Context, Vec<FetchPartition>), SessionError> {
        if request.epoch == FINAL_EPOCH || request.epoch == INITIAL_EPOCH {
            if request.session_id != NO_SESSION {
                self.remove(request.session_id);
            }
            let context = if request.epoch == FINAL_EPOCH {
                Context::Sessionless
            } else {
                Context::Full { by_topic_id: request.by_topic_id, privileged: request.privileged }
            };
            return Ok((context, request.partitions));
        }
        let room = self.settings.partitions_max.saturating_sub(self.partitions);
        let session = self.sessions.get_mut(&request.session_id).ok_or(SessionError::NotFound)?;
        if session.epoch != request.epoch {
            return Err(SessionError::InvalidEpoch);
        }
        if session.by_topic_id != request.by_topic_id {
            return Err(SessionError::TopicIds);
        }
        let is_too_much = request.partitions.len() > room && session.added_by(&request) > room;
        if is_too_much || request.partitions.iter().any(|asked| !asked.topic.is_memorable()) {
            // More than the cache may remember: the client starts anew, and is then answered without a session.
            self.remove(request.session_id);
            return Err(SessionError::NotFound);
        }
        // In this order, as in Kafka: what is both named and forgotten is forgotten.
        session.update(request.partitions);
        session.forget(&request.forgotten);
        if session.is_empty() {
            self.remove(request.session_id);
            return Ok((Context::Sessionless, Vec::new()));
        }
        session.epoch = next_epoch(session.epoch);
        let context = Context::Incremental { session_id: request.session_id, next_epoch: session.epoch };
        let partitions = session.partitions();
        self.touch(request.session_id, now);
        Ok((context, partitions))
    }

    /// Frames the answer: opens a session for a full request, chooses what an incremental answer includes.
    /// `answers` belong to `partitions` as [`FetchSessions::begin`] returned them, one each.
    ///
    /// # Errors
    /// `NotFound` or `InvalidEpoch` when the session was closed or used by another request meanwhile.
    pub fn complete(
        &mut self,
        context: &Context,
        (partitions, answers): (&[FetchPartition], &[Answer]),
        now: Instant,
        random: u64,
    ) -> Result<Completed, SessionError> {
        match context {
            Context::Sessionless => Ok(Completed { session_id: NO_SESSION, include: None }),
            Context::Full { by_topic_id, privileged } => {
                if partitions.iter().any(|asked| !asked.topic.is_memorable()) {
                    return Ok(Completed { session_id: NO_SESSION, include: None });
                }
                let session = Session::new(*by_topic_id, *privileged, now, partitions.iter().zip(answers));
                Ok(Completed { session_id: self.open(session, now, random), include: None })
            }
            Context::Incremental { session_id, next_epoch } => {
                let session = self.sessions.get_mut(session_id).ok_or(SessionError::NotFound)?;
                if session.epoch != *next_epoch {
                    return Err(SessionError::InvalidEpoch);
                }
                let include =
                    partitions.iter().zip(answers).map(|(asked, answer)| session.answer(asked, answer));
                let include = include.collect();
                Ok(Completed { session_id: *session_id, include: Some(include) })
            }
        }
    }

    fn open(&mut self, session: Session, now: Instant, random: u64) -> i32 {
        let size = session.len();
        if size == 0 || self.settings.sessions_max == 0 || size > self.settings.partitions_max {
            return NO_SESSION;
        }
        while self.sessions.len() >= self.settings.sessions_max
            || self.partitions + size > self.settings.partitions_max
        {
            if !self.evict(session.privileged, size, now) {
                return NO_SESSION;
            }
        }
        let (shard, shards) = self.settings.shard;
        let ids = i32::MAX / shards - 1;
        let mut place = (random % ids as u64) as i32;
        while self.sessions.contains_key(&((place + 1) * shards + shard)) {
            place = (place + 1) % ids;
        }
        let id = (place + 1) * shards + shard;
        self.sessions.insert(id, session);
        self.touch(id, now);
        id
    }

    /// KIP-227: a session idle for longer than the eviction time goes first; else the smallest one that has lived
    /// that long, if it is not larger than the newcomer and not a follower's unless the newcomer is one.
    fn evict(&mut self, privileged: bool, size: usize, now: Instant) -> bool {
        let Some(&(used, id)) = self.last_used.first() else { return false };
        if now.saturating_since(used) > self.settings.eviction {
            self.remove(id);
            return true;
        }
        let evictable = if privileged { &self.evictable_by_privileged } else { &self.evictable_by_all };
        match evictable.first() {
            Some(&(its_privilege, its_size, id)) if (its_privilege, its_size) <= (privileged, size) => {
                self.remove(id);
                true
            }
            _ => false,
        }
    }

    fn touch(&mut self, id: i32, now: Instant) {
        self.unlist(id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.last_used = now;
        session.listed_size = session.len();
        self.partitions += session.listed_size;
        self.last_used.insert((now, id));
        let key = (session.privileged, session.listed_size, id);
        let lived = now.saturating_since(session.created) > self.settings.eviction;
        if !session.privileged || lived {
            self.evictable_by_privileged.insert(key);
        }
        if lived {
            self.evictable_by_all.insert(key);
        }
    }

    fn unlist(&mut self, id: i32) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let key = (session.privileged, session.listed_size, id);
        self.partitions -= session.listed_size;
        session.listed_size = 0;
        self.last_used.remove(&(session.last_used, id));
        self.evictable_by_all.remove(&key);
        self.evictable_by_privileged.remove(&key);
    }

    fn remove(&mut self, id: i32) {
        self.unlist(id);
        self.sessions.remove(&id);
    }
}
